//! Actions on one user: `GET /admin/users/<id>/<action>` asks for confirmation, `POST` acts.

use rocket::fairing::AdHoc;
use rocket::http::{CookieJar, Status};
use rocket::request::FromParam;
use rocket::response::Redirect;
use rocket::{State, get, post, routes};

use crate::admin::confirm::Confirmation;
use crate::admin::next_path;
use crate::admin::page::{AdminLayout, MAX_NAMED};
use crate::admin::user_view::UserView;
use crate::admin::{BASE, USERS_PATH, user_path};
use crate::auth::Auth;
use crate::auth::accounts::ExistingTokens;
use crate::auth::guard::Admin;
use crate::context;
use crate::error::{Error, FieldErrors};
use crate::identity::UserId;
use crate::models::event::Actor;
use crate::models::now;
use crate::models::token::{self, TokenRow};
use crate::models::user::{self, UserRow};
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;
use crate::web::flash::{FlashRedirect, OneTimeSecret};
use crate::web::page::{FormResult, isolated, tokens};
use crate::web::templates::Template;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: user", |rocket| async {
        rocket.mount(BASE, bounded(routes![confirm, perform]))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum UserAction {
    Disable,
    Enable,
    Unlock,
    Promote,
    Demote,
    SetPassword,
    Invite,
    RevokeTokens,
    Delete,
}

impl UserAction {
    const ALL: [Self; 9] = [
        Self::Disable,
        Self::Enable,
        Self::Unlock,
        Self::Promote,
        Self::Demote,
        Self::SetPassword,
        Self::Invite,
        Self::RevokeTokens,
        Self::Delete,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Unlock => "unlock",
            Self::Promote => "promote",
            Self::Demote => "demote",
            Self::SetPassword => "password",
            Self::Invite => "invite",
            Self::RevokeTokens => "revoke-tokens",
            Self::Delete => "delete",
        }
    }

    /// Whether the action could do lasting harm if a stranger used an unattended browser. Sensitive actions ask for the
    /// admin's own password again (OWASP ASVS 5.0, 7.5.1).
    fn is_sensitive(self) -> bool {
        match self {
            Self::Promote
            | Self::SetPassword
            | Self::Invite
            | Self::RevokeTokens
            | Self::Delete => true,
            Self::Disable | Self::Enable | Self::Unlock | Self::Demote => false,
        }
    }

    /// Whether the action asks for the admin's own password. Changing that password always does, so that nobody can take
    /// over the account at an unattended browser (OWASP ASVS 5.0, 6.2.3).
    fn requires_password(self, admin: &Admin, user: &UserRow) -> bool {
        let is_own_password = self == Self::SetPassword && user.id == admin.user_id;
        is_own_password || self.is_sensitive() && !admin.is_password_fresh(now())
    }
}

impl<'a> FromParam<'a> for UserAction {
    type Error = Error;

    fn from_param(text: &'a str) -> Result<Self, Error> {
        let named = |action: &Self| action.as_str() == text;
        Self::ALL.into_iter().find(named).ok_or(Error::NotFound)
    }
}

#[get("/users/<id>/<action>")]
async fn confirm(
    auth: &State<Auth>,
    layout: AdminLayout,
    id: Result<UserId, Error>,
    action: Result<UserAction, Error>,
) -> Result<Template, Error> {
    let (user, action) = (find_user(auth, id?).await?, action?);
    confirmation_page(auth, layout, user, action, "", &FieldErrors::default()).await
}

/// The confirmation form.
struct UserActionForm {
    confirmed: bool,
    /// The user's new password.
    new: Password,
    generate: bool,
    confirmation: Confirmation,
    next: String,
}

impl Form for UserActionForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            confirmed: fields.raw("confirm") == "yes",
            new: Password::new(fields.raw("password")),
            generate: fields.raw("generate") == "1",
            confirmation: Confirmation::read(fields),
            next: fields.raw("next"),
        })
    }
}

#[post("/users/<id>/<action>", data = "<form>")]
async fn perform(
    auth: &State<Auth>,
    layout: AdminLayout,
    id: Result<UserId, Error>,
    action: Result<UserAction, Error>,
    cookies: &CookieJar<'_>,
    form: Body<UserActionForm>,
) -> FormResult {
    let (user, action, Body(form)) = (find_user(auth, id?).await?, action?, form);
    let note = form.confirmation.note();
    if action == UserAction::Delete && !form.confirmed {
        let page =
            confirmation_page(auth, layout, user, action, note, &FieldErrors::default()).await?;
        return Ok(Err((Status::Ok, page)));
    }
    let redirect = Redirect::to(match action {
        UserAction::Delete => USERS_PATH.to_owned(),
        _ if !form.next.is_empty() => next_path(Some(&form.next)),
        _ => user_path(user.id),
    });
    let admin = layout.admin();
    let requires_password = action.requires_password(admin, &user);
    let actor = form
        .confirmation
        .confirm(auth, admin, cookies, requires_password)
        .await?;
    let result = match actor {
        Ok(actor) => execute(auth, admin, &user, action, &form, &actor).await,
        Err(errors) => Err(Error::Invalid(errors)),
    };
    match result {
        Ok((message, secret)) => {
            let response = FlashRedirect::success(redirect, message).with_secret(secret);
            Ok(Ok(response))
        }
        Err(Error::Invalid(errors)) => {
            let page = confirmation_page(auth, layout, user, action, note, &errors).await?;
            Ok(Err((Status::BadRequest, page)))
        }
        Err(error) if requires_password || matches!(error, Error::Conflict(_)) => {
            Ok(Ok(FlashRedirect::failed(redirect, &error, admin.caller())))
        }
        Err(error) => Err(error),
    }
}

