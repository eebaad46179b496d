//! Whether the process runs and whether it can serve: `GET /healthz`, `GET /readyz`.

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, get, routes};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::auth::Auth;
use crate::error::Error;
use crate::web::deadline::bounded;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: health", |rocket| async {
        rocket.mount("/", bounded(routes![healthz, readyz]))
    })
}

/// What stands above these routes.
#[derive(OpenApi)]
#[openapi(paths(healthz, readyz))]
pub(super) struct Described;

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
    responses((status = 200, description = "It runs.", body = Health)),
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
    responses((status = 200, description = "It can.", body = Health), (status = 503)),
)]
#[get("/readyz")]
async fn readyz(auth: &State<Auth>) -> Result<Json<Health>, Error> {
    auth.ready().await?;
    Ok(Json(OK))
}
