//! Error catchers: problem details (RFC 9457) for programs, HTML pages for people.

use std::collections::BTreeMap;
use std::io::Cursor;

use rocket::fairing::AdHoc;
use rocket::http::{ContentType, RawStr, Status};
use rocket::response::{self, Redirect, Responder};
use rocket::{Request, Response, catch, catchers};
use serde::Serialize;
use utoipa::ToSchema;

use super::page::Viewer;
use super::path_scope::{Area, Scope};
use super::theme::Theme;
use super::{access_log, fallbacks, headers, request_id};
use crate::config::Settings;
use crate::context;
use crate::error::Error;
use crate::web::templates::Template;

/// Registers one catcher for every status in the scope.
pub fn stage(scope: Scope) -> AdHoc {
    AdHoc::on_ignite("error pages", move |rocket| async move {
        let bases = scope.bases().iter();
        bases.fold(rocket, |rocket, base| {
            rocket.register(*base, catchers![catch_all])
        })
    })
}

#[catch(default)]
fn catch_all<'r>(status: Status, request: &'r Request<'_>) -> ErrorResponder<'r> {
    ErrorResponder {
        status,
        error: Error::stashed(request, status),
        viewer: request.local_cache(|| CachedViewer(None)).0.as_ref(),
    }
}

struct CachedViewer(Option<Viewer>);

/// Stores the current user, found by a guard, for the navigation of an error page.
pub fn store_viewer(request: &Request<'_>, viewer: Viewer) {
    request.local_cache(|| CachedViewer(Some(viewer)));
}

struct ErrorResponder<'r> {
    status: Status,
    /// None if Rocket itself refused the request.
    error: Option<&'r Error>,
    viewer: Option<&'r Viewer>,
}

impl<'r> Responder<'r, 'r> for ErrorResponder<'r> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'r> {
        match self.error {
            Some(Error::SignInRequired(next)) => return sign_in(next.as_deref(), request),
            Some(Error::NotFound | Error::MethodNotAllowed(_)) if is_page(request) => {
                if let Some(page) = fallbacks::nearest_page(request) {
                    return Redirect::to(page).respond_to(request);
                }
            }
            Some(error) => error.log(request_id::of(request)),
            None => {}
        }
        let mut response = match ErrorFormat::of(request) {
            ErrorFormat::Json => self.problem(request),
            ErrorFormat::Html => self.page(request)?,
        };
        for (name, value) in self.error.map(Error::headers).unwrap_or_default() {
            response.set_raw_header(name, value);
        }
        headers::apply(request, &mut response);
        if !access_log::is_observed(request) {
            access_log::record_request(request, self.status);
        }
        Ok(response)
    }
}

/// Problem details (RFC 9457). List members hold the messages about the field of that name, and `non_field_errors`
/// those about the credentials. Messages about a field called `title`, `status` or `detail` replace that member, which
/// clients of problem details then ignore (section 3.1).
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status identifies the problem.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The reason phrase of the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = true, example = "Bad Request")]
    title: Option<&'static str>,
    /// The status code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u16, required = true, minimum = 400, maximum = 599, example = 400)]
    status: Option<u16>,
    /// An explanation for this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = true, example = "Some fields are invalid.")]
    detail: Option<String>,
    /// Identifies the request in the server's log and in the audit log.
    #[schema(example = "01937b2e-9c4a-7c3e-8f0a-3d5c1e2b4a60")]
    request_id: String,
    // `api/description.rs` adds the fields of every request to the schema.
    #[serde(flatten)]
    #[schema(ignore)]
    messages: BTreeMap<&'static str, Vec<String>>,
}

impl Problem {
    /// `error` is none if Rocket itself refused the request.
    pub fn new(status: Status, error: Option<&Error>, request_id: &str) -> Self {
        let messages = error.map(Error::members).unwrap_or_default();
        let is_unused = |member| !messages.contains_key(member);
        Self {
            kind: "about:blank",
            title: is_unused("title").then(|| title(status)),
            status: is_unused("status").then_some(status.code),
            detail: is_unused("detail").then(|| detail(status, error)),
            request_id: request_id.to_owned(),
            messages,
        }
    }
}

fn title(status: Status) -> &'static str {
    status.reason().unwrap_or("Error")
}

fn detail(status: Status, error: Option<&Error>) -> String {
    match (error, status.code) {
        (Some(error), _) => error.detail(),
        (None, 404) => Error::NotFound.detail(),
        (None, 500) => Error::Internal("").detail(),
        (None, _) => "The server could not understand the request.".into(),
    }
}

impl<'r> ErrorResponder<'r> {
    fn problem(&self, request: &Request<'_>) -> Response<'r> {
        let problem = Problem::new(self.status, self.error, request_id::of(request));
        // Serializing texts, numbers and lists of them cannot fail.
        let body = serde_json::to_string(&problem).unwrap_or_default();
        Response::build()
            .status(self.status)
            .header(ContentType::new("application", "problem+json"))
            .sized_body(body.len(), Cursor::new(body))
            .finalize()
    }

    fn page(&self, request: &'r Request<'_>) -> response::Result<'r> {
        let template = match (self.viewer, Area::find(request)) {
            (Some(_), Some(Area::Admin)) => "admin/error",
            (Some(_), Some(Area::Account)) => "account/error",
            _ => "error",
        };
        let page = Template::render(
            template,
            context! {
                viewer: self.viewer.map(|viewer| &viewer.name),
                viewer_id: self.viewer.map(|viewer| &viewer.id),
                viewer_is_admin: self.viewer.is_some_and(|viewer| viewer.is_admin),
                // A URL that failed is not a page to return to.
                here: Area::of(request).home(),
                app: request.rocket().state::<Settings>().map(|settings| settings.name.clone()),
                status: self.status.code,
                theme: Theme::of(request).as_str(),
                title: title(self.status),
                detail: detail(self.status, self.error),
                request_id: request_id::of(request),
            },
        );
        (self.status, page).respond_to(request)
    }
}

fn sign_in<'r>(next: Option<&str>, request: &'r Request<'_>) -> response::Result<'r> {
    let query = next.map(|next| format!("?next={}", RawStr::new(next).percent_encode()));
    let page = Area::of(request).sign_in();
    Redirect::to(format!("{page}{}", query.unwrap_or_default())).respond_to(request)
}

fn is_page(request: &Request<'_>) -> bool {
    Area::find(request).is_some()
}

enum ErrorFormat {
    Json,
    Html,
}

impl ErrorFormat {
    /// JSON under `/auth`, pages under `/admin` and `/account`, elsewhere what `Accept` prefers.
    fn of(request: &Request<'_>) -> Self {
        let accepts_page = || {
            request
                .accept()
                .is_some_and(|accept| accept.preferred().is_html())
        };
        match request.uri().path().segments().next() {
            Some("auth") => Self::Json,
            _ if is_page(request) || accepts_page() => Self::Html,
            _ => Self::Json,
        }
    }
}
