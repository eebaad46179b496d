//! Time ranges for filtering the audit log: dates in a time zone, and presets.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// A half-open time range, in unix seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    /// Inclusive.
    pub from: Option<i64>,
    /// Exclusive.
    pub until: Option<i64>,
}

/// Values of the parameter `last`, and their labels.
pub const PRESETS: [(&str, &str); 3] = [
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("month", "Previous month"),
];

/// Parses a date of the form `YYYY-MM-DD`.
pub fn parse_date(text: &str) -> Option<NaiveDate> {
    let is_well_formed = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    is_well_formed.then_some(date)
}

impl Period {
    /// The days from `first` to `last`, both included, in `zone`.
    pub fn days(first: Option<NaiveDate>, last: Option<NaiveDate>, zone: Tz) -> Self {
        let next = last.and_then(|last| last.checked_add_days(Days::new(1)));
        Self {
            from: first.and_then(|day| midnight(day, zone)),
            until: next.and_then(|day| midnight(day, zone)),
        }
    }

    /// The range of a preset at `now`, in unix seconds.
    pub fn preset(name: &str, zone: Tz, now: i64) -> Option<Self> {
        let now = DateTime::<Utc>::from_timestamp(now, 0)?;
        let since = |time: TimeDelta| Self {
            from: Some((now - time).timestamp()),
            until: None,
        };
        match name {
            "24h" => Some(since(TimeDelta::hours(24))),
            "7d" => Some(since(TimeDelta::days(7))),
            "month" => {
                let this = now.with_timezone(&zone).date_naive().with_day(1)?;
                let first = this.checked_sub_months(Months::new(1))?;
                Some(Self::days(Some(first), this.pred_opt(), zone))
            }
            _ => None,
        }
    }
}

/// The start of a day. Where the clock goes forward at midnight, the day starts later.
fn midnight(day: NaiveDate, zone: Tz) -> Option<i64> {
    let start = day.and_time(NaiveTime::MIN);
    let mut quarters = (0..=12).map(|quarter| start + TimeDelta::minutes(15 * quarter));
    let first = quarters.find_map(|time| zone.from_local_datetime(&time).earliest())?;
    Some(first.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp()
    }

    fn zone(name: &str) -> Tz {
        name.parse().unwrap()
    }

    #[test]
    fn days_follow_the_time_zone() {
        let day = parse_date("2026-03-29");
        for (name, from, until) in [
            ("UTC", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"),
            // The clock goes forward: this day has 23 hours.
            (
                "Europe/Berlin",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
            ),
            (
                "America/New_York",
                "2026-03-29T04:00:00Z",
                "2026-03-30T04:00:00Z",
            ),
        ] {
            let period = Period::days(day, day, zone(name));
            assert_eq!(period.from, Some(at(from)), "{name}");
            assert_eq!(period.until, Some(at(until)), "{name}");
        }
        // In Santiago, that day began at one o'clock.
        let day = parse_date("2024-09-08");
        let santiago = Period::days(day, None, zone("America/Santiago"));
        assert_eq!(santiago.from, Some(at("2024-09-08T04:00:00Z")));
        for text in ["2026-02-30", "2026-3-1", "+2026-03-1", "26-03-01xx", ""] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn presets_end_now_except_last_month_which_is_whole() {
        let now = at("2026-03-31T22:30:00Z");
        let preset = |name| Period::preset(name, zone("Europe/Berlin"), now).unwrap();
        assert_eq!(preset("24h").from, Some(now - 86_400));
        assert_eq!(preset("7d").from, Some(now - 7 * 86_400));
        // In Berlin, it is already April.
        assert_eq!(preset("month").from, Some(at("2026-02-28T23:00:00Z")));
        assert_eq!(preset("month").until, Some(at("2026-03-31T22:00:00Z")));
        assert!(Period::preset("year", Tz::UTC, now).is_none());
    }
}
