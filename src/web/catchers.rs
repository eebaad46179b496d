//! How errors look: problem details (RFC 9457) for programs, a page for people.

use std::collections::BTreeMap;
use std::io::Cursor;

use rocket::fairing::AdHoc;
use rocket::http::{ContentType, RawStr, Status};
use rocket::response::{self, Redirect, Responder};
use rocket::{Request, Response, catch, catchers};
use rocket_dyn_templates::{Template, context};
use serde::Serialize;
use utoipa::ToSchema;

use super::theme::Theme;
use super::{headers, methods, observe, request_id};
use crate::config::Settings;
use crate::error::Error;

/// One catcher for every status.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("error pages", |rocket| async {
        rocket.register("/", catchers![any])
    })
}

#[catch(default)]
fn any<'r>(status: Status, request: &'r Request<'_>) -> Dressed<'r> {
    Dressed {
        status,
        error: Error::stashed(request, status),
        viewer: request.local_cache(|| Viewer(None)),
    }
}

/// The admin who is signed in, for the navigation of an error page: the username and the id.
struct Viewer(Option<(String, String)>);

/// Notes the admin whom a guard has found.
pub fn note_viewer(request: &Request<'_>, username: &str, id: impl ToString) {
    request.local_cache(|| Viewer(Some((username.to_owned(), id.to_string()))));
}

struct Dressed<'r> {
    status: Status,
    /// None where Rocket itself found fault with the request.
    error: Option<&'r Error>,
    viewer: &'r Viewer,
}

impl<'r> Responder<'r, 'r> for Dressed<'r> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'r> {
        match self.error {
            Some(Error::SignInRequired(next)) => return sign_in(next.as_deref(), request),
            Some(Error::NotFound | Error::MethodNotAllowed(_)) if is_page(request) => {
                if let Some(page) = methods::page_above(request) {
                    return Redirect::to(page).respond_to(request);
                }
            }
            Some(error) => error.write_down(request_id::of(request)),
            None => {}
        }
        let mut response = match Audience::of(request) {
            Audience::Program => self.problem(request),
            Audience::Person => self.page(request)?,
        };
        for (name, value) in self.error.map(Error::headers).unwrap_or_default() {
            response.set_raw_header(name, value);
        }
        headers::apply(request, &mut response);
        if !observe::is_observed(request) {
            observe::answered(request, self.status);
        }
        Ok(response)
    }
}

/// Problem details (RFC 9457). The members that are lists hold the messages about the field of that name;
/// `non_field_errors` holds those about the credentials.
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says it all.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    #[schema(example = "Bad Request")]
    title: &'static str,
    /// The status.
    #[schema(minimum = 400, maximum = 599, example = 400)]
    status: u16,
    /// What it means for this request.
    #[schema(example = "Some fields need another value.")]
    detail: String,
    /// Names the request in the server's log and in the audit log.
    #[schema(example = "01937b2e-9c4a-7c3e-8f0a-3d5c1e2b4a60")]
    request_id: String,
    // Its schema names each: `api/description.rs` adds the fields of every request.
    #[serde(flatten)]
    #[schema(ignore)]
    messages: BTreeMap<&'static str, Vec<String>>,
}

impl Problem {
    /// What is said of an error; none where Rocket itself found fault with the request.
    pub fn new(status: Status, error: Option<&Error>, request_id: &str) -> Self {
        Self {
            kind: "about:blank",
            title: title(status),
            status: status.code,
            detail: detail(status, error),
            request_id: request_id.to_owned(),
            messages: error.map(Error::members).unwrap_or_default(),
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
        (None, _) => "The request could not be understood.".into(),
    }
}

impl<'r> Dressed<'r> {
    fn problem(&self, request: &Request<'_>) -> Response<'r> {
        let problem = Problem::new(self.status, self.error, request_id::of(request));
        // Text, numbers and lists of them can always be written.
        let body = serde_json::to_string(&problem).unwrap_or_default();
        Response::build()
            .status(self.status)
            .header(ContentType::new("application", "problem+json"))
            .sized_body(body.len(), Cursor::new(body))
            .finalize()
    }

    fn page(&self, request: &'r Request<'_>) -> response::Result<'r> {
        let viewer = self.viewer.0.as_ref();
        let template = if viewer.is_some() {
            "admin/error"
        } else {
            "error"
        };
        let page = Template::render(
            template,
            context! {
                viewer: viewer.map(|(username, _)| username),
                viewer_id: viewer.map(|(_, id)| id),
                // What failed is no page to come back to.
                here: "/admin/",
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
    Redirect::to(format!("/admin/login{}", query.unwrap_or_default())).respond_to(request)
}

/// Whether the path is one of a page, whatever the request accepts.
fn is_page(request: &Request<'_>) -> bool {
    request.uri().path().segments().next() == Some("admin")
}

enum Audience {
    Program,
    Person,
}

impl Audience {
    /// JSON under `/auth`, pages under `/admin`, elsewhere what `Accept` prefers.
    fn of(request: &Request<'_>) -> Self {
        let accepts_page = || {
            request
                .accept()
                .is_some_and(|accept| accept.preferred().is_html())
        };
        match request.uri().path().segments().next() {
            Some("auth") => Self::Program,
            _ if is_page(request) || accepts_page() => Self::Person,
            _ => Self::Program,
        }
    }
}
