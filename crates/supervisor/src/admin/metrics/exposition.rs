//! The text format itself. (Writing to a string cannot fail.)

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use appliance_figures::{Distribution, bounds};

/// A page of metrics.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn text(self) -> String {
        self.0
    }

    pub(super) fn plain(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help, [(&[][..], value)]);
    }

    pub(super) fn workers(&mut self, name: &str, help: &str, figures: &BTreeMap<String, f64>) {
        let figures = figures.iter();
        let figures = figures.map(|(worker, figure)| (worker.as_str(), *figure));
        self.by_worker(name, "gauge", help, figures);
    }

    pub(super) fn by_worker<'l, V: Display + Copy>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = (&'l str, V)>,
    ) {
        let labelled: Vec<_> = values
            .into_iter()
            .map(|(worker, value)| ([("worker", worker)], value))
            .collect();
        let values = labelled.iter().map(|(labels, value)| (&labels[..], *value));
        self.metric(name, kind, help, values);
    }

    /// One for each worker. Each bucket counts what the ones before it count, too.
    pub(super) fn histograms<'l>(
        &mut self,
        name: &str,
        help: &str,
        histograms: impl IntoIterator<Item = (&'l str, &'l Distribution)>,
    ) {
        self.head(name, "histogram", help);
        let bounds = bounds().map(|bound| bound.to_string());
        let bounds: Vec<String> = bounds.chain(["+Inf".to_owned()]).collect();
        let bucket_name = format!("{name}_bucket");
        for (worker, histogram) in histograms {
            let labels = [("worker", worker)];
            let mut count = 0u64;
            for (at, bound) in bounds.iter().enumerate() {
                let bucket = histogram.buckets.get(at).copied().unwrap_or_default();
                count = count.saturating_add(bucket);
                self.sample(&bucket_name, &[labels[0], ("le", bound)], count);
            }
            let seconds = histogram.sum_ns as f64 / 1e9;
            self.sample(&format!("{name}_sum"), &labels, seconds);
            self.sample(&format!("{name}_count"), &labels, count);
        }
    }

    pub(super) fn metric<'l, V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = (&'l [(&'l str, &'l str)], V)>,
    ) {
        self.head(name, kind, help);
        for (labels, value) in values {
            self.sample(name, labels, value);
        }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(
            self.0,
            "# HELP appliance_{name} {help}\n# TYPE appliance_{name} {kind}"
        );
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "appliance_{name}{labels} {value}");
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_end_early() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
