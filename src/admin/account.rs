//! What an admin does to one user: `GET /admin/users/<id>/<action>` asks, `POST` does it.

use rocket::fairing::AdHoc;
use rocket::http::{CookieJar, Status};
use rocket::request::FromParam;
use rocket::response::Redirect;
use rocket::{State, get, post, routes, uri};
use rocket_dyn_templates::{Template, context};

use super::BASE;
use super::comment::Note;
use super::confirm::confirm;
use super::flash::Done;
use super::next::page_here;
use super::page::{Frame, NAMED, isolated, tokens};
use super::users::{self, UserView};
use crate::auth::Auth;
use crate::auth::accounts::Tokens;
use crate::auth::guard::Admin;
use crate::error::{Error, FieldErrors};
use crate::identity::UserId;
use crate::models::event::Actor;
use crate::models::user::{self, User};
use crate::models::{now, token};
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: one user's account", |rocket| async {
        rocket.mount(BASE, bounded(routes![ask, act]))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Disable,
    Enable,
    Unlock,
    Promote,
    Demote,
    SetPassword,
    RevokeTokens,
    Delete,
}

impl Action {
    const ALL: [Self; 8] = [
        Self::Disable,
        Self::Enable,
        Self::Unlock,
        Self::Promote,
        Self::Demote,
        Self::SetPassword,
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
            Self::RevokeTokens => "revoke-tokens",
            Self::Delete => "delete",
        }
    }

    /// Whether somebody who finds a browser left open could do lasting harm with it: then the
    /// admin's own password is asked for again (OWASP ASVS 5.0, 7.5.1).
    fn is_sensitive(self) -> bool {
        match self {
            Self::Promote | Self::SetPassword | Self::RevokeTokens | Self::Delete => true,
            Self::Disable | Self::Enable | Self::Unlock | Self::Demote => false,
        }
    }

    /// Whether to ask the admin's own password before this is done to that user. Before the admin gets
    /// another one, it is always asked for: a browser that was left open for a minute must not become
    /// somebody else's account (OWASP ASVS 5.0, 6.2.3).
    fn asks_password(self, admin: &Admin, user: &User) -> bool {
        let is_own_password = self == Self::SetPassword && user.id == admin.user_id;
        is_own_password || self.is_sensitive() && !admin.password_is_fresh(now())
    }
}

impl<'a> FromParam<'a> for Action {
    type Error = Error;

    fn from_param(text: &'a str) -> Result<Self, Error> {
        let named = |action: &Self| action.as_str() == text;
        Self::ALL.into_iter().find(named).ok_or(Error::NotFound)
    }
}

#[get("/users/<id>/<action>")]
async fn ask(
    auth: &State<Auth>,
    frame: Frame,
    id: Result<UserId, Error>,
    action: Result<Action, Error>,
) -> Result<Template, Error> {
    let (user, action) = (find(auth, id?).await?, action?);
    question(auth, frame, user, action, "", &FieldErrors::default()).await
}

/// What the question's form sends.
struct Answer {
    confirmed: bool,
    /// The admin's own.
    current: Password,
    /// The user's new one.
    new: Password,
    /// Whether to generate that.
    generate: bool,
    note: Note,
    /// Where to go on.
    next: String,
}

impl Form for Answer {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            confirmed: fields.raw("confirm") == "yes",
            current: Password::new(fields.raw("current_password")),
            new: Password::new(fields.raw("password")),
            generate: fields.raw("generate") == "1",
            note: Note::read(fields),
            next: fields.raw("next"),
        })
    }
}

