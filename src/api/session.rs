//! Signing in and out: `POST /auth/login/`, `/auth/logout/…`, each under a second path, too.

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
use crate::web::deadline::bounded;
use crate::web::drain::IgnoredBody;
use crate::web::time::rfc3339;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: session", |rocket| async {
        let routes = bounded(routes![
            login,
            obtain_token,
            logout,
            invalidate_token,
            logout_all,
            logout_others,
        ]);
        rocket.mount("/auth", routes)
    })
}

/// What stands above these routes.
#[derive(OpenApi)]
#[openapi(paths(
    login,
    obtain_token,
    logout,
    invalidate_token,
    logout_all,
    logout_others
))]
pub(super) struct Described;

#[derive(ToSchema)]
struct Login {
    /// Compared after NFKC and case folding.
    #[schema(value_type = String, min_length = 1, max_length = 150, example = "alice")]
    username: Username,
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 1024,
        example = "correct horse battery")]
    password: Password,
    /// What the token is for: a device, an app, a script. Each client has one token.
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
    /// The token. It is shown only now: the server keeps just its digest.
    #[schema(
        value_type = String,
        pattern = "^[a-z0-9]{1,12}_[0-9A-Za-z]{49}$",
        example = "mtk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG000000"
    )]
    #[serde(serialize_with = "revealed")]
    auth_token: Secret,
    #[schema(inline)]
    token_type: TokenType,
    #[schema(example = "laptop")]
    client: String,
    /// When the token expires at the latest; null if only the idle timeout ends it.
    #[schema(required, format = DateTime, example = "2026-06-01T12:00:00Z")]
    expires_at: Option<String>,
}

/// How the token is sent (RFC 6750).
#[derive(Serialize, ToSchema)]
enum TokenType {
    Bearer,
}

/// A secret has no `Serialize` that could be used by accident.
fn revealed<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.reveal())
}

/// Sign in
///
/// Issues a token for the client and ends the one it had; the user's other clients keep theirs. An
/// unknown user, a wrong password and a disabled user get the same response. After too many failures,
/// for an account or from an address, it is 429 for a while. An `Authorization` header is ignored.
#[utoipa::path(
    post, path = "/auth/login/", tag = "session",
    request_body = Login,
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
        token_type: TokenType::Bearer,
        client: issued.client.as_str().to_owned(),
        expires_at: issued.expires_at.and_then(rfc3339),
    }))
}

/// Sign in, under another path
///
/// The same as `POST /auth/login/`.
#[utoipa::path(
    post, path = "/auth/obtain-token/", tag = "session",
    request_body = Login,
    responses(
        (status = 200, description = "The token.", body = LoggedIn),
        (status = 403),
        (status = 429),
    ),
)]
#[post("/obtain-token", data = "<entered>")]
async fn obtain_token(
    auth: &State<Auth>,
    page: NoForeignPage,
    caller: Caller,
    entered: Body<Login>,
) -> Result<Json<LoggedIn>, Error> {
    login(auth, page, caller, entered).await
}

/// Sign out
///
/// Ends the token in use.
#[utoipa::path(
    post, path = "/auth/logout/", tag = "session", security(("token" = [])),
    responses((status = 200, description = "The token has ended. The body is empty.")),
)]
#[post("/logout", data = "<_body>")]
async fn logout(auth: &State<Auth>, user: User, _body: IgnoredBody) -> Result<(), Error> {
    let own = Which::Own(user.token_id, user.user_id);
    auth.end(own, Reason::Logout, &user.actor()).await?;
    Ok(())
}

/// Sign out, under another path
///
/// The same as `POST /auth/logout/`.
#[utoipa::path(
    post, path = "/auth/invalidate-token/", tag = "session", security(("token" = [])),
    responses((status = 200, description = "The token has ended. The body is empty.")),
)]
#[post("/invalidate-token", data = "<body>")]
async fn invalidate_token(auth: &State<Auth>, user: User, body: IgnoredBody) -> Result<(), Error> {
    logout(auth, user, body).await
}

#[derive(Serialize, ToSchema)]
struct Revoked {
    /// How many tokens were revoked.
    #[schema(example = 3)]
    revoked: u64,
}

/// Sign out everywhere
///
/// Ends every token of the user, including the one in use.
#[utoipa::path(
    post, path = "/auth/logout/all/", tag = "session", security(("token" = [])),
    responses((status = 200, description = "The tokens have ended.", body = Revoked)),
)]
#[post("/logout/all", data = "<_body>")]
async fn logout_all(
    auth: &State<Auth>,
    user: User,
    _body: IgnoredBody,
) -> Result<Json<Revoked>, Error> {
    let all = Which::OfUser(user.user_id, None);
    let revoked = auth.end(all, Reason::Logout, &user.actor()).await?;
    Ok(Json(Revoked { revoked }))
}

/// Sign out everywhere else
///
/// Ends every token of the user except the one in use.
#[utoipa::path(
    post, path = "/auth/logout/others/", tag = "session", security(("token" = [])),
    responses((status = 200, description = "The tokens have ended.", body = Revoked)),
)]
#[post("/logout/others", data = "<_body>")]
async fn logout_others(
    auth: &State<Auth>,
    user: User,
    _body: IgnoredBody,
) -> Result<Json<Revoked>, Error> {
    let others = Which::OfUser(user.user_id, Some(user.token_id));
    let revoked = auth.end(others, Reason::Logout, &user.actor()).await?;
    Ok(Json(Revoked { revoked }))
}
