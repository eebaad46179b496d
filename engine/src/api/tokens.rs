//! The current user's tokens: `GET /auth/tokens/`, `DELETE /auth/tokens/<id>/`.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::serde::json::Json;
use rocket::{State, delete, get, routes};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::api::description::describe;
use crate::auth::Auth;
use crate::auth::guard::User;
use crate::auth::revocation::{Reason, TokenSelector};
use crate::error::Error;
use crate::identity::TokenId;
use crate::models::now;
use crate::models::token::{self, TokenRow};
use crate::web::deadline::bounded;
use crate::web::drain::IgnoredBody;
use crate::web::time::rfc3339;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: tokens", |rocket| async {
        describe(rocket, ApiDoc::openapi()).mount("/auth", bounded(routes![list, revoke]))
    })
}

#[derive(OpenApi)]
#[openapi(paths(list, revoke))]
struct ApiDoc;

#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
struct TokenList {
    results: Vec<TokenItem>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenItem {
    /// Identifies the token. It is not secret.
    #[schema(format = "uuid")]
    id: String,
    #[schema(example = "laptop")]
    client: String,
    /// The token's last four characters.
    #[schema(min_length = 4, max_length = 4, example = "x7Qz")]
    hint: String,
    #[schema(required, format = DateTime, example = "2026-03-03T12:00:00Z")]
    created_at: Option<String>,
    /// Null if it was never used.
    #[schema(required, format = DateTime, example = "2026-03-04T08:15:00Z")]
    last_used_at: Option<String>,
    /// The IP address that it was last used from, or issued to.
    #[schema(required, example = "203.0.113.7")]
    last_address: Option<String>,
    /// The `User-Agent` that it was last used with.
    #[schema(required, example = "curl/8.5.0")]
    user_agent: Option<String>,
    /// When it expires, even if it is used. Null if only the idle timeout ends it.
    #[schema(required, format = DateTime, example = "2026-06-01T12:00:00Z")]
    expires_at: Option<String>,
    /// Whether it is the token in use.
    current: bool,
}

impl TokenItem {
    fn new(token: TokenRow, current: TokenId) -> Self {
        Self {
            id: token.id.to_string(),
            client: token.client,
            hint: token.hint,
            created_at: rfc3339(token.created_at),
            last_used_at: token.last_used_at.and_then(rfc3339),
            last_address: token.address.map(|address| address.to_string()),
            user_agent: token.user_agent,
            expires_at: token.expires_at.and_then(rfc3339),
            current: token.id == current,
        }
    }
}

/// The current user's tokens
///
/// All live tokens, by client.
#[utoipa::path(
    get, path = "/auth/tokens/", tag = "tokens", operation_id = "list_tokens",
    security(("token" = [])),
    responses((
        status = 200, description = "The live tokens.", body = TokenList,
        links(("revoke" = (
            operation_id = "revoke_token", parameters(("id" = "$response.body#/results/0/id")),
            description = "Revokes the first token of the list.",
        ))),
    )),
)]
#[get("/tokens")]
async fn list(auth: &State<Auth>, user: User) -> Result<Json<TokenList>, Error> {
    let mut db = auth.pool().read().await?;
    let tokens = token::list_live(&mut db, user.user_id, now()).await?;
    let results = tokens
        .into_iter()
        .map(|token| TokenItem::new(token, user.token_id))
        .collect();
    Ok(Json(TokenList { results }))
}

/// Revoke one of the current user's tokens
#[utoipa::path(
    delete, path = "/auth/tokens/{id}/", tag = "tokens", operation_id = "revoke_token",
    security(("token" = [])),
    params(("id" = String, Path, description = "The token's id, as in the list.", format = "uuid")),
    responses((status = 204, description = "The token is revoked."), (status = 404)),
)]
#[delete("/tokens/<id>", data = "<_body>")]
async fn revoke(
    auth: &State<Auth>,
    user: User,
    id: Result<TokenId, Error>,
    _body: IgnoredBody,
) -> Result<Status, Error> {
    let own = TokenSelector::Owned(id?, user.user_id);
    match auth
        .sessions
        .revoke(own, Reason::Revoked, &user.actor())
        .await?
    {
        0 => Err(Error::NotFound),
        _ => Ok(Status::NoContent),
    }
}
