//! Text as it goes to a terminal: harmless, no wider than its place, and numbers for people.

use ratatui::text::Span;

use crate::rates::Latency;

/// `text` without anything that a terminal would obey, or that would hide or turn around what
/// stands beside it: such characters are written out, as Rust writes them.
pub(crate) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_harmful(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown
}

/// Control characters; those of bidirectional text, as in "Trojan Source"; what has no width.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The beginning of `text`, with a sign of what is missing, in at most `columns`.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 0;
    let span = Span::raw(text);
    for grapheme in span.styled_graphemes(ratatui::style::Style::new()) {
        used += width(grapheme.symbol);
        if used >= columns {
            break;
        }
        shown.push_str(grapheme.symbol);
    }
    if columns > 0 {
        shown.push('…');
    }
    shown
}

/// The end of `text`, likewise: of a path it says more.
pub(crate) fn cut_front(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let starts = text.char_indices().map(|(start, _)| start);
    let tails = starts.map(|start| &text[start..]);
    let tail = tails.into_iter().find(|tail| width(tail) < columns);
    format!("…{}", tail.unwrap_or_default())
}

/// `12 s`, `3 min`, `5 h`, `12 d`.
pub(crate) fn age(seconds: f64) -> String {
    match seconds as u64 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86400),
    }
}

/// The same for what is mostly short: `1.5 s`, and from 10 s on without tenths.
pub(crate) fn short_age(milliseconds: u64) -> String {
    match milliseconds {
        0..10_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        more => age((more / 1000) as f64),
    }
}

/// `250 us`, `1.2 ms`, `35 ms`, `2.5 s`.
pub(crate) fn latency(latency: Option<Latency>) -> String {
    let seconds = match latency {
        None => return "-".to_owned(),
        Some(Latency::MoreThan(seconds)) => return format!(">{seconds:.0} s"),
        Some(Latency::About(seconds)) => seconds,
    };
    match seconds {
        seconds if seconds < 0.000_999_5 => format!("{:.0} us", seconds * 1e6),
        seconds if seconds < 0.009_95 => format!("{:.1} ms", seconds * 1e3),
        seconds if seconds < 0.999_5 => format!("{:.0} ms", seconds * 1e3),
        seconds if seconds < 9.95 => format!("{seconds:.1} s"),
        seconds => format!("{seconds:.0} s"),
    }
}

/// `0`, `0.4`, `12`, `1234`, `12k`.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        none if none <= 0.0 => "0".to_owned(),
        few if few < 9.95 => format!("{few:.1}"),
        many if many < 9_999.5 => format!("{many:.0}"),
        lots => format!("{:.0}k", lots / 1000.0),
    }
}

/// `38 MB`, of a million bytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(harmless("/shop?q=grün&名=1"), "/shop?q=grün&名=1");
        assert_eq!(harmless("/\u{1b}[2J\r\n\0"), r"/\u{1b}[2J\r\n\u{0}");
        assert_eq!(
            harmless("/\u{202e}gpj.exe\u{200b}\u{9b}"),
            r"/\u{202e}gpj.exe\u{200b}\u{9b}"
        );
    }

    #[test]
    fn a_cut_text_is_never_wider_than_its_place() {
        for text in [
            "/short",
            "/a/long/path/to/somewhere",
            "/名前/名前/名前",
            "👩‍👩‍👧e\u{301}x",
            "",
        ] {
            for columns in 0..30 {
                assert!(width(&cut(text, columns)) <= columns, "{text} in {columns}");
            }
            for columns in 1..30 {
                assert!(
                    width(&cut_front(text, columns)) <= columns,
                    "{text} in {columns}"
                );
            }
        }
        assert_eq!(cut("/abcdef", 5), "/abc…");
        assert_eq!(cut_front("/abcdef", 5), "…cdef");
        assert_eq!(cut("/名前名前", 6), "/名前…");
    }

    #[test]
    fn numbers_are_short() {
        let about = |seconds| latency(Some(Latency::About(seconds)));
        assert_eq!(about(0.000_25), "250 us");
        assert_eq!(about(0.001_23), "1.2 ms");
        assert_eq!(about(0.035), "35 ms");
        assert_eq!(about(2.5), "2.5 s");
        assert_eq!(latency(Some(Latency::MoreThan(60.0))), ">60 s");
        let rates = [0.0, 0.04, 9.94, 9.96, 1234.4, 12_345.0].map(rate);
        assert_eq!(rates, ["0", "0.0", "9.9", "10", "1234", "12k"]);
        assert_eq!(
            [short_age(0), short_age(1_570), short_age(75_000)],
            ["0.0 s", "1.5 s", "75 s"]
        );
    }
}
