//! Login and logout: `POST /auth/login/`, `/auth/logout/…`, and their aliases.

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, post, routes};
use serde::{Serialize, Serializer};
use utoipa::{OpenApi, ToSchema};

use crate::api::description::describe;
use crate::auth::Auth;
use crate::auth::guard::{AllowedOrigin, User};
use crate::auth::revocation::{Reason, TokenSelector};
use crate::error::Error;
use crate::identity::{ClientName, Username};
use crate::password::Password;
use crate::secret::Secret;
use crate::web::body::{Body, Fields, Form};
use crate::web::caller::Caller;
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
        describe(rocket, ApiDoc::openapi()).mount("/auth", routes)
    })
}

#[derive(OpenApi)]
#[openapi(paths(
    login,
    obtain_token,
    logout,
    invalidate_token,
    logout_all,
    logout_others
))]
struct ApiDoc;

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
    /// The token. It is shown only once: the server stores only its digest.
    #[schema(
        value_type = String,
        pattern = "^[a-z0-9]{1,12}_[0-9A-Za-z]{49}$",
        example = "mtk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG000000"
    )]
    #[serde(serialize_with = "serialize_secret")]
    auth_token: Secret,
    #[schema(inline)]
    token_type: TokenType,
    #[schema(example = "laptop")]
    client: String,
    /// When the token expires, even if it is used. Null if only the idle timeout ends it.
    #[schema(required, format = DateTime, example = "2026-06-01T12:00:00Z")]
    expires_at: Option<String>,
}

/// How the token is sent (RFC 6750).
#[derive(Serialize, ToSchema)]
enum TokenType {
    Bearer,
}

/// Serializes a secret. `Secret` has no `Serialize`, so that none is sent by accident.
fn serialize_secret<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.reveal())
}

/// Sign in
///
/// Issues a token for the client and revokes its previous one. The user's other clients keep theirs. An
/// unknown user, a wrong password and a disabled user get the same response. After too many failures
/// for an account or from an address, the response is 429 for a while. An `Authorization` header is ignored.
#[utoipa::path(
    post, path = "/auth/login/", tag = "session",
    request_body = Login,
    responses(
        (status = 200, description = "The new token.", body = LoggedIn),
        (status = 403),
        (status = 429),
    ),
)]
#[post("/login", data = "<login>")]
async fn login(
    auth: &State<Auth>,
    _page: AllowedOrigin,
    caller: Caller,
    login: Body<Login>,
) -> Result<Json<LoggedIn>, Error> {
    let Body(Login {
        username,
        password,
        client,
    }) = login;
    let issued = auth
        .logins
        .sign_in(&username, &password, client, &caller)
        .await?;
    Ok(Json(LoggedIn {
        auth_token: issued.secret,
        token_type: TokenType::Bearer,
        client: issued.client.as_str().to_owned(),
        expires_at: issued.expires_at.and_then(rfc3339),
    }))
}

/// Sign in (alias)
///
/// The same as `POST /auth/login/`.
#[utoipa::path(
    post, path = "/auth/obtain-token/", tag = "session",
    request_body = Login,
    responses(
        (status = 200, description = "The new token.", body = LoggedIn),
        (status = 403),
        (status = 429),
    ),
)]
#[post("/obtain-token", data = "<body>")]
async fn obtain_token(
    auth: &State<Auth>,
    page: AllowedOrigin,
    caller: Caller,
    body: Body<Login>,
) -> Result<Json<LoggedIn>, Error> {
    login(auth, page, caller, body).await
}

/// Sign out
///
/// Revokes the token in use.
#[utoipa::path(
    post, path = "/auth/logout/", tag = "session", security(("token" = [])),
    responses((status = 200, description = "The token is revoked. The body is empty.")),
)]
#[post("/logout", data = "<_body>")]
async fn logout(auth: &State<Auth>, user: User, _body: IgnoredBody) -> Result<(), Error> {
    let own = TokenSelector::Owned(user.token_id, user.user_id);
    auth.sessions
        .revoke(own, Reason::Logout, &user.actor())
        .await?;
    Ok(())
}

/// Sign out (alias)
///
/// The same as `POST /auth/logout/`.
#[utoipa::path(
    post, path = "/auth/invalidate-token/", tag = "session", security(("token" = [])),
    responses((status = 200, description = "The token is revoked. The body is empty.")),
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
/// Revokes every token of the user, including the one in use.
#[utoipa::path(
    post, path = "/auth/logout/all/", tag = "session", security(("token" = [])),
    responses((status = 200, description = "The tokens are revoked.", body = Revoked)),
)]
#[post("/logout/all", data = "<_body>")]
async fn logout_all(
    auth: &State<Auth>,
    user: User,
    _body: IgnoredBody,
) -> Result<Json<Revoked>, Error> {
    let all = TokenSelector::ByUser(user.user_id, None);
    let revoked = auth
        .sessions
        .revoke(all, Reason::Logout, &user.actor())
        .await?;
    Ok(Json(Revoked { revoked }))
}

/// Sign out everywhere else
///
/// Revokes every token of the user except the one in use.
#[utoipa::path(
    post, path = "/auth/logout/others/", tag = "session", security(("token" = [])),
    responses((status = 200, description = "The tokens are revoked.", body = Revoked)),
)]
#[post("/logout/others", data = "<_body>")]
async fn logout_others(
    auth: &State<Auth>,
    user: User,
    _body: IgnoredBody,
) -> Result<Json<Revoked>, Error> {
    let others = TokenSelector::ByUser(user.user_id, Some(user.token_id));
    let revoked = auth
        .sessions
        .revoke(others, Reason::Logout, &user.actor())
        .await?;
    Ok(Json(Revoked { revoked }))
}
