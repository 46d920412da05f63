//! A load that counts every request: files, short answers and streamed ones, over connections of
//! one request and over such that are kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use super::http::{Connection, Response};
use super::stopwatch::Stopwatch;

/// Clients that ask until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Counted>>,
}

/// What a load has seen.
#[derive(Debug, Default)]
pub struct Counted {
    /// Requests with the right answer.
    pub answered: usize,
    /// What was wrong with the others.
    pub failed: Vec<String>,
    /// How long the slowest answer took, without the time in which there was no processor for all.
    pub slowest: Duration,
    /// Connections that were closed before a byte of an answer: by RFC 9112 §9.3.1 a client asks
    /// again on another one.
    pub asked_again: usize,
}

/// A path, and what its answer must hold.
pub type Question = (&'static str, &'static str);

impl Load {
    /// One client on connections of one request, and one on a kept connection, for each of the
    /// questions.
    pub fn start(address: SocketAddr, questions: &[Question]) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |question: Question, keeps: bool| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || ask(address, question, keeps, &stop))
        };
        let clients = questions
            .iter()
            .flat_map(|question| [client(*question, false), client(*question, true)])
            .collect();
        Load { stop, clients }
    }

    /// Stops all clients, each after the answer it waits for.
    #[track_caller]
    pub fn stop(mut self) -> Counted {
        self.stop.store(true, Relaxed);
        let mut all = Counted::default();
        for client in self.clients.drain(..) {
            let one = client.join().unwrap();
            all.answered += one.answered;
            all.asked_again += one.asked_again;
            all.failed.extend(one.failed);
            all.slowest = all.slowest.max(one.slowest);
        }
        all
    }
}

/// A test that fails on the way leaves no client behind.
impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

fn ask(address: SocketAddr, question: Question, keeps: bool, stop: &AtomicBool) -> Counted {
    let mut counted = Counted::default();
    let mut kept: Option<Connection> = None;
    while !stop.load(Relaxed) {
        let watch = Stopwatch::start();
        let connection = kept
            .take()
            .map_or_else(|| Connection::try_open(address), Ok);
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(error) => {
                counted.failed.push(format!("{}: {error}", question.0));
                break;
            }
        };
        match request(&mut connection, question, keeps) {
            None => counted.asked_again += 1,
            Some(response) if is_right(&response, question) => {
                counted.answered += 1;
                counted.slowest = counted.slowest.max(watch.undisturbed());
                let closes = response.header("connection") == Some("close");
                kept = (keeps && !closes).then_some(connection);
            }
            Some(wrong) => counted.failed.push(format!("{}: {wrong:?}", question.0)),
        }
        // Enough to overlap with everything, and not so much that it starves what it tests.
        std::thread::sleep(Duration::from_millis(2));
    }
    counted
}

fn request(connection: &mut Connection, question: Question, keeps: bool) -> Option<Response> {
    let field = if keeps { "" } else { "connection: close\r\n" };
    let request = format!("GET {} HTTP/1.1\r\nhost: test\r\n{field}\r\n", question.0);
    connection.try_send(request)?;
    connection.try_response()
}

fn is_right(response: &Response, question: Question) -> bool {
    response.status == 200 && response.complete && response.text().contains(question.1)
}
