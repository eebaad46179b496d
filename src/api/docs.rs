//! The documentation of the JSON API: `GET /openapi.json` for programs, `GET /docs` for people.

use std::sync::Arc;

use rocket::fairing::AdHoc;
use rocket::http::ContentType;
use rocket::{State, get, routes};
use rocket_dyn_templates::{Metadata, context};
use utoipa::OpenApi;

use super::description;
use crate::config::Settings;
use crate::error::Error;
use crate::web::deadline::bounded;
use crate::web::representation::{REVALIDATED, Representation, Served};

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::try_on_ignite("api: docs", |rocket| async {
        let settings = rocket.state::<Settings>().cloned().unwrap_or_default();
        match description::json(&settings) {
            Ok(json) => Ok(rocket
                .manage(Document::new(json))
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

struct Document(Arc<Representation>);

impl Document {
    fn new(json: String) -> Self {
        let json = Representation::new(ContentType::JSON, json.into_bytes());
        Self(Arc::new(json))
    }
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation", operation_id = "get_openapi",
    responses((status = 200, description = "An OpenAPI document.", body = Object)),
)]
#[get("/openapi.json")]
fn openapi(document: &State<Document>) -> Served {
    Served {
        representation: document.0.clone(),
        cache_control: REVALIDATED,
    }
}

/// This document as a page
#[utoipa::path(
    get, path = "/docs", tag = "operation", operation_id = "get_docs",
    responses((status = 200, description = "A page.", body = String, content_type = "text/html")),
)]
#[get("/docs")]
fn docs(settings: &State<Settings>, templates: Metadata<'_>) -> Result<Served, Error> {
    let page = templates.render("docs", context! { app: &settings.name });
    let (kind, page) = page.ok_or(Error::Internal("the page could not be rendered"))?;
    Ok(Served {
        representation: Arc::new(Representation::new(kind, page.into_bytes())),
        cache_control: REVALIDATED,
    })
}
