//! Integers and flags.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Field, REQUIRED, RawValue};

/// The maximum absolute value of an integer field: 2^53 - 1. Every JSON parser reads these integers exactly (RFC 8259,
/// section 6).
pub const MAX_NUMBER: i64 = (1 << 53) - 1;

impl Field for i64 {
    fn read(raw: RawValue) -> Result<Self, String> {
        let number = match &raw {
            RawValue::Absent => return Err(REQUIRED.into()),
            RawValue::Text(text) => text.trim().parse::<i128>().ok(),
            RawValue::Json(Value::Number(number)) => number
                .as_i64()
                .map(i128::from)
                .or_else(|| number.as_u64().map(i128::from)),
            RawValue::Json(_) => None,
        };
        let number = number.ok_or("A valid integer is required.")?;
        let max = i128::from(MAX_NUMBER);
        if number > max {
            return Err(format!("Ensure this value is less than or equal to {max}."));
        }
        if number < -max {
            return Err(format!(
                "Ensure this value is greater than or equal to -{max}."
            ));
        }
        Self::try_from(number).map_err(|error| error.to_string())
    }
}

/// A boolean. An absent field is false, like an unchecked checkbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub struct Flag(i64);

impl From<bool> for Flag {
    fn from(is_set: bool) -> Self {
        Self(is_set.into())
    }
}

impl From<Flag> for bool {
    fn from(flag: Flag) -> Self {
        flag.0 != 0
    }
}

impl Serialize for Flag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool((*self).into())
    }
}

impl Field for Flag {
    fn read(raw: RawValue) -> Result<Self, String> {
        let is_set = match &raw {
            RawValue::Absent => Some(false),
            RawValue::Json(Value::Bool(is_set)) => Some(*is_set),
            RawValue::Json(_) => None,
            RawValue::Text(text) => match text.trim() {
                "true" | "on" => Some(true),
                "false" | "off" | "" => Some(false),
                _ => None,
            },
        };
        let is_set = is_set.ok_or("Must be a valid boolean.")?;
        Ok(is_set.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_integer_is_accepted_exactly_or_refused() {
        for number in [0, -1, MAX_NUMBER, -MAX_NUMBER] {
            assert_eq!(i64::read(RawValue::Json(json!(number))), Ok(number));
            assert_eq!(i64::read(RawValue::Text(number.to_string())), Ok(number));
        }
        let too_much = MAX_NUMBER + 1;
        for raw in [
            RawValue::Absent,
            RawValue::Json(json!(too_much)),
            RawValue::Json(json!(-too_much)),
            RawValue::Json(json!(u64::MAX)),
            RawValue::Json(json!(1.5)),
            RawValue::Json(json!(1e3)),
            RawValue::Json(json!("1")),
            RawValue::Json(json!(true)),
            RawValue::Json(json!(null)),
            RawValue::Text(too_much.to_string()),
            RawValue::Text("1".repeat(60)),
            RawValue::Text("1.0".into()),
            RawValue::Text(String::new()),
        ] {
            assert!(i64::read(raw.clone()).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn a_flag_is_a_boolean_in_json_and_a_check_box_in_a_form() {
        for (raw, is_set) in [
            (RawValue::Absent, false),
            (RawValue::Json(json!(true)), true),
            (RawValue::Json(json!(false)), false),
            (RawValue::Text("on".into()), true),
            (RawValue::Text("true".into()), true),
            (RawValue::Text("false".into()), false),
            (RawValue::Text(String::new()), false),
        ] {
            assert_eq!(Flag::read(raw), Ok(is_set.into()));
        }
        for raw in [
            RawValue::Json(json!("true")),
            RawValue::Json(json!(1)),
            RawValue::Json(json!(null)),
            RawValue::Text("maybe".into()),
        ] {
            assert!(Flag::read(raw.clone()).is_err(), "{raw:?}");
        }
    }
}
