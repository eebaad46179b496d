//! Parser for `Content-Type` and its parameters (RFC 9110, 5.6.6 and 8.3.1).
//!
//! Rocket's own parser refuses values that the RFC allows, such as `application/json;`.

use rocket::Request;
use rocket::http::HeaderMap;

use crate::error::Error;

/// The accepted content types.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data` with its boundary, if it names a valid one.
    Multipart(Option<String>),
}

impl Media {
    /// The content type of a request's body. An empty body needs none: clients omit it when all fields are missing.
    pub(super) fn of(request: &Request<'_>, is_empty: bool) -> Result<Self, Error> {
        let unsupported = || Error::UnsupportedMediaType(request.method());
        let headers = request.headers();
        if is_encoded(headers) {
            return Err(unsupported());
        }
        let mut kinds = headers.get("Content-Type");
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => Self::parse(kind).ok_or_else(unsupported),
            (None, _) if is_empty => Ok(Self::Json),
            _ => Err(unsupported()),
        }
    }

    /// Ignores the parameters of JSON and URL-encoded forms: both must be UTF-8, which is checked later.
    fn parse(header: &str) -> Option<Self> {
        let (essence, rest) = header.split_once(';').unwrap_or((header, ""));
        match &*essence.trim_matches(WHITESPACE).to_ascii_lowercase() {
            "application/json" => Some(Self::Json),
            "application/x-www-form-urlencoded" => Some(Self::Form),
            "multipart/form-data" => Some(Self::Multipart(boundary(rest))),
            _ => None,
        }
    }
}

const WHITESPACE: [char; 2] = [' ', '\t'];

pub(super) fn is_encoded(headers: &HeaderMap<'_>) -> bool {
    let codings = headers.get("Content-Encoding");
    let mut codings = codings.flat_map(|header| header.split(','));
    codings.any(|coding| {
        let coding = coding.trim_matches(WHITESPACE);
        !coding.is_empty() && !coding.eq_ignore_ascii_case("identity")
    })
}

/// A boundary has 1 to 70 characters (RFC 2046, 5.1.1).
fn boundary(text: &str) -> Option<String> {
    let parameters = parameters(text)?;
    let is_boundary = |(name, _): &(String, String)| name == "boundary";
    let (_, boundary) = parameters.into_iter().find(is_boundary)?;
    let is_valid = (1..=70).contains(&boundary.len()) && boundary.is_ascii();
    is_valid.then_some(boundary)
}

/// The parameters after a header's first `;`, with names in lower case. None if they are malformed.
pub(super) fn parameters(text: &str) -> Option<Vec<(String, String)>> {
    let mut parameters = vec![];
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Some(parameters);
        }
        let (name, after) = rest.split_once('=')?;
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            unquote(quoted)?
        } else {
            let end = after.find([' ', '\t', ';']).unwrap_or(after.len());
            (after[..end].to_owned(), &after[end..])
        };
        let is_token = |name: &str| !name.is_empty() && !name.contains([' ', '\t', ';', '"']);
        let remaining = after.trim_start_matches(WHITESPACE);
        if !is_token(name) || !(remaining.is_empty() || remaining.starts_with(';')) {
            return None;
        }
        parameters.push((name.to_ascii_lowercase(), value));
        rest = remaining;
    }
}

/// Reads a quoted string after its opening `"`. Returns it and the rest.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (end, '"') => return Some((value, &text[end + 1..])),
            (_, '\\') => value.push(characters.next()?.1),
            (_, character) => value.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_parsed_in_every_form_that_the_rfc_allows() {
        for json in [
            "application/json",
            "APPLICATION/Json",
            "application/json;",
            "application/json;;",
            "application/json ; charset=utf-8",
            "application/json;charset=\"utf-8\" ;",
            "application/json\t; ; charset=UTF-8; x=\"a;b\\\"\"",
        ] {
            assert_eq!(Media::parse(json), Some(Media::Json), "{json}");
        }
        let form = "application/x-www-form-urlencoded; charset=UTF-8";
        assert_eq!(Media::parse(form), Some(Media::Form));
        for other in [
            "",
            ";",
            "json",
            "text/json",
            "application/jsonx",
            "application/json, text/html",
            "application/problem+json",
            "text/plain",
        ] {
            assert_eq!(Media::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_boundary_is_a_parameter_among_others_quoted_or_not() {
        let of = |rest: &str| match Media::parse(&format!("multipart/form-data{rest}")) {
            Some(Media::Multipart(boundary)) => boundary,
            other => panic!("{other:?}"),
        };
        for (rest, boundary) in [
            (";boundary=x", "x"),
            ("; charset=utf-8; Boundary=x;", "x"),
            (" ; boundary=\"a;b c\" ; charset=utf-8", "a;b c"),
            ("; boundary=\"a\\\"b\"", "a\"b"),
        ] {
            assert_eq!(of(rest).as_deref(), Some(boundary), "{rest}");
        }
        let long = format!("; boundary={}", "x".repeat(71));
        for rest in [
            "",
            ";",
            "; boundary",
            "; boundary=",
            "; boundary=\"x",
            "; boundary=é",
            "; boundary=x y",
            "; charset boundary=x",
            &long,
        ] {
            assert_eq!(of(rest), None, "{rest}");
        }
    }
}
