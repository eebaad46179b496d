//! What Prometheus asks for: `GET /metrics`, where the settings say so.

use rocket::fairing::AdHoc;
use rocket::http::ContentType;
use rocket::{Build, Rocket, State, get, routes};
use utoipa::OpenApi;

use crate::auth::Auth;
use crate::config::Settings;
use crate::error::Error;
use crate::web::deadline::bounded;
use crate::web::metrics::{self, Requests};

/// Mounts the route and has requests counted, if `metrics` is set.
pub fn stage() -> AdHoc {
    AdHoc::try_on_ignite("api: metrics", |rocket| async {
        let wanted = rocket.state().is_some_and(|s: &Settings| s.metrics);
        if wanted { count(rocket) } else { Ok(rocket) }
    })
}

/// What stands above these routes.
#[derive(OpenApi)]
#[openapi(paths(show))]
pub(super) struct Described;

fn count(rocket: Rocket<Build>) -> Result<Rocket<Build>, Rocket<Build>> {
    match Requests::new() {
        Ok(requests) => Ok(rocket.manage(requests).mount("/", bounded(routes![show]))),
        Err(error) => {
            tracing::error!("{error}");
            Err(rocket)
        }
    }
}

/// Metrics in Prometheus' text format
///
/// 404 unless the setting `metrics` is on.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", operation_id = "get_metrics",
    responses(
        (status = 200, description = "The metrics.", body = String, content_type = "text/plain"),
        (status = 404),
    ),
)]
#[get("/metrics")]
fn show(auth: &State<Auth>, requests: &State<Requests>) -> Result<(ContentType, String), Error> {
    let kind =
        ContentType::new("text", "plain").with_params([("version", "0.0.4"), ("charset", "utf-8")]);
    let all = [requests.gather(), auth.metrics()].concat();
    Ok((kind, metrics::text(&all)?))
}
