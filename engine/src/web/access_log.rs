//! One log line and one metrics sample per request.

use std::sync::OnceLock;
use std::time::Instant;

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::Status;
use rocket::{Data, Request, Response};

use super::fallbacks::route_pattern;
use super::log::{self, RequestRecord};
use super::metrics::RequestMetrics;
use super::path_scope::Scope;
use super::{proxies, request_id};
use crate::identity::UserId;

/// Logs and counts a request.
///
/// The line has the route's pattern, not the path: a path or query may hold a key, or anything that a client sends.
pub fn record_request(request: &Request<'_>, status: Status) {
    let RequestFacts { started, user } = facts(request);
    let duration = started.map(|at| at.elapsed());
    if let Some(requests) = request.rocket().state::<RequestMetrics>() {
        requests.record(request, status, duration);
    }
    if !log::logs_requests() {
        return;
    }
    let duration_ms = duration.map_or(0.0, |duration| duration.as_secs_f64() * 1000.0);
    let user = user.get();
    log::write_request(&RequestRecord {
        method: request.method().as_str(),
        route: route_pattern(request),
        status: status.code,
        duration_ms: (duration_ms * 10.0).round() / 10.0,
        address: proxies::client_address(request),
        user_id: user.map(|(id, _)| *id),
        client: user.map(|(_, client)| client.as_str()),
        request_id: request_id::of(request),
    });
}

/// Adds the user and the token's client to the log line.
pub fn record_user(request: &Request<'_>, user: UserId, client: &str) {
    if log::logs_requests() {
        facts(request)
            .user
            .get_or_init(|| (user, client.to_owned()));
    }
}

/// Whether the request passed through the fairings. Requests that Rocket can't parse, such as those with an unknown
/// method, go straight to a catcher.
pub fn is_observed(request: &Request<'_>) -> bool {
    facts(request).started.is_some()
}

/// What is known about a request before its response.
#[derive(Default)]
struct RequestFacts {
    /// None if the request did not pass through the fairings.
    started: Option<Instant>,
    /// The user, and the client of the token.
    user: OnceLock<(UserId, String)>,
}

fn facts<'r>(request: &'r Request<'_>) -> &'r RequestFacts {
    request.local_cache(RequestFacts::default)
}

/// A fairing that times, logs and counts every request in the scope.
pub struct AccessLog(pub Scope);

#[rocket::async_trait]
impl Fairing for AccessLog {
    fn info(&self) -> Info {
        Info {
            name: "access log",
            kind: Kind::Request | Kind::Response,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        if !self.0.covers(request) {
            return;
        }
        request.local_cache(|| RequestFacts {
            started: Some(Instant::now()),
            ..RequestFacts::default()
        });
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        if self.0.covers(request) {
            record_request(request, response.status());
        }
    }
}
