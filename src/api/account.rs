//! Who one is, and one's password: `GET /auth/me/`, `POST /auth/password/`.

use rocket::fairing::AdHoc;
use rocket::serde::json::Json;
use rocket::{State, get, post, routes};
use serde::Serialize;

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

#[derive(Serialize)]
struct Me {
    id: String,
    username: String,
    role: &'static str,
    client: String,
    expires_at: Option<String>,
}

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

struct PasswordChange {
    current: Password,
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

#[derive(Serialize)]
struct PasswordChanged {
    revoked: u64,
}

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
