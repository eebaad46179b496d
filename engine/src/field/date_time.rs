//! Dates and times.

use serde::ser::Error;
use serde::{Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{Month, OffsetDateTime};

use super::{Field, RawValue};

const INVALID_DATE: &str = "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.";
const INVALID_TIME: &str =
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm:ssZ.";

/// A date such as `2027-01-31`, which sorts as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub struct Date(String);

impl Field for Date {
    fn read(raw: RawValue) -> Result<Self, String> {
        let text = raw.string()?;
        if is_date(&text) {
            Ok(Self(text))
        } else {
            Err(INVALID_DATE.into())
        }
    }
}

/// Whether the text is a full-date (RFC 3339, section 5.6) after the year 0.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_format = bytes.len() == 10
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let date = || {
        let month = Month::try_from(text[5..7].parse::<u8>().ok()?).ok()?;
        let (year, day) = (text[..4].parse().ok()?, text[8..].parse().ok()?);
        time::Date::from_calendar_date(year, month, day).ok()
    };
    has_format && date().is_some_and(|date| date.year() > 0)
}

/// A time with a resolution of one second. In forms, seconds and offset may be missing, as with
/// `<input type="datetime-local">`. The time is then in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub struct Time(i64);

impl Time {
    /// Unix seconds.
    pub fn seconds(self) -> i64 {
        self.0
    }
}

impl Field for Time {
    fn read(raw: RawValue) -> Result<Self, String> {
        let is_form = matches!(raw, RawValue::Text(_));
        let mut text = raw.string()?;
        if is_form && text.len() == "2027-01-31T12:00".len() {
            text += ":00";
        }
        if is_form && text.len() == "2027-01-31T12:00:00".len() {
            text += "Z";
        }
        let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| INVALID_TIME)?;
        let time = Self(time.unix_timestamp());
        // The offset may move the time out of the years that RFC 3339 allows.
        time.to_rfc3339().ok_or(INVALID_TIME)?;
        Ok(time)
    }
}

impl Time {
    fn to_rfc3339(self) -> Option<String> {
        let time = OffsetDateTime::from_unix_timestamp(self.0).ok()?;
        time.format(&Rfc3339).ok()
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.to_rfc3339();
        serializer.serialize_str(&text.ok_or_else(|| S::Error::custom("no such year"))?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_date_is_a_day_that_there_is() {
        for date in ["2027-01-31", "2024-02-29", "0001-01-01", "9999-12-31"] {
            assert!(Date::read(RawValue::Text(date.into())).is_ok(), "{date}");
        }
        for other in [
            "",
            "2027-02-29",
            "2027-13-01",
            "2027-1-31",
            "27-01-31",
            "0000-01-01",
            "+027-01-31",
            "2027-01-31T00:00:00Z",
            "31.01.2027",
            "２０２７-01-31",
        ] {
            assert!(Date::read(RawValue::Text(other.into())).is_err(), "{other}");
        }
    }

    #[test]
    fn a_time_is_told_in_utc() {
        for (raw, told) in [
            (
                RawValue::Json(json!("2027-01-31T12:00:00Z")),
                "2027-01-31T12:00:00Z",
            ),
            (
                RawValue::Json(json!("2027-01-31T01:30:00.9+02:00")),
                "2027-01-30T23:30:00Z",
            ),
            (
                RawValue::Text("2027-01-31T12:00".into()),
                "2027-01-31T12:00:00Z",
            ),
            (
                RawValue::Text("2027-01-31T12:00:01".into()),
                "2027-01-31T12:00:01Z",
            ),
        ] {
            let time = Time::read(raw).unwrap();
            assert_eq!(json!(time), told);
        }
        for raw in [
            RawValue::Json(json!("2027-01-31T12:00")),
            RawValue::Json(json!("2027-01-31T12:00:00")),
            RawValue::Json(json!("2027-01-31")),
            RawValue::Json(json!(1_800_000_000)),
            RawValue::Json(json!("9999-12-31T23:59:59-01:00")),
            RawValue::Json(json!("0000-01-01T00:00:00+01:00")),
            RawValue::Text("2027-02-30T12:00".into()),
            RawValue::Text("now".into()),
        ] {
            assert!(Time::read(raw.clone()).is_err(), "{raw:?}");
        }
    }
}
