//! Who one is, and one's password: `GET /auth/me/`, `POST /auth/password/`.

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, get, post, routes};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::auth::Auth;
use crate::auth::guard::User;
use crate::error::Error;
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::time::rfc3339;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: account", |rocket| async {
        rocket.mount("/auth", routes![me, change_password])
    })
}

/// What stands above these routes.
#[derive(OpenApi)]
#[openapi(paths(me, change_password))]
pub(super) struct Described;

#[derive(Serialize, ToSchema)]
struct Me {
    /// Names the user for good.
    #[schema(format = "uuid")]
    id: String,
    #[schema(example = "alice")]
    username: String,
    #[schema(pattern = "^(user|admin)$", example = "user")]
    role: &'static str,
    /// The client that the token was issued to.
    #[schema(example = "laptop")]
    client: String,
    /// The token's end; null if it has none but by disuse.
    #[schema(required, format = DateTime, example = "2026-06-01T12:00:00Z")]
    expires_at: Option<String>,
}

/// Who one is
#[utoipa::path(
    get, path = "/auth/me/", tag = "account", security(("token" = [])),
    responses((status = 200, description = "The user and the token that asked.", body = Me)),
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
    /// Neither a common password nor one that holds the username.
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
    /// How many other tokens of the user have ended.
    #[schema(example = 2)]
    revoked: u64,
}

/// Change one's own password
///
/// Every other token of the user ends; the one that asked goes on. A wrong current password counts
/// as a failed login.
#[utoipa::path(
    post, path = "/auth/password/", tag = "account", security(("token" = [])),
    request_body(content(
        (PasswordChange = "application/json"),
        (PasswordChange = "application/x-www-form-urlencoded"),
        (PasswordChange = "multipart/form-data"),
    )),
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
        .change_password(user.session(), &current, &new, user.caller())
        .await?;
    Ok(Json(PasswordChanged { revoked }))
}
