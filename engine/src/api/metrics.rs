//! Metrics for Prometheus: `GET /metrics`, if the setting `metrics` is on.

use rocket::fairing::AdHoc;
use rocket::http::ContentType;
use rocket::{Build, Rocket, State, get, routes};
use utoipa::OpenApi;

use crate::api::description::describe;
use crate::auth::Auth;
use crate::config::Settings;
use crate::error::Error;
use crate::web::deadline::bounded;
use crate::web::metrics::{self, RequestMetrics};

/// Mounts the route. Counts requests if `metrics` is on.
pub fn stage() -> AdHoc {
    AdHoc::try_on_ignite("api: metrics", |rocket| async {
        let rocket = describe(rocket, ApiDoc::openapi());
        let is_enabled = rocket.state().is_some_and(|s: &Settings| s.metrics);
        if is_enabled {
            mount(rocket)
        } else {
            Ok(rocket)
        }
    })
}

#[derive(OpenApi)]
#[openapi(paths(show))]
struct ApiDoc;

fn mount(rocket: Rocket<Build>) -> Result<Rocket<Build>, Rocket<Build>> {
    match RequestMetrics::new() {
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
        (status = 200, description = "The metrics in text format.", body = String, content_type = "text/plain"),
        (status = 404),
    ),
)]
#[get("/metrics")]
fn show(
    auth: &State<Auth>,
    requests: &State<RequestMetrics>,
) -> Result<(ContentType, String), Error> {
    let content_type =
        ContentType::new("text", "plain").with_params([("version", "0.0.4"), ("charset", "utf-8")]);
    let families = [requests.gather(), auth.metrics()].concat();
    Ok((content_type, metrics::text(&families)?))
}
