//! Security headers on every response, errors included.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::{Request, Response};

use super::path_scope::Scope;
use super::request_id;
use crate::config::Settings;

/// Pages load styles, scripts and images from this origin only, and send requests and forms only to it. Inline scripts
/// do not run, and no site may frame a page.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                   connect-src 'self'; form-action 'self'; base-uri 'none'; \
                   frame-ancestors 'none'";
/// Two years, as the preload lists ask.
const HSTS: &str = "max-age=63072000; includeSubDomains";

/// Sets the headers on `response`. Calling it twice is harmless.
pub fn apply(request: &Request<'_>, response: &mut Response<'_>) {
    let mut set = |name: &'static str, value: &'static str| {
        response.set_raw_header(name, value);
    };
    set("Content-Security-Policy", CSP);
    set("X-Content-Type-Options", "nosniff");
    // Not `no-referrer`: browsers would then send `Origin: null` with our own forms. If the query holds a one-time
    // key, the URL is sent to no site, not even to this one.
    let has_key = request
        .query_fields()
        .any(|field| field.name == "key" || field.name == "invite");
    set(
        "Referrer-Policy",
        if has_key {
            "strict-origin"
        } else {
            "same-origin"
        },
    );
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

pub struct Headers(pub Scope);

#[rocket::async_trait]
impl Fairing for Headers {
    fn info(&self) -> Info {
        Info {
            name: "security headers",
            kind: Kind::Response,
        }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        if self.0.covers(request) {
            apply(request, response);
        }
    }
}
