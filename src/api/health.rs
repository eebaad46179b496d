//! Whether the process lives and whether it can serve: `GET /healthz`, `GET /readyz`.

use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::tokio;
use rocket::{State, get, routes};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::auth::Auth;
use crate::error::Error;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: health", |rocket| async {
        rocket.mount("/", routes![healthz, readyz])
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
/// Below the second that whoever balances load is promised.
const PATIENCE: Duration = Duration::from_millis(800);

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
/// It can if the database answers and has the schema that this version works with.
#[utoipa::path(
    get, path = "/readyz", tag = "operation",
    responses((status = 200, description = "It can.", body = Health), (status = 503)),
)]
#[get("/readyz")]
async fn readyz(auth: &State<Auth>) -> Result<Json<Health>, Error> {
    let pool = auth.pool().clone();
    // A task of its own: when patience ends it goes on, so that the connection that it holds comes
    // to no harm halfway through a query.
    let check = tokio::spawn(async move { pool.is_in_order().await });
    match tokio::time::timeout(PATIENCE, check).await {
        Ok(Ok(Ok(true))) => Ok(Json(OK)),
        Ok(Ok(Err(error))) => Err(Error::Database(error)),
        Ok(Ok(Ok(false))) => Err(Error::Database(sqlx::Error::Protocol(
            "not its schema".into(),
        ))),
        Ok(Err(_)) | Err(_) => Err(Error::Database(sqlx::Error::PoolTimedOut)),
    }
}
