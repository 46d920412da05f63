//! `rate_limit`.

use std::time::Duration;

use figment::value::Value;

use crate::fault::{Fault, RuleProblem};
use crate::key_path::quoted;
use crate::keys::RATE_LIMIT;
use crate::model::{LimitBy, RateLimit};
use crate::reader::{Entry, Table};

use super::super::Check;
use super::is_token;

const MOST: u32 = 1_000_000;

impl Check<'_, '_> {
    pub(super) fn rate_limit(
        &mut self,
        table: &Table<'_>,
        site: Option<RateLimit>,
    ) -> Option<Option<RateLimit>> {
        let Some(entry) = table.entry("rate_limit") else {
            return Some(site);
        };
        match entry.value {
            Value::Bool(_, false) => Some(self.reader.accept(&entry, "false".to_owned(), None)),
            Value::String(..) => {
                let (requests, period) = self.rate(&entry)?;
                Some(Some(self.limit(requests, period, None, LimitBy::Address)))
            }
            Value::Dict(_, dict) => {
                let table = Table {
                    path: entry.path.clone(),
                    section: &RATE_LIMIT,
                    dict,
                };
                self.rate_limit_table(&table, &entry).map(Some)
            }
            _ => self.reader.refuse(table, "rate_limit", &entry),
        }
    }

    fn rate_limit_table(&mut self, table: &Table<'_>, whole: &Entry<'_>) -> Option<RateLimit> {
        self.reader.known_keys(table);
        let rate = match table.entry("rate") {
            Some(entry) => self.rate(&entry),
            None => {
                let key = table.path.join("rate");
                self.reader.fault_at(Fault::Missing { key }, whole);
                None
            }
        };
        let burst = match table.entry("burst") {
            None => Some(None),
            Some(_) => self
                .reader
                .count(table, "burst")
                .map(|burst| burst?.try_into().ok()),
        };
        let by = match table.entry("by") {
            None => Some(LimitBy::Address),
            Some(entry) => self.limit_by(table, &entry),
        };
        let (requests, period) = rate?;
        Some(self.limit(requests, period, burst?, by?))
    }

    /// The next limit: its number says that it is none of those before.
    fn limit(
        &mut self,
        requests: u32,
        period: Duration,
        burst: Option<u32>,
        by: LimitBy,
    ) -> RateLimit {
        self.rate_limits += 1;
        RateLimit {
            number: self.rate_limits,
            requests,
            period,
            burst: burst.unwrap_or(requests),
            by,
        }
    }

    fn rate(&mut self, entry: &Entry<'_>) -> Option<(u32, Duration)> {
        let found = self.reader.text_of(entry).unwrap_or_default();
        match parse(&found) {
            Some(rate) => Some(self.reader.accept(entry, quoted(&found), rate)),
            None => self.rule_fault(entry, RuleProblem::Rate { found }),
        }
    }

    fn limit_by(&mut self, table: &Table<'_>, entry: &Entry<'_>) -> Option<LimitBy> {
        let (found, _) = self.reader.text(table, "by")?;
        let by = match found.split_once(' ') {
            Some(("field", name)) if is_token(name) => LimitBy::Field(name.to_owned()),
            None if found == "address" => LimitBy::Address,
            None if found == "route" => LimitBy::Route,
            _ => return self.rule_fault(entry, RuleProblem::LimitBy { found }),
        };
        Some(self.reader.accept(entry, quoted(&found), by))
    }
}

/// `10/s`: requests, and the time they may take.
fn parse(text: &str) -> Option<(u32, Duration)> {
    let (number, unit) = text.split_once('/')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let requests = digits.then(|| number.parse().ok())??;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    (1..=MOST)
        .contains(&requests)
        .then_some((requests, Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_requests_and_a_unit() {
        let seconds = |text| parse(text).map(|(requests, period)| (requests, period.as_secs()));
        for (text, expected) in [
            ("10/s", Some((10, 1))),
            ("1/m", Some((1, 60))),
            ("1000000/h", Some((1_000_000, 3600))),
            ("5/d", Some((5, 86_400))),
            ("0/s", None),
            ("1000001/s", None),
            ("10r/s", None),
            ("+1/s", None),
            ("-1/s", None),
            ("/s", None),
            ("10", None),
            ("10/", None),
            ("10/s ", None),
            ("99999999999999/s", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
