//! Fields of a resource, their kinds, and what the generated files contain for each kind.

use std::str::FromStr;

use crate::Result;

/// The maximum bytes of a character in a request body: `\ud83d\ude00` in JSON, `%F0%9F%98%80` in a form.
const MAX_BYTES_PER_CHARACTER: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    Text,
    Prose,
    Number,
    Url,
    Flag,
    Date,
    Time,
}

const KINDS: [(&str, FieldKind); 7] = [
    ("text", FieldKind::Text),
    ("prose", FieldKind::Prose),
    ("number", FieldKind::Number),
    ("url", FieldKind::Url),
    ("flag", FieldKind::Flag),
    ("date", FieldKind::Date),
    ("time", FieldKind::Time),
];

impl FromStr for FieldKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = KINDS.iter().find(|(known, _)| *known == name);
        known.map(|(_, kind)| *kind).ok_or_else(|| {
            let names = KINDS.map(|(known, _)| known).join(", ");
            format!("{name:?} is not a field kind; use one of {names}")
        })
    }
}

impl FieldKind {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        let known = KINDS.iter().find(|(_, kind)| *kind == self);
        known.map_or("", |(name, _)| name)
    }

    /// The Rust type, and whether `rocket_multitoken::field` defines it.
    pub fn rust_type(self) -> (&'static str, bool) {
        match self {
            Self::Text => ("Line", true),
            Self::Prose => ("Prose", true),
            Self::Number => ("i64", false),
            Self::Url => ("WebUrl", true),
            Self::Flag => ("Flag", true),
            Self::Date => ("Date", true),
            Self::Time => ("Time", true),
        }
    }

    pub fn is_copy(self) -> bool {
        matches!(self, Self::Number | Self::Flag | Self::Time)
    }

    /// The type of the column.
    pub fn sql_type(self) -> &'static str {
        match self {
            Self::Number | Self::Flag | Self::Time => "BIGINT",
            _ => "TEXT",
        }
    }

    /// The valid values, as documentation.
    pub fn doc(self) -> &'static str {
        match self {
            Self::Text => "One line of up to 1,000 characters.",
            Self::Prose => "Up to 500 characters on several lines.",
            Self::Number => {
                "An integer between -(2^53 - 1) and 2^53 - 1, which every JSON parser reads exactly."
            }
            Self::Url => "An http or https URL of up to 1,000 characters.",
            Self::Flag => "False if absent.",
            Self::Date => "A date.",
            Self::Time => "A time, to the second.",
        }
    }

    /// The type in the OpenAPI document, with an example.
    pub fn schema(self) -> (&'static str, &'static str) {
        match self {
            Self::Text | Self::Prose => ("String", r#"example = "Buy oats""#),
            Self::Number => ("i64", "example = 42"),
            Self::Url => (
                "String",
                r#"format = "uri", example = "https://example.com/oats""#,
            ),
            Self::Flag => ("bool", "example = true"),
            Self::Date => ("String", r#"format = Date, example = "2027-01-31""#),
            Self::Time => (
                "String",
                r#"format = DateTime, example = "2027-01-31T12:00:00Z""#,
            ),
        }
    }

    /// The limits of values in the OpenAPI document.
    pub fn value_limits(self) -> &'static str {
        match self {
            Self::Text => "min_length = 1, max_length = 1000, ",
            Self::Prose => "min_length = 1, max_length = 500, ",
            Self::Number => {
                "minimum = -9_007_199_254_740_991_i64, maximum = 9_007_199_254_740_991_i64, "
            }
            Self::Url => {
                r#"min_length = 1, max_length = 1000, pattern = "^[Hh][Tt][Tt][Pp][Ss]?://", "#
            }
            Self::Flag => "default = false, required = false, ",
            Self::Date | Self::Time => "",
        }
    }

    /// The maximum size of a value in a body, in bytes.
    pub fn max_bytes(self) -> usize {
        match self {
            Self::Text | Self::Url => 1000 * MAX_BYTES_PER_CHARACTER,
            Self::Prose => 500 * MAX_BYTES_PER_CHARACTER,
            _ => 40,
        }
    }

    /// A valid value, in JSON.
    pub fn example(self) -> &'static str {
        match self {
            Self::Text | Self::Prose => r#""Buy oats""#,
            Self::Number => "42",
            Self::Url => r#""https://example.com/oats""#,
            Self::Flag => "true",
            Self::Date => r#""2027-01-31""#,
            Self::Time => r#""2027-01-31T12:00:00Z""#,
        }
    }

    /// The longest value, as an expression for `json!`.
    pub fn longest_value(self) -> &'static str {
        match self {
            Self::Text => r#""😀".repeat(1000)"#,
            Self::Prose => r#""😀".repeat(500)"#,
            Self::Url => r#"format!("https://example.com/{}", "😀".repeat(980))"#,
            Self::Number => "-9_007_199_254_740_991_i64",
            kind => kind.example(),
        }
    }

    /// Pairs of an accepted value and the stored value, as expressions for `json!`.
    pub fn accepted_values(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Text => &[(r#"" Buy oats ""#, r#""Buy oats""#)],
            Self::Prose => &[(r#"" one\r\ntwo\t ""#, r#""one\ntwo""#)],
            Self::Number => &[
                ("0", "0"),
                ("9_007_199_254_740_991_i64", "9_007_199_254_740_991_i64"),
            ],
            Self::Url => &[(r#""HTTP://example.com""#, r#""HTTP://example.com""#)],
            Self::Flag => &[("false", "false"), ("true", "true")],
            Self::Date => &[(r#""2024-02-29""#, r#""2024-02-29""#)],
            Self::Time => &[(
                r#""2027-01-31T01:30:00.9+02:00""#,
                r#""2027-01-30T23:30:00Z""#,
            )],
        }
    }

    /// Pairs of a rejected value, as an expression for `json!`, and the error message.
    pub fn rejected_values(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Text => &[
                (r#""one\ntwo""#, CONTROL_CHARACTERS),
                (
                    r#""é".repeat(1001)"#,
                    "Ensure this field has no more than 1000 characters.",
                ),
                ("1", "Not a valid string."),
            ],
            Self::Prose => &[
                (
                    r#""é".repeat(501)"#,
                    "Ensure this field has no more than 500 characters.",
                ),
                (
                    r#"format!(" {}", "é".repeat(500))"#,
                    "Ensure this field has no more than 500 characters.",
                ),
                ("1", "Not a valid string."),
                (r#""a\u{0}b""#, CONTROL_CHARACTERS),
                (r#""a\u{202e}b""#, CONTROL_CHARACTERS),
            ],
            Self::Number => &[
                ("1.5", "A valid integer is required."),
                (r#""42""#, "A valid integer is required."),
                (
                    "9_007_199_254_740_992_i64",
                    "Ensure this value is less than or equal to 9007199254740991.",
                ),
            ],
            Self::Url => &[
                (r#""example.com""#, "Enter a valid URL."),
                (r#""javascript:alert(1)""#, "Enter a valid URL."),
            ],
            Self::Flag => &[
                (r#""true""#, "Must be a valid boolean."),
                ("null", "Must be a valid boolean."),
            ],
            Self::Date => &[
                (r#""31.01.2027""#, INVALID_DATE),
                (r#""2027-02-29""#, INVALID_DATE),
                ("2027", "Not a valid string."),
            ],
            Self::Time => &[
                (r#""2027-01-31T12:00:00""#, INVALID_TIME),
                (r#""2027-01-31""#, INVALID_TIME),
                ("2027", "Not a valid string."),
            ],
        }
    }

    /// A text that the field rejects, also in a form.
    pub fn invalid_text(self) -> &'static str {
        match self {
            Self::Text | Self::Prose => r"a\u{202e}b",
            _ => "nonsense",
        }
    }
}

const CONTROL_CHARACTERS: &str = "Control characters are not allowed.";
const INVALID_DATE: &str = "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.";
const INVALID_TIME: &str =
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm:ssZ.";

/// A field of a resource, such as `due:date?`.
#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub kind: FieldKind,
    pub is_optional: bool,
}

impl Field {
    /// Reads `name:kind` or `name:kind?`.
    ///
    /// # Errors
    /// The text has another form, or the kind does not exist.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, kind) = text
            .split_once(':')
            .ok_or_else(|| format!("{text:?} is not a field: use NAME:KIND, such as title:text"))?;
        let (kind, is_optional) = match kind.strip_suffix('?') {
            Some(kind) => (kind, true),
            None => (kind, false),
        };
        let kind: FieldKind = kind.parse()?;
        if kind == FieldKind::Flag && is_optional {
            return Err(format!("{text:?}: a flag cannot be optional, because it is false if absent; leave out the ?").into());
        }
        Ok(Self {
            name: name.to_owned(),
            kind,
            is_optional,
        })
    }

    /// Whether a request body must contain the field.
    pub fn is_required(&self) -> bool {
        !self.is_optional && self.kind != FieldKind::Flag
    }
}
