//! What became of every directive.

use std::fmt::Write;

use crate::source::{Place, Sources};

/// What became of one directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// A setting of project.toml says the same.
    Carried,
    /// What appliance does by itself stands in for it.
    Default,
    /// It configures something that is not there any more.
    NotNeeded,
    /// Nothing says the same yet.
    Missing,
    /// It did not do what it seems to, or its loss is dangerous.
    Trap,
}

impl Verdict {
    pub(crate) const ALL: [Verdict; 5] = [
        Verdict::Carried,
        Verdict::Default,
        Verdict::NotNeeded,
        Verdict::Missing,
        Verdict::Trap,
    ];

    fn title(self) -> &'static str {
        match self {
            Verdict::Carried => "carried over",
            Verdict::Default => "replaced by a default",
            Verdict::NotNeeded => "not needed",
            Verdict::Missing => "not supported",
            Verdict::Trap => "to look at",
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) place: Place,
    pub(crate) verdict: Verdict,
    pub(crate) text: String,
}

/// The number of a row, by which it may be corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowId(usize);

/// Every row, in the order in which directives were read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a row.
    pub(crate) fn row(&mut self, place: Place, verdict: Verdict, text: impl Into<String>) -> RowId {
        self.rows.push(Row {
            place,
            verdict,
            text: text.into(),
        });
        RowId(self.rows.len() - 1)
    }

    /// Says something else after all.
    pub(crate) fn correct(&mut self, id: RowId, verdict: Verdict, text: impl Into<String>) {
        self.rows[id.0].verdict = verdict;
        self.rows[id.0].text = text.into();
    }

    /// The rows of a verdict, by place.
    pub(crate) fn of(&self, verdict: Verdict) -> Vec<&Row> {
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .filter(|row| row.verdict == verdict)
            .collect();
        rows.sort_by_key(|row| row.place);
        rows
    }

    /// How many rows have this verdict.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        self.of(verdict).len()
    }

    /// Grouped by verdict, what needs a hand last: it is what a terminal still shows.
    pub(crate) fn render(&self, sources: &Sources) -> String {
        let mut out = String::new();
        for verdict in Verdict::ALL {
            let rows = self.of(verdict);
            if rows.is_empty() {
                continue;
            }
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{}:", verdict.title());
            for row in rows {
                let excerpt = sources.excerpt(row.place);
                let _ = writeln!(out, "  {}: {excerpt}", sources.name(row.place));
                let _ = writeln!(out, "      {}", row.text);
            }
            out.push('\n');
        }
        let _ = writeln!(out, "{}", self.summary());
        out
    }

    /// `40 carried over, 3 not supported`.
    fn summary(&self) -> String {
        let counts = Verdict::ALL.map(|verdict| (self.count(verdict), verdict.title()));
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts
            .map(|(count, title)| format!("{count} {title}"))
            .collect();
        counts.join(", ")
    }
}
