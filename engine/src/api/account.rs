//! The current user and their password: `GET, DELETE /auth/me/`, `POST /auth/password/`.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::serde::json::Json;
use rocket::{State, delete, get, post, routes};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::api::description::describe;
use crate::auth::Auth;
use crate::auth::guard::User;
use crate::error::Error;
use crate::models::user::Role;
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;
use crate::web::time::rfc3339;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: account", |rocket| async {
        describe(rocket, ApiDoc::openapi())
            .mount("/auth", bounded(routes![me, change_password, delete]))
    })
}

#[derive(OpenApi)]
#[openapi(paths(me, change_password, delete))]
struct ApiDoc;

#[derive(Serialize, ToSchema)]
struct Me {
    /// Never changes.
    #[schema(format = "uuid")]
    id: String,
    #[schema(example = "alice")]
    username: String,
    #[schema(value_type = Role, inline)]
    role: &'static str,
    /// The client that the token was issued to.
    #[schema(example = "laptop")]
    client: String,
    /// When the token expires, even if it is used. Null if only the idle timeout ends it.
    #[schema(required, format = DateTime, example = "2026-06-01T12:00:00Z")]
    expires_at: Option<String>,
}

/// The current user
#[utoipa::path(
    get, path = "/auth/me/", tag = "account", operation_id = "get_me", security(("token" = [])),
    responses((status = 200, description = "The current user and the client of the current token.", body = Me)),
)]
#[get("/me")]
fn me(user: User) -> Json<Me> {
    Json(Me {
        id: user.user_id.to_string(),
        username: user.username.clone(),
        role: user.role.as_str(),
        client: user.client.clone(),
        expires_at: user.expires_at.and_then(rfc3339),
    })
}

#[derive(ToSchema)]
struct PasswordChange {
    #[schema(rename = "current_password", value_type = String, format = Password, min_length = 1,
        max_length = 1024, example = "correct horse battery")]
    current: Password,
    /// Neither a common password nor one that contains the username.
    #[schema(rename = "new_password", value_type = String, format = Password, min_length = 8,
        max_length = 1024, example = "a staple for every horse")]
    new: Password,
}

impl Form for PasswordChange {
    fn read(fields: &mut Fields) -> Option<Self> {
        let current = fields.password("current_password");
        let new = fields.password("new_password");
        Some(Self {
            current: current?,
            new: new?,
        })
    }
}

#[derive(Serialize, ToSchema)]
struct PasswordChanged {
    /// How many other tokens of the user were revoked.
    #[schema(example = 2)]
    revoked: u64,
}

/// Change the password
///
/// Revokes every token of the user except the one in use. A wrong current password counts as a failed
/// login.
#[utoipa::path(
    post, path = "/auth/password/", tag = "account", security(("token" = [])),
    request_body = PasswordChange,
    responses(
        (status = 200, description = "The password is changed.", body = PasswordChanged),
        (status = 429),
    ),
)]
#[post("/password", data = "<change>")]
async fn change_password(
    auth: &State<Auth>,
    user: User,
    change: Body<PasswordChange>,
) -> Result<Json<PasswordChanged>, Error> {
    let Body(PasswordChange { current, new }) = change;
    let revoked = auth
        .accounts
        .change_password(user.session(), &current, &new, user.caller())
        .await?;
    Ok(Json(PasswordChanged { revoked }))
}

#[derive(ToSchema)]
struct Deletion {
    #[schema(rename = "current_password", value_type = String, format = Password, min_length = 1,
        max_length = 1024, example = "correct horse battery")]
    current: Password,
}

impl Form for Deletion {
    fn read(fields: &mut Fields) -> Option<Self> {
        let current = fields.password("current_password");
        Some(Self { current: current? })
    }
}

/// Delete the account
///
/// Deletes the current user with everything that belongs to them. The last active admin is refused.
#[utoipa::path(
    delete, path = "/auth/me/", tag = "account", operation_id = "delete_me", security(("token" = [])),
    request_body = Deletion,
    responses(
        (status = 204, description = "The account is deleted."),
        (status = 409),
        (status = 429),
    ),
)]
#[delete("/me", data = "<deletion>")]
async fn delete(auth: &State<Auth>, user: User, deletion: Body<Deletion>) -> Result<Status, Error> {
    let (session, caller) = (user.session(), user.caller());
    let current = &deletion.0.current;
    let confirmed = auth
        .accounts
        .check_password(session, current, caller)
        .await?;
    auth.accounts.delete_own(&confirmed, &user.actor()).await?;
    Ok(Status::NoContent)
}
