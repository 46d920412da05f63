//! The time of day as text, in UTC: the zone of a machine may change, and its rules are a library.

use std::fmt::{self, Write};
use std::io;
use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A moment, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    year: u64,
    /// From 1.
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    micros: u32,
    since_epoch: u64,
}

impl Moment {
    /// The time now.
    pub fn now() -> Moment {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Moment::after_epoch(since.unwrap_or_default())
    }

    fn after_epoch(since: Duration) -> Moment {
        let seconds = since.as_secs();
        let (year, month, day) = date(seconds / 86_400);
        Moment {
            year,
            month,
            day,
            hour: seconds / 3600 % 24,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            micros: since.subsec_micros(),
            since_epoch: seconds,
        }
    }

    /// `2026-01-31T12:00:00.123456Z` (RFC 3339).
    pub(crate) fn rfc3339(self, out: &mut impl Write) -> fmt::Result {
        let Moment {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
            ..
        } = self;
        write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
        )
    }

    /// `10/Oct/2000:13:55:36 +0000`, as in the Common Log Format.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn common_log(self, out: &mut impl io::Write) -> io::Result<()> {
        let month = MONTHS[(self.month - 1) as usize];
        let (day, year) = (self.day, self.year);
        let (hour, minute, second) = (self.hour, self.minute, self.second);
        write!(
            out,
            "{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000"
        )
    }

    /// `2000-10-10T13:55:36+00:00`, as nginx writes it.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn iso8601(self, out: &mut impl io::Write) -> io::Result<()> {
        let (year, month, day) = (self.year, self.month, self.day);
        let (hour, minute, second) = (self.hour, self.minute, self.second);
        write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00"
        )
    }

    /// `971186136.123`: seconds since 1970.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn seconds(self, out: &mut impl io::Write) -> io::Result<()> {
        write!(out, "{}.{:03}", self.since_epoch, self.micros / 1000)
    }

    /// `Jan  2 15:04:05`, as syslog(3) writes it.
    pub(crate) fn syslog(self, out: &mut impl Write) -> fmt::Result {
        let month = MONTHS[(self.month - 1) as usize];
        write!(
            out,
            "{month} {:2} {:02}:{:02}:{:02}",
            self.day, self.hour, self.minute, self.second
        )
    }
}

/// Year, month and day of a day after 1970-01-01. Years begin in March here, so that leap days are
/// their last (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const ERA: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / ERA, days % ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> String {
        let mut text = String::new();
        let moment = Moment::after_epoch(Duration::new(seconds, 123_456_789));
        moment.rfc3339(&mut text).unwrap();
        text
    }

    #[test]
    fn days_of_all_kinds_are_right() {
        assert_eq!(at(0), "1970-01-01T00:00:00.123456Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.123456Z");
        assert_eq!(at(1_000_000_000), "2001-09-09T01:46:40.123456Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59.123456Z");
        assert_eq!(at(1_709_251_200), "2024-03-01T00:00:00.123456Z");
        assert_eq!(at(4_102_444_799), "2099-12-31T23:59:59.123456Z");
    }

    #[test]
    fn access_logs_have_forms_of_their_own() {
        let moment = Moment::after_epoch(Duration::new(1_000_000_000, 123_456_789));
        let mut text = Vec::new();
        moment.common_log(&mut text).unwrap();
        text.push(b' ');
        moment.iso8601(&mut text).unwrap();
        text.push(b' ');
        moment.seconds(&mut text).unwrap();
        let expected = "09/Sep/2001:01:46:40 +0000 2001-09-09T01:46:40+00:00 1000000000.123";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn syslog_pads_days_with_a_space() {
        let mut text = String::new();
        let moment = Moment::after_epoch(Duration::from_secs(1_000_000_000));
        moment.syslog(&mut text).unwrap();
        assert_eq!(text, "Sep  9 01:46:40");
    }
}
