//! Signing in and out: `POST /auth/login/`, `/auth/logout/…`.

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, post, routes};
use serde::{Serialize, Serializer};
use utoipa::{OpenApi, ToSchema};

use crate::auth::Auth;
use crate::auth::guard::{NoForeignPage, User};
use crate::auth::sessions::{Reason, Which};
use crate::error::Error;
use crate::identity::{ClientName, Username};
use crate::password::Password;
use crate::secret::Secret;
use crate::web::body::{Body, Fields, Form};
use crate::web::client::Caller;
use crate::web::time::rfc3339;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: session", |rocket| async {
        rocket.mount("/auth", routes![login, logout, logout_all, logout_others])
    })
}

/// What stands above these routes.
#[derive(OpenApi)]
#[openapi(paths(login, logout, logout_all, logout_others))]
pub(super) struct Described;

#[derive(ToSchema)]
struct Login {
    /// Compared after NFKC and case folding.
    #[schema(value_type = String, min_length = 1, max_length = 150, example = "alice")]
    username: Username,
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 1024,
        example = "correct horse battery")]
    password: Password,
    /// What the token is for: a device, an app, a script. Each has one token of its own.
    #[schema(value_type = String, min_length = 1, max_length = 255, example = "laptop")]
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

#[derive(Serialize, ToSchema)]
struct LoggedIn {
    /// The token. It is shown this once: only its digest is kept.
    #[schema(
        value_type = String,
        pattern = "^[a-z0-9]{1,12}_[0-9A-Za-z]{49}$",
        example = "mtk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG000000"
    )]
    #[serde(serialize_with = "revealed")]
    auth_token: Secret,
    #[schema(pattern = "^Bearer$", example = "Bearer")]
    token_type: &'static str,
    #[schema(example = "laptop")]
    client: String,
    /// The token's end; null if it has none but by disuse.
    #[schema(required, format = DateTime, example = "2026-06-01T12:00:00Z")]
    expires_at: Option<String>,
}

/// A secret has no `Serialize` that could be used by accident.
fn revealed<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.reveal())
}

/// Sign in
///
/// Issues the client's token, in place of the one that it had; the user's other clients keep theirs. An
/// unknown user, a wrong password and a disabled user are answered alike. Past so many failures, of an
/// account or from an address, it is 429 for a while. An `Authorization` header is not looked at.
#[utoipa::path(
    post, path = "/auth/login/", tag = "session",
    request_body(content(
        (Login = "application/json"),
        (Login = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The token.", body = LoggedIn),
        (status = 403),
        (status = 429),
    ),
)]
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
        auth_token: issued.secret,
        token_type: "Bearer",
        client: issued.client.as_str().to_owned(),
        expires_at: issued.expires_at.and_then(rfc3339),
    }))
}

/// Sign out
///
/// Ends the token that asks.
#[utoipa::path(
    post, path = "/auth/logout/", tag = "session", security(("token" = [])),
    responses((status = 200, description = "The token has ended. The body is empty.")),
)]
#[post("/logout")]
async fn logout(auth: &State<Auth>, user: User) -> Result<(), Error> {
    let own = Which::Own(user.token_id, user.user_id);
    auth.end(own, Reason::Logout, &user.actor()).await?;
    Ok(())
}

#[derive(Serialize, ToSchema)]
struct Revoked {
    /// How many tokens have ended.
    #[schema(example = 3)]
    revoked: u64,
}

/// Sign out everywhere
///
/// Ends all tokens of the user, the one that asks among them.
#[utoipa::path(
    post, path = "/auth/logout/all/", tag = "session", security(("token" = [])),
    responses((status = 200, description = "The tokens have ended.", body = Revoked)),
)]
#[post("/logout/all")]
async fn logout_all(auth: &State<Auth>, user: User) -> Result<Json<Revoked>, Error> {
    let all = Which::OfUser(user.user_id, None);
    let revoked = auth.end(all, Reason::Logout, &user.actor()).await?;
    Ok(Json(Revoked { revoked }))
}

/// Sign out everywhere else
///
/// Ends all tokens of the user but the one that asks.
#[utoipa::path(
    post, path = "/auth/logout/others/", tag = "session", security(("token" = [])),
    responses((status = 200, description = "The tokens have ended.", body = Revoked)),
)]
#[post("/logout/others")]
async fn logout_others(auth: &State<Auth>, user: User) -> Result<Json<Revoked>, Error> {
    let others = Which::OfUser(user.user_id, Some(user.token_id));
    let revoked = auth.end(others, Reason::Logout, &user.actor()).await?;
    Ok(Json(Revoked { revoked }))
}
