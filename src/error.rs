//! The one error of a request: what went wrong, which status it has, and what the asker may know.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use rocket::http::{Method, Status};
use rocket::request::Request;
use rocket::response::{self, Responder};
use serde::Serialize;

/// Field names with what is wrong with each, in the form that clients of Django REST framework
/// read: `{"client": ["This field is required."]}`.
#[derive(Debug, Default)]
pub struct FieldErrors(BTreeMap<&'static str, Vec<String>>);

impl FieldErrors {
    /// Adds one complaint about `field`.
    pub fn add(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.entry(field).or_default().push(message.into());
    }

    /// `value`, unless a complaint was added.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every complaint.
    pub fn into_result<T>(self, value: T) -> Result<T, Error> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(Error::Invalid(self))
        }
    }

    /// One complaint about one field.
    pub fn of(field: &'static str, message: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, message);
        errors
    }

    /// One complaint about one field, as an error.
    pub fn one(field: &'static str, message: impl Into<String>) -> Error {
        Error::Invalid(Self::of(field, message))
    }

    /// Whether there is no complaint.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every complaint with its field, for a form that is shown again.
    pub fn by_field(&self) -> Vec<Complaint<'_>> {
        let fields = self.0.iter();
        let complaints =
            fields.flat_map(|(field, texts)| texts.iter().map(|text| Complaint { field, text }));
        complaints.collect()
    }

    /// Every complaint, field by field.
    pub fn messages(&self) -> Vec<&str> {
        self.0.values().flatten().map(String::as_str).collect()
    }
}

/// What is wrong with a field.
#[derive(Debug, Serialize)]
pub struct Complaint<'a> {
    field: &'static str,
    text: &'a str,
}

