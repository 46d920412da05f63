//! What lies over the tables: help, a question, a traceback.

use appliance_supervisor::Request;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear};

use crate::draw::{Theme, write};
use crate::text::{cut, harmless};

/// What lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Overlay {
    Help,
    /// Whether to do this.
    Confirm {
        question: String,
        request: Request,
    },
    /// Lines to read, from this one on.
    Text {
        title: String,
        text: String,
        from: usize,
    },
}

const HELP: &str = "\
Up, Down, k, j    choose a worker or a request
PgUp, PgDn        the same by ten; Home, End: the first, the last
t                 write the Python stack of it to the log, and show it
r                 recycle the worker: its successor first, then it drains
d                 drain the worker: it goes first, its successor follows
R                 reload the server: new code, packages and settings
q, Ctrl-C         leave

Rates are of the last interval, latencies of the last ten seconds. PYTHON
LINE is where a request is in the project's own code, or else in all. RSS
counts what workers share for each of them, PSS divides it among them.";

/// Draws it in the middle.
pub(crate) fn draw(frame: &mut Frame<'_>, overlay: &Overlay, theme: Theme) {
    let (title, text, from, foot) = match overlay {
        Overlay::Help => ("help", HELP.to_owned(), 0, "any key closes"),
        Overlay::Confirm { question, .. } => ("sure?", question.clone(), 0, "y yes   n no"),
        Overlay::Text { title, text, from } => {
            (title.as_str(), text.clone(), *from, "↑↓ scroll   q closes")
        }
    };
    let lines: Vec<String> = text.lines().map(harmless).collect();
    let area = middle(frame.area(), lines.len());
    let block = Block::bordered()
        .title(format!(" {title} "))
        .title_bottom(format!(" {foot} "))
        .border_style(theme.title());
    let inside = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    let columns = usize::from(inside.width);
    let rows = lines.iter().skip(from).take(inside.height.into());
    let rows: Vec<Line<'_>> = rows.map(|line| Line::raw(cut(line, columns))).collect();
    write(frame, inside, &rows);
}

/// As wide as there is room, and as high as must be.
fn middle(area: Rect, lines: usize) -> Rect {
    let height = u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(2);
    let height = height.min(area.height.saturating_sub(2));
    let width = area.width.saturating_sub(2).min(140);
    Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    }
}
