//! One line in the log for each request.

use std::time::Instant;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Status;
use rocket::{Data, Request, Response};

use super::{client, request_id};

/// Writes the log's line for a request that was answered.
///
/// It names the route, not the path: a path or a query may hold a key, and what a stranger types
/// into them has no place in a log.
pub fn log(request: &Request<'_>, status: Status) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let started = request.local_cache(|| Started(None));
    let duration_ms = started
        .0
        .map_or(0.0, |at| at.elapsed().as_secs_f64() * 1000.0);
    let route = request.route().map_or("-", |route| route.uri.path());
    let address = client::address_of(request);
    tracing::info!(
        method = %request.method(),
        route,
        status = status.code,
        duration_ms = (duration_ms * 10.0).round() / 10.0,
        address = address.map(tracing::field::display),
        request_id = request_id::of(request),
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
