//! Error responses of every operation, and the fields that they can have messages about.

use std::collections::BTreeSet;

use rocket::http::Method;
use serde_json::{Map, Value};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{self, Components, ContentBuilder, ObjectBuilder, Ref, RefOr};

use crate::error::Error;
use crate::web::catchers::Problem;

/// The description of every body. The document lists no content types for forms: for two types with one schema,
/// openapi-python-client generates code that does not run, and other generators use the first type.
const BODY_DESCRIPTION: &str = "JSON. The same fields are accepted as `application/x-www-form-urlencoded`, and as \
    `multipart/form-data` without files.";

/// An error, the name of its response, its cause, and its header with a description.
type ErrorResponse = (
    Error,
    &'static str,
    &'static str,
    Option<(&'static str, &'static str)>,
);

fn error_responses() -> [ErrorResponse; 10] {
    let retry = Some(("Retry-After", "Seconds to wait before the next attempt."));
    [
        (
            Error::invalid("client", "This field is required."),
            "BadRequest",
            "The body is malformed, a field is invalid, or the credentials are wrong.",
            None,
        ),
        (
            Error::InvalidToken,
            "Unauthorized",
            "The token is missing, malformed, unknown, expired or revoked, or its user is disabled.",
            Some((
                "WWW-Authenticate",
                "`Bearer`, with `error=\"invalid_token\"` if the request had a token.",
            )),
        ),
        (
            Error::CrossOrigin("https://app.example.com".into()),
            "Forbidden",
            "The request comes from a page of another origin, is not allowed, or exceeds a limit of \
             the user.",
            None,
        ),
        (
            Error::NotFound,
            "NotFound",
            "The item does not exist or belongs to another user.",
            None,
        ),
        (
            Error::Conflict("This is the last active admin. Make another user an admin first."),
            "Conflict",
            "The last active admin cannot be deleted.",
            None,
        ),
        (
            Error::BodyTimeout(10),
            "RequestTimeout",
            "The body did not arrive completely in time.",
            None,
        ),
        (
            Error::TooLarge(8 * 1024),
            "ContentTooLarge",
            "The body is larger than 8 KiB or than the operation's own limit.",
            None,
        ),
        (
            Error::UnsupportedMediaType(Method::Post),
            "UnsupportedMediaType",
            "The body is neither JSON nor a form, or it has a Content-Encoding.",
            Some((
                "Accept-Post",
                "The content types that the server accepts for this body.",
            )),
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

/// The statuses of every method that may have a body.
const BODY_METHOD_STATUSES: [&str; 2] = ["408", "413"];
/// The statuses of every operation that takes a body.
const BODY_STATUSES: [&str; 3] = ["400", "415", "503"];
/// The statuses of every operation that requires a token.
const TOKEN_STATUSES: [&str; 2] = ["401", "503"];

pub(super) fn add_errors(document: &mut openapi::OpenApi) {
    let components = document.components.get_or_insert_with(Components::default);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            add_common(operation);
        }
        for operation in operations_with_body(item) {
            add_statuses(operation, &BODY_METHOD_STATUSES);
        }
    }
    for (error, name, cause, header) in error_responses() {
        let status = error.status().code.to_string();
        let response = RefOr::T(problem(&error, cause, header));
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

/// The operations whose method may have a body.
fn operations_with_body(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [put, post, delete, patch].into_iter().flatten()
}

fn add_common(operation: &mut Operation) {
    // An empty list means that anyone may call it. A missing list would leave that open.
    let security = operation.security.get_or_insert_default();
    if !security.is_empty() {
        add_statuses(operation, &TOKEN_STATUSES);
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        let own = body.description.take();
        let parts = own.iter().map(String::as_str).chain([BODY_DESCRIPTION]);
        body.description = Some(parts.collect::<Vec<_>>().join(" "));
        add_statuses(operation, &BODY_STATUSES);
    }
}

fn add_statuses(operation: &mut Operation, statuses: &[&str]) {
    for &status in statuses {
        let responses = &mut operation.responses.responses;
        responses.insert(status.into(), RefOr::T(Response::new("")));
    }
}

fn problem(error: &Error, cause: &str, header: Option<(&str, &str)>) -> Response {
    let example = Problem::new(
        error.status(),
        Some(error),
        "01937b2e-9c4a-7c3e-8f0a-3d5c1e2b4a60",
    );
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .example(serde_json::to_value(example).ok());
    let mut response = ResponseBuilder::new()
        .description(cause)
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

/// Names every field with possible messages as a member of `Problem`. `additionalProperties` would clash with the types
/// of `status` and `title`.
pub(super) fn name_fields(document: &mut openapi::OpenApi) -> Result<(), serde_json::Error> {
    let names = field_names(&serde_json::to_value(&*document)?);
    let components = document.components.get_or_insert_default();
    if let Some(RefOr::T(Schema::Object(problem))) = components.schemas.get_mut("Problem") {
        for name in names {
            let text = ObjectBuilder::new().schema_type(Type::String);
            let messages = ArrayBuilder::new().items(text).build();
            let schema = match problem.properties.remove(&name) {
                None => RefOr::T(Schema::Array(messages)),
                // Messages about a field of that name replace the member.
                Some(member) => {
                    problem.required.retain(|required| *required != name);
                    OneOfBuilder::new().item(member).item(messages).into()
                }
            };
            problem.properties.insert(name, schema);
        }
    }
    Ok(())
}

/// The fields of every body and every query, and `non_field_errors`.
fn field_names(document: &Value) -> BTreeSet<String> {
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
