//! Frames compared whole: `UPDATE=1 cargo test -p appliance-top` writes them anew.

use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};

use super::*;
use crate::overlay::Overlay;
use crate::rates::History;
use crate::view::tests::{busy, request, status, worker};
use crate::view::{Chosen, View};

const PLAIN: Theme = Theme { colour: false };

fn drawn(view: &View<'_>, theme: Theme, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view, theme)).unwrap();
    terminal.backend().buffer().clone()
}

/// Compares with `frames/NAME-80x24.txt` and `frames/NAME-120x40.txt`.
#[track_caller]
fn same_as(name: &str, view: &View<'_>) {
    for (width, height) in [(80, 24), (120, 40)] {
        same_text(
            &format!("{name}-{width}x{height}"),
            &lines_of(&drawn(view, PLAIN, width, height)),
        );
    }
}

#[track_caller]
fn same_text(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/frames")
        .join(format!("{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(text == expected, "not as in {}:\n{text}", file.display());
}

fn live(history: &History) -> View<'_> {
    View {
        is_live: true,
        ..View::of(history)
    }
}

#[test]
fn an_idle_server() {
    let mut history = History::default();
    history.add(status());
    same_as("idle", &live(&history));
}

#[test]
fn a_busy_server() {
    let history = busy();
    let chosen = Chosen::Request {
        pid: 4712,
        id: "5f2c-1".to_owned(),
    };
    same_as(
        "busy",
        &View {
            chosen: Some(&chosen),
            ..live(&history)
        },
    );
}

#[test]
fn urls_that_are_long_wide_or_hostile() {
    let mut status = status();
    let long = format!("/search?q={}", "long".repeat(200));
    let urls = [
        long.as_str(),
        "/名前/商品/とても長い名前の商品のページ/そしてもっと",
        "/\u{1b}[2J\u{1b}]0;owned\u{7}/\r\n\u{202e}gpj.exe",
        "/e\u{301}\u{200b}👩‍👩‍👧",
    ];
    let requests = urls.iter().enumerate();
    let requests =
        requests.map(|(place, url)| request(&place.to_string(), url, 4000 - place as u64));
    status.workers[0].requests = Some(requests.collect());
    let mut history = History::default();
    history.add(status);
    let chosen = Chosen::Request {
        pid: 4712,
        id: "2".to_owned(),
    };
    let view = View {
        chosen: Some(&chosen),
        ..live(&history)
    };
    same_as("urls", &view);
    for cell in drawn(&view, PLAIN, 80, 24).content() {
        assert!(!cell.symbol().contains(char::is_control), "{cell:?}");
    }
}

#[test]
fn many_workers_and_requests_leave_room_for_each_other() {
    let mut status = status();
    status.workers = (1..=64).map(worker).collect();
    let requests = (0_u64..50).map(|place| request(&place.to_string(), "/slow", 9000 - place));
    status.workers[63].requests = Some(requests.collect());
    let mut history = History::default();
    history.add(status);
    let chosen = Chosen::Worker { pid: 4711 + 40 };
    same_as(
        "many",
        &View {
            chosen: Some(&chosen),
            ..live(&history)
        },
    );
}

#[test]
fn a_server_that_is_gone() {
    let history = busy();
    same_as(
        "gone",
        &View {
            notice: Some("no answer, trying again: no server of this project is running"),
            ..live(&history)
        },
    );
}

#[test]
fn help_and_a_question() {
    let history = busy();
    same_as(
        "help",
        &View {
            overlay: Some(&Overlay::Help),
            ..live(&history)
        },
    );
    let confirm = Overlay::Confirm {
        question: "recycle worker 1 (process 4712)?".to_owned(),
        request: appliance_supervisor::Request::Recycle { pid: 4712 },
    };
    same_as(
        "question",
        &View {
            overlay: Some(&confirm),
            ..live(&history)
        },
    );
}

#[test]
fn a_traceback() {
    let history = busy();
    let text = "GET /checkout/\u{1b}[0m (request 5f2c-1), 1.6 s old, in thread appliance-1\n\
                Stack (most recent call last):\n  File \"/srv/shop/backend/shop/views.py\", line 42, in checkout\n    pay(basket)";
    let overlay = Overlay::Text {
        title: "traceback".to_owned(),
        text: text.to_owned(),
        from: 0,
    };
    same_as(
        "traceback",
        &View {
            overlay: Some(&overlay),
            ..live(&history)
        },
    );
}

#[test]
fn one_frame_as_text_is_as_high_as_it_must_be() {
    let history = busy();
    same_text("once", &as_text(&View::of(&history), PLAIN, 120));
}

#[test]
fn there_is_no_colour_where_none_is_wanted() {
    let history = busy();
    let is_coloured = |buffer: &Buffer| {
        buffer
            .content()
            .iter()
            .any(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset))
    };
    assert!(!is_coloured(&drawn(&live(&history), PLAIN, 80, 24)));
    assert!(is_coloured(&drawn(
        &live(&history),
        Theme { colour: true },
        80,
        24
    )));
    let chosen = Chosen::Worker { pid: 4712 };
    let view = View {
        chosen: Some(&chosen),
        ..live(&history)
    };
    let buffer = drawn(&view, PLAIN, 80, 24);
    let reversed = |cell: &ratatui::buffer::Cell| cell.modifier.contains(Modifier::REVERSED);
    assert!(buffer.content().iter().any(reversed));
}

#[test]
fn a_window_of_any_size_is_drawn() {
    let history = busy();
    let chosen = Chosen::Request {
        pid: 4712,
        id: "5f2c-3".to_owned(),
    };
    for width in [1, 2, 10, 59, 60, 61, 79, 99, 100, 101, 300] {
        for height in [1, 2, 5, 11, 12, 13, 20, 100] {
            for overlay in [None, Some(Overlay::Help)] {
                let view = View {
                    chosen: Some(&chosen),
                    overlay: overlay.as_ref(),
                    ..live(&history)
                };
                drawn(&view, PLAIN, width, height);
            }
        }
    }
}
