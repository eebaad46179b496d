//! What Rocket takes by itself: an application with one route, its log switched off.
//!
//! This program starts itself anew to be that, with an option of its own.

use rocket::config::LogLevel;
use rocket::serde::json::Json;
use rocket::{Config, get, routes};
use serde::Serialize;

use crate::Outcome;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[get("/healthz")]
fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Serves until it is ended.
pub async fn serve(port: u16) -> Outcome {
    let config = Config::figment()
        .merge((Config::PORT, port))
        .merge((Config::LOG_LEVEL, LogLevel::Off))
        // A release build asks for one; nothing is sealed with it.
        .merge((Config::SECRET_KEY, rand::random::<[u8; 32]>()));
    let bare = rocket::custom(config).mount("/", routes![health]);
    bare.launch().await?;
    Ok(())
}
