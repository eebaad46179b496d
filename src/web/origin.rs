//! Whether a request comes from one of our own pages.

use rocket::Request;

use crate::config::Settings;
use crate::error::Error;

/// Whether the browser vouches that the request comes from a page of this origin.
///
/// `Sec-Fetch-Site` can't be set by a page's script, and every current browser sends it to https
/// and to localhost. Where it is missing `Origin` is compared with the origin that browsers see;
/// where that is missing too, nothing vouches for the request. (OWASP's cross-site request forgery
/// cheat sheet, "Fetch Metadata" and "Verifying Origin".)
pub fn is_same_origin(request: &Request<'_>) -> bool {
    match single(request, "Sec-Fetch-Site") {
        Presence::One(site) => site == "same-origin",
        Presence::Many => false,
        Presence::None => match single(request, "Origin") {
            Presence::One(origin) => origin == own(request),
            Presence::Many | Presence::None => false,
        },
    }
}

/// Whether a browser says that the request comes from a page of another origin, one that may not call
/// the API. Clients that are no browsers send neither header.
pub fn is_foreign_page(request: &Request<'_>) -> bool {
    let origin = single(request, "Origin");
    let other = match (single(request, "Sec-Fetch-Site"), &origin) {
        (Presence::One(site), _) => matches!(site, "cross-site" | "same-site"),
        (Presence::Many, _) | (Presence::None, Presence::Many) => true,
        (Presence::None, Presence::One(origin)) => *origin != own(request),
        (Presence::None, Presence::None) => false,
    };
    let settings = request.rocket().state::<Settings>();
    let allowed = match origin {
        Presence::One(origin) => settings.is_some_and(|settings| settings.may_call_api(origin)),
        Presence::Many | Presence::None => false,
    };
    other && !allowed
}

/// The refusal of a request that another origin's page sent.
pub fn refusal(request: &Request<'_>) -> Error {
    Error::CrossOrigin(own(request))
}

/// The path of the page of ours that the request comes from, with its query.
pub fn referring_page(request: &Request<'_>) -> Option<String> {
    let page = request.headers().get_one("Referer")?;
    let path = page.strip_prefix(&own(request))?;
    path.starts_with('/').then(|| path.to_owned())
}

/// The origin that browsers see.
fn own(request: &Request<'_>) -> String {
    let rocket = request.rocket();
    let settings = rocket.state::<Settings>();
    settings.map_or_else(String::new, |settings| settings.origin(rocket.config()))
}

enum Presence<'r> {
    None,
    One(&'r str),
    Many,
}

fn single<'r>(request: &'r Request<'_>, name: &str) -> Presence<'r> {
    let mut values = request.headers().get(name);
    match (values.next(), values.next()) {
        (None, _) => Presence::None,
        (Some(value), None) => Presence::One(value),
        (Some(_), Some(_)) => Presence::Many,
    }
}
