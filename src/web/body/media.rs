//! What a body is sent as: the `Content-Type` header and its parameters (RFC 9110, 5.6.6 and 8.3.1).
//!
//! Rocket's own parser refuses forms that the RFC allows, such as `application/json;`.

use rocket::Request;
use rocket::http::HeaderMap;

use crate::error::Error;

/// The content types that every body may have.
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
    /// How a request's body is encoded. A body of no bytes needs no type: clients send none if all
    /// fields are missing.
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

    /// Parameters of JSON and URL-encoded forms mean nothing here: both are UTF-8, and what is not is
    /// refused.
    fn parse(header: &str) -> Option<Self> {
        let (essence, rest) = header.split_once(';').unwrap_or((header, ""));
        match &*essence.trim_matches(SPACE).to_ascii_lowercase() {
            "application/json" => Some(Self::Json),
            "application/x-www-form-urlencoded" => Some(Self::Form),
            "multipart/form-data" => Some(Self::Multipart(boundary(rest))),
            _ => None,
        }
    }
}

const SPACE: [char; 2] = [' ', '\t'];

pub(in crate::web) fn is_encoded(headers: &HeaderMap<'_>) -> bool {
    let codings = headers.get("Content-Encoding");
    let mut codings = codings.flat_map(|header| header.split(','));
    codings.any(|coding| {
        let coding = coding.trim_matches(SPACE);
        !coding.is_empty() && !coding.eq_ignore_ascii_case("identity")
    })
}

/// 1 to 70 characters (RFC 2046, 5.1.1).
fn boundary(text: &str) -> Option<String> {
    let parameters = parameters(text)?;
    let is_boundary = |(name, _): &(String, String)| name == "boundary";
    let (_, boundary) = parameters.into_iter().find(is_boundary)?;
    let fits = (1..=70).contains(&boundary.len()) && boundary.is_ascii();
    fits.then_some(boundary)
}

/// The parameters behind a header's first `;`, with their names in lower case; none if they are not
/// written as the RFC has it.
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
        let ends = after.trim_start_matches(SPACE);
        if !is_token(name) || !(ends.is_empty() || ends.starts_with(';')) {
            return None;
        }
        parameters.push((name.to_ascii_lowercase(), value));
        rest = ends;
    }
}

/// A quoted string from behind its first `"`, and what follows it.
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
    fn a_content_type_may_be_written_in_every_form_that_the_rfc_allows() {
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
