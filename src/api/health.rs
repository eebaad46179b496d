//! Whether the process lives and whether it can serve: `GET /healthz`, `GET /readyz`.

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
    #[schema(pattern = "^ok$", example = "ok")]
    status: &'static str,
}

const OK: Health = Health { status: "ok" };

/// Whether the process lives
///
/// It asks no database.
#[utoipa::path(
    get, path = "/healthz", tag = "operation",
    responses((status = 200, description = "It does.", body = Health)),
)]
#[get("/healthz")]
fn healthz() -> Json<Health> {
    Json(OK)
}

/// Whether it can serve
///
/// It can if the database answers, has the schema that this version works with, and accepts writes.
#[utoipa::path(
    get, path = "/readyz", tag = "operation",
    responses((status = 200, description = "It can.", body = Health), (status = 503)),
)]
#[get("/readyz")]
async fn readyz(auth: &State<Auth>) -> Result<Json<Health>, Error> {
    auth.ready().await?;
    Ok(Json(OK))
}
