//! The list of users, and each one's tokens client by client.

use rocket::fairing::AdHoc;
use rocket::{State, get, routes};
use rocket_dyn_templates::{Template, context};
use serde::Serialize;

use super::BASE;
use super::page::{Frame, LAST_PAGE, PER_PAGE, page_number, plain_query};
use crate::auth::Auth;
use crate::error::Error;
use crate::identity::{TokenId, UserId, canonical};
use crate::models::event::{self, Event};
use crate::models::now;
use crate::models::token::{self, Token};
use crate::models::user::{self, Listed, User};

const EVENTS: i64 = 15;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: users", |rocket| async {
        rocket.mount(BASE, routes![list, show])
    })
}

/// A user as the pages show it.
#[derive(Serialize)]
pub(super) struct UserView {
    id: String,
    username: String,
    role: &'static str,
    disabled: bool,
    created_at: i64,
    last_login_at: Option<i64>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username,
            role: user.role.as_str(),
            disabled: user.disabled_at.is_some(),
            created_at: user.created_at,
            last_login_at: user.last_login_at,
        }
    }
}

#[derive(Serialize)]
struct Row {
    user: UserView,
    tokens: i64,
}

impl From<Listed> for Row {
    fn from(listed: Listed) -> Self {
        Self {
            user: listed.user.into(),
            tokens: listed.tokens,
        }
    }
}

#[derive(Serialize)]
struct TokenView {
    id: String,
    client: String,
    kind: &'static str,
    hint: String,
    created_at: i64,
    last_used_at: Option<i64>,
    expires_at: Option<i64>,
    address: Option<String>,
    user_agent: Option<String>,
    current: bool,
}

impl TokenView {
    fn new(token: Token, current: TokenId) -> Self {
        Self {
            id: token.id.to_string(),
            client: token.client,
            kind: token.kind.as_str(),
            hint: token.hint,
            created_at: token.created_at,
            last_used_at: token.last_used_at,
            expires_at: token.expires_at,
            address: token.last_address,
            user_agent: token.user_agent,
            current: token.id == current,
        }
    }
}

/// A line of the audit trail as the pages show it.
#[derive(Serialize)]
pub(super) struct Happened {
    at: i64,
    action: String,
    via: String,
    actor: Option<String>,
    subject: Option<String>,
    client: Option<String>,
    reason: Option<String>,
    address: Option<String>,
}

impl From<Event> for Happened {
    fn from(event: Event) -> Self {
        Self {
            at: event.at,
            action: event.action,
            via: event.via,
            actor: event.actor_name,
            subject: event.subject_name,
            client: event.client,
            reason: event.reason,
            address: event.address,
        }
    }
}

/// What makes no sense in a parameter counts as absent.
#[get("/users?<q>&<page>")]
pub(super) async fn list(
    auth: &State<Auth>,
    frame: Frame,
    q: Option<&str>,
    page: Option<&str>,
) -> Result<Template, Error> {
    let (q, page) = (plain_query(q), page_number(page));
    let prefix = canonical(q);

    let mut db = auth.pool().read().await?;
    let filter = user::Filter {
        name: prefix,
        ..user::Filter::default()
    };
    let total = user::count(&mut db, &filter, 10001).await?;
    let users = user::list(
        &mut db,
        &filter,
        (user::Sort::Name, false),
        now(),
        PER_PAGE,
        (page - 1) * PER_PAGE,
    )
    .await?;
    let pages = (total + PER_PAGE - 1) / PER_PAGE;
    let content = context! {
        users: users.into_iter().map(Row::from).collect::<Vec<_>>(),
        q,
        total,
        number: page,
        pages: pages.clamp(1, LAST_PAGE),
    };
    Ok(frame.render("admin/users", content))
}

#[get("/users/<id>")]
pub(super) async fn show(
    auth: &State<Auth>,
    frame: Frame,
    id: Result<UserId, Error>,
) -> Result<Template, Error> {
    let id = id?;
    let mut db = auth.pool().read().await?;
    let user = user::find(&mut db, id).await?.ok_or(Error::NotFound)?;
    let tokens = token::list_live(&mut db, id, now()).await?;
    let events = event::latest_about(&mut db, id, EVENTS).await?;
    let current = frame.admin().token_id;
    let content = context! {
        user: UserView::from(user),
        tokens: tokens.into_iter().map(|token| TokenView::new(token, current)).collect::<Vec<_>>(),
        events: events.into_iter().map(Happened::from).collect::<Vec<_>>(),
    };
    Ok(frame.render("admin/user", content))
}
