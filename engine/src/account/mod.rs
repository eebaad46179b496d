//! The account pages, where users see and change their own account. They work without JavaScript. One module per
//! subject, each with its `stage()`.

pub mod deletion;
pub mod dev_mail;
pub mod email;
pub mod front;
pub mod page;
pub mod password;
pub mod session;
pub mod sign_up;
pub mod tokens;

use rocket::fairing::AdHoc;
use rocket::http::uri::Segments;
use rocket::http::uri::fmt::Path;
use rocket::{get, post, routes};

use crate::auth::guard::Account;
use crate::error::Error;
use crate::web::deadline::bounded;
use crate::web::drain::IgnoredBody;
use crate::web::fallbacks::AllowedMethods;
use crate::web::next::page_below;

/// The path that the account pages are mounted at.
pub const BASE: &str = "/account";
/// The front page: the user's devices and tokens.
pub const HOME: &str = "/account/";

/// The `next` page of a form if it is below [`BASE`], otherwise the front page.
pub fn next_path(next: Option<&str>) -> String {
    page_below(BASE, next).unwrap_or(HOME).to_owned()
}

/// Fallback for every other path below [`BASE`]: sign-in for guests, 404 or 405 for users.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("account: other paths", |rocket| async {
        rocket.mount(BASE, bounded(routes![fallback, fallback_post]))
    })
}

#[get("/<_path..>", rank = 500)]
fn fallback(_account: Account, allowed: AllowedMethods, _path: Segments<'_, Path>) -> Error {
    allowed.into_error()
}

#[post("/<_path..>", rank = 500, data = "<_body>")]
fn fallback_post(
    _account: Account,
    allowed: AllowedMethods,
    _path: Segments<'_, Path>,
    _body: IgnoredBody,
) -> Error {
    allowed.into_error()
}
