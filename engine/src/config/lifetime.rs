//! Lifetimes.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A lifetime: numbers with units (`90d`, `30m`, `2h 30m`), or `never` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime(Option<Duration>);

impl Lifetime {
    /// A lifetime of this many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Some(Duration::from_secs(seconds)))
    }

    /// The end of a lifetime that begins at `start`, both in Unix seconds. None for `never`.
    pub fn end_after(self, start: i64) -> Option<i64> {
        let seconds = i64::try_from(self.0?.as_secs()).unwrap_or(i64::MAX);
        Some(start.saturating_add(seconds))
    }

    /// The duration. None for `never`.
    pub fn duration(self) -> Option<Duration> {
        self.0
    }
}

const MIN: Duration = Duration::from_secs(1);
/// 1000 years of 365.25 days, so that years have four digits.
const MAX: Duration = Duration::from_hours(1000 * 8_766);

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "never" {
            return Ok(Self(None));
        }
        match humantime::parse_duration(&text) {
            Ok(duration) if (MIN..=MAX).contains(&duration) => Ok(Self(Some(duration))),
            _ => Err(de::Error::custom(format!(
                "\"{text}\" is not a duration from 1 second to 1000 years; use a value such as 90d, 12h \
                 or 30m, or never"
            ))),
        }
    }
}
