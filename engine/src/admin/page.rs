//! The layout of admin pages.

use rocket::Request;
use rocket::request::{FromRequest, Outcome};
use serde::Serialize;

use crate::auth::guard::Admin;
use crate::web::page::PublicLayout;
use crate::web::templates::Template;

/// The layout of an admin page: the admin, the application's name, the theme and the flash message. Add this parameter
/// to a handler that renders a page. It fails as [`Admin`] does.
pub struct AdminLayout {
    admin: Admin,
    public: PublicLayout,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for AdminLayout {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let admin = match Admin::from_request(request).await {
            Outcome::Success(admin) => admin,
            Outcome::Error(error) => return Outcome::Error(error),
            Outcome::Forward(status) => return Outcome::Forward(status),
        };
        let public = PublicLayout::of(request);
        Outcome::Success(Self { admin, public })
    }
}

impl AdminLayout {
    /// The current admin.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Renders the page, with `content` added to the context.
    pub fn render(self, template: &'static str, content: impl Serialize) -> Template {
        let viewer = self.admin.viewer();
        self.public.render_for(template, Some(viewer), content)
    }
}

/// Users, tokens or clients that a confirmation page names. It only counts the others, so that its buttons stay in view.
pub const MAX_NAMED: usize = 10;
