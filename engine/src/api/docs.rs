//! The documentation of the JSON API: `GET /openapi.json` for programs, `GET /docs` for people.

use std::sync::{Arc, OnceLock};

use rocket::fairing::AdHoc;
use rocket::http::ContentType;
use rocket::response::{self, Responder};
use rocket::{Orbit, Request, Rocket, get, routes};
use utoipa::OpenApi;

use crate::api::description::{self, describe};
use crate::config::Settings;
use crate::context;
use crate::error::Error;
use crate::web::deadline::bounded;
use crate::web::representation::{CachedContent, NO_CACHE, Representation};
use crate::web::templates::Template;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: docs", |rocket| async {
        describe(rocket, ApiDoc::openapi())
            .manage(Document::default())
            .mount("/", bounded(routes![openapi, docs]))
    })
}

#[derive(OpenApi)]
#[openapi(paths(openapi, docs))]
struct ApiDoc;

/// The document. It is built on the first request, when all stages have added their parts.
#[derive(Default)]
struct Document(OnceLock<Arc<Representation>>);

enum DocsResponse {
    Document,
    Page,
}

impl DocsResponse {
    fn content(self, rocket: &Rocket<Orbit>) -> Result<CachedContent, Error> {
        let representation = match self {
            Self::Document => {
                let document: &Document = rocket.state().ok_or(Error::NotFound)?;
                if let Some(cached) = document.0.get() {
                    cached.clone()
                } else {
                    let json = description::json(rocket)?.into_bytes();
                    let json = Arc::new(Representation::new(ContentType::JSON, json));
                    document.0.get_or_init(|| json).clone()
                }
            }
            Self::Page => {
                let app = rocket
                    .state()
                    .map(|settings: &Settings| settings.name.clone());
                let page = Template::render("docs", context! { app }).html(rocket)?;
                Arc::new(Representation::new(ContentType::HTML, page.into_bytes()))
            }
        };
        Ok(CachedContent {
            representation,
            cache_control: NO_CACHE,
        })
    }
}

impl<'r> Responder<'r, 'static> for DocsResponse {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        self.content(request.rocket()).respond_to(request)
    }
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation", operation_id = "get_openapi",
    responses((status = 200, description = "The OpenAPI document.", body = Object)),
)]
#[get("/openapi.json")]
fn openapi() -> DocsResponse {
    DocsResponse::Document
}

/// This document as a page
#[utoipa::path(
    get, path = "/docs", tag = "operation", operation_id = "get_docs",
    responses((status = 200, description = "An HTML page.", body = String, content_type = "text/html")),
)]
#[get("/docs")]
fn docs() -> DocsResponse {
    DocsResponse::Page
}
