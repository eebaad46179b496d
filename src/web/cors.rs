//! Which pages of other origins may call the JSON API, all but the admin (cross-origin resource sharing, as the Fetch
//! standard of the WHATWG defines it).
//!
//! Off unless `cors_origins` names some. Nothing is granted to credentials mode: tokens travel in a
//! header that a script sets, and cookies are never credentials here. rocket_cors was looked at and
//! not taken: its last release is of 2023, and it answers preflights from one list of methods for
//! all paths, where we know each path's own.

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Method, Status};
use rocket::{Request, Response};

use crate::config::Settings;

/// What scripts may send beside what they always may.
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, X-Request-Id, X-Requested-With, \
                               X-CSRFToken, traceparent, tracestate";
/// What scripts may read beside what they always may.
const EXPOSED_HEADERS: &str = "Allow, Location, Retry-After, WWW-Authenticate, X-Request-Id";
/// Seconds that a browser may remember a preflight's answer: Chromium's upper bound.
const MAX_AGE: &str = "7200";

/// Grants what `cors_origins` says, on every answer but those of the admin.
pub struct Cors;

#[rocket::async_trait]
impl Fairing for Cors {
    fn info(&self) -> Info {
        Info {
            name: "pages of other origins",
            kind: Kind::Response,
        }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let Some(settings) = request.rocket().state::<Settings>() else {
            return;
        };
        let first = request.uri().path().segments().next();
        if matches!(first, Some("admin" | "static")) || settings.cors_origins.is_empty() {
            return;
        }
        // The answer is another one for another origin, also where this one gets nothing.
        response.adjoin_raw_header("Vary", "Origin");
        let mut origins = request.headers().get("Origin");
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return;
        };
        if settings.may_call_api(origin) {
            response.set_raw_header("Access-Control-Allow-Origin", origin.to_owned());
            response.set_raw_header("Access-Control-Expose-Headers", EXPOSED_HEADERS);
            answer_preflight(request, response);
        }
    }
}

/// A preflight asks with OPTIONS. The other methods that `Allow` lists there are its answer.
fn answer_preflight(request: &Request<'_>, response: &mut Response<'_>) {
    let asks = request.headers().contains("Access-Control-Request-Method");
    if request.method() != Method::Options || response.status() != Status::NoContent || !asks {
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
