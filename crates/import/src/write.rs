//! The draft as text: one project file, each line with the place it comes from, and at its end
//! what could not be carried over.

use toml_edit::{Array, Key, Value};

use crate::draft::{Draft, Line, Route, Site, Table, plain};
use crate::report::{Report, Verdict};
use crate::source::{Place, Sources};

/// The project file.
pub(crate) fn project(draft: &Draft, report: &Report, sources: &Sources, from: &str) -> String {
    let mut out = format!(
        "# Imported from {from}.\n# Comments name the line that a setting comes from; \
         what has none here stands at the end.\n"
    );
    let writer = Writer { sources };
    writer.table(&mut out, "[server]", &draft.server);
    writer.table(&mut out, "[python]", &draft.python);
    writer.table(&mut out, "[python.env]", &draft.env);
    writer.hooks(&mut out, draft);
    for site in &draft.sites {
        writer.site(&mut out, site);
    }
    writer.rest(&mut out, report);
    out
}

struct Writer<'a> {
    sources: &'a Sources,
}

impl Writer<'_> {
    fn table(&self, out: &mut String, header: &str, table: &Table) {
        if !table.is_empty() {
            out.push_str(&format!("\n{header}\n"));
            self.lines(out, table);
        }
    }

    fn lines(&self, out: &mut String, table: &Table) {
        let width = table.lines().iter().map(|line| pair(line).chars().count());
        // Long ones go their own way.
        let width = width.filter(|width| *width <= 48).max().unwrap_or(0);
        for line in table.lines() {
            let comment = match (line.place, line.note) {
                (Some(place), _) => self.sources.line(place),
                (None, note) => note.unwrap_or_default().to_owned(),
            };
            out.push_str(&format!("{:width$}  # {comment}\n", pair(line)));
        }
    }

    fn hooks(&self, out: &mut String, draft: &Draft) {
        if draft.before_start.is_empty() {
            return;
        }
        out.push_str("\n[hooks]\nbefore_start = [\n");
        for (command, place) in &draft.before_start {
            let line = self.sources.line(*place);
            out.push_str(&format!(
                "    {},  # {line}\n",
                plain(&Value::from(command.as_str()))
            ));
        }
        out.push_str("]\n");
    }

    fn site(&self, out: &mut String, site: &Site) {
        out.push_str("\n[[site]]");
        if let Some(place) = site.place {
            out.push_str(&format!("  # {}", self.sources.line(place)));
        }
        out.push_str(&format!("\nlisten = {}\n", strings(&site.listen)));
        if !site.server_name.is_empty() {
            out.push_str(&format!("server_name = {}\n", strings(&site.server_name)));
        }
        self.lines(out, &site.table);
        if site
            .listen
            .iter()
            .any(|address| address.starts_with("https://"))
        {
            self.table(out, "[site.tls]", &site.tls);
        }
        out.push_str("\n[site.routes]\n");
        for route in &site.routes {
            self.route(out, route);
        }
    }

    fn route(&self, out: &mut String, route: &Route) {
        let (name, value) = &route.target;
        let mut pairs = vec![format!("{name} = {}", plain(value))];
        pairs.extend(route.table.lines().iter().map(pair));
        let entry = format!("{} = {{ {} }}", quoted(&route.pattern), pairs.join(", "));
        let comment = route.place.map(|place| self.sources.line(place));
        let comment = comment.map_or_else(String::new, |line| format!("  # {line}"));
        match &route.withheld {
            None => out.push_str(&format!("{entry}{comment}\n")),
            Some(why) => out.push_str(&format!("# {why}:\n# {entry}{comment}\n")),
        }
    }

    fn rest(&self, out: &mut String, report: &Report) {
        for (verdict, title) in [
            (Verdict::Trap, "To look at"),
            (Verdict::Missing, "Not carried over"),
        ] {
            let rows = report.of(verdict);
            if rows.is_empty() {
                continue;
            }
            out.push_str(&format!("\n# {title}:\n"));
            for row in rows {
                let excerpt = self.sources.excerpt(row.place);
                out.push_str(&format!("#\n#   {}: {excerpt}\n", self.named(row.place)));
                out.push_str(&format!("#     {}\n", printable(&row.text)));
            }
        }
    }

    fn named(&self, place: Place) -> String {
        printable(&self.sources.line(place))
    }
}

fn pair(line: &Line) -> String {
    format!("{} = {}", Key::new(&line.key), plain(&line.converted.value))
}

/// One string alone, several as a list.
fn strings(texts: &[String]) -> String {
    match texts {
        [one] => quoted(one),
        several => {
            let array: Array = several.iter().map(String::as_str).collect();
            plain(&Value::Array(array))
        }
    }
}

fn quoted(text: &str) -> String {
    plain(&Value::from(text))
}

/// Without what a comment may not hold.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