/// Everything that ends a request without its answer.
///
/// A handler or a guard returns it; it is kept with the request, and the catchers
/// ([`crate::web::catchers`]) dress it as problem details or as a page. Internals never leave the
/// process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not what its content type says.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// Fields are missing or unfit.
    #[error("invalid input: {0:?}")]
    Invalid(FieldErrors),
    /// The same, of a body that seems to be JSON but came as a form.
    #[error("JSON as a form")]
    JsonAsForm(FieldErrors),
    /// Username and password do not belong together, or the user may not sign in here. It does
    /// not tell which, so that it can't be used to find out who has an account.
    #[error("wrong credentials")]
    InvalidCredentials,
    /// A guarded route was asked for without credentials.
    #[error("no credentials")]
    NoCredentials,
    /// The token presented is unknown, malformed, expired or revoked, or its user is disabled.
    #[error("invalid token")]
    InvalidToken,
    /// A page of the admin was asked for without a session; holds where to go back to.
    #[error("sign-in required")]
    SignInRequired(Option<String>),
    /// A page of another origin than this one, which browsers are expected to see, tried to change
    /// something.
    #[error("cross-origin request refused; {0} is expected")]
    CrossOrigin(String),
    /// The user has as many tokens as `tokens_per_user` allows and `tokens_full` is `reject`.
    #[error("too many tokens")]
    TooManyTokens,
    /// The user has the maximum of something; the text says of what.
    #[error("{0}")]
    LimitReached(&'static str),
    /// What was asked for does not exist, or not for this user.
    #[error("not found")]
    NotFound,
    /// The path exists, with these methods only.
    #[error("method not allowed")]
    MethodNotAllowed(Vec<Method>),
    /// The change contradicts the state of things; the text says how.
    #[error("{0}")]
    Conflict(&'static str),
    /// The body did not arrive within this many seconds.
    #[error("no whole body in {0} seconds")]
    BodyTimeout(u64),
    /// The body is longer than this many bytes.
    #[error("body over {0} bytes")]
    TooLarge(u64),
    /// The body of a request with this method is neither JSON nor a form, or it is encoded.
    #[error("unsupported media type")]
    UnsupportedMediaType(Method),
    /// Logins to the account, or from the address, failed or succeeded too often; try again in so many
    /// seconds.
    #[error("too many logins")]
    Throttled(u64),
    /// More passwords wait to be hashed than the queue takes.
    #[error("the hashing queue is full")]
    Overloaded,
    /// The request waited too long, for whatever it was.
    #[error("no answer in time")]
    TimedOut,
    /// The database failed or is away.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A bug; the text is for the log.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

/// What a body may be sent as.
const ACCEPTED: &str = "application/json, application/x-www-form-urlencoded, multipart/form-data";

impl Error {
    /// The status it answers with.
    pub fn status(&self) -> Status {
        match self {
            Self::Malformed(_)
            | Self::Invalid(_)
            | Self::JsonAsForm(_)
            | Self::InvalidCredentials => Status::BadRequest,
            Self::NoCredentials | Self::InvalidToken | Self::SignInRequired(_) => {
                Status::Unauthorized
            }
            Self::CrossOrigin(_) | Self::TooManyTokens | Self::LimitReached(_) => Status::Forbidden,
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

    /// What the asker may know, in a sentence.
    pub fn detail(&self) -> String {
        match self {
            Self::Malformed(what) => format!("The request could not be read: {what}."),
            Self::Invalid(_) => "Some fields need another value.".into(),
            Self::JsonAsForm(_) => {
                "The body looks like JSON: send it with Content-Type: application/json.".into()
            }
            Self::InvalidCredentials => "Unable to log in with provided credentials.".into(),
            Self::NoCredentials => "Authentication credentials were not provided.".into(),
            Self::InvalidToken => "Invalid token.".into(),
            Self::SignInRequired(_) => "Sign in first.".into(),
            Self::CrossOrigin(expected) => format!(
                "Requests from other sites are not accepted here. The address of this one is \
                 {expected} (public_url)."
            ),
            Self::TooManyTokens => {
                "This user has as many tokens as are allowed. End one and try again.".into()
            }
            Self::NotFound => "There is nothing here.".into(),
            Self::MethodNotAllowed(_) => "This path does not take that method.".into(),
            Self::Conflict(how) | Self::LimitReached(how) => (*how).into(),
            Self::BodyTimeout(seconds) => {
                format!("The whole body did not arrive within {seconds} seconds.")
            }
            Self::TooLarge(limit) => format!("The body is longer than {limit} bytes."),
            Self::UnsupportedMediaType(_) => format!(
                "Send one of {ACCEPTED}, without a Content-Encoding, and say so in Content-Type."
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
                "The service cannot answer right now. Try again shortly.".into()
            }
            Self::Internal(_) => "Something went wrong on our side.".into(),
        }
    }

    /// The members that clients of Django REST framework read, beside those of RFC 9457.
    pub fn members(&self) -> BTreeMap<&'static str, Vec<String>> {
        match self {
            Self::InvalidCredentials => [("non_field_errors", vec![self.detail()])].into(),
            Self::Invalid(FieldErrors(fields)) | Self::JsonAsForm(FieldErrors(fields)) => {
                fields.clone()
            }
            _ => BTreeMap::new(),
        }
    }

    /// The headers that go with it.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            // RFC 6750, section 3: no error code where no credentials were given.
            Self::NoCredentials => {
                vec![("WWW-Authenticate", r#"Bearer realm="multitoken""#.into())]
            }
            Self::InvalidToken => vec![(
                "WWW-Authenticate",
                r#"Bearer realm="multitoken", error="invalid_token""#.into(),
            )],
            Self::MethodNotAllowed(methods) => {
                let names: Vec<_> = methods.iter().map(|method| method.as_str()).collect();
                vec![("Allow", names.join(", "))]
            }
            // RFC 9110, 15.5.9: the rest of the body is not waited for.
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

    /// Writes what the operator has to know into the log, once, where the error becomes an answer.
    pub fn write_down(&self, request_id: &str) {
        match self {
            // As a quoted string: what a database repeats of its input writes no lines here.
            Self::Database(_) | Self::TimedOut | Self::Internal(_) => {
                tracing::error!(request_id, error = ?self.to_string(), "failed");
            }
            Self::CrossOrigin(public_url) => tracing::warn!(
                request_id,
                public_url,
                "refused a request from a page of another origin than public_url; if that was one \
                 of this application's pages, open it at public_url or change app.public_url"
            ),
            _ => {}
        }
    }

    /// Keeps the error with the request, for the catchers to dress, and returns its status.
    ///
    /// What guards fail with, Rocket prints; so they fail with the status alone and leave the rest
    /// here.
    pub fn stash(self, request: &Request<'_>) -> Status {
        let status = self.status();
        let mut kept = Some(self);
        for place in &request.local_cache(Stash::default).0 {
            if let Some(error) = kept.take() {
                kept = place.set(error).err();
            }
        }
        status
    }

    /// The status of the last error that was kept with the request, if any.
    pub fn last_status(request: &Request<'_>) -> Option<Status> {
        let places = request.local_cache(Stash::default).0.iter();
        places.rev().find_map(OnceLock::get).map(Self::status)
    }

    /// The last error with that status that was kept with the request, if any. What a guard left
    /// that was no reason in the end (`Option<User>`) has another, or comes before it.
    pub fn stashed<'r>(request: &'r Request<'_>, status: Status) -> Option<&'r Self> {
        let places = request.local_cache(Stash::default).0.iter();
        let errors = places.rev().filter_map(OnceLock::get);
        errors.into_iter().find(|error| error.status() == status)
    }
}

/// Room for as many errors as a handler has guards that it may do without, and for its own.
#[derive(Default)]
struct Stash([OnceLock<Error>; 4]);

impl<'r> Responder<'r, 'static> for Error {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        Err(self.stash(request))
    }
}
