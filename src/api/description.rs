//! The JSON API as an OpenAPI document, gathered from what stands above each handler.
//!
//! A handler's `#[utoipa::path]` names its answers; of those that are errors just the status. What each
//! of these looks like, and which come with every body and every token, is said here once.

use rocket::http::Method;
use utoipa::OpenApi;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::Type;
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
        (name = "account", description = "Who one is, and one's password."),
        (name = "tokens", description = "One's own tokens, a client each."),
        (name = "operation", description = "For whoever runs it."),
    ),
)]
struct Described;

const ABOUT: &str = "Users sign in and get a token for each of their clients, to send along as \
    `Authorization: Bearer <token>`. Every path answers with and without its trailing slash. Bodies are \
    JSON, URL-encoded forms or multipart forms without files, of at most 8 KiB; answers are JSON. Errors are problem details (RFC 9457), \
    with each bad field's messages under its name, and those about credentials under \
    `non_field_errors`. Times are RFC 3339, in UTC.";

/// The document, of an application that is set up like that.
pub fn document(settings: &Settings) -> openapi::OpenApi {
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
    document.servers = settings
        .public_url
        .as_ref()
        .map(|origin| vec![Server::new(origin.to_string())]);
    document
}

/// The same as JSON.
///
/// # Errors
/// [`Error::Internal`].
pub fn json(settings: &Settings) -> Result<String, Error> {
    let json = document(settings).to_pretty_json();
    json.map_err(|_| Error::Internal("the API's description could not be written"))
}

fn add_token(document: &mut openapi::OpenApi) {
    let components = document.components.get_or_insert_with(Components::default);
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.description = Some("A token from the login. `Token` is taken for `Bearer`, too.".into());
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
}

/// An error, its name among the responses, when it comes, and a header that comes with it.
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
            "The body can't be read, a field is unfit, or the credentials are wrong.",
            None,
        ),
        (
            Error::InvalidToken,
            "Unauthorized",
            "No token, or one that is malformed, unknown, expired or revoked, or a disabled user's.",
            Some((
                "WWW-Authenticate",
                "`Bearer`; `error=\"invalid_token\"` where there was a token.",
            )),
        ),
        (
            Error::CrossOrigin("https://app.example.com".into()),
            "Forbidden",
            "A page of another origin asks, or the user has as many tokens as are allowed.",
            None,
        ),
        (
            Error::NotFound,
            "NotFound",
            "There is no such thing, or it is not for the one who asks.",
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
            "Too many failed attempts.",
            retry,
        ),
        (
            Error::Overloaded,
            "ServiceUnavailable",
            "Too many want to sign in at once, or the database is away.",
            retry,
        ),
    ]
}

/// With every method that may have a body, with every body that is taken, and with every token that is
/// asked for.
const OF_METHODS: [&str; 2] = ["408", "413"];
const OF_BODIES: [&str; 3] = ["400", "415", "503"];
const OF_TOKENS: [&str; 2] = ["401", "503"];

fn add_errors(document: &mut openapi::OpenApi) {
    let components = document.components.get_or_insert_with(Components::default);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            add_usual(operation);
        }
        for operation in [
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ]
        .into_iter()
        .flatten()
        {
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
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ]
    .into_iter()
    .flatten()
}

fn add_usual(operation: &mut Operation) {
    let of_bodies = operation.request_body.iter().flat_map(|_| OF_BODIES);
    let of_tokens = operation.security.iter().flat_map(|_| OF_TOKENS);
    let usual: Vec<&str> = of_bodies.chain(of_tokens).collect();
    add(operation, &usual);
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
