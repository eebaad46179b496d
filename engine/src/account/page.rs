//! The layout of account pages.

use rocket::Request;
use rocket::request::{FromRequest, Outcome};
use serde::Serialize;

use crate::auth::guard::Account;
use crate::auth::links::INVALID_LINK;
use crate::context;
use crate::error::Error;
use crate::web::page::{PublicLayout, RejectedForm};
use crate::web::templates::Template;

/// The field name for errors about the form as a whole.
pub const WHOLE_FORM: &str = "form";

/// The layout of a page for a signed-in user. Add this parameter to a handler that renders a page. It fails as
/// [`Account`] does.
pub struct AccountLayout {
    account: Account,
    public: PublicLayout,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for AccountLayout {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let account = match Account::from_request(request).await {
            Outcome::Success(account) => account,
            Outcome::Error(error) => return Outcome::Error(error),
            Outcome::Forward(status) => return Outcome::Forward(status),
        };
        let public = PublicLayout::of(request);
        Outcome::Success(Self { account, public })
    }
}

impl AccountLayout {
    /// The current user.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Renders the page, with `content` added to the context.
    pub fn render(self, template: &'static str, content: impl Serialize) -> Template {
        let viewer = self.account.viewer();
        self.public.render_for(template, Some(viewer), content)
    }
}

/// The page for every invalid key, whether it is wrong, used, expired or for another purpose.
pub fn invalid_link(layout: PublicLayout, error: Error) -> RejectedForm {
    let content = context! {
        title: "Invalid link",
        sentence: INVALID_LINK,
        help: "Each link works once and expires after some time. Use the link in the newest email, or request a new \
               link. If you were invited, ask for a new invitation.",
    };
    let page = layout.render("account/refused", content);
    RejectedForm { error, page }
}

/// The page for a refused sign-up.
pub fn sign_up_closed(layout: PublicLayout) -> RejectedForm {
    let error = Error::SignUpClosed;
    let content = context! { title: "Sign up", sentence: error.detail() };
    let page = layout.render("account/refused", content);
    RejectedForm { error, page }
}
