//! Whether the process lives and whether it can serve: `GET /healthz`, `GET /readyz`.

use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::tokio;
use rocket::{State, get, routes};
use serde::Serialize;

use crate::auth::Auth;
use crate::error::Error;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: health", |rocket| async {
        rocket.mount("/", routes![healthz, readyz])
    })
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

const OK: Health = Health { status: "ok" };
/// Below the second that whoever balances load is promised.
const PATIENCE: Duration = Duration::from_millis(800);

#[get("/healthz")]
fn healthz() -> Json<Health> {
    Json(OK)
}

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
