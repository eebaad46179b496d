//! Error messages about settings, on one line and without secrets.

use figment::Source;
use figment::error::{Error, Kind};

/// A setting is invalid. The text names the key and says what is valid.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSetting(String);

impl InvalidSetting {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<Error> for InvalidSetting {
    fn from(error: Error) -> Self {
        Self(format_error(&error, may_hold_secret))
    }
}

/// Whether the value of a key, or of a key below it, may be secret.
pub(crate) fn may_hold_secret(key: &str) -> bool {
    let tables = ["secret_key", "databases", "tls", "app.mail_url"];
    // Also a value in place of a table that holds a secret.
    let has = |table: &str| {
        table
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    tables
        .iter()
        .any(|table| key.starts_with(table) || has(table))
}

/// Formats each error with its key and source on one line, without values that may be secret.
pub(crate) fn format_error(error: &Error, may_be_secret: impl Fn(&str) -> bool) -> String {
    let line = |error: Error| {
        let key = error.path.join(".");
        let what = match &error.kind {
            Kind::InvalidType(_, wanted) | Kind::InvalidValue(_, wanted) if may_be_secret(&key) => {
                format!("this value is invalid; expected {wanted}")
            }
            Kind::UnknownVariant(value, known) => {
                format!("{value:?} is not allowed; use {}", known.join(", "))
            }
            Kind::UnknownField(_, known) => {
                format!("unknown setting; the known ones are {}", known.join(", "))
            }
            // A TOML syntax error repeats the faulty line, which may hold a secret.
            kind => {
                let text = kind.to_string();
                let lines: Vec<&str> = text.lines().collect();
                match lines[..] {
                    [first, _, .., last] => format!("{first}: {last}"),
                    _ => text,
                }
            }
        };
        let variable = key.split('.').next().unwrap_or_default().to_uppercase();
        // A file that can't be parsed has no key.
        let what = match key.as_str() {
            "" => what,
            key => format!("{key}: {what}"),
        };
        match error.metadata.as_ref() {
            Some(data) => match data.source.as_ref().and_then(Source::file_path) {
                Some(file) => format!("{what} (in {})", file.display()),
                // Figment names all variables with the prefix.
                None if data.name.contains("`ROCKET_`") => {
                    format!("{what} (in ROCKET_{variable})")
                }
                None => format!("{what} (in {})", data.name),
            },
            None => what,
        }
    };
    error
        .clone()
        .into_iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("; ")
}
