//! New users. `GET, POST /admin/users/new` sets a password. `POST /admin/users/invite` makes a link to set one, or
//! without a username a link to sign up.

use rocket::fairing::AdHoc;
use rocket::http::{CookieJar, Status};
use rocket::response::Redirect;
use rocket::{State, get, post, routes};

use crate::admin::confirm::confirm_password;
use crate::admin::page::AdminLayout;
use crate::admin::{BASE, USERS_PATH, user_path};
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::config::SignUpPolicy;
use crate::context;
use crate::error::{Error, FieldErrors};
use crate::identity::email::EmailAddress;
use crate::identity::{UserId, Username};
use crate::models::event::Actor;
use crate::models::now;
use crate::models::user::Role;
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;
use crate::web::flash::{FlashRedirect, OneTimeSecret};
use crate::web::page::{FormResult, isolated};
use crate::web::templates::Template;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: new user", |rocket| async {
        rocket.mount(BASE, bounded(routes![new, create, invite]))
    })
}

#[get("/users/new")]
fn new(auth: &State<Auth>, layout: AdminLayout) -> Template {
    form_page(auth, layout, "", "", Role::User, &FieldErrors::default())
}

/// The form's unchecked fields. The handler shows the form again with its errors.
struct NewUserForm {
    username: String,
    password: Password,
    /// None if it is not a role.
    role: Option<Role>,
    /// Where to mail the invitation.
    email: String,
    generate: bool,
    /// The admin's own password. Creating an admin asks for it, as promoting a user does.
    current: Password,
}

impl Form for NewUserForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            username: fields.raw("username"),
            password: Password::new(fields.raw("password")),
            email: fields.raw("email"),
            generate: fields.raw("generate") == "1",
            role: match fields.raw("role").as_str() {
                "" => Some(Role::User),
                word => word.parse().ok(),
            },
            current: Password::new(fields.raw("current_password")),
        })
    }
}

#[post("/users/new", data = "<form>")]
async fn create(
    auth: &State<Auth>,
    layout: AdminLayout,
    cookies: &CookieJar<'_>,
    form: Body<NewUserForm>,
) -> FormResult {
    let Body(form) = form;
    let role = match authorized_role(auth, layout.admin(), cookies, &form).await? {
        Ok(role) => role,
        Err(errors) => return Ok(Err(invalid_form(auth, layout, &form, &errors))),
    };
    let generated = form.generate.then(Password::generate);
    let password = generated.as_ref().unwrap_or(&form.password);
    let actor = layout.admin().actor();
    match create_user(auth, &form.username, password, role, &actor).await {
        Ok((id, name)) => {
            let message = format!("{} was created and can sign in.", isolated(name.as_str()));
            let redirect = FlashRedirect::success(Redirect::to(user_path(id)), message);
            Ok(Ok(redirect.with_secret(
                generated.as_ref().map(OneTimeSecret::password),
            )))
        }
        Err(error) => error_response(auth, layout, &form, role, error),
    }
}

#[post("/users/invite", data = "<form>")]
async fn invite(
    auth: &State<Auth>,
    layout: AdminLayout,
    cookies: &CookieJar<'_>,
    form: Body<NewUserForm>,
) -> FormResult {
    let Body(form) = form;
    let role = match authorized_role(auth, layout.admin(), cookies, &form).await? {
        Ok(role) => role,
        Err(errors) => return Ok(Err(invalid_form(auth, layout, &form, &errors))),
    };
    let mut secret = None;
    let receive_link = |url: &str| {
        secret = Some(OneTimeSecret::link(url));
        Ok(())
    };
    let actor = layout.admin().actor();
    match invite_user(auth, &form, role, &actor, receive_link).await {
        Ok(invited) => {
            let is_mailed = auth.outbox.is_enabled() && !form.email.trim().is_empty();
            let mailed = if is_mailed {
                " The link is also sent by email."
            } else {
                ""
            };
            let (path, message) = match invited {
                Some((id, name)) => (
                    user_path(id),
                    format!("{} was invited.{mailed}", isolated(name.as_str())),
                ),
                None => (
                    USERS_PATH.to_owned(),
                    format!("The sign-up invitation was created.{mailed}"),
                ),
            };
            Ok(Ok(
                FlashRedirect::success(Redirect::to(path), message).with_secret(secret)
            ))
        }
        Err(error) => error_response(auth, layout, &form, role, error),
    }
}

