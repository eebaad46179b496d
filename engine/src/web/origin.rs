//! Same-origin checks against cross-site request forgery.

use rocket::Request;

use crate::config::Settings;
use crate::error::Error;

/// Whether the browser confirms that the request comes from a page of this origin.
///
/// Scripts cannot set `Sec-Fetch-Site`, and every current browser sends it to https and localhost. Without it, `Origin`
/// is compared with the origin that browsers see. Without both, the request is refused (OWASP's cross-site request
/// forgery cheat sheet, "Fetch Metadata" and "Verifying Origin").
pub fn is_same_origin(request: &Request<'_>) -> bool {
    match single_header(request, "Sec-Fetch-Site") {
        Presence::One(site) => site == "same-origin",
        Presence::Many => false,
        Presence::None => match single_header(request, "Origin") {
            Presence::One(origin) => origin == expected_origin(request),
            Presence::Many | Presence::None => false,
        },
    }
}

/// Whether the request comes from a page of another origin that may not call the API. Clients other than browsers send
/// neither header.
pub fn is_disallowed_cross_origin(request: &Request<'_>) -> bool {
    let origin = single_header(request, "Origin");
    let is_other_origin = match (single_header(request, "Sec-Fetch-Site"), &origin) {
        (Presence::One(site), _) => matches!(site, "cross-site" | "same-site"),
        (Presence::Many, _) | (Presence::None, Presence::Many) => true,
        (Presence::None, Presence::One(origin)) => *origin != expected_origin(request),
        (Presence::None, Presence::None) => false,
    };
    let settings = request.rocket().state::<Settings>();
    let allowed = match origin {
        Presence::One(origin) => settings.is_some_and(|settings| settings.is_cors_origin(origin)),
        Presence::Many | Presence::None => false,
    };
    is_other_origin && !allowed
}

pub fn cross_origin_error(request: &Request<'_>) -> Error {
    Error::CrossOrigin(expected_origin(request))
}

/// The path and query of the page of this origin that sent the request, by `Referer`.
pub fn referring_page(request: &Request<'_>) -> Option<String> {
    let page = request.headers().get_one("Referer")?;
    let path = page.strip_prefix(&expected_origin(request))?;
    path.starts_with('/').then(|| path.to_owned())
}

fn expected_origin(request: &Request<'_>) -> String {
    let rocket = request.rocket();
    let settings = rocket.state::<Settings>();
    settings.map_or_else(String::new, |settings| settings.origin.clone())
}

enum Presence<'r> {
    None,
    One(&'r str),
    Many,
}

fn single_header<'r>(request: &'r Request<'_>, name: &str) -> Presence<'r> {
    let mut values = request.headers().get(name);
    match (values.next(), values.next()) {
        (None, _) => Presence::None,
        (Some(value), None) => Presence::One(value),
        (Some(_), Some(_)) => Presence::Many,
    }
}
