//! The list of users, and each one's tokens client by client.

use rocket::fairing::AdHoc;
use rocket::form::FromForm;
use rocket::{State, get, routes};
use rocket_dyn_templates::{Template, context};
use serde::Serialize;

use super::BASE;
use super::csv::{Csv, Rows};
use super::events::EventView;
use super::list::{Column, Counted, Order, PER_PAGE, Pager, Query, Sorting, order, start, text};
use super::page::{Frame, plain_query};
use super::tokens::TokenView;
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::auth::throttle::Locks;
use crate::error::Error;
use crate::identity::{UserId, key};
use crate::models::event;
use crate::models::list::Start;
use crate::models::now;
use crate::models::token;
use crate::models::user::{self, Filter, Listed, Role, Sort, Status, User};
use crate::web::deadline::bounded;
use crate::web::time::rfc3339;

const EVENTS: usize = 10;
/// Where the list is.
pub(super) const LIST: &str = "/admin/users";

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: users", |rocket| async {
        rocket.mount(BASE, bounded(routes![list, download, show]))
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

const ORDERS: [Order<Sort>; 3] = [
    Order {
        name: "name",
        by: Sort::Name,
        words: ["Name: A to Z", "Name: Z to A"],
    },
    Order {
        name: "created",
        by: Sort::Created,
        words: ["Created: oldest first", "Created: newest first"],
    },
    Order {
        name: "last_seen",
        by: Sort::LastSeen,
        words: ["Last seen: oldest first", "Last seen: newest first"],
    },
];

/// What is asked for; an invalid value counts as absent.
#[derive(FromForm)]
pub(super) struct Asked<'r> {
    q: Option<&'r str>,
    status: Option<&'r str>,
    role: Option<&'r str>,
    sort: Option<&'r str>,
    after: Option<&'r str>,
    before: Option<&'r str>,
}

const STATUSES: [&str; 3] = ["active", "disabled", "locked"];

impl Asked<'_> {
    fn filter(&self, auth: &Auth) -> Filter {
        Filter {
            name: key(plain_query(self.q)),
            status: match self.status {
                Some("active") => Some(Status::Active),
                Some("disabled") => Some(Status::Disabled),
                Some("locked") => Some(auth.locked()),
                _ => None,
            },
            role: self.role.and_then(|word| word.parse().ok()),
        }
    }

    fn query(&self) -> Query {
        let mut query = Query::default();
        query.note("q", text(self.q));
        query.note("status", self.status.filter(|word| STATUSES.contains(word)));
        query.note(
            "role",
            self.role.filter(|word| word.parse::<Role>().is_ok()),
        );
        query.note(
            "sort",
            self.sort.filter(|_| order(&ORDERS, self.sort).is_some()),
        );
        query
    }
}

fn columns(sorting: &Sorting) -> Vec<Column> {
    vec![
        sorting.column("User", "name"),
        Column::plain("Role"),
        Column::plain("Status"),
        Column::number("Live tokens"),
        sorting.column("Last seen", "-last_seen"),
        sorting.column("Created", "-created"),
    ]
}

#[get("/users?<asked..>")]
async fn list(auth: &State<Auth>, frame: Frame, asked: Asked<'_>) -> Result<Template, Error> {
    let (filter, query, now) = (asked.filter(auth), asked.query(), now());
    let sorted = filter.sorted(order(&ORDERS, asked.sort));
    let sorting = Sorting::of(&ORDERS, filter.sorts(), sorted, &query);
    let list = filter.list(sorted, now);
    let from = start(&list, asked.after, asked.before);
    let mut db = auth.pool().read().await?;
    let (page, count) = list
        .page_and_count::<Listed>(&mut db, from, PER_PAGE)
        .await?;
    drop(db);
    let content = context! {
        count: count.map(Counted::from),
        pager: Pager::of(&page, &query),
        users: page.rows.into_iter().map(Row::from).collect::<Vec<_>>(),
        columns: columns(&sorting),
        chips: query.chips(),
        asked: query.values(&["q", "status", "role"]),
        query: query.text(),
        sorting,
        narrowed: query.narrows(),
        own: frame.admin().user_id.to_string(),
    };
    Ok(frame.render("admin/users", content))
}

const HEADING: [&str; 8] = [
    "id",
    "username",
    "role",
    "status",
    "live tokens",
    "last seen",
    "last login",
    "created",
];

#[get("/users.csv?<asked..>")]
async fn download(auth: &State<Auth>, _admin: Admin, asked: Asked<'_>) -> Result<Csv, Error> {
    let filter = asked.filter(auth);
    let list = filter.list(filter.sorted(order(&ORDERS, asked.sort)), now());
    let rows = Rows::new(auth, list, &HEADING, |listed: Listed| {
        let user = listed.user;
        let status = if user.disabled_at.is_some() {
            "disabled"
        } else {
            "active"
        };
        vec![
            Some(user.id.to_string()),
            Some(user.username),
            Some(user.role.as_str().to_owned()),
            Some(status.to_owned()),
            Some(listed.tokens.to_string()),
            user.last_seen_at.and_then(rfc3339),
            user.last_login_at.and_then(rfc3339),
            rfc3339(user.created_at),
        ]
    });
    rows.download("users").await
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
    let [about, by] =
        [event::Filter::about(&user), event::Filter::by(&user)].map(|filter| filter.list());
    let about = about.page(&mut db, Start::First, EVENTS).await?;
    let by = by.page(&mut db, Start::First, EVENTS).await?;
    drop(db);
    let (current, now) = (frame.admin().token_id, now());
    let live = tokens.iter().filter(|token| token.ends_at > now).count();
    let content = context! {
        own: id == frame.admin().user_id,
        user: UserView::from(user),
        locks: LocksView::from(locks),
        live,
        tokens: TokenView::all(tokens, current, now),
        about: EventView::all(about.rows),
        by: EventView::all(by.rows),
    };
    Ok(frame.render("admin/user", content))
}