/// The role of the new user. Creating an admin requires the current admin's password, given here or recently.
async fn authorized_role(
    auth: &Auth,
    admin: &Admin,
    cookies: &CookieJar<'_>,
    form: &NewUserForm,
) -> Result<Result<Role, FieldErrors>, Error> {
    let Some(role) = form.role else {
        return Ok(Err(FieldErrors::single("role", "Select a valid choice.")));
    };
    if requires_password(admin, role)
        && let Some(errors) = confirm_password(auth, admin, cookies, &form.current).await?
    {
        return Ok(Err(errors));
    }
    Ok(Ok(role))
}

fn requires_password(admin: &Admin, role: Role) -> bool {
    role == Role::Admin && !admin.is_password_fresh(now())
}

fn error_response(
    auth: &Auth,
    layout: AdminLayout,
    form: &NewUserForm,
    role: Role,
    error: Error,
) -> FormResult {
    match error {
        Error::Invalid(errors) => Ok(Err(invalid_form(auth, layout, form, &errors))),
        error if requires_password(layout.admin(), role) => {
            let redirect = Redirect::to(USERS_PATH);
            Ok(Ok(FlashRedirect::failed(
                redirect,
                &error,
                layout.admin().caller(),
            )))
        }
        error => Err(error),
    }
}

fn invalid_form(
    auth: &Auth,
    layout: AdminLayout,
    form: &NewUserForm,
    errors: &FieldErrors,
) -> (Status, Template) {
    let role = form.role.unwrap_or(Role::User);
    let page = form_page(auth, layout, &form.username, &form.email, role, errors);
    (Status::BadRequest, page)
}

async fn create_user(
    auth: &Auth,
    username: &str,
    password: &Password,
    role: Role,
    actor: &Actor,
) -> Result<(UserId, Username), Error> {
    let name = Username::parse(username).map_err(|message| Error::invalid("username", message))?;
    let id = auth
        .accounts
        .create_user(&name, password, role, actor)
        .await?;
    Ok((id, name))
}

/// Invites a user. Without a username, creates an invitation to sign up, if the settings allow it. `receive_link` gets
/// the link.
async fn invite_user(
    auth: &Auth,
    form: &NewUserForm,
    role: Role,
    actor: &Actor,
    receive_link: impl FnOnce(&str) -> Result<(), Error>,
) -> Result<Option<(UserId, Username)>, Error> {
    let email = Some(form.email.as_str()).filter(|email| !email.trim().is_empty());
    let email = email.map(EmailAddress::parse).transpose();
    let email = email.map_err(|message| Error::invalid("email", message))?;
    // An invitation to sign up grants no role.
    let may_sign_up = role == Role::User && auth.settings().sign_up != SignUpPolicy::Closed;
    if may_sign_up && form.username.trim().is_empty() {
        auth.links
            .invite_to_sign_up(email.as_ref(), actor, receive_link)
            .await?;
        return Ok(None);
    }
    let name =
        Username::parse(&form.username).map_err(|message| Error::invalid("username", message))?;
    let id = auth
        .links
        .invite(&name, role, email.as_ref(), actor, receive_link)
        .await?;
    Ok(Some((id, name)))
}

fn form_page(
    auth: &Auth,
    layout: AdminLayout,
    username: &str,
    email: &str,
    role: Role,
    errors: &FieldErrors,
) -> Template {
    let content = context! {
        username,
        email,
        has_mail: auth.outbox.is_enabled(),
        can_sign_up: auth.settings().sign_up != SignUpPolicy::Closed,
        role: role.as_str(),
        password_min_length: auth.settings().password_min_length,
        requires_password: !layout.admin().is_password_fresh(now()),
        errors: errors.by_field(),
    };
    layout.render("admin/new_user", content)
}
