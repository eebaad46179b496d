//! Field types of resources. Each defines how a request body, a JSON response and a column represent it.
//!
//! | type | JSON | column |
//! | --- | --- | --- |
//! | [`Line`], [`Prose`], [`WebUrl`] | a string | `TEXT` |
//! | `i64` | an integer | `BIGINT` |
//! | [`Flag`] | `true` or `false` | `BIGINT`, 1 or 0 |
//! | [`Date`] | `"2027-01-31"` | `TEXT` |
//! | [`Time`] | `"2027-01-31T12:00:00Z"` | `BIGINT`, unix seconds |
//!
//! An `Option` of a field may be absent, null, or empty in a form.

mod date_time;
mod number;
mod text;

use serde_json::Value;

use crate::identity::email::EmailAddress;

pub use self::date_time::{Date, Time};
pub use self::number::{Flag, MAX_NUMBER};
pub use self::text::{Line, Prose, WebUrl};

pub(crate) const REQUIRED: &str = "This field is required.";
pub(crate) const NOT_A_STRING: &str = "Not a valid string.";

/// A type that can be read from a field of a body.
pub trait Field: Sized {
    /// Parses and validates the value.
    ///
    /// # Errors
    /// A message for the user.
    fn read(raw: RawValue) -> Result<Self, String>;
}

/// The raw value of a field in a body.
#[derive(Debug, Clone)]
pub enum RawValue {
    /// The field is absent.
    Absent,
    /// The text of a form field.
    Text(String),
    /// A member of a JSON object.
    Json(Value),
}

impl RawValue {
    /// The value as a string.
    ///
    /// # Errors
    /// The field is absent or not a string.
    pub fn string(self) -> Result<String, String> {
        match self {
            Self::Text(text) | Self::Json(Value::String(text)) => Ok(text),
            Self::Json(_) => Err(NOT_A_STRING.into()),
            Self::Absent => Err(REQUIRED.into()),
        }
    }

    /// Whether an optional field is left out. Forms send empty fields too.
    fn is_empty(&self) -> bool {
        match self {
            Self::Absent | Self::Json(Value::Null) => true,
            Self::Text(text) => text.trim().is_empty(),
            Self::Json(_) => false,
        }
    }
}

impl Field for String {
    fn read(raw: RawValue) -> Result<Self, String> {
        raw.string()
    }
}

impl Field for EmailAddress {
    fn read(raw: RawValue) -> Result<Self, String> {
        Self::parse(&raw.string()?)
    }
}

impl<T: Field> Field for Option<T> {
    fn read(raw: RawValue) -> Result<Self, String> {
        if raw.is_empty() {
            return Ok(None);
        }
        T::read(raw).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_optional_field_may_be_missing_but_is_checked_if_present() {
        for raw in [
            RawValue::Absent,
            RawValue::Json(json!(null)),
            RawValue::Text(" ".into()),
        ] {
            assert_eq!(Option::<Date>::read(raw), Ok(None));
        }
        for raw in [
            RawValue::Json(json!("")),
            RawValue::Text("x".into()),
            RawValue::Json(json!(1)),
        ] {
            assert!(Option::<Date>::read(raw.clone()).is_err(), "{raw:?}");
        }
        let raw = RawValue::Text("2027-01-31".into());
        assert_eq!(Option::<Date>::read(raw.clone()), Date::read(raw).map(Some));
    }
}