/// Executes the action. Returns the flash message and the secret to show once.
async fn execute(
    auth: &Auth,
    admin: &Admin,
    user: &UserRow,
    action: UserAction,
    form: &UserActionForm,
    actor: &Actor,
) -> Result<(String, Option<OneTimeSecret>), Error> {
    let (id, name) = (user.id, isolated(&user.username));
    let mut secret = None;
    let message = match action {
        UserAction::Disable => {
            let revoked = auth.accounts.disable(id, actor).await?;
            format!("{name} was disabled. {} revoked.", tokens(revoked))
        }
        UserAction::Enable => {
            auth.accounts.enable(id, actor).await?;
            format!("{name} was enabled.")
        }
        UserAction::Unlock => {
            auth.throttle.unlock(id, actor).await?;
            format!("{name} was unlocked. The count of failed logins was reset.")
        }
        UserAction::Promote => {
            auth.accounts.promote(id, actor).await?;
            format!("{name} is now an admin.")
        }
        UserAction::Demote => {
            auth.accounts.demote(id, actor).await?;
            format!("{name} is no longer an admin.")
        }
        UserAction::SetPassword => {
            let kept = (id == admin.user_id).then_some(admin.token_id);
            let end = ExistingTokens::RevokeAllExcept(kept);
            let generated = form.generate.then(Password::generate);
            let new = generated.as_ref().unwrap_or(&form.new);
            let revoked = auth.accounts.set_password(user, new, end, actor).await?;
            secret = generated.as_ref().map(OneTimeSecret::password);
            format!(
                "The password of {name} was set. {} revoked.",
                tokens(revoked)
            )
        }
        UserAction::Invite => {
            let receive_link = |url: &str| {
                secret = Some(OneTimeSecret::link(url));
                Ok(())
            };
            auth.links.invite_again(id, actor, receive_link).await?;
            format!("{name} was invited again. Earlier links no longer work.")
        }
        UserAction::RevokeTokens => {
            // The current session is kept.
            let filter = format!("user={}", user.username);
            let kept = admin.token_id;
            let revoked = auth
                .bulk
                .revoke_for_users(&[id], kept, &filter, actor)
                .await?;
            format!("{} of {name} revoked.", tokens(revoked))
        }
        UserAction::Delete => {
            let revoked = auth.accounts.delete_user(id, actor).await?;
            format!("{name} was deleted. {} revoked.", tokens(revoked))
        }
    };
    Ok((message, secret))
}

/// The confirmation page, with the action's effects and the errors of the last attempt.
async fn confirmation_page(
    auth: &Auth,
    layout: AdminLayout,
    user: UserRow,
    action: UserAction,
    note: &str,
    errors: &FieldErrors,
) -> Result<Template, Error> {
    let (mut live, email, has_password) = {
        let mut db = auth.pool().read().await?;
        let live = token::list_live(&mut db, user.id, now()).await?;
        let email = user::email(&mut db, user.id).await?;
        (live, email, user::has_password(&mut db, user.id).await?)
    };
    let admin = layout.admin();
    // These actions keep the current session.
    let keeps_session = matches!(action, UserAction::SetPassword | UserAction::RevokeTokens);
    let is_own = |token: &TokenRow| token.id == admin.token_id;
    let own_session = keeps_session && live.iter().any(is_own);
    live.retain(|token| !keeps_session || !is_own(token));
    let clients: Vec<_> = live
        .iter()
        .map(|token| &token.client)
        .take(MAX_NAMED)
        .collect();
    let content = context! {
        own: user.id == admin.user_id,
        note,
        action: action.as_str(),
        tokens: live.len(),
        more: live.len() - clients.len(),
        clients,
        own_session,
        has_password,
        mailed_to: email.map(|(address, _)| address).filter(|_| auth.outbox.is_enabled()),
        requires_password: action.requires_password(admin, &user),
        errors: errors.by_field(),
        user: UserView::from(user),
    };
    Ok(layout.render("admin/confirm_user", content))
}

async fn find_user(auth: &Auth, id: UserId) -> Result<UserRow, Error> {
    let mut db = auth.pool().read().await?;
    user::find(&mut db, id).await?.ok_or(Error::NotFound)
}
