//! One box for everything: `POST /admin/find`. What is typed may be a token, so it is posted, and appears in no
//! URL.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::Redirect;
use rocket::{State, post, routes, uri};
use rocket_dyn_templates::{Template, context};
use serde::Serialize;
use zeroize::Zeroizing;

use super::page::Frame;
use super::{BASE, users};
use crate::auth::Auth;
use crate::auth::find::Found;
use crate::error::Error;
use crate::identity::UserId;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;

/// Mounts the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: find", |rocket| async {
        rocket.mount(BASE, bounded(routes![find]))
    })
}

/// What the box sends.
struct Typed(Zeroizing<String>);

impl Form for Typed {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(Zeroizing::new(fields.raw("q"))))
    }
}

/// A candidate.
#[derive(Serialize)]
struct Candidate {
    kind: &'static str,
    name: String,
    /// What tells it from others.
    detail: String,
    path: String,
}

impl From<Found> for Candidate {
    fn from(found: Found) -> Self {
        let candidate = |kind, name, detail, path| Self {
            kind,
            name,
            detail,
            path,
        };
        match found {
            Found::Token(token) => {
                let detail = format!("{}, …{}", token.client, token.hint);
                let path = format!("/admin/tokens/{}/revoke", token.id);
                candidate("token", token.username, detail, path)
            }
            Found::Ended(id) => {
                let path = format!("/admin/audit?token={id}");
                candidate("ended token", id.to_string(), String::new(), path)
            }
            Found::User(user) => {
                let path = uri!("/admin", users::show(user.id)).to_string();
                candidate("user", user.username, user.role.to_string(), path)
            }
            Found::Event(id) => {
                let path = format!("/admin/audit/{id}");
                candidate("event", id.to_string(), String::new(), path)
            }
            Found::Address(network) => {
                let path = format!("/admin/addresses/{network}");
                candidate("address", network.to_string(), String::new(), path)
            }
        }
    }
}

#[post("/find", data = "<typed>")]
async fn find(
    auth: &State<Auth>,
    frame: Frame,
    typed: Body<Typed>,
) -> Result<Result<Redirect, (Status, Template)>, Error> {
    let found = auth.find(&typed.0.0).await?;
    let mut candidates: Vec<Candidate> = found.into_iter().map(Candidate::from).collect();
    if candidates.len() == 1 {
        return Ok(Ok(Redirect::to(candidates.swap_remove(0).path)));
    }
    let status = if candidates.is_empty() {
        Status::NotFound
    } else {
        Status::Ok
    };
    let page = frame.render("admin/find", context! { candidates });
    Ok(Err((status, page)))
}
