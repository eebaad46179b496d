//! Text fields.

use serde::Serialize;
use url::Url;

use super::{Field, RawValue};
use crate::identity::validate_line;

/// One line of 1 to 1,000 characters without control or bidi control characters. Surrounding white space counts towards
/// the maximum and is then trimmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub struct Line(String);

impl Line {
    /// The maximum length in characters.
    pub const MAX: usize = 1000;
}

impl Field for Line {
    fn read(raw: RawValue) -> Result<Self, String> {
        Ok(Self(validate_line(&raw.string()?, Self::MAX)?.to_owned()))
    }
}

/// Several lines with 1 to 500 characters. Tabs, line and paragraph ends are allowed, other control and bidi control
/// characters are not. Surrounding white space counts towards the maximum and is then trimmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub struct Prose(String);

impl Prose {
    /// The maximum length in characters. It fits into a body of 8 KiB in every encoding.
    pub const MAX: usize = 500;
}

impl Field for Prose {
    fn read(raw: RawValue) -> Result<Self, String> {
        // Browsers end lines with CR LF.
        let text = raw.string()?.replace("\r\n", "\n");
        let line = text.replace(['\n', '\t', '\u{2028}', '\u{2029}'], " ");
        validate_line(&line, Self::MAX)?;
        Ok(Self(text.trim().to_owned()))
    }
}

/// An http or https URL of up to 1,000 characters, kept as entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub struct WebUrl(String);

impl WebUrl {
    /// The maximum length in characters.
    pub const MAX: usize = 1000;
}

impl Field for WebUrl {
    fn read(raw: RawValue) -> Result<Self, String> {
        let text = raw.string()?;
        let text = validate_line(&text, Self::MAX)?;
        // Browsers tolerate white space and backslashes. Other programs may not.
        let is_plain = !text.contains(char::is_whitespace) && !text.contains('\\');
        let is_web = |url: Url| ["http", "https"].contains(&url.scheme());
        let after_scheme = text.split_once("://").map(|(_, rest)| rest);
        let has_host = after_scheme.is_some_and(|rest| !rest.starts_with('/'));
        if is_plain && has_host && Url::parse(text).is_ok_and(is_web) {
            Ok(Self(text.to_owned()))
        } else {
            Err("Enter a valid URL.".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Field>(text: &str) -> Result<T, String> {
        T::read(RawValue::Text(text.to_owned()))
    }

    #[test]
    fn prose_keeps_line_breaks_and_a_line_has_none() {
        let prose: Prose = read(" one\r\ntwo\t ").unwrap();
        assert_eq!(prose.0, "one\ntwo");
        assert!(read::<Line>("one\ntwo").is_err());
        assert_eq!(read::<Line>(" one ").unwrap().0, "one");
        let long = "é".repeat(Line::MAX);
        assert_eq!(read::<Line>(&long).unwrap().0, long);
        assert!(read::<Line>(&format!("{long} ")).is_err());
        assert!(read::<Prose>(&"é".repeat(Prose::MAX + 1)).is_err());
        for invalid in ["a\0b", "a\u{202e}b", "\u{2028}"] {
            assert!(read::<Line>(invalid).is_err(), "{invalid:?}");
        }
    }

    #[test]
    fn only_urls_that_browsers_and_programs_parse_alike_are_accepted() {
        for url in [
            "http://example.com",
            "HTTPS://example.com:8443/a?b=c#d",
            "https://bücher.example/ä",
            "http://[::1]/",
            " https://example.com/ ",
        ] {
            assert_eq!(read::<WebUrl>(url).unwrap().0, url.trim());
        }
        for other in [
            "",
            "example.com",
            "//example.com",
            "http:example.com",
            "http:///example.com",
            "http://",
            "http://a b/",
            "https://example.com\\@evil.example/",
            "javascript:alert(1)",
            "ftp://example.com/",
            "data:text/html,x",
        ] {
            assert!(read::<WebUrl>(other).is_err(), "{other}");
        }
    }
}