#[post("/users/<id>/<action>", data = "<answer>")]
async fn act(
    auth: &State<Auth>,
    frame: Frame,
    id: Result<UserId, Error>,
    action: Result<Action, Error>,
    cookies: &CookieJar<'_>,
    answer: Body<Answer>,
) -> Result<Result<Done, (Status, Template)>, Error> {
    let (user, action, Body(answer)) = (find(auth, id?).await?, action?, answer);
    if action == Action::Delete && !answer.confirmed {
        let page = question(
            auth,
            frame,
            user,
            action,
            answer.note.as_str(),
            &FieldErrors::default(),
        )
        .await?;
        return Ok(Err((Status::Ok, page)));
    }
    let to = match action {
        Action::Delete => Redirect::to(users::LIST),
        _ if !answer.next.is_empty() => Redirect::to(page_here(Some(&answer.next))),
        _ => Redirect::to(uri!("/admin", users::show(user.id))),
    };
    let admin = frame.admin();
    let asks = action.asks_password(admin, &user);
    if asks && let Some(errors) = confirm(auth, admin, cookies, &answer.current).await? {
        let page = question(auth, frame, user, action, answer.note.as_str(), &errors).await?;
        return Ok(Err((Status::BadRequest, page)));
    }
    let generated = (action == Action::SetPassword && answer.generate).then(Password::generate);
    let new = generated.as_ref().unwrap_or(&answer.new);
    let done = match answer.note.signed(admin.actor()) {
        Ok(actor) => perform(auth, admin, &user, action, new, &actor).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(sentence) => {
            let done = Done::success(to, sentence);
            Ok(Ok(match generated {
                Some(password) => done.with_secret(&password),
                None => done,
            }))
        }
        Err(Error::Invalid(errors)) => {
            let page = question(auth, frame, user, action, answer.note.as_str(), &errors).await?;
            Ok(Err((Status::BadRequest, page)))
        }
        Err(error) if asks || matches!(error, Error::Conflict(_)) => {
            Ok(Ok(Done::failed(to, &error, admin)))
        }
        Err(error) => Err(error),
    }
}

async fn perform(
    auth: &Auth,
    admin: &Admin,
    user: &User,
    action: Action,
    new: &Password,
    actor: &Actor,
) -> Result<String, Error> {
    let (id, name) = (user.id, isolated(&user.username));
    Ok(match action {
        Action::Disable => {
            let ended = auth.disable(id, actor).await?;
            format!("{name} is disabled. {} ended.", tokens(ended))
        }
        Action::Enable => {
            auth.enable(id, actor).await?;
            format!("{name} is enabled and can sign in again.")
        }
        Action::Unlock => {
            auth.unlock(id, actor).await?;
            format!("{name} is unlocked: failed logins count from zero.")
        }
        Action::Promote => {
            auth.promote(id, actor).await?;
            format!("{name} is an admin now.")
        }
        Action::Demote => {
            auth.demote(id, actor).await?;
            format!("{name} is no longer an admin.")
        }
        Action::SetPassword => {
            let kept = (id == admin.user_id).then_some(admin.token_id);
            let end = Tokens::EndAllBut(kept);
            let ended = auth.set_password(user, new, end, actor).await?;
            format!("The password of {name} is set. {} ended.", tokens(ended))
        }
        Action::RevokeTokens => {
            // Not the session that this is asked in.
            let described = format!("user={}", user.username);
            let kept = admin.token_id;
            let ended = auth.end_of_users(&[id], kept, &described, actor).await?;
            format!("{} of {name} revoked.", tokens(ended))
        }
        Action::Delete => {
            let ended = auth.delete_user(id, actor).await?;
            format!("{name} is deleted. {} ended.", tokens(ended))
        }
    })
}

/// The page that asks before an action, with what it would do and what was wrong with the answer
/// before.
async fn question(
    auth: &Auth,
    frame: Frame,
    user: User,
    action: Action,
    note: &str,
    errors: &FieldErrors,
) -> Result<Template, Error> {
    let live = {
        let mut db = auth.pool().read().await?;
        token::list_live(&mut db, user.id, now()).await?
    };
    let admin = frame.admin();
    let own_session = live.iter().any(|token| token.id == admin.token_id);
    let clients: Vec<_> = live.iter().map(|token| &token.client).take(NAMED).collect();
    let content = context! {
        own: user.id == admin.user_id,
        note,
        action: action.as_str(),
        tokens: live.len(),
        more: live.len() - clients.len(),
        clients,
        own_session,
        asks_password: action.asks_password(admin, &user),
        errors: errors.by_field(),
        user: UserView::from(user),
    };
    Ok(frame.render("admin/confirm_user", content))
}

async fn find(auth: &Auth, id: UserId) -> Result<User, Error> {
    let mut db = auth.pool().read().await?;
    user::find(&mut db, id).await?.ok_or(Error::NotFound)
}
