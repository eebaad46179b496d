//! The admin: server-rendered pages that work without JavaScript. One module per subject, each with its `stage()`.

pub mod account;
pub mod addresses;
pub mod audit;
pub mod bulk;
pub mod confirm;
pub mod csv;
pub mod dashboard;
pub mod event_view;
pub mod find;
pub mod list;
pub mod new_user;
pub mod note;
pub mod page;
pub mod session;
pub(crate) mod startup_message;
pub mod theme;
pub mod token_filter;
pub mod token_view;
pub mod tokens;
pub mod user_view;
pub mod users;

use rocket::fairing::AdHoc;
use rocket::http::uri::Segments;
use rocket::http::uri::fmt::Path;
use rocket::{get, post, routes};

use crate::auth::guard::Admin;
use crate::error::Error;
use crate::identity::UserId;
use crate::web::deadline::bounded;
use crate::web::drain::IgnoredBody;
use crate::web::fallbacks::AllowedMethods;
use crate::web::next::page_below;

/// The path that the admin is mounted at.
pub const BASE: &str = "/admin";
/// Its front page.
pub const HOME: &str = "/admin/";
/// The list of users.
pub const USERS_PATH: &str = "/admin/users";
/// The list of tokens.
pub const TOKENS_PATH: &str = "/admin/tokens";

/// The path of a user's page. Not a `uri!`, because a stage must not name another's handlers: each can be replaced.
pub fn user_path(user: UserId) -> String {
    format!("{USERS_PATH}/{user}")
}

/// The `next` page of a form if it is below [`BASE`], otherwise the front page.
pub fn next_path(next: Option<&str>) -> String {
    page_below(BASE, next).unwrap_or(HOME).to_owned()
}

/// Fallback for every other path below [`BASE`]: 404 or 405 for admins. Without a session, it leads to sign-in, so that
/// strangers cannot tell which pages exist.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: other paths", |rocket| async {
        rocket.mount(BASE, bounded(routes![fallback, fallback_post]))
    })
}

#[get("/<_path..>", rank = 500)]
fn fallback(_admin: Admin, allowed: AllowedMethods, _path: Segments<'_, Path>) -> Error {
    allowed.into_error()
}

#[post("/<_path..>", rank = 500, data = "<_body>")]
fn fallback_post(
    _admin: Admin,
    allowed: AllowedMethods,
    _path: Segments<'_, Path>,
    _body: IgnoredBody,
) -> Error {
    allowed.into_error()
}
