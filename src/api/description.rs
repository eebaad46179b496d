//! The JSON API as an OpenAPI document, collected from the attribute above each handler.
//!
//! A handler's `#[utoipa::path]` lists its responses, and for errors only the status. What they look like,
//! and which of them every body and every token can bring, is added here once. So is what generators of
//! clients need: named members of `Problem`, and `security` for every operation.

use std::collections::BTreeSet;

use rocket::http::Method;
use serde_json::{Map, Value};
use utoipa::OpenApi;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ArrayBuilder, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{self, Components, ContentBuilder, ObjectBuilder, Ref, RefOr, Server};

use super::notes; // example: notes
use super::{account, docs, health, metrics, session, tokens};
use crate::config::Settings;
use crate::error::{Error, FieldErrors};
use crate::web::catchers::Problem;

#[derive(OpenApi)]
#[openapi(
    components(schemas(Problem)),
    tags(
        (name = "session", description = "Signing in and out."),
        (name = "account", description = "The current user and their password."),
        (name = "tokens", description = "The current user's tokens, one per client."),
        (name = "operation", description = "For operators."),
    ),
)]
struct Described;

const ABOUT: &str = "Users sign in and get a token for each of their clients. Requests carry it as \
    `Authorization: Bearer <token>`. Every path works with and without its trailing slash. Bodies are \
    JSON, or the same fields as a form, of at most 8 KiB. Responses are JSON. Errors are problem details \
    (RFC 9457), with the messages about each invalid field under its name, and those about credentials \
    under `non_field_errors`. Times are RFC 3339, in UTC.";

/// Said of every body. Forms are no content types of their own in the document: openapi-python-client
/// generates code that does not run for two types of one schema, and other generators take the first.
const OF_FORMS: &str = "JSON. The same fields are accepted as `application/x-www-form-urlencoded`, and as \
    `multipart/form-data` without files.";

fn document(settings: &Settings) -> openapi::OpenApi {
    let mut document = Described::openapi();
    for part in [
        session::Described::openapi(),
        account::Described::openapi(),
        tokens::Described::openapi(),
        health::Described::openapi(),
        metrics::Described::openapi(),
        docs::Described::openapi(),
        notes::Described::openapi(), // example: notes
    ] {
        document.merge(part);
    }
    add_token(&mut document);
    add_errors(&mut document);
    document.info.title.clone_from(&settings.name);
    document.info.description = Some(ABOUT.into());
    document.info.contact = None;
    // Without `public_url`, the origin that the document came from.
    let origin = settings.public_url.as_ref();
    let server = origin.map_or_else(|| "/".into(), ToString::to_string);
    document.servers = Some(vec![Server::new(server)]);
    document
}

/// The document for an application with these settings, as JSON.
///
/// # Errors
/// [`Error::Internal`].
pub fn json(settings: &Settings) -> Result<String, Error> {
    let mut document = document(settings);
    let json = name_members(&mut document).and_then(|()| document.to_pretty_json());
    json.map_err(|_| Error::Internal("the API's description could not be written"))
}

fn add_token(document: &mut openapi::OpenApi) {
    let components = document.components.get_or_insert_with(Components::default);
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.description =
        Some("A token from the login. The scheme `Token` works like `Bearer`.".into());
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
}

/// An error, its name among the responses, its cause, and a header that comes with it.
type Kind = (
    Error,
    &'static str,
    &'static str,
    Option<(&'static str, &'static str)>,
);

fn kinds() -> [Kind; 9] {
    let retry = Some(("Retry-After", "Seconds to wait."));
    [
        (
            FieldErrors::one("client", "This field is required."),
            "BadRequest",
            "The body is malformed, a field is invalid, or the credentials are wrong.",
            None,
        ),
        (
            Error::InvalidToken,
            "Unauthorized",
            "No token, or one that is malformed, unknown, expired or revoked, or of a disabled user.",
            Some((
                "WWW-Authenticate",
                "`Bearer`; `error=\"invalid_token\"` where there was a token.",
            )),
        ),
        (
            Error::CrossOrigin("https://app.example.com".into()),
            "Forbidden",
            "The request comes from a page of another origin, or the user has as many of these as are \
             allowed.",
            None,
        ),
        (
            Error::NotFound,
            "NotFound",
            "It does not exist, or belongs to another user.",
            None,
        ),
        (
            Error::BodyTimeout(10),
            "RequestTimeout",
            "The body did not arrive in time.",
            None,
        ),
        (
            Error::TooLarge(8 * 1024),
            "ContentTooLarge",
            "The body is longer than 8 KiB.",
            None,
        ),
        (
            Error::UnsupportedMediaType(Method::Post),
            "UnsupportedMediaType",
            "The body is neither JSON nor a form, or it is encoded.",
            Some(("Accept-Post", "The content types of a POST's body.")),
        ),
        (
            Error::Throttled(300),
            "TooManyRequests",
            "Too many attempts.",
            retry,
        ),
        (
            Error::Overloaded,
            "ServiceUnavailable",
            "Too many logins at once, or the database is unavailable.",
            retry,
        ),
    ]
}

