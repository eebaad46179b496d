//! Sign-up: `POST /auth/sign-up/`.

use rocket::fairing::AdHoc;
use rocket::response::status::Created;
use rocket::serde::json::Json;
use rocket::{State, post, routes};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::api::description::describe;
use crate::auth::Auth;
use crate::auth::guard::AllowedOrigin;
use crate::auth::links::NewAccount;
use crate::error::Error;
use crate::identity::Username;
use crate::identity::email::EmailAddress;
use crate::models::event::Actor;
use crate::models::token::TokenKind;
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::caller::Caller;
use crate::web::deadline::bounded;

/// Mounts the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: sign-up", |rocket| async {
        describe(rocket, ApiDoc::openapi()).mount("/auth", bounded(routes![sign_up]))
    })
}

#[derive(OpenApi)]
#[openapi(paths(sign_up))]
struct ApiDoc;

#[derive(ToSchema)]
struct SignUp {
    #[schema(value_type = String, min_length = 1, max_length = 150, example = "alice")]
    username: Username,
    /// Neither a common password nor one that contains the username.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 1024,
        example = "correct horse battery")]
    password: Password,
    /// A link to verify it is emailed there.
    #[schema(value_type = Option<String>, format = "email", max_length = 254, example = "alice@example.com")]
    email: Option<EmailAddress>,
    /// The key of an invitation, if sign-up requires one.
    #[schema(value_type = Option<String>)]
    invite: Option<String>,
}

impl Form for SignUp {
    fn read(fields: &mut Fields) -> Option<Self> {
        let username = fields.text("username", Username::parse);
        let password = fields.password("password");
        let email = fields.value::<Option<EmailAddress>>("email");
        let invite = fields.value::<Option<String>>("invite");
        Some(Self {
            username: username?,
            password: password?,
            email: email?,
            invite: invite?,
        })
    }
}

#[derive(Serialize, ToSchema)]
struct SignedUp {
    #[schema(format = "uuid")]
    id: String,
    #[schema(example = "alice")]
    username: String,
    #[schema(required, example = "alice@example.com")]
    email: Option<String>,
    /// False until the link in the email was used.
    #[schema(example = false)]
    email_verified: bool,
}

/// Sign up
///
/// Creates an account if sign-up is open, or with an invitation. An email address that belongs to another account is
/// not refused. Its owner gets an email.
#[utoipa::path(
    post, path = "/auth/sign-up/", tag = "account", operation_id = "sign_up",
    request_body = SignUp,
    responses(
        (status = 201, description = "The new account.", body = SignedUp),
        (status = 403),
        (status = 429),
    ),
)]
#[post("/sign-up", data = "<sign_up>")]
async fn sign_up(
    auth: &State<Auth>,
    _page: AllowedOrigin,
    caller: Caller,
    sign_up: Body<SignUp>,
) -> Result<Created<Json<SignedUp>>, Error> {
    let Body(SignUp {
        username,
        password,
        email,
        invite,
    }) = sign_up;
    let new = NewAccount {
        username: &username,
        password: &password,
        email: email.as_ref(),
        invitation_key: invite.as_deref(),
    };
    let actor = Actor::from_caller(TokenKind::Api, None, &caller);
    let id = auth.links.sign_up(new, &caller, &actor).await?;
    Ok(Created::new("/auth/me").body(Json(SignedUp {
        id: id.to_string(),
        username: username.as_str().to_owned(),
        email: email.map(|email| email.as_str().to_owned()),
        email_verified: false,
    })))
}
