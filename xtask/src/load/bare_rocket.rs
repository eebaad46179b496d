//! The baseline: a Rocket application with one route and no log. The load test runs itself with a hidden option to
//! serve it.

use rocket::config::LogLevel;
use rocket::serde::json::Json;
use rocket::{Config, get, routes};
use serde::Serialize;

use crate::load::Result;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[get("/healthz")]
fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

pub async fn serve(port: u16) -> Result {
    let config = Config::figment()
        .merge((Config::PORT, port))
        .merge((Config::LOG_LEVEL, LogLevel::Off))
        // A release build requires one. Nothing is encrypted with it.
        .merge((Config::SECRET_KEY, rand::random::<[u8; 32]>()));
    let bare = rocket::custom(config).mount("/", routes![health]);
    bare.launch().await?;
    Ok(())
}
