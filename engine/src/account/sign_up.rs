//! Sign-up: `GET, POST /account/sign-up`.

use rocket::fairing::AdHoc;
use rocket::response::Redirect;
use rocket::{State, get, post, routes};

use crate::account::BASE;
use crate::account::page::{WHOLE_FORM, invalid_link, sign_up_closed};
use crate::auth::Auth;
use crate::auth::guard::SameOrigin;
use crate::auth::links::{NewAccount, Purpose};
use crate::config::SignUpPolicy;
use crate::context;
use crate::error::{Error, FieldErrors};
use crate::identity::email::EmailAddress;
use crate::identity::{UserId, Username};
use crate::models::event::Actor;
use crate::models::token::TokenKind;
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::caller::Caller;
use crate::web::deadline::bounded;
use crate::web::flash::FlashRedirect;
use crate::web::page::{PublicLayout, RejectedForm};
use crate::web::templates::Template;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("account: sign-up", |rocket| async {
        rocket.mount(BASE, bounded(routes![sign_up_form, sign_up]))
    })
}

#[get("/sign-up?<invite>")]
async fn sign_up_form(
    auth: &State<Auth>,
    layout: PublicLayout,
    invite: Option<&str>,
) -> Result<Result<Template, RejectedForm>, Error> {
    match (auth.settings().sign_up, invite) {
        (SignUpPolicy::Closed, _) | (SignUpPolicy::Invite, None) => {
            return Ok(Err(sign_up_closed(layout)));
        }
        (SignUpPolicy::Open, None) => {}
        (_, Some(key)) => match auth.links.find(key, &[Purpose::SignUp]).await {
            Ok(_) => {}
            Err(error @ Error::Invalid(_)) => return Ok(Err(invalid_link(layout, error))),
            Err(error) => return Err(error),
        },
    }
    let form = SignUpForm {
        invite: invite.unwrap_or_default().to_owned(),
        ..SignUpForm::default()
    };
    Ok(Ok(page(auth, layout, &form, &FieldErrors::default())))
}

fn page(auth: &Auth, layout: PublicLayout, form: &SignUpForm, errors: &FieldErrors) -> Template {
    let content = context! {
        username: &form.username,
        email: &form.email,
        invite: &form.invite,
        has_mail: auth.outbox.is_enabled(),
        password_min_length: auth.settings().password_min_length,
        errors: errors.by_field(),
    };
    layout.render("account/sign_up", content)
}

/// The unchecked fields of the form.
#[derive(Default)]
struct SignUpForm {
    username: String,
    password: Password,
    email: String,
    invite: String,
}

impl Form for SignUpForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            username: fields.raw("username"),
            password: Password::new(fields.raw("password")),
            email: fields.raw("email"),
            invite: fields.raw("invite"),
        })
    }
}

#[post("/sign-up", data = "<form>")]
async fn sign_up(
    auth: &State<Auth>,
    same_origin: SameOrigin,
    layout: PublicLayout,
    form: Body<SignUpForm>,
) -> Result<FlashRedirect, RejectedForm> {
    let (SameOrigin(caller), Body(form)) = (same_origin, form);
    match create_account(auth, &form, &caller).await {
        Ok(_) => {
            let message = match form.email.trim() {
                "" => "Your account is ready. Sign in to continue.",
                _ => {
                    "Your account is ready. To verify your email address, open the link in the email that we sent you."
                }
            };
            Ok(FlashRedirect::success(
                Redirect::to("/account/login"),
                message,
            ))
        }
        Err(Error::SignUpClosed) => Err(sign_up_closed(layout)),
        Err(error) => {
            error.log(&caller.request_id);
            let errors = FieldErrors::from_error(WHOLE_FORM, &error);
            if errors.has("invite") {
                return Err(invalid_link(layout, error));
            }
            let page = page(auth, layout, &form, &errors);
            Err(RejectedForm { error, page })
        }
    }
}

async fn create_account(auth: &Auth, form: &SignUpForm, caller: &Caller) -> Result<UserId, Error> {
    let mut errors = FieldErrors::default();
    let username = Username::parse(&form.username);
    if let Err(message) = &username {
        errors.add("username", message);
    }
    let email = Some(form.email.as_str()).filter(|email| !email.trim().is_empty());
    let email = email.map(EmailAddress::parse).transpose();
    if let Err(message) = &email {
        errors.add("email", message);
    }
    let (Ok(username), Ok(email)) = (username, email) else {
        return Err(Error::Invalid(errors));
    };
    let new = NewAccount {
        username: &username,
        password: &form.password,
        email: email.as_ref(),
        invitation_key: Some(form.invite.as_str()).filter(|key| !key.is_empty()),
    };
    let actor = Actor::from_caller(TokenKind::Account, None, caller);
    auth.links.sign_up(new, caller, &actor).await
}
