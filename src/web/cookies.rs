//! The cookies that we set, all of the same make.

use rocket::Request;
use rocket::http::{Cookie, SameSite};

use crate::config::Settings;

/// A cookie's name. With https it bears `__Host-`, by which browsers refuse one that another host,
/// or a plain connection, has set (RFC 6265bis, 4.1.3.2). It ends with the origin's port, if it has an
/// explicit one: browsers send the cookies of one port to all others of the host.
pub fn name(settings: &Settings, of: &str) -> String {
    let prefix = if settings.is_https() { "__Host-" } else { "" };
    match settings.port {
        Some(port) => format!("{prefix}multitoken_{of}_{port}"),
        None => format!("{prefix}multitoken_{of}"),
    }
}

/// A cookie that scripts can't read, that ends with the browser's session and that is sent to this
/// host only, with https if that is how browsers come here. `Lax` keeps a link from a mail to a page
/// of ours working; changes demand more than a cookie.
pub fn cookie(settings: &Settings, of: &str, value: &str) -> Cookie<'static> {
    Cookie::build((name(settings, of), value.to_owned()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(settings.is_https())
        .build()
}

/// The value of the cookie with exactly that name; none if it was sent twice.
///
/// Rocket decodes percent signs in names, so that to it `__Host%2Dx` is `__Host-x`; to a browser it
/// is a name without a prefix, which any host of the domain may set. The same goes for a name behind
/// white space of Unicode's. And what else sets a cookie of the same name can't take the place of
/// ours.
pub fn sent<'r>(request: &'r Request<'_>, name: &str) -> Option<&'r str> {
    let headers = request.headers().get("Cookie");
    let mut values = headers
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
        .filter(|(other, _)| *other == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(value.trim_matches('"')),
        _ => None,
    }
}
