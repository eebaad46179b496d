//! One event in the log for each request, and its place in the metrics.

use std::sync::OnceLock;
use std::time::Instant;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Status;
use rocket::{Data, Request, Response};

use super::log::{self, Answered};
use super::methods::pattern_of;
use super::metrics::Requests;
use super::{client, request_id};
use crate::identity::UserId;

/// Writes the event of a request that was answered, and counts it.
///
/// It names the route, not the path: a path or a query may hold a key, and what a stranger types
/// into them has no place in a log.
pub fn answered(request: &Request<'_>, status: Status) {
    let Observed { started, asker } = observed(request);
    let duration = started.map(|at| at.elapsed());
    if let Some(requests) = request.rocket().state::<Requests>() {
        requests.count(request, status, duration);
    }
    if !log::has_requests() {
        return;
    }
    let duration_ms = duration.map_or(0.0, |duration| duration.as_secs_f64() * 1000.0);
    let asker = asker.get();
    log::request(&Answered {
        method: request.method().as_str(),
        route: pattern_of(request),
        status: status.code,
        duration_ms: (duration_ms * 10.0).round() / 10.0,
        address: client::address_of(request),
        user_id: asker.map(|(user, _)| *user),
        client: asker.map(|(_, client)| client.as_str()),
        request_id: request_id::of(request),
    });
}

/// Has the event say who asked: the user, and the client whose token that was.
pub fn asked_by(request: &Request<'_>, user: UserId, client: &str) {
    if log::has_requests() {
        let Observed { asker, .. } = observed(request);
        asker.get_or_init(|| (user, client.to_owned()));
    }
}

/// Whether the request passes through the fairings. Those that Rocket can't read (an unknown
/// method, say) don't: they go straight to a catcher.
pub fn is_observed(request: &Request<'_>) -> bool {
    observed(request).started.is_some()
}

/// What is kept with a request for its event.
#[derive(Default)]
struct Observed {
    /// None if it did not pass through the fairings.
    started: Option<Instant>,
    asker: OnceLock<(UserId, String)>,
}

fn observed<'r>(request: &'r Request<'_>) -> &'r Observed {
    request.local_cache(Observed::default)
}

/// Notes when a request came in, and logs its answer.
pub struct Observer;

#[rocket::async_trait]
impl Fairing for Observer {
    fn info(&self) -> Info {
        Info {
            name: "one event a request",
            kind: Kind::Request | Kind::Response,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        request.local_cache(|| Observed {
            started: Some(Instant::now()),
            ..Observed::default()
        });
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        answered(request, response.status());
    }
}
