//! Time formats for clients and people.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Unix seconds as RFC 3339 in UTC. None for a year that the format does not allow.
pub fn rfc3339(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()?
        .format(&Rfc3339)
        .ok()
}

/// A time relative to `now`, both in Unix seconds: "3 hours ago", "in 5 days".
pub(crate) fn relative(at: i64, now: i64) -> String {
    let distance = at.abs_diff(now);
    let (count, unit) = match distance {
        0..MINUTE => return "just now".into(),
        MINUTE..HOUR => (distance / MINUTE, "minute"),
        HOUR..DAY => (distance / HOUR, "hour"),
        _ if distance < 60 * DAY => (distance / DAY, "day"),
        _ if distance < 730 * DAY => (distance / (30 * DAY), "month"),
        _ => (distance / (365 * DAY), "year"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if at <= now {
        format!("{count} {unit}{plural} ago")
    } else {
        format!("in {count} {unit}{plural}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_use_the_largest_fitting_unit() {
        let now = 1_800_000_000;
        for (seconds, text) in [
            (0, "just now"),
            (-59, "just now"),
            (59, "just now"),
            (-60, "1 minute ago"),
            (-7_199, "1 hour ago"),
            (-86_400, "1 day ago"),
            (-59 * 86_400, "59 days ago"),
            (-61 * 86_400, "2 months ago"),
            (-800 * 86_400, "2 years ago"),
            (3_600, "in 1 hour"),
            (5 * 86_400, "in 5 days"),
        ] {
            assert_eq!(relative(now + seconds, now), text, "{seconds}");
        }
        assert_eq!(relative(i64::MIN, i64::MAX), "584942417355 years ago");
    }
}
