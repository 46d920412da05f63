//! One look at the disk for all who want the same name at the same time.
//!
//! Without it 2000 requests for a file that is not in the cache yet read it 2000 times, and for a
//! moment hold as many copies. One looks, the others wait for what it finds; if its client leaves
//! meanwhile, or it fails, the next one looks.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// The looks that are going on, by name.
#[derive(Debug)]
pub(super) struct Flights<T>(Mutex<ByName<T>>);

type ByName<T> = HashMap<Box<[u8]>, Arc<OnceCell<T>>>;

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Flights(Mutex::default())
    }
}

impl<T: Clone> Flights<T> {
    /// What `look` finds, or somebody else who looks already.
    pub(super) async fn share(
        &self,
        name: &[u8],
        look: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        let seat = self.board(name);
        seat.found.get_or_try_init(|| look).await.cloned()
    }

    fn board(&self, name: &[u8]) -> Seat<'_, T> {
        let found = Arc::clone(self.lock().entry(name.into()).or_default());
        Seat {
            flights: self,
            name: name.into(),
            found,
        }
    }
}

impl<T> Flights<T> {
    fn lock(&self) -> MutexGuard<'_, ByName<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of one request in a look.
struct Seat<'a, T> {
    flights: &'a Flights<T>,
    name: Box<[u8]>,
    found: Arc<OnceCell<T>>,
}

impl<T> Drop for Seat<'_, T> {
    /// Who comes after the look's end looks anew, or what was found once would be believed for as
    /// long as others keep coming.
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        let is_over = |known: &Arc<OnceCell<T>>| {
            // The map's and this one.
            let is_last = Arc::strong_count(known) == 2;
            Arc::ptr_eq(known, &self.found) && (known.initialized() || is_last)
        };
        if flights.get(&self.name).is_some_and(is_over) {
            flights.remove(&self.name);
        }
    }
}
