//! The headers that every answer carries, errors included.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::{Request, Response};

use super::request_id;
use crate::config::Settings;

/// Pages may use our own styles, scripts and images, ask us and send forms to us, and nothing else;
/// nothing in the page itself runs, and nobody may frame it.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                   connect-src 'self'; form-action 'self'; base-uri 'none'; \
                   frame-ancestors 'none'";
/// Two years, as the preload lists ask.
const HSTS: &str = "max-age=63072000; includeSubDomains";

/// Sets them on `response`. It may be called twice.
pub fn apply(request: &Request<'_>, response: &mut Response<'_>) {
    let mut set = |name: &'static str, value: &'static str| {
        response.set_raw_header(name, value);
    };
    set("Content-Security-Policy", CSP);
    set("X-Content-Type-Options", "nosniff");
    // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
    set("Referrer-Policy", "same-origin");
    set("Cross-Origin-Opener-Policy", "same-origin");
    set("Cross-Origin-Resource-Policy", "same-origin");
    if request
        .rocket()
        .state::<Settings>()
        .is_some_and(Settings::is_https)
    {
        set("Strict-Transport-Security", HSTS);
    }
    if !response.headers().contains("Cache-Control") {
        response.set_raw_header("Cache-Control", "no-store");
    }
    response.set_raw_header(request_id::HEADER, request_id::of(request).to_owned());
}

/// Sets them on every answer that passes through the fairings.
pub struct Headers;

#[rocket::async_trait]
impl Fairing for Headers {
    fn info(&self) -> Info {
        Info {
            name: "security headers",
            kind: Kind::Response,
        }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        apply(request, response);
    }
}
