//! The terminal: taken over, drawn to, and given back on every way out.
//!
//! Nothing here waits for the server: what is asked of it is asked by threads, so that keys are
//! heard while it does not answer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use appliance_supervisor::{Request, Status};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::act::State;
use crate::draw::{Theme, draw};
use crate::server::{Refusal, Server};

/// How long a key is waited for before there may be news of the server.
const TICK: Duration = Duration::from_millis(50);

/// What threads have heard of the server.
enum News {
    Status(Result<Box<Status>, Refusal>),
    Done(Request, Result<String, Refusal>),
}

/// Shows the server until the user leaves, or a signal says so.
pub(crate) fn show(server: Server, first: Status, interval: Duration) -> io::Result<()> {
    let ends = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGHUP, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&ends))?;
    }
    let (sender, news) = channel();
    watch(server.clone(), interval, sender.clone())?;
    let mut state = State::default();
    state.hear(first);
    // Gives the terminal back when something panics, too.
    let mut terminal = ratatui::try_init()?;
    let shown = until_left(&mut terminal, &mut state, &news, &ends, |order| {
        obey(server.clone(), order, sender.clone())
    });
    ratatui::try_restore()?;
    shown
}

fn until_left(
    terminal: &mut DefaultTerminal,
    state: &mut State,
    news: &Receiver<News>,
    ends: &AtomicBool,
    order: impl Fn(Request) -> io::Result<()>,
) -> io::Result<()> {
    let theme = Theme {
        // https://no-color.org
        colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    let mut is_new = true;
    while !state.leaves && !ends.load(Ordering::Relaxed) {
        if std::mem::take(&mut is_new) {
            terminal.draw(|frame| draw(frame, &state.view(), theme))?;
        }
        if terminal_goes_within(TICK) {
            return Ok(());
        }
        if event::poll(Duration::ZERO)? {
            is_new = true;
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
                && let Some(request) = state.press(key)
            {
                order(request)?;
            }
        }
        for news in news.try_iter() {
            is_new = true;
            match news {
                News::Status(Ok(status)) => state.hear(*status),
                News::Status(Err(refusal)) => state.miss(&refusal.to_string()),
                News::Done(order, answer) => {
                    state.done(&order, answer.map_err(|refusal| refusal.to_string()));
                }
            }
        }
    }
    Ok(())
}

/// Waits for a key, as long, and says whether the terminal has gone instead. A signal tells those alone
/// whom it controls, and who waits for events would read its end again and again.
fn terminal_goes_within(time: Duration) -> bool {
    let terminal = io::stdout();
    let mut polled = [PollFd::new(&terminal, PollFlags::IN)];
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    let timeout = Timespec::try_from(time).ok();
    poll(&mut polled, timeout.as_ref()).is_ok_and(|_| polled[0].revents().intersects(gone))
}

/// Asks how the server fares, again and again; ends when nobody listens.
fn watch(server: Server, interval: Duration, news: Sender<News>) -> io::Result<()> {
    let watching = move || {
        loop {
            std::thread::sleep(interval);
            if news
                .send(News::Status(server.status().map(Box::new)))
                .is_err()
            {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(watching)?;
    Ok(())
}

/// Has the server do something, which may take as long as a reload does.
fn obey(server: Server, order: Request, news: Sender<News>) -> io::Result<()> {
    let obeying = move || {
        let answer = server.order(&order);
        // Nobody listens who has left.
        let _ = news.send(News::Done(order, answer));
    };
    std::thread::Builder::new()
        .name("order".to_owned())
        .spawn(obeying)?;
    Ok(())
}
