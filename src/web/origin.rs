//! Whether a request comes from one of our own pages.

use rocket::Request;

use crate::config::Settings;

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
            Presence::One(origin) => request
                .rocket()
                .state::<Settings>()
                .is_some_and(|settings| settings.origin(request.rocket().config()) == origin),
            Presence::Many | Presence::None => false,
        },
    }
}

/// Whether a browser says that the request comes from a page of another origin, one that has no leave
/// to call the API. What is no browser says nothing.
pub fn is_foreign_page(request: &Request<'_>) -> bool {
    let other = match single(request, "Sec-Fetch-Site") {
        Presence::One(site) => matches!(site, "cross-site" | "same-site"),
        Presence::Many => true,
        Presence::None => false,
    };
    let allowed = match single(request, "Origin") {
        Presence::One(origin) => request
            .rocket()
            .state::<Settings>()
            .is_some_and(|settings| settings.may_call_api(origin)),
        Presence::Many | Presence::None => false,
    };
    other && !allowed
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
