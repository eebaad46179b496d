//! The list of users, and each one's tokens client by client.

use rocket::fairing::AdHoc;
use rocket::form::FromForm;
use rocket::{State, get, routes};
use rocket_dyn_templates::{Template, context};
use serde::Serialize;

use super::BASE;
use super::list::{COUNTED, Column, Counted, Order, Pages, Query, Turn, choices, order, text};
use super::page::{Frame, plain_query};
use super::tokens::TokenView;
use crate::auth::Auth;
use crate::auth::throttle::Locks;
use crate::error::Error;
use crate::identity::{UserId, key};
use crate::models::event::{self, Event};
use crate::models::now;
use crate::models::token;
use crate::models::user::{self, Filter, Listed, Role, Sort, User};
use crate::web::deadline::bounded;

const EVENTS: i64 = 15;
/// Where the list is.
pub(super) const LIST: &str = "/admin/users";

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: users", |rocket| async {
        rocket.mount(BASE, bounded(routes![list, show]))
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
    last_seen_at: Option<i64>,
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
            last_seen_at: user.last_seen_at,
        }
    }
}

/// A user with the number of live tokens.
#[derive(Serialize)]
pub(super) struct Row {
    user: UserView,
    tokens: i64,
}

impl Row {
    pub(super) fn new(user: User, tokens: i64) -> Self {
        let user = user.into();
        Self { user, tokens }
    }

    pub(super) fn tokens(&self) -> i64 {
        self.tokens
    }
}

impl From<Listed> for Row {
    fn from(listed: Listed) -> Self {
        Self::new(listed.user, listed.tokens)
    }
}

/// What failed logins have closed, as the page shows it.
#[derive(Serialize)]
struct LocksView {
    strangers: Option<i64>,
    failures: i64,
    known: Vec<(String, i64)>,
}

impl From<Locks> for LocksView {
    fn from(locks: Locks) -> Self {
        Self {
            strangers: locks.strangers,
            failures: locks.failures,
            known: locks.known,
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
    subject_id: Option<String>,
    client: Option<String>,
    reason: Option<String>,
    address: Option<String>,
    count: i64,
}

impl From<Event> for Happened {
    fn from(event: Event) -> Self {
        Self {
            at: event.at,
            action: event.action,
            via: event.via,
            actor: event.actor_name,
            subject: event.subject_name,
            subject_id: event.subject_id,
            client: event.client,
            reason: event.reason,
            address: event.address,
            count: event.count,
        }
    }
}

const ORDERS: [Order<Sort>; 3] = [
    Order {
        name: "name",
        by: Sort::Name,
        words: ["Name, A first", "Name, Z first"],
    },
    Order {
        name: "created",
        by: Sort::Created,
        words: ["Oldest first", "Newest first"],
    },
    Order {
        name: "last_seen",
        by: Sort::LastSeen,
        words: ["Seen longest ago first", "Seen last first"],
    },
];

/// What is asked for; what makes no sense counts as absent.
#[derive(FromForm)]
pub(super) struct Asked<'r> {
    q: Option<&'r str>,
    status: Option<&'r str>,
    role: Option<&'r str>,
    sort: Option<&'r str>,
    page: Option<&'r str>,
    after: Option<&'r str>,
    before: Option<&'r str>,
}

impl<'r> Asked<'r> {
    fn status(&self) -> Option<&'r str> {
        self.status
            .filter(|word| ["active", "disabled"].contains(word))
    }

    fn role(&self) -> Option<Role> {
        self.role.and_then(|word| word.parse().ok())
    }

    fn filter(&self) -> Filter {
        Filter {
            name: key(plain_query(self.q)),
            active: self.status().map(|word| word == "active"),
            role: self.role(),
        }
    }

    fn query(&self) -> Query {
        let mut query = Query::default();
        query.note("q", text(self.q));
        query.note("status", self.status());
        query.note("role", self.role().map(Role::as_str));
        query.note("sort", order(&ORDERS, self.sort).map(|(_, asked)| asked));
        query
    }
}

fn columns(query: &Query, sort: &str) -> Vec<Column> {
    vec![
        Column::sorted_by("User", "name", query, sort),
        Column::plain("Role"),
        Column::plain("Status"),
        Column::number("Live tokens"),
        Column::sorted_by("Last seen", "-last_seen", query, sort),
        Column::sorted_by("Created", "-created", query, sort),
    ]
}

#[get("/users?<asked..>")]
pub(super) async fn list(
    auth: &State<Auth>,
    frame: Frame,
    asked: Asked<'_>,
) -> Result<Template, Error> {
    let (filter, query) = (asked.filter(), asked.query());
    let (by, sort) = order(&ORDERS, asked.sort).unwrap_or(((Sort::Name, false), "name"));
    let mut turn = Turn::to(asked.page, asked.after, asked.before, |text| by.0.key(text));
    let mut db = auth.pool().read().await?;
    let count = user::count(&mut db, &filter, COUNTED).await?;
    let mut users = user::list(&mut db, &filter, by, now(), &turn.part).await?;
    if let Some(first) = turn.or_first(users.len()) {
        turn = first;
        users = user::list(&mut db, &filter, by, now(), &turn.part).await?;
    }
    let (pages, users) = Pages::of(&turn, users, Some(count), &query);
    let content = context! {
        count: Counted::of(count),
        pages,
        users: users.into_iter().map(Row::from).collect::<Vec<_>>(),
        columns: columns(&query, sort),
        orders: choices(&ORDERS),
        q: plain_query(asked.q),
        status: asked.status(),
        role: asked.role().map(Role::as_str),
        sort,
        narrowed: query.narrows(),
        own: frame.admin().user_id.to_string(),
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
    let locks = auth.locks(id).await?;
    let mut db = auth.pool().read().await?;
    let user = user::find(&mut db, id).await?.ok_or(Error::NotFound)?;
    let tokens = token::list_of_user(&mut db, id).await?;
    let events = event::latest_about(&mut db, id, EVENTS).await?;
    let (current, now) = (frame.admin().token_id, now());
    let live = tokens.iter().filter(|token| token.ends_at > now).count();
    let content = context! {
        own: id == frame.admin().user_id,
        user: UserView::from(user),
        locks: LocksView::from(locks),
        live,
        tokens: TokenView::all(tokens, current, now),
        events: events.into_iter().map(Happened::from).collect::<Vec<_>>(),
    };
    Ok(frame.render("admin/user", content))
}
