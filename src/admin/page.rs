//! What every page of the admin has in common.

use std::convert::Infallible;

use rocket::Request;
use rocket::http::Method;
use rocket::request::{FromRequest, Outcome};
use rocket_dyn_templates::Template;
use serde::Serialize;

use super::flash::Message;
use super::{HOME, flash};
use crate::auth::guard::Admin;
use crate::config::Settings;
use crate::identity::{ClientName, canonical, is_control};
use crate::web::templates::grouped;
use crate::web::theme::Theme;

/// The frame that a page is shown in: its admin, the application's name, the theme, and what the last
/// action has to say. Add this parameter to a handler that renders a page; it fails as [`Admin`]
/// does.
pub struct Frame {
    admin: Admin,
    outside: Outside,
}

/// The frame of a page for those who are not signed in. Add this parameter to a handler that renders
/// one; it never fails.
pub struct Outside {
    app: String,
    theme: Theme,
    /// Where the page is, for coming back to it.
    here: String,
    flash: Option<Message>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Frame {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let admin = match Admin::from_request(request).await {
            Outcome::Success(admin) => admin,
            Outcome::Error(error) => return Outcome::Error(error),
            Outcome::Forward(status) => return Outcome::Forward(status),
        };
        let outside = Outside::of(request);
        Outcome::Success(Self { admin, outside })
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Outside {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self::of(request))
    }
}

#[derive(Serialize)]
struct Context<C> {
    app: String,
    theme: &'static str,
    here: String,
    flash: Option<Message>,
    viewer: Option<String>,
    viewer_id: Option<String>,
    page: C,
}

impl Frame {
    /// Who looks at the page.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The page, with `content` as the template's own part of the context.
    pub fn render(self, template: &'static str, content: impl Serialize) -> Template {
        let (name, id) = (&self.admin.username, self.admin.user_id);
        let viewer = Some((name.clone(), id.to_string()));
        self.outside.template(template, viewer, content)
    }
}

impl Outside {
    /// Taking the message out ends it, so this is asked only for a page that shows it.
    fn of(request: &Request<'_>) -> Self {
        let settings = request.rocket().state::<Settings>();
        Self {
            app: settings
                .map(|settings| settings.name.clone())
                .unwrap_or_default(),
            theme: Theme::of(request),
            // What a form sent can't be come back to.
            here: match request.method() {
                Method::Get => request.uri().to_string(),
                _ => HOME.to_owned(),
            },
            flash: flash::take(request),
        }
    }

    /// The page, with `content` as the template's own part of the context.
    pub fn render(self, template: &'static str, content: impl Serialize) -> Template {
        self.template(template, None, content)
    }

    fn template(
        self,
        template: &'static str,
        viewer: Option<(String, String)>,
        content: impl Serialize,
    ) -> Template {
        let (viewer, viewer_id) = viewer.unzip();
        let context = Context {
            app: self.app,
            theme: self.theme.as_str(),
            here: self.here,
            flash: self.flash,
            viewer,
            viewer_id,
            page: content,
        };
        Template::render(template, context)
    }
}

/// A name inside a sentence of plain text, set apart so that its writing direction stays its own
/// (UAX #9, 2.4.2); where there is markup, `<bdi>` does that.
pub fn isolated(name: &str) -> String {
    format!("\u{2068}{name}\u{2069}")
}

/// What was typed into a search, empty if it can't be the beginning of any name.
pub fn plain_query(asked: Option<&str>) -> &str {
    asked
        .map(str::trim)
        .filter(|q| q.chars().count() <= ClientName::MAX && !q.chars().any(is_control))
        .filter(|q| !canonical(q).is_empty())
        .unwrap_or_default()
}

/// Users, tokens or clients that a question names, so that its buttons stay in sight; the others it counts.
pub const NAMED: usize = 10;

/// "1 user", "3 users".
pub fn users(count: u64) -> String {
    match count {
        0 => "No user".into(),
        1 => "1 user".into(),
        _ => format!("{count} users"),
    }
}

/// "1 token", "3 tokens".
pub fn tokens(count: u64) -> String {
    match count {
        0 => "No token".into(),
        1 => "1 token".into(),
        _ => format!("{} tokens", grouped(count.try_into().unwrap_or(i64::MAX))),
    }
}