/// The errors of every method that may have a body, of every operation that takes one, and of every
/// operation with a token.
const OF_METHODS: [&str; 2] = ["408", "413"];
const OF_BODIES: [&str; 3] = ["400", "415", "503"];
const OF_TOKENS: [&str; 2] = ["401", "503"];

fn add_errors(document: &mut openapi::OpenApi) {
    let components = document.components.get_or_insert_with(Components::default);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            add_usual(operation);
        }
        for operation in changing(item) {
            add(operation, &OF_METHODS);
        }
    }
    for (error, name, when, header) in kinds() {
        let status = error.status().code.to_string();
        let response = RefOr::T(problem(&error, when, header));
        components.responses.insert(name.into(), response);
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            if let Some(response) = operation.responses.responses.get_mut(&status) {
                *response = RefOr::Ref(Ref::from_response_name(name));
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Those that may have a body.
fn changing(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [put, post, delete, patch].into_iter().flatten()
}

fn add_usual(operation: &mut Operation) {
    // An empty list says that anyone may call it; without one, nothing is said.
    let security = operation.security.get_or_insert_default();
    if !security.is_empty() {
        add(operation, &OF_TOKENS);
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.description = Some(OF_FORMS.into());
        add(operation, &OF_BODIES);
    }
}

fn add(operation: &mut Operation, statuses: &[&str]) {
    for &status in statuses {
        let responses = &mut operation.responses.responses;
        responses.insert(status.into(), RefOr::T(Response::new("")));
    }
}

fn problem(error: &Error, when: &str, header: Option<(&str, &str)>) -> Response {
    let example = Problem::new(
        error.status(),
        Some(error),
        "01937b2e-9c4a-7c3e-8f0a-3d5c1e2b4a60",
    );
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .example(serde_json::to_value(example).ok());
    let mut response = ResponseBuilder::new()
        .description(when)
        .content("application/problem+json", content.build());
    if let Some((name, meaning)) = header {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let header = HeaderBuilder::new()
            .schema(Some(text))
            .description(Some(meaning));
        response = response.header(name, header.build());
    }
    response.build()
}

/// Names, in `Problem`, every field that there can be messages about. A map of further members would clash
/// with the types of `status` and `title`.
fn name_members(document: &mut openapi::OpenApi) -> Result<(), serde_json::Error> {
    let names = fields(&serde_json::to_value(&*document)?);
    let components = document.components.get_or_insert_default();
    if let Some(RefOr::T(Schema::Object(problem))) = components.schemas.get_mut("Problem") {
        for name in names {
            let text = ObjectBuilder::new().schema_type(Type::String);
            let messages = RefOr::T(Schema::Array(ArrayBuilder::new().items(text).build()));
            problem.properties.entry(name).or_insert(messages);
        }
    }
    Ok(())
}

/// The fields of every body and every query, and `non_field_errors`.
fn fields(document: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["non_field_errors".to_owned()]);
    for operation in values(&document["paths"]).flat_map(values) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let queries = parameters.filter(|parameter| parameter["in"] == "query");
        names.extend(queries.filter_map(|query| query["name"].as_str().map(str::to_owned)));
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let target = schema["$ref"].as_str().unwrap_or_default();
        let schema = document.pointer(target.trim_start_matches('#'));
        let properties = schema.and_then(|schema| schema["properties"].as_object());
        names.extend(properties.into_iter().flat_map(Map::keys).cloned());
    }
    names
}

fn values(object: &Value) -> impl Iterator<Item = &Value> {
    object.as_object().into_iter().flat_map(Map::values)
}
