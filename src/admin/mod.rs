//! The admin: server-rendered pages that work without JavaScript, a module a subject, each with
//! its `stage()`.

pub mod account;
pub mod addresses;
pub mod audit;
pub mod bulk;
mod chart;
mod comment;
mod confirm;
mod csv;
pub mod dashboard;
mod events;
pub mod find;
mod flash;
mod list;
pub mod new_user;
mod next;
pub mod notes; // example: notes
mod page;
mod period;
pub mod session;
pub mod theme;
pub mod tokens;
pub mod users;

use rocket::fairing::AdHoc;
use rocket::http::uri::Segments;
use rocket::http::uri::fmt::Path;
use rocket::{get, post, routes};

use crate::auth::guard::Admin;
use crate::error::Error;
use crate::web::deadline::bounded;
use crate::web::drain::IgnoredBody;
use crate::web::methods::Taken;

/// Where the admin is.
pub const BASE: &str = "/admin";
/// Its front page.
pub const HOME: &str = "/admin/";

/// Answers whatever else is asked for under the admin's path: sign-in for strangers, who learn
/// nothing of which pages there are, and 404 or 405 for admins.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: anything else", |rocket| async {
        rocket.mount(BASE, bounded(routes![anything_else, anything_posted]))
    })
}

#[get("/<_path..>", rank = 500)]
fn anything_else(_admin: Admin, taken: Taken, _path: Segments<'_, Path>) -> Error {
    taken.refusal()
}

#[post("/<_path..>", rank = 500, data = "<_body>")]
fn anything_posted(
    _admin: Admin,
    taken: Taken,
    _path: Segments<'_, Path>,
    _body: IgnoredBody,
) -> Error {
    taken.refusal()
}
