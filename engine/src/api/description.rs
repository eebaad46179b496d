//! The OpenAPI document of the JSON API, collected from the attribute above each handler.
//!
//! A handler's `#[utoipa::path]` lists its responses, and for errors only the status. This module adds the bodies of
//! errors, and the errors that every body and every token can cause. It also adds what client generators need: named
//! members of `Problem`, and `security` for every operation.

mod errors;

use std::sync::{Mutex, PoisonError};

use rocket::{Build, Phase, Rocket};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{self, Components, Server};

use self::errors::{add_errors, name_fields};
use crate::config::Settings;
use crate::error::Error;
use crate::web::catchers::Problem;

#[derive(OpenApi)]
#[openapi(
    components(schemas(Problem)),
    tags(
        (name = "session", description = "Signing in and out."),
        (name = "account", description = "The current user and their password."),
        (name = "tokens", description = "The current user's tokens, one per client."),
        (name = "operation", description = "Monitoring for operators."),
    ),
)]
struct ApiDoc;

const DESCRIPTION: &str = "Users sign in and get one token per client. Clients send the token as \
    `Authorization: Bearer <token>`. Every path works with and without its trailing slash. Request bodies are \
    JSON or forms with the same fields, and at most 8 KiB unless the operation states another limit. Responses \
    are JSON. Errors are problem details (RFC 9457). Messages about an invalid field are in a member with the \
    name of the field, messages about credentials in `non_field_errors`. Times are RFC 3339, in UTC.";

/// The parts that stages have added.
#[derive(Default)]
struct ApiParts(Mutex<Vec<openapi::OpenApi>>);

/// Adds a stage's part to the description of the API. Call it where the stage mounts its routes.
pub fn describe(rocket: Rocket<Build>, part: openapi::OpenApi) -> Rocket<Build> {
    let rocket = match rocket.state::<ApiParts>() {
        Some(_) => rocket,
        None => rocket.manage(ApiParts::default()),
    };
    if let Some(ApiParts(parts)) = rocket.state() {
        parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(part);
    }
    rocket
}

fn document<P: Phase>(rocket: &Rocket<P>) -> openapi::OpenApi {
    let mut document = ApiDoc::openapi();
    if let Some(ApiParts(parts)) = rocket.state() {
        for part in &*parts.lock().unwrap_or_else(PoisonError::into_inner) {
            document.merge(part.clone());
        }
    }
    let settings = rocket.state::<Settings>().cloned().unwrap_or_default();
    add_security_scheme(&mut document);
    add_errors(&mut document);
    document.info.title.clone_from(&settings.name);
    document.info.description = Some(DESCRIPTION.into());
    document.info.contact = None;
    // Without `public_url`, "/" means the origin of the document.
    let origin = settings.public_url.as_ref();
    let server = origin.map_or_else(|| "/".into(), ToString::to_string);
    document.servers = Some(vec![Server::new(server)]);
    document
}

/// The document as JSON, with the stages of an ignited application.
///
/// # Errors
/// [`Error::Internal`].
pub fn json<P: Phase>(rocket: &Rocket<P>) -> Result<String, Error> {
    let mut document = document(rocket);
    let json = name_fields(&mut document).and_then(|()| document.to_pretty_json());
    let settings = rocket.state::<Settings>().cloned().unwrap_or_default();
    // The examples of tokens have the default prefix.
    let default_prefix = format!("\"{}_", Settings::default().token_prefix);
    let prefix = format!("\"{}_", settings.token_prefix);
    let json = json.map(|json| json.replace(&default_prefix, &prefix));
    json.map_err(|_| Error::Internal("the OpenAPI document could not be generated"))
}

fn add_security_scheme(document: &mut openapi::OpenApi) {
    let components = document.components.get_or_insert_with(Components::default);
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.description =
        Some("A token from `POST /auth/login/`. The scheme `Token` works like `Bearer`.".into());
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
}
