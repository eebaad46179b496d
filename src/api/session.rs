//! Signing in and out: `POST /auth/login/`, `/auth/logout/…`.

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, post, routes};
use serde::Serialize;

use crate::auth::Auth;
use crate::auth::guard::{NoForeignPage, User};
use crate::auth::sessions::{Reason, Which};
use crate::error::Error;
use crate::identity::{ClientName, Username};
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::client::Caller;
use crate::web::time::rfc3339;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: session", |rocket| async {
        rocket.mount("/auth", routes![login, logout, logout_all, logout_others])
    })
}

struct Login {
    username: Username,
    password: Password,
    client: ClientName,
}

impl Form for Login {
    fn read(fields: &mut Fields) -> Option<Self> {
        let username = fields.text("username", Username::parse);
        let password = fields.password("password");
        let client = fields.text("client", ClientName::parse);
        Some(Self {
            username: username?,
            password: password?,
            client: client?,
        })
    }
}

#[derive(Serialize)]
struct LoggedIn {
    auth_token: String,
    token_type: &'static str,
    client: String,
    expires_at: Option<String>,
}

#[post("/login", data = "<login>")]
async fn login(
    auth: &State<Auth>,
    _page: NoForeignPage,
    caller: Caller,
    login: Body<Login>,
) -> Result<Json<LoggedIn>, Error> {
    let Body(Login {
        username,
        password,
        client,
    }) = login;
    let issued = auth.sign_in(&username, &password, client, &caller).await?;
    Ok(Json(LoggedIn {
        auth_token: issued.secret.reveal().to_owned(),
        token_type: "Bearer",
        client: issued.client.as_str().to_owned(),
        expires_at: issued.expires_at.and_then(rfc3339),
    }))
}

#[post("/logout")]
async fn logout(auth: &State<Auth>, user: User) -> Result<(), Error> {
    let own = Which::Own(user.token_id, user.user_id);
    auth.end(own, Reason::Logout, &user.actor()).await?;
    Ok(())
}

#[derive(Serialize)]
struct Revoked {
    revoked: u64,
}

#[post("/logout/all")]
async fn logout_all(auth: &State<Auth>, user: User) -> Result<Json<Revoked>, Error> {
    let all = Which::OfUser(user.user_id, None);
    let revoked = auth.end(all, Reason::Logout, &user.actor()).await?;
    Ok(Json(Revoked { revoked }))
}

#[post("/logout/others")]
async fn logout_others(auth: &State<Auth>, user: User) -> Result<Json<Revoked>, Error> {
    let others = Which::OfUser(user.user_id, Some(user.token_id));
    let revoked = auth.end(others, Reason::Logout, &user.actor()).await?;
    Ok(Json(Revoked { revoked }))
}
