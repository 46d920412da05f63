//! The table of running requests, and what is known of the chosen one.

use std::path::Path;

use appliance_supervisor::{Line as PythonLine, Status, Unseen, WorkerStatus};
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::draw::Theme;
use crate::text::{cut, cut_front, harmless, short_age, width};
use crate::view::{Running, View};
use crate::workers::{Column, Side, WIDE, heading, marker, row, window};

/// Older than this is worth a look.
const OLD_MS: u64 = 5_000;

const COLUMNS: [Column; 3] = [
    ("#", 3, Side::Right),
    ("AGE", 7, Side::Right),
    ("METHOD", 7, Side::Left),
];
const FURTHER: [Column; 2] = [("THREAD", 6, Side::Right), ("CLIENT", 15, Side::Left)];

/// Heading and rows, of which the chosen one is seen.
pub(crate) fn table(view: &View<'_>, area: Rect, theme: Theme) -> Vec<Line<'static>> {
    let columns = columns(area.width);
    let unsaid = unsaid(view.workers());
    let room = usize::from(area.height).saturating_sub(1 + unsaid.len());
    let chosen = view.chosen_request();
    let (from, hidden) = window(view.requests.len(), room, chosen);
    let mut lines = vec![Line::styled(heading(&columns, hidden), theme.title())];
    if view.requests.is_empty() && unsaid.is_empty() {
        lines.push(Line::raw("  no request runs"));
    }
    let requests = view.requests.iter().enumerate().skip(from).take(room);
    lines.extend(requests.map(|(place, running)| {
        let is_chosen = chosen == Some(place);
        let cells = cells(view.status, *running, &columns);
        let text = row(&columns, cells, marker(is_chosen));
        match running.request.age_ms {
            _ if is_chosen => Line::styled(text, theme.chosen()),
            OLD_MS.. => Line::styled(text, theme.doubtful()),
            _ => Line::raw(text),
        }
    }));
    let unsaid = unsaid.into_iter();
    lines.extend(unsaid.map(|text| Line::styled(format!("  {text}"), theme.doubtful())));
    lines
}

/// URL and line share what the others leave.
fn columns(width: u16) -> Vec<Column> {
    let further: &[Column] = if width >= WIDE { &FURTHER } else { &[] };
    let mut columns: Vec<Column> = COLUMNS.iter().chain(further).copied().collect();
    let taken: usize = 2 + columns.iter().map(|(_, wide, _)| wide + 1).sum::<usize>();
    let left = usize::from(width).saturating_sub(taken + 1);
    columns.push(("URL", left / 2, Side::Left));
    columns.push(("PYTHON LINE", left - left / 2, Side::Left));
    columns
}

/// What the table does not show.
fn unsaid(workers: &[WorkerStatus]) -> Vec<String> {
    let say = |worker: &WorkerStatus| {
        let serves = matches!(worker.state.as_str(), "serving" | "draining");
        match (&worker.requests, worker.more_requests) {
            (None, _) if serves => Some(format!(
                "worker {}, process {}, does not say what runs in it",
                worker.worker, worker.pid
            )),
            (_, 0) => None,
            (_, more) => Some(format!("{more} more in worker {}", worker.worker)),
        }
    };
    workers.iter().filter_map(say).collect()
}

fn cells(status: Option<&Status>, running: Running<'_>, columns: &[Column]) -> Vec<String> {
    let request = running.request;
    let mut cells = vec![
        running.worker.worker.to_string(),
        short_age(request.age_ms),
        harmless(&request.method),
    ];
    if columns.len() > COLUMNS.len() + 2 {
        cells.push(request.thread.to_string());
        cells.push(request.client.to_string());
    }
    cells.push(harmless(&request.url));
    let room = columns.last().map_or(0, |(_, wide, _)| *wide);
    cells.push(place(status, running, room));
    cells
}

/// `shop/views.py:42 checkout`: of the project's own code, if the request is in any.
fn place(status: Option<&Status>, running: Running<'_>, columns: usize) -> String {
    let request = running.request;
    let Some(line) = request.within.as_ref().or(request.at.as_ref()) else {
        return unseen(request.unseen).to_owned();
    };
    let function = format!(" {}", harmless(&line.function));
    let number = format!(":{}", line.line);
    let room = columns.saturating_sub(width(&number) + width(&function));
    let file = cut_front(&short_path(status, line), room.max(columns / 3));
    format!("{file}{number}{function}")
}

fn unseen(unseen: Option<Unseen>) -> &'static str {
    match unseen {
        Some(Unseen::KeepsGil) => "in C code, keeps the GIL",
        Some(Unseen::NoGil) => "unknown: the GIL is kept",
        Some(Unseen::NoFrame) | None => "no Python frame",
    }
}

/// Beginning in the project's folder, or with a package.
fn short_path(status: Option<&Status>, line: &PythonLine) -> String {
    let file = Path::new(&line.file);
    let packages = line
        .file
        .rsplit_once("/site-packages/")
        .map(|(_, file)| file);
    let folder = status.and_then(|status| status.project.parent());
    let inside = folder.and_then(|folder| file.strip_prefix(folder).ok());
    let inside = inside.map(|file| file.to_string_lossy().into_owned());
    harmless(
        &packages
            .map(str::to_owned)
            .or(inside)
            .unwrap_or_else(|| line.file.clone()),
    )
}

/// What there was no room for.
pub(crate) fn detail(view: &View<'_>, columns: usize) -> Vec<Line<'static>> {
    let texts = match (view.chosen_request(), view.chosen_worker()) {
        (Some(place), _) => of_request(view.requests[place]),
        (None, Some(place)) => of_worker(&view.workers()[place]),
        (None, None) => Vec::new(),
    };
    let cut = |text: String| Line::raw(cut(&harmless(&text), columns));
    texts.into_iter().map(cut).collect()
}

fn of_request(running: Running<'_>) -> Vec<String> {
    let (request, worker) = (running.request, running.worker);
    let line = |line: &PythonLine| format!("{}:{} in {}", line.file, line.line, line.function);
    let at = match (&request.within, &request.at) {
        (Some(within), Some(at)) => format!("{}, at {}", line(within), line(at)),
        (None, Some(at)) => line(at),
        _ => unseen(request.unseen).to_owned(),
    };
    vec![
        format!("{} {}", request.method, request.url),
        format!(
            "request {}, from {}, in worker {} (process {}), thread appliance-{}",
            request.id, request.client, worker.worker, worker.pid, request.thread
        ),
        at,
    ]
}

fn of_worker(worker: &WorkerStatus) -> Vec<String> {
    let levels = &worker.levels;
    vec![format!(
        "worker {}, process {}, generation {}: {} of {} threads busy, {} connections",
        worker.worker,
        worker.pid,
        worker.generation,
        levels.threads_busy,
        levels.threads,
        levels.connections_open
    )]
}
