//! Liveness and readiness probes: `GET /healthz`, `GET /readyz`.

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, get, routes};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::api::description::describe;
use crate::auth::Auth;
use crate::error::Error;
use crate::web::deadline::bounded;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: health", |rocket| async {
        describe(rocket, ApiDoc::openapi()).mount("/", bounded(routes![healthz, readyz]))
    })
}

#[derive(OpenApi)]
#[openapi(paths(healthz, readyz))]
struct ApiDoc;

#[derive(Serialize, ToSchema)]
struct Health {
    #[schema(inline)]
    status: HealthStatus,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum HealthStatus {
    Ok,
}

const OK: Health = Health {
    status: HealthStatus::Ok,
};

/// Whether the process runs
///
/// Does not touch the database.
#[utoipa::path(
    get, path = "/healthz", tag = "operation", operation_id = "check_health",
    responses((status = 200, description = "The process is running.", body = Health)),
)]
#[get("/healthz")]
fn healthz() -> Json<Health> {
    Json(OK)
}

/// Whether the process can serve
///
/// It can if the schema is current and the database accepts writes.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", operation_id = "check_readiness",
    responses((status = 200, description = "The process can serve requests.", body = Health), (status = 503)),
)]
#[get("/readyz")]
async fn readyz(auth: &State<Auth>) -> Result<Json<Health>, Error> {
    auth.readiness.check().await?;
    Ok(Json(OK))
}
