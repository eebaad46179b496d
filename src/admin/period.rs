//! Spans of time that the audit log is narrowed to: dates in a time zone, and presets.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// From a time on, before another; unix seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    /// Not before.
    pub from: Option<i64>,
    /// Before.
    pub until: Option<i64>,
}

/// Presets, as the parameter `last` has them.
pub const PRESETS: [(&str, &str); 3] = [
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("month", "Last month"),
];

/// The time zone with that IANA name; UTC if there is none.
pub fn zone(name: Option<&str>) -> Tz {
    name.and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

/// A date as `YYYY-MM-DD`.
pub fn date(text: &str) -> Option<NaiveDate> {
    let has_shape = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    has_shape.then_some(date)
}

impl Period {
    /// The days from the first to the last, both included, in that time zone.
    pub fn days(first: Option<NaiveDate>, last: Option<NaiveDate>, zone: Tz) -> Self {
        let next = last.and_then(|last| last.checked_add_days(Days::new(1)));
        Self {
            from: first.and_then(|day| midnight(day, zone)),
            until: next.and_then(|day| midnight(day, zone)),
        }
    }

    /// The one that a preset means at `now`, unix seconds.
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

/// The first moment of a day, which is not midnight everywhere.
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

    #[test]
    fn days_are_those_of_the_time_zone() {
        let day = date("2026-03-29");
        for (name, from, until) in [
            ("UTC", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"),
            // An hour shorter: the clock goes forward.
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
            ("no/zone", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"),
        ] {
            let period = Period::days(day, day, zone(Some(name)));
            assert_eq!(period.from, Some(at(from)), "{name}");
            assert_eq!(period.until, Some(at(until)), "{name}");
        }
        // That day began at one o'clock there.
        let day = date("2024-09-08");
        let santiago = Period::days(day, None, zone(Some("America/Santiago")));
        assert_eq!(santiago.from, Some(at("2024-09-08T04:00:00Z")));
        for text in ["2026-02-30", "2026-3-1", "+2026-03-1", "26-03-01xx", ""] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn presets_end_now_but_for_the_last_month_which_is_a_whole_one() {
        let now = at("2026-03-31T22:30:00Z");
        let preset = |name| Period::preset(name, zone(Some("Europe/Berlin")), now).unwrap();
        assert_eq!(preset("24h").from, Some(now - 86_400));
        assert_eq!(preset("7d").from, Some(now - 7 * 86_400));
        // It is April there already.
        assert_eq!(preset("month").from, Some(at("2026-02-28T23:00:00Z")));
        assert_eq!(preset("month").until, Some(at("2026-03-31T22:00:00Z")));
        assert!(Period::preset("year", Tz::UTC, now).is_none());
    }
}
