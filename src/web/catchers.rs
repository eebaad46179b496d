//! How errors look: problem details (RFC 9457) for programs, a page for people.

use std::io::Cursor;

use rocket::fairing::AdHoc;
use rocket::http::{ContentType, RawStr, Status};
use rocket::response::{self, Redirect, Responder};
use rocket::{Request, Response, catch, catchers};
use rocket_dyn_templates::{Template, context};
use serde_json::{Map, Value, json};

use super::theme::Theme;
use super::{headers, observe, request_id};
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
    }
}

struct Dressed<'r> {
    status: Status,
    /// None where Rocket itself found fault with the request.
    error: Option<&'r Error>,
}

impl<'r> Responder<'r, 'r> for Dressed<'r> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'r> {
        match self.error {
            Some(Error::SignInRequired(next)) => return sign_in(next.as_deref(), request),
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
            observe::log(request, self.status);
        }
        Ok(response)
    }
}

impl<'r> Dressed<'r> {
    fn title(&self) -> &'static str {
        self.status.reason().unwrap_or("Error")
    }

    fn detail(&self) -> String {
        match (self.error, self.status.code) {
            (Some(error), _) => error.detail(),
            (None, 404) => Error::NotFound.detail(),
            (None, 500) => Error::Internal("").detail(),
            (None, _) => "The request could not be understood.".into(),
        }
    }

    fn problem(&self, request: &Request<'_>) -> Response<'r> {
        let mut body = Map::new();
        body.insert("type".into(), json!("about:blank"));
        body.insert("title".into(), json!(self.title()));
        body.insert("status".into(), json!(self.status.code));
        body.insert("detail".into(), json!(self.detail()));
        body.insert("request_id".into(), json!(request_id::of(request)));
        body.extend(self.error.map(Error::members).unwrap_or_default());
        let body = Value::Object(body).to_string();
        Response::build()
            .status(self.status)
            .header(ContentType::new("application", "problem+json"))
            .sized_body(body.len(), Cursor::new(body))
            .finalize()
    }

    fn page(&self, request: &'r Request<'_>) -> response::Result<'r> {
        let page = Template::render(
            "error",
            context! {
                app: request.rocket().state::<Settings>().map(|settings| settings.name.clone()),
                status: self.status.code,
                theme: Theme::of(request).as_str(),
                title: self.title(),
                detail: self.detail(),
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
            Some("admin") => Self::Person,
            _ if accepts_page() => Self::Person,
            _ => Self::Program,
        }
    }
}
