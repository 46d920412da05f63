//! A frame: head, workers, requests, what is chosen, keys.
//!
//! Made for 80 columns and 24 lines; a wider window has more columns, a higher one more rows.

use ratatui::Frame;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use crate::text::{age, cut, cut_front, harmless, latency, megabytes, rate, width};
use crate::view::View;
use crate::{overlay, requests, workers};

/// Of a window, for anything to be read.
const LEAST: (u16, u16) = (60, 12);
const HEAD: u16 = 4;
const DETAIL: u16 = 3;

/// Whether there are colours; without, what matters is bold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    pub(crate) colour: bool,
}

impl Theme {
    fn of(self, colour: Color) -> Style {
        match self.colour {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    pub(crate) fn good(self) -> Style {
        self.of(Color::Green)
    }

    pub(crate) fn doubtful(self) -> Style {
        self.of(Color::Yellow)
    }

    pub(crate) fn bad(self) -> Style {
        self.of(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(crate) fn title(self) -> Style {
        self.of(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    pub(crate) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws all of it.
pub(crate) fn draw(frame: &mut Frame<'_>, view: &View<'_>, theme: Theme) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!(
            "at least {} columns and {} lines are needed",
            LEAST.0, LEAST.1
        );
        return write(frame, area, &[Line::raw(text)]);
    }
    let (head, rest) = split(area, HEAD);
    write(frame, head, &summary(view, area.width.into(), theme));
    let (foot, detail) = match view.is_live {
        true => (1, DETAIL),
        false => (0, 0),
    };
    let tables = rest.height - foot - detail;
    let (tables, below) = split(rest, tables);
    let (above, under) = split(tables, workers::height(view, tables.height));
    write(frame, above, &workers::table(view, above, theme));
    write(frame, under, &requests::table(view, under, theme));
    let (detail, foot) = split(below, detail);
    write(frame, detail, &requests::detail(view, detail.width.into()));
    write(frame, foot, &[keys(theme)]);
    if let Some(overlay) = view.overlay {
        overlay::draw(frame, overlay, theme);
    }
}

/// A frame as plain text: as high as it must be, and without what only helps who presses keys.
pub(crate) fn as_text(view: &View<'_>, theme: Theme, width: u16) -> String {
    let rows = view.workers().len() * 2 + view.requests.len() + 8;
    let height = HEAD
        .saturating_add(u16::try_from(rows).unwrap_or(u16::MAX))
        .max(LEAST.1);
    let backend = TestBackend::new(width.clamp(LEAST.0, 500), height.min(2000));
    // Neither the backend nor what is drawn can fail.
    let Ok(mut terminal) = ratatui::Terminal::new(backend);
    let Ok(_) = terminal.draw(|frame| draw(frame, view, theme));
    let text = lines_of(terminal.backend().buffer());
    format!("{}\n", text.trim_end())
}

/// What is to be read, without spaces at the ends of lines.
pub(crate) fn lines_of(buffer: &Buffer) -> String {
    let columns = usize::from(buffer.area.width).max(1);
    let mut text = String::new();
    for row in buffer.content().chunks(columns) {
        let mut covered = 0_usize;
        let mut line = String::new();
        for cell in row {
            // The second half of a wide character is a cell of its own.
            if covered == 0 {
                line.push_str(cell.symbol());
            }
            covered = width(cell.symbol()).max(covered).saturating_sub(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

pub(crate) fn write(frame: &mut Frame<'_>, area: Rect, lines: &[Line<'_>]) {
    for (line, row) in lines.iter().zip(area.rows()) {
        frame.render_widget(line, row);
    }
}

/// The first `height` lines, and those below.
fn split(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    let above = Rect { height, ..area };
    let below = Rect {
        y: area.y + height,
        height: area.height - height,
        ..area
    };
    (above, below)
}

fn summary(view: &View<'_>, columns: usize, theme: Theme) -> Vec<Line<'static>> {
    let notice = |text: &str| Line::styled(cut(&harmless(text), columns), theme.bad());
    let Some(status) = view.status else {
        return view.notice.map(notice).into_iter().collect();
    };
    let about = format!(
        ", generation {}, up {}, appliance {}",
        status.generation,
        age(status.uptime),
        harmless(&status.version)
    );
    let project = harmless(&status.project.to_string_lossy());
    let left = columns.saturating_sub(width(&about) + status.state.len() + 2);
    let state = match status.state.as_str() {
        "serving" => theme.good(),
        "failing" => theme.bad(),
        _ => theme.doubtful(),
    };
    let first = Line::from(vec![
        Span::styled(cut_front(&project, left), theme.title()),
        Span::raw("  "),
        Span::styled(status.state.clone(), state),
        Span::raw(about),
    ]);
    let warning = view.notice.map(str::to_owned).or_else(|| warning(status));
    let mut lines = vec![first, traffic(view, theme), usage(view, columns)];
    lines.extend(warning.as_deref().map(notice));
    lines
}

fn traffic(view: &View<'_>, theme: Theme) -> Line<'static> {
    let Some(status) = view.status else {
        return Line::default();
    };
    let levels = &status.levels;
    let mark = |text: String, bad: bool| match bad {
        true => Span::styled(text, theme.bad()),
        false => Span::raw(text),
    };
    let Some(rates) = view.rates else {
        return Line::raw(format!(
            "queue {}  {} connections",
            levels.queue_length, levels.connections_open
        ));
    };
    Line::from(vec![
        Span::raw(format!(
            "{} requests/s  p50 {}  p99 {}  ",
            rate(rates.requests),
            latency(rates.p50),
            latency(rates.p99)
        )),
        mark(format!("5xx {}/s", rate(rates.failed)), rates.failed > 0.0),
        Span::raw("  "),
        mark(
            format!("queue {}", levels.queue_length),
            levels.queue_length > 0,
        ),
        Span::raw(format!("  {} connections", levels.connections_open)),
    ])
}

fn usage(view: &View<'_>, columns: usize) -> Line<'static> {
    let Some(status) = view.status else {
        return Line::default();
    };
    let busy = match view.processors.is_empty() {
        true => "-".to_owned(),
        false => format!("{:.0}%", view.processors.values().sum::<f64>() * 100.0),
    };
    let share = |worker: &appliance_supervisor::WorkerStatus| {
        worker.pss_bytes.unwrap_or(worker.memory_bytes)
    };
    let memory: u64 = view.workers().iter().map(share).sum();
    let mut text = format!(
        "CPU {busy}  memory {}  threads {}/{}",
        megabytes(memory),
        status.levels.threads_busy,
        status.levels.threads
    );
    if !status.replaced.is_empty() {
        let counts = status.replaced.iter();
        let counts: Vec<_> = counts
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        text.push_str(&format!("  replaced: {}", counts.join(", ")));
    }
    Line::raw(cut(&harmless(&text), columns))
}

/// What somebody should look into.
fn warning(status: &appliance_supervisor::Status) -> Option<String> {
    if status.maintenance {
        return Some("maintenance: every request gets a 503".to_owned());
    }
    let first = status.last_failure.as_ref()?.lines().next()?;
    Some(format!("the last reload or upgrade failed: {first}"))
}

fn keys(theme: Theme) -> Line<'static> {
    let keys = [
        ("↑↓", "choose"),
        ("t", "traceback"),
        ("r", "recycle"),
        ("d", "drain"),
        ("R", "reload"),
        ("?", "help"),
        ("q", "quit"),
    ];
    let spans = keys.iter().flat_map(|(key, what)| {
        [
            Span::styled(*key, theme.title()),
            Span::raw(format!(" {what}   ")),
        ]
    });
    Line::from(spans.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
