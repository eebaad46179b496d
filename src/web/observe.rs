//! One line in the log for each request, and the id that ties it to the answer and the trail.

use std::time::Instant;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Status;
use rocket::{Data, Request, Response};
use uuid::Uuid;

/// The header that carries a request's id, in both directions.
pub const REQUEST_ID: &str = "X-Request-Id";

/// The request's id: the one that a proxy gave it, if that is 1 to 64 letters, digits, `-`, `_` or
/// `.`, else one of our own.
pub fn request_id<'r>(request: &'r Request<'_>) -> &'r str {
    struct Id(String);
    let id = request.local_cache(|| {
        let given = request
            .headers()
            .get_one(REQUEST_ID)
            .filter(|id| is_sane(id));
        Id(given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned))
    });
    &id.0
}

fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Writes the log's line for a request that was answered.
///
/// It names the route, not the path: a path or a query may hold a key, and what a stranger types
/// into them has no place in a log.
pub fn log(request: &Request<'_>, status: Status) {
    let started = request.local_cache(|| Started(None));
    let duration_ms = started
        .0
        .map_or(0.0, |at| at.elapsed().as_secs_f64() * 1000.0);
    let route = request.route().map_or("-", |route| route.uri.path());
    tracing::info!(
        method = %request.method(),
        route,
        status = status.code,
        duration_ms = (duration_ms * 10.0).round() / 10.0,
        request_id = request_id(request),
        "request"
    );
}

/// Whether the request passes through the fairings. Those that Rocket can't read (an unknown
/// method, say) don't: they go straight to a catcher.
pub fn is_observed(request: &Request<'_>) -> bool {
    request.local_cache(|| Started(None)).0.is_some()
}

struct Started(Option<Instant>);

/// Notes when a request came in, and logs its answer.
pub struct Observer;

#[rocket::async_trait]
impl Fairing for Observer {
    fn info(&self) -> Info {
        Info {
            name: "one log line a request",
            kind: Kind::Request | Kind::Response,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        request.local_cache(|| Started(Some(Instant::now())));
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        log(request, response.status());
    }
}

#[cfg(test)]
mod tests {
    use super::is_sane;

    #[test]
    fn only_plain_ids_are_taken_over() {
        assert!(is_sane("01JAB-c_d.9"));
        for id in ["", "a b", "a\nb", "é", "\u{1b}[31m", &"x".repeat(65)] {
            assert!(!is_sane(id), "{id:?}");
        }
    }
}
