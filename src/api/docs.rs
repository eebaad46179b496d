//! What programs and people read about the JSON API: `GET /openapi.json`, `GET /docs`.

use rocket::fairing::AdHoc;
use rocket::http::ContentType;
use rocket::{State, get, routes};
use rocket_dyn_templates::{Template, context};
use utoipa::OpenApi;

use super::description;
use crate::config::Settings;
use crate::web::deadline::bounded;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::try_on_ignite("api: docs", |rocket| async {
        let settings = rocket.state::<Settings>().cloned().unwrap_or_default();
        match description::json(&settings) {
            Ok(json) => Ok(rocket
                .manage(Document(json))
                .mount("/", bounded(routes![openapi, docs]))),
            Err(error) => {
                tracing::error!("{error}");
                Err(rocket)
            }
        }
    })
}

/// What stands above these routes.
#[derive(OpenApi)]
#[openapi(paths(openapi, docs))]
pub(super) struct Described;

struct Document(String);

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation",
    responses((status = 200, description = "An OpenAPI document.", body = Object)),
)]
#[get("/openapi.json")]
fn openapi(document: &State<Document>) -> (ContentType, &str) {
    (ContentType::JSON, &document.0)
}

/// This document for people
#[utoipa::path(
    get, path = "/docs", tag = "operation",
    responses((status = 200, description = "A page.", body = String, content_type = "text/html")),
)]
#[get("/docs")]
fn docs(settings: &State<Settings>) -> Template {
    Template::render("docs", context! { app: &settings.name })
}
