//! What every page of the admin has in common.

use rocket::Request;
use rocket::request::{FromRequest, Outcome};
use rocket::serde::Serialize;
use rocket_dyn_templates::Template;

use super::flash::Notice;
use crate::auth::guard::Admin;
use crate::config::Settings;
use crate::identity::{ClientName, is_control};

/// The frame that a page is shown in: its admin, the application's name, and what the last
/// action has to say. Add this parameter to a handler that renders a page; it fails as [`Admin`]
/// does.
pub struct Frame {
    admin: Admin,
    app: String,
    flash: Option<(String, String)>,
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
        // Taking the message out ends it, so it is taken only by a page that shows it.
        let notice = Notice::from_request(request).await.succeeded();
        Outcome::Success(Self {
            admin,
            app: app_name(request),
            flash: notice.and_then(|Notice(left)| left),
        })
    }
}

/// The application's name, for the titles of pages.
pub fn app_name(request: &Request<'_>) -> String {
    request
        .rocket()
        .state::<Settings>()
        .map(|settings| settings.name.clone())
        .unwrap_or_default()
}

impl Frame {
    /// Who looks at the page.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The page, with `content` as the template's own part of the context.
    pub fn render(self, template: &'static str, content: impl Serialize) -> Template {
        #[derive(Serialize)]
        #[serde(crate = "rocket::serde")]
        struct Context<C> {
            app: String,
            viewer: String,
            flash: Option<(String, String)>,
            page: C,
        }
        let viewer = self.admin.username.clone();
        Template::render(
            template,
            Context {
                app: self.app,
                viewer,
                flash: self.flash,
                page: content,
            },
        )
    }
}

/// A name inside a sentence of plain text, set apart so that its writing direction stays its own
/// (UAX #9, 2.4.2); where there is markup, `<bdi>` does that.
pub fn isolated(name: &str) -> String {
    format!("\u{2068}{name}\u{2069}")
}

/// Rows on a page of a list.
pub const PER_PAGE: i64 = 50;
/// The last page that is shown.
pub const LAST_PAGE: i64 = 500;

/// The number of a page, from 1; what makes no sense counts as absent.
pub fn page_number(asked: Option<&str>) -> i64 {
    asked
        .and_then(|page| page.parse().ok())
        .filter(|page| (1..=LAST_PAGE).contains(page))
        .unwrap_or(1)
}

/// What was typed into a search, empty if it can't be the beginning of any name.
pub fn plain_query(asked: Option<&str>) -> &str {
    asked
        .map(str::trim)
        .filter(|q| q.chars().count() <= ClientName::MAX && !q.chars().any(is_control))
        .unwrap_or_default()
}

/// "1 token", "3 tokens".
pub fn tokens(count: u64) -> String {
    match count {
        0 => "No token".into(),
        1 => "1 token".into(),
        _ => format!("{count} tokens"),
    }
}
