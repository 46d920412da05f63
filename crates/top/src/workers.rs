//! The table of workers.

use appliance_supervisor::WorkerStatus;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use crate::draw::Theme;
use crate::text::{age, cut, harmless, latency, megabytes, rate, width};
use crate::view::View;

/// From this many columns on there are more of the table's.
pub(crate) const WIDE: u16 = 100;

/// A column: its title, how wide it is, and on which side its text stands.
pub(crate) type Column = (&'static str, usize, Side);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

use Side::{Left, Right};

const COLUMNS: [Column; 11] = [
    ("#", 3, Right),
    ("PID", 7, Right),
    ("STATE", 8, Left),
    ("THREADS", 7, Right),
    ("QUEUE", 5, Right),
    ("REQ/S", 6, Right),
    ("P99", 6, Right),
    ("CPU", 5, Right),
    ("RSS", 7, Right),
    ("PSS", 7, Right),
    ("UP", 7, Right),
];
const FURTHER: [Column; 3] = [("P50", 6, Right), ("CONN", 5, Right), ("GEN", 4, Right)];

/// Lines that the table should have of `all`: its heading, its rows, and one that is empty.
pub(crate) fn height(view: &View<'_>, all: u16) -> u16 {
    let wished = u16::try_from(view.workers().len())
        .unwrap_or(u16::MAX)
        .saturating_add(2);
    let running = u16::try_from(view.requests.len())
        .unwrap_or(u16::MAX)
        .saturating_add(2);
    // What requests do not need is theirs; else each has half.
    wished.min((all / 2).max(all.saturating_sub(running)))
}

/// Heading and rows, of which the chosen one is seen.
pub(crate) fn table(view: &View<'_>, area: Rect, theme: Theme) -> Vec<Line<'static>> {
    let is_wide = area.width >= WIDE;
    let further: &[Column] = if is_wide { &FURTHER } else { &[] };
    let columns: Vec<Column> = COLUMNS.iter().chain(further).copied().collect();
    let room = usize::from(area.height).saturating_sub(2);
    let chosen = view.chosen_worker();
    let (from, hidden) = window(view.workers().len(), room, chosen);
    let mut lines = vec![Line::styled(heading(&columns, hidden), theme.title())];
    let workers = view.workers().iter().enumerate().skip(from).take(room);
    lines.extend(workers.map(|(place, worker)| {
        let is_chosen = chosen == Some(place);
        let text = row(&columns, cells(view, worker), marker(is_chosen));
        Line::styled(text, style(worker, is_chosen, theme))
    }));
    lines
}

/// The first of `count` rows that are shown where there is room for so many, and how many are not.
pub(crate) fn window(count: usize, room: usize, chosen: Option<usize>) -> (usize, usize) {
    let hidden = count.saturating_sub(room);
    let from = chosen.map_or(0, |chosen| (chosen + 1).saturating_sub(room));
    (from.min(hidden), hidden)
}

/// Titles, and how many rows there are besides.
pub(crate) fn heading(columns: &[Column], hidden: usize) -> String {
    let titles = columns.iter().map(|(title, _, _)| (*title).to_owned());
    let titles = row(columns, titles, "  ");
    match (hidden, titles.split_once('#')) {
        (1.., Some((_, others))) => format!("{:>4}#{others}", format!("+{hidden}")),
        _ => titles,
    }
}

pub(crate) fn marker(is_chosen: bool) -> &'static str {
    if is_chosen { "> " } else { "  " }
}

fn style(worker: &WorkerStatus, is_chosen: bool, theme: Theme) -> Style {
    match worker.state.as_str() {
        _ if is_chosen => theme.chosen(),
        "serving" => Style::new(),
        _ => theme.doubtful(),
    }
}

fn cells(view: &View<'_>, worker: &WorkerStatus) -> Vec<String> {
    // A slot's figures are those of who serves; its predecessor only finishes.
    let rates = view.by_slot.get(&worker.worker);
    let rates = rates.filter(|_| worker.state == "serving");
    let none = || "-".to_owned();
    let levels = &worker.levels;
    vec![
        worker.worker.to_string(),
        worker.pid.to_string(),
        harmless(&worker.state),
        format!("{}/{}", levels.threads_busy, levels.threads),
        levels.queue_length.to_string(),
        rates.map_or_else(none, |rates| rate(rates.requests)),
        rates.map_or_else(none, |rates| latency(rates.p99)),
        view.processors
            .get(&worker.pid)
            .map_or_else(none, |busy| format!("{:.0}%", busy * 100.0)),
        megabytes(worker.memory_bytes),
        worker.pss_bytes.map_or_else(none, megabytes),
        age(worker.uptime),
        rates.map_or_else(none, |rates| latency(rates.p50)),
        levels.connections_open.to_string(),
        worker.generation.to_string(),
    ]
}

/// Texts in their columns.
pub(crate) fn row(
    columns: &[Column],
    cells: impl IntoIterator<Item = String>,
    marker: &str,
) -> String {
    let mut line = marker.to_owned();
    for (place, ((_, wide, side), cell)) in columns.iter().zip(cells).enumerate() {
        let cell = cut(&cell, *wide);
        let padding = " ".repeat(wide.saturating_sub(width(&cell)));
        let gap = if place == 0 { "" } else { " " };
        line.push_str(gap);
        match side {
            Left => line.extend([cell, padding]),
            Right => line.extend([padding, cell]),
        }
    }
    line
}
