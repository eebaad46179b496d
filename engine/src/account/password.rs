//! The password: `GET, POST /account/password` changes it, `GET, POST /account/forgot` mails a reset link, and
//! `GET, POST /account/set-password?key=` sets it with the key of a link.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::Redirect;
use rocket::{State, get, post, routes};

use crate::account::page::{AccountLayout, WHOLE_FORM, invalid_link};
use crate::account::{BASE, HOME};
use crate::auth::Auth;
use crate::auth::guard::SameOrigin;
use crate::auth::links::Purpose;
use crate::context;
use crate::error::{Error, FieldErrors};
use crate::identity::email::EmailAddress;
use crate::models::event::Actor;
use crate::models::token::TokenKind;
use crate::models::user;
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;
use crate::web::flash::FlashRedirect;
use crate::web::page::{FormResult, PublicLayout, RejectedForm};
use crate::web::templates::Template;

const SIGN_IN_PATH: &str = "/account/login";

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("account: password", |rocket| async {
        let routes = routes![change_form, change, forgot_form, forgot, set_form, set];
        rocket.mount(BASE, bounded(routes))
    })
}

#[get("/password")]
fn change_form(auth: &State<Auth>, layout: AccountLayout) -> Template {
    page(auth, layout, &FieldErrors::default())
}

fn page(auth: &Auth, layout: AccountLayout, errors: &FieldErrors) -> Template {
    let content = context! {
        password_min_length: auth.settings().password_min_length,
        errors: errors.by_field(),
    };
    layout.render("account/password", content)
}

struct PasswordForm {
    current: Password,
    new: Password,
}

impl Form for PasswordForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            current: Password::new(fields.raw("current_password")),
            new: Password::new(fields.raw("new_password")),
        })
    }
}

#[post("/password", data = "<form>")]
async fn change(auth: &State<Auth>, layout: AccountLayout, form: Body<PasswordForm>) -> FormResult {
    let (account, Body(PasswordForm { current, new })) = (layout.account(), form);
    let changed = auth
        .accounts
        .change_password(account.session(), &current, &new, account.caller())
        .await;
    match changed {
        Ok(ended) => {
            let message = match ended {
                0 => "Your password was changed.".to_owned(),
                1 => "Your password was changed. 1 other device was signed out.".to_owned(),
                _ => format!("Your password was changed. {ended} other devices were signed out."),
            };
            Ok(Ok(FlashRedirect::success(Redirect::to(HOME), message)))
        }
        Err(Error::Invalid(errors)) => Ok(Err((Status::BadRequest, page(auth, layout, &errors)))),
        Err(Error::InvalidToken) => Err(Error::SignInRequired(None)),
        Err(error) => Err(error),
    }
}

#[get("/forgot")]
fn forgot_form(auth: &State<Auth>, layout: PublicLayout) -> Template {
    forgot_page(auth, layout, "", &FieldErrors::default())
}

fn forgot_page(auth: &Auth, layout: PublicLayout, email: &str, errors: &FieldErrors) -> Template {
    let content = context! {
        email,
        has_mail: auth.outbox.is_enabled(),
        errors: errors.by_field(),
    };
    layout.render("account/forgot", content)
}

struct ResetRequestForm {
    email: String,
}

impl Form for ResetRequestForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.raw("email");
        Some(Self { email })
    }
}

#[post("/forgot", data = "<form>")]
async fn forgot(
    auth: &State<Auth>,
    same_origin: SameOrigin,
    layout: PublicLayout,
    form: Body<ResetRequestForm>,
) -> Result<FlashRedirect, RejectedForm> {
    let (SameOrigin(caller), Body(ResetRequestForm { email })) = (same_origin, form);
    let result = match EmailAddress::parse(&email) {
        Ok(address) => auth.links.request_reset(&address, &caller).await,
        Err(message) => Err(Error::invalid("email", message)),
    };
    match result {
        Ok(()) => {
            let message = "If an account has this email address, we will send it a link to reset the password.";
            Ok(FlashRedirect::success(Redirect::to(SIGN_IN_PATH), message))
        }
        Err(error) => {
            error.log(&caller.request_id);
            let errors = FieldErrors::from_error(WHOLE_FORM, &error);
            let page = forgot_page(auth, layout, &email, &errors);
            Err(RejectedForm { error, page })
        }
    }
}

#[get("/set-password?<key>")]
async fn set_form(
    auth: &State<Auth>,
    layout: PublicLayout,
    key: Option<&str>,
) -> Result<Result<Template, RejectedForm>, Error> {
    let key = key.unwrap_or_default();
    set_page(auth, layout, key, &FieldErrors::default()).await
}

async fn set_page(
    auth: &Auth,
    layout: PublicLayout,
    key: &str,
    errors: &FieldErrors,
) -> Result<Result<Template, RejectedForm>, Error> {
    let purposes = [Purpose::Reset, Purpose::Invite];
    let link = match auth.links.find(key, &purposes).await {
        Ok(link) => link,
        Err(error @ Error::Invalid(_)) => return Ok(Err(invalid_link(layout, error))),
        Err(error) => return Err(error),
    };
    let user = match link.user() {
        Some(id) => user::find(&mut auth.pool().read().await?, id).await?,
        None => None,
    };
    let content = context! {
        key,
        username: user.map(|user| user.username),
        is_first: link.purpose == Purpose::Invite,
        password_min_length: auth.settings().password_min_length,
        errors: errors.by_field(),
    };
    Ok(Ok(layout.render("account/set_password", content)))
}

struct NewPasswordForm {
    new: Password,
}

impl Form for NewPasswordForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        let new = Password::new(fields.raw("new_password"));
        Some(Self { new })
    }
}

#[post("/set-password?<key>", data = "<form>")]
async fn set(
    auth: &State<Auth>,
    same_origin: SameOrigin,
    layout: PublicLayout,
    key: Option<&str>,
    form: Body<NewPasswordForm>,
) -> FormResult<RejectedForm> {
    let (SameOrigin(caller), key) = (same_origin, key.unwrap_or_default());
    let actor = Actor::from_caller(TokenKind::Account, None, &caller);
    let new = &form.0.new;
    match auth
        .links
        .set_password(key, "new_password", new, &actor)
        .await
    {
        Ok(()) => {
            let message = "Your password was set. Sign in with your new password.";
            Ok(Ok(FlashRedirect::success(
                Redirect::to(SIGN_IN_PATH),
                message,
            )))
        }
        Err(error @ Error::Invalid(_)) => {
            let errors = FieldErrors::from_error(WHOLE_FORM, &error);
            if errors.has("key") {
                return Ok(Err(invalid_link(layout, error)));
            }
            let page = set_page(auth, layout, key, &errors).await?;
            Ok(Err(page.map_or_else(
                |rejected| rejected,
                |page| RejectedForm { error, page },
            )))
        }
        Err(error) => Err(error),
    }
}
