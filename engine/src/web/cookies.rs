//! Names and attributes of the cookies that the engine sets.

use rocket::Request;
use rocket::http::{Cookie, SameSite};
use rocket::time::Duration;

use crate::application::application;
use crate::config::Settings;

/// The maximum lifetime of a cookie (RFC 6265bis, 5.5).
pub const MAX_LIFETIME: Duration = Duration::days(400);

/// A cookie's name. Under https it starts with `__Host-`: browsers then refuse a cookie that another host or a plain
/// connection has set (RFC 6265bis, 4.1.3.2). It ends with the origin's port, if explicit, because browsers send the
/// cookies of one port to all ports of the host.
pub fn name(settings: &Settings, purpose: &str) -> String {
    let prefix = if settings.is_https() { "__Host-" } else { "" };
    let name = application().identifier();
    match settings.port {
        Some(port) => format!("{prefix}{name}_{purpose}_{port}"),
        None => format!("{prefix}{name}_{purpose}"),
    }
}

/// A session cookie for this host only, hidden from scripts, and `Secure` under https. `Lax` keeps links from mails
/// working. Mutations require more than a cookie.
pub fn cookie(settings: &Settings, purpose: &str, value: &str) -> Cookie<'static> {
    Cookie::build((name(settings, purpose), value.to_owned()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(settings.is_https())
        .build()
}

/// The value of the cookie with exactly this name. None if it was sent twice, so that a cookie of the same name from
/// elsewhere cannot replace ours.
///
/// Rocket's own parser is not used. It decodes percent signs in names, so it takes `__Host%2Dx` for `__Host-x`. To a
/// browser, that name has no prefix, and any host of the domain may set it. The same holds for names behind Unicode
/// white space.
pub fn value<'r>(request: &'r Request<'_>, name: &str) -> Option<&'r str> {
    let headers = request.headers().get("Cookie");
    let mut values = headers
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
        .filter(|(key, _)| *key == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(value.trim_matches('"')),
        _ => None,
    }
}
