//! The layout context that all pages share.

use std::convert::Infallible;

use rocket::Request;
use rocket::http::{Method, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::response::{self, Responder};
use serde::Serialize;

use super::flash::{self, FlashMessage, FlashRedirect};
use super::path_scope::Area;
use super::templates::{Template, grouped};
use super::theme::Theme;
use crate::config::Settings;
use crate::error::Error;

/// The layout of a page for a user who is not signed in. Add this parameter to a handler that renders such a page. It
/// never fails.
pub struct PublicLayout {
    app: String,
    theme: Theme,
    /// The page's URL, for returning to it.
    here: String,
    flash: Option<FlashMessage>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for PublicLayout {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self::of(request))
    }
}

/// The current user, as shown in the navigation.
#[derive(Clone)]
pub(crate) struct Viewer {
    pub name: String,
    pub id: String,
    pub is_admin: bool,
}

/// A form that is shown again after an error.
pub struct RejectedForm {
    /// The error, which determines the status and the headers.
    pub error: Error,
    /// The page with the form.
    pub page: Template,
}

impl<'r> Responder<'r, 'static> for RejectedForm {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = (self.error.status(), self.page).respond_to(request)?;
        for (name, value) in self.error.headers() {
            response.set_raw_header(name, value);
        }
        Ok(response)
    }
}

/// A redirect, the form again with its errors, or an error page.
pub type FormResult<Page = (Status, Template)> = Result<Result<FlashRedirect, Page>, Error>;

#[derive(Serialize)]
struct PageContext<C> {
    app: String,
    theme: &'static str,
    here: String,
    flash: Option<FlashMessage>,
    viewer: Option<String>,
    viewer_id: Option<String>,
    viewer_is_admin: bool,
    page: C,
}

impl PublicLayout {
    /// Removes the flash message, so it is called only for a page that shows it.
    pub(crate) fn of(request: &Request<'_>) -> Self {
        let settings = request.rocket().state::<Settings>();
        Self {
            app: settings
                .map(|settings| settings.name.clone())
                .unwrap_or_default(),
            theme: Theme::of(request),
            // A URL that was posted to is not a page to return to.
            here: match request.method() {
                Method::Get => request.uri().to_string(),
                _ => Area::of(request).home().to_owned(),
            },
            flash: flash::take(request),
        }
    }

    /// Renders the page. Templates see `content` as `page`.
    pub fn render(self, template: &'static str, content: impl Serialize) -> Template {
        self.render_for(template, None, content)
    }

    pub(crate) fn render_for(
        self,
        template: &'static str,
        viewer: Option<Viewer>,
        content: impl Serialize,
    ) -> Template {
        let context = PageContext {
            app: self.app,
            theme: self.theme.as_str(),
            here: self.here,
            flash: self.flash,
            viewer_is_admin: viewer.as_ref().is_some_and(|viewer| viewer.is_admin),
            viewer_id: viewer.as_ref().map(|viewer| viewer.id.clone()),
            viewer: viewer.map(|viewer| viewer.name),
            page: content,
        };
        Template::render(template, context)
    }
}

/// Isolates the writing direction of a name inside plain text (UAX #9, 2.4.2). In markup, `<bdi>` does this.
pub fn isolated(name: &str) -> String {
    format!("\u{2068}{name}\u{2069}")
}

/// "1 user", "3 users".
pub fn users(count: u64) -> String {
    match count {
        0 => "No users".into(),
        1 => "1 user".into(),
        _ => format!("{count} users"),
    }
}

/// "1 token", "3 tokens".
pub fn tokens(count: u64) -> String {
    match count {
        0 => "No tokens".into(),
        1 => "1 token".into(),
        _ => format!("{} tokens", grouped(count.try_into().unwrap_or(i64::MAX))),
    }
}
