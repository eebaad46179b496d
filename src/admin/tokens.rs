//! One token: asking before it is revoked, and revoking it.

use rocket::fairing::AdHoc;
use rocket::response::Redirect;
use rocket::{State, get, post, routes, uri};
use rocket_dyn_templates::{Template, context};

use super::flash::Done;
use super::page::{Frame, isolated};
use super::{BASE, users};
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::auth::sessions::{Reason, Which};
use crate::error::Error;
use crate::identity::{TokenId, UserId};
use crate::models::token::{self, Token};

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: tokens", |rocket| async {
        rocket.mount(BASE, routes![ask, revoke])
    })
}

#[get("/tokens/<id>/revoke")]
async fn ask(
    auth: &State<Auth>,
    frame: Frame,
    id: Result<TokenId, Error>,
) -> Result<Result<Template, Done>, Error> {
    let Some(token) = find(auth, id?).await? else {
        return Ok(Err(gone()));
    };
    let content = context! {
        id: token.id.to_string(),
        user_id: token.user_id.to_string(),
        username: &token.username,
        client: &token.client,
        hint: &token.hint,
        last_used_at: token.last_used_at,
        current: token.id == frame.admin().token_id,
    };
    Ok(Ok(frame.render("admin/confirm_token", content)))
}

#[post("/tokens/<id>/revoke")]
async fn revoke(
    auth: &State<Auth>,
    admin: Admin,
    id: Result<TokenId, Error>,
) -> Result<Done, Error> {
    let id = id?;
    let Some(token) = find(auth, id).await? else {
        return Ok(gone());
    };
    auth.end(Which::One(id), Reason::Revoked, &admin.actor())
        .await?;
    let user = Redirect::to(uri!("/admin", users::show(token.user_id)));
    let message = format!(
        "The token of {} for {} is revoked.",
        isolated(&token.username),
        isolated(&token.client)
    );
    Ok(Done::success(user, message))
}

async fn find(auth: &State<Auth>, id: TokenId) -> Result<Option<Token>, Error> {
    let mut db = auth.pool().read().await?;
    Ok(token::find(&mut db, id).await?)
}

/// Revoking again, or what a new login has replaced, is harmless.
fn gone() -> Done {
    let list = uri!("/admin", users::list(q = _, page = _));
    Done::success(Redirect::to(list), "That token has ended already.")
}
