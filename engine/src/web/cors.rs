//! Cross-origin resource sharing (WHATWG Fetch standard) for the JSON API, not for pages.
//!
//! It is off unless `cors_origins` names origins. Credentials mode is never allowed: scripts send tokens in a header,
//! and cookies are no credentials for the API. rocket_cors is not used: its last release is from 2023, and it answers
//! preflights for all paths from one list of methods, while we know the methods of each path.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Method, Status};
use rocket::{Request, Response};

use super::path_scope::Scope;
use crate::config::Settings;

/// Request headers that scripts may send, beside the always allowed ones.
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, X-Request-Id, X-Requested-With, \
                               X-CSRFToken, traceparent, tracestate";
/// Response headers that scripts may read, beside the always exposed ones.
const EXPOSED_HEADERS: &str = "Allow, Location, Retry-After, WWW-Authenticate, X-Request-Id";
/// Seconds for which browsers may cache a preflight response: Chromium's maximum.
const MAX_AGE: &str = "7200";

pub struct Cors(pub Scope);

#[rocket::async_trait]
impl Fairing for Cors {
    fn info(&self) -> Info {
        Info {
            name: "CORS",
            kind: Kind::Response,
        }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let Some(settings) = request.rocket().state::<Settings>() else {
            return;
        };
        if !self.0.covers(request) {
            return;
        }
        let first = request.uri().path().segments().next();
        if matches!(first, Some("admin" | "account" | "static")) || settings.cors_origins.is_empty()
        {
            return;
        }
        // The response varies with the origin, also for one that is not allowed.
        response.adjoin_raw_header("Vary", "Origin");
        let mut origins = request.headers().get("Origin");
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return;
        };
        if settings.is_cors_origin(origin) {
            response.set_raw_header("Access-Control-Allow-Origin", origin.to_owned());
            response.set_raw_header("Access-Control-Expose-Headers", EXPOSED_HEADERS);
            answer_preflight(request, response);
        }
    }
}

/// A preflight is an OPTIONS request. `Allow` of its response lists the methods of the path.
fn answer_preflight(request: &Request<'_>, response: &mut Response<'_>) {
    let is_preflight = request.headers().contains("Access-Control-Request-Method");
    if request.method() != Method::Options
        || response.status() != Status::NoContent
        || !is_preflight
    {
        return;
    }
    let allowed = response.headers().get_one("Allow");
    let Some(methods) = allowed.and_then(|methods| methods.strip_suffix(", OPTIONS")) else {
        return;
    };
    let methods = methods.to_owned();
    response.set_raw_header("Access-Control-Allow-Methods", methods);
    response.set_raw_header("Access-Control-Allow-Headers", ALLOWED_HEADERS);
    response.set_raw_header("Access-Control-Max-Age", MAX_AGE);
}
