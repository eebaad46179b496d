//! Users' notes: a JSON API for users, pages for admins.

pub mod admin;
pub mod api;
pub mod model;

use rocket::fairing::AdHoc;

/// The audit action when an admin deletes a user's note.
pub const DELETED: &str = "note.deleted";

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("notes", |rocket| async { admin::mount(api::mount(rocket)) })
}
