//! One's own tokens: `GET /auth/tokens/`, `DELETE /auth/tokens/<id>/`.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::serde::json::Json;
use rocket::{State, delete, get, routes};
use serde::Serialize;

use crate::auth::Auth;
use crate::auth::guard::User;
use crate::auth::sessions::{Reason, Which};
use crate::error::Error;
use crate::identity::TokenId;
use crate::models::now;
use crate::models::token::{self, Token};
use crate::web::time::rfc3339;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: tokens", |rocket| async {
        rocket.mount("/auth", routes![list, revoke])
    })
}

#[derive(Serialize)]
struct Listing {
    results: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    id: String,
    client: String,
    hint: String,
    created_at: Option<String>,
    last_used_at: Option<String>,
    last_address: Option<String>,
    user_agent: Option<String>,
    expires_at: Option<String>,
    current: bool,
}

impl Item {
    fn new(token: Token, current: TokenId) -> Self {
        Self {
            id: token.id.to_string(),
            client: token.client,
            hint: token.hint,
            created_at: rfc3339(token.created_at),
            last_used_at: token.last_used_at.and_then(rfc3339),
            last_address: token.last_address,
            user_agent: token.user_agent,
            expires_at: token.expires_at.and_then(rfc3339),
            current: token.id == current,
        }
    }
}

#[get("/tokens")]
async fn list(auth: &State<Auth>, user: User) -> Result<Json<Listing>, Error> {
    let mut db = auth.pool().read().await?;
    let tokens = token::list_live(&mut db, user.user_id, now()).await?;
    let results = tokens
        .into_iter()
        .map(|token| Item::new(token, user.token_id))
        .collect();
    Ok(Json(Listing { results }))
}

#[delete("/tokens/<id>")]
async fn revoke(
    auth: &State<Auth>,
    user: User,
    id: Result<TokenId, Error>,
) -> Result<Status, Error> {
    let own = Which::Own(id?, user.user_id);
    match auth.end(own, Reason::Revoked, &user.actor()).await? {
        0 => Err(Error::NotFound),
        _ => Ok(Status::NoContent),
    }
}
