//! The error type of all requests, with its status, headers and message for the client.

use std::collections::BTreeMap;

use rocket::http::{Method, Status};

use crate::application::application;

mod fields;
mod stash;

pub use self::fields::{FieldErrors, FieldMessage};

/// An error of a request, returned by handlers and guards.
///
/// It is stashed in the request, and the catchers (`web::catchers`) format it as problem details or as a page.
/// Internals never leave the process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body does not match its content type.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// Fields are missing or invalid.
    #[error("invalid input: {0:?}")]
    Invalid(FieldErrors),
    /// Fields are missing or invalid, because the body seems to be JSON but was sent as a form.
    #[error("JSON sent as a form")]
    JsonAsForm(FieldErrors),
    /// The username or password is wrong, or the user may not sign in here. Clients can't tell which, so they can't
    /// find out who has an account.
    #[error("wrong credentials")]
    InvalidCredentials,
    /// A guarded route was requested without credentials.
    #[error("no credentials")]
    NoCredentials,
    /// The token is unknown, malformed, expired or revoked, or its user is disabled.
    #[error("invalid token")]
    InvalidToken,
    /// A page was requested without a session. Holds the path to return to after sign-in.
    #[error("sign-in required")]
    SignInRequired(Option<String>),
    /// A page of another origin sent a mutation. Holds the expected origin.
    #[error("cross-origin request refused, expected origin {0}")]
    CrossOrigin(String),
    /// The user has `tokens_per_user` tokens, and `tokens_full` is `reject`.
    #[error("too many tokens")]
    TooManyTokens,
    /// The user has reached a limit, which the text names.
    #[error("{0}")]
    LimitReached(&'static str),
    /// Sign-up is closed, or requires an invitation.
    #[error("sign-up is closed")]
    SignUpClosed,
    /// The resource does not exist, or not for this user.
    #[error("not found")]
    NotFound,
    /// The path takes only these methods.
    #[error("method not allowed")]
    MethodNotAllowed(Vec<Method>),
    /// The change conflicts with the current state. The text says how.
    #[error("{0}")]
    Conflict(&'static str),
    /// The body did not arrive within this many seconds.
    #[error("body incomplete after {0} seconds")]
    BodyTimeout(u64),
    /// The body is longer than this many bytes.
    #[error("body larger than {0} bytes")]
    TooLarge(u64),
    /// The body of a request with this method is neither JSON nor a form, or has a content encoding.
    #[error("unsupported media type")]
    UnsupportedMediaType(Method),
    /// Too many logins to the account or from the address. Retry after this many seconds.
    #[error("too many logins")]
    Throttled(u64),
    /// The queue for password hashing is full.
    #[error("the hashing queue is full")]
    Overloaded,
    /// The request did not finish before its deadline.
    #[error("timed out")]
    TimedOut,
    /// The database failed or is unreachable.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A bug. The text is for the log.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

const ACCEPTED: &str = "application/json, application/x-www-form-urlencoded, multipart/form-data";

impl Error {
    /// The status of the response.
    pub fn status(&self) -> Status {
        match self {
            Self::Malformed(_)
            | Self::Invalid(_)
            | Self::JsonAsForm(_)
            | Self::InvalidCredentials => Status::BadRequest,
            Self::NoCredentials | Self::InvalidToken | Self::SignInRequired(_) => {
                Status::Unauthorized
            }
            Self::CrossOrigin(_)
            | Self::TooManyTokens
            | Self::LimitReached(_)
            | Self::SignUpClosed => Status::Forbidden,
            Self::NotFound => Status::NotFound,
            Self::MethodNotAllowed(_) => Status::MethodNotAllowed,
            Self::Conflict(_) => Status::Conflict,
            Self::BodyTimeout(_) => Status::RequestTimeout,
            Self::TooLarge(_) => Status::PayloadTooLarge,
            Self::UnsupportedMediaType(_) => Status::UnsupportedMediaType,
            Self::Throttled(_) => Status::TooManyRequests,
            Self::Overloaded | Self::TimedOut | Self::Database(_) => Status::ServiceUnavailable,
            Self::Internal(_) => Status::InternalServerError,
        }
    }

    /// The message for the client, as a sentence.
    pub fn detail(&self) -> String {
        match self {
            Self::Malformed(what) => format!("The request body could not be read: {what}."),
            Self::Invalid(_) => "Some fields are invalid.".into(),
            Self::JsonAsForm(_) => {
                "The body looks like JSON: send it with Content-Type: application/json.".into()
            }
            Self::InvalidCredentials => "Unable to log in with provided credentials.".into(),
            Self::NoCredentials => "Authentication credentials were not provided.".into(),
            Self::InvalidToken => "Invalid token.".into(),
            Self::SignInRequired(_) => "Sign in to continue.".into(),
            Self::CrossOrigin(expected) => format!(
                "Requests from other sites are refused. The origin of this site is {expected} \
                 (public_url)."
            ),
            Self::TooManyTokens => {
                "This user has the maximum number of tokens. Revoke one and try again.".into()
            }
            Self::SignUpClosed => "Sign-up is closed or requires an invitation.".into(),
            Self::NotFound => "This page or resource does not exist.".into(),
            Self::MethodNotAllowed(_) => "This path does not support this method.".into(),
            Self::Conflict(how) | Self::LimitReached(how) => (*how).into(),
            Self::BodyTimeout(seconds) => {
                format!("The request body did not arrive completely within {seconds} seconds.")
            }
            Self::TooLarge(limit) => format!("The request body is larger than {limit} bytes."),
            Self::UnsupportedMediaType(_) => format!(
                "Set Content-Type to one of {ACCEPTED}, and send the body without Content-Encoding."
            ),
            Self::Throttled(seconds) => {
                let wait = match seconds.div_ceil(60) {
                    1 => "1 minute".into(),
                    minutes @ ..=60 => format!("{minutes} minutes"),
                    minutes => format!("{} hours", minutes.div_ceil(60)),
                };
                format!("Too many attempts. Try again in {wait}.")
            }
            Self::Overloaded | Self::TimedOut | Self::Database(_) => {
                "The service is temporarily unavailable. Try again in a few seconds.".into()
            }
            Self::Internal(_) => "An internal error occurred.".into(),
        }
    }

    /// Members of problem details that clients of Django REST framework read.
    pub(crate) fn members(&self) -> BTreeMap<&'static str, Vec<String>> {
        match self {
            Self::InvalidCredentials => [("non_field_errors", vec![self.detail()])].into(),
            Self::Invalid(FieldErrors(fields)) | Self::JsonAsForm(FieldErrors(fields)) => {
                fields.clone()
            }
            _ => BTreeMap::new(),
        }
    }

    /// The headers of the response.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            // RFC 6750, section 3: no error code without credentials.
            Self::NoCredentials => {
                vec![("WWW-Authenticate", challenge())]
            }
            Self::InvalidToken => vec![(
                "WWW-Authenticate",
                format!(r#"{}, error="invalid_token""#, challenge()),
            )],
            Self::MethodNotAllowed(methods) => {
                let names: Vec<_> = methods.iter().map(|method| method.as_str()).collect();
                vec![("Allow", names.join(", "))]
            }
            // RFC 9110, 15.5.9: the server does not wait for the rest of the body.
            Self::BodyTimeout(_) => vec![("Connection", "close".into())],
            // Linked Data Platform 1.0, 7.1; RFC 5789, 3.1; RFC 9110, 15.5.16.
            Self::UnsupportedMediaType(method) => {
                let name = match method {
                    Method::Post => "Accept-Post",
                    Method::Patch => "Accept-Patch",
                    _ => "Accept",
                };
                vec![(name, ACCEPTED.into())]
            }
            Self::Throttled(seconds) => vec![("Retry-After", seconds.to_string())],
            Self::Overloaded => vec![("Retry-After", "1".into())],
            Self::Database(_) | Self::TimedOut => vec![("Retry-After", "5".into())],
            _ => vec![],
        }
    }

    /// Logs an error that concerns the operator. Called once, where the error becomes a response.
    pub fn log(&self, request_id: &str) {
        match self {
            // Quoted, so that input repeated by the database cannot forge log lines.
            Self::Database(_) | Self::TimedOut | Self::Internal(_) => {
                tracing::error!(request_id, error = ?self.to_string(), "request failed");
            }
            Self::CrossOrigin(public_url) => tracing::warn!(
                request_id,
                public_url,
                "refused a cross-origin request; if it came from a page of this application, open \
                 that page at public_url, or correct app.public_url"
            ),
            _ => {}
        }
    }
}

/// The `WWW-Authenticate` challenge (RFC 6750, section 3).
fn challenge() -> String {
    format!(r#"Bearer realm="{}""#, application().name)
}
