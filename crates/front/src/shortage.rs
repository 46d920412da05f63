//! Connections that cannot be accepted, for want of descriptors or memory: said when it begins,
//! once a minute while it goes on, and when it is over. Every refused attempt would be ten lines a
//! second, on a disk that may be short as well.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After so long without a failure it is over: while clients come and go, the next one may fail.
const OVER: Duration = Duration::from_secs(2);
const REPEAT: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Shortage {
    /// Spares each connection the lock.
    is_there: AtomicBool,
    episode: Mutex<Option<Episode>>,
}

#[derive(Debug)]
struct Episode {
    began: Instant,
    failed_last: Instant,
    said_last: Instant,
}

/// What there is to say.
#[derive(Debug, PartialEq)]
pub(crate) enum News {
    Begins,
    GoesOn(Duration),
    IsOver(Duration),
}

impl Shortage {
    /// An attempt has failed.
    pub(crate) fn failed(&self, error: &io::Error) {
        match self.note_failure(Instant::now()) {
            Some(News::Begins) => tracing::warn!(
                %error,
                "cannot accept connections; idle ones are closed to make room (`ulimit -n`, or \
                 systemd's `LimitNOFILE=`, should exceed `server.connections`)"
            ),
            Some(News::GoesOn(time)) => {
                tracing::warn!(%error, since_s = time.as_secs(), "still cannot accept all connections");
            }
            _ => {}
        }
    }

    /// One has succeeded.
    pub(crate) fn succeeded(&self) {
        if self.is_there.load(Relaxed)
            && let Some(News::IsOver(time)) = self.note_success(Instant::now())
        {
            let after_ms = time.as_millis();
            tracing::info!(after_ms, "all connections are accepted again");
        }
    }

    fn note_failure(&self, now: Instant) -> Option<News> {
        let mut episode = self.episode.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_there.store(true, Relaxed);
        let Some(known) = &mut *episode else {
            *episode = Some(Episode {
                began: now,
                failed_last: now,
                said_last: now,
            });
            return Some(News::Begins);
        };
        known.failed_last = now;
        if now - known.said_last < REPEAT {
            return None;
        }
        known.said_last = now;
        Some(News::GoesOn(now - known.began))
    }

    fn note_success(&self, now: Instant) -> Option<News> {
        let mut episode = self.episode.lock().unwrap_or_else(PoisonError::into_inner);
        let over = episode.take_if(|known| now - known.failed_last >= OVER)?;
        self.is_there.store(false, Relaxed);
        Some(News::IsOver(over.failed_last - over.began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_failures_is_an_hour_of_minutes() {
        let shortage = Shortage::default();
        let began = Instant::now();
        assert_eq!(shortage.note_failure(began), Some(News::Begins));
        let mut told = 0;
        for tenth in 1..36_000 {
            let now = began + Duration::from_millis(100 * tenth);
            told += usize::from(shortage.note_failure(now).is_some());
            assert_eq!(shortage.note_success(now), None, "it is not over");
        }
        assert_eq!(told, 59);
    }

    #[test]
    fn it_is_over_once() {
        let shortage = Shortage::default();
        let began = Instant::now();
        shortage.note_failure(began);
        let last = began + Duration::from_secs(3);
        shortage.note_failure(last);
        assert_eq!(shortage.note_success(last + OVER / 2), None);
        let over = Some(News::IsOver(Duration::from_secs(3)));
        assert_eq!(shortage.note_success(last + OVER), over);
        assert_eq!(shortage.note_success(last + OVER * 2), None);
        assert_eq!(shortage.note_failure(last + OVER * 3), Some(News::Begins));
    }
}
