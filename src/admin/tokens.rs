//! Every token: `GET /admin/tokens`; and one of them: asking before it is revoked, and revoking it.

use rocket::fairing::AdHoc;
use rocket::form::FromForm;
use rocket::response::Redirect;
use rocket::{State, get, post, routes, uri};
use rocket_dyn_templates::{Template, context};
use serde::Serialize;

use super::flash::Done;
use super::list::{
    COUNTED, Choice, Column, Counted, Order, Pages, Query, Turn, choices, order, text,
};
use super::next::page_here;
use super::page::{Frame, isolated};
use super::{BASE, users};
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::auth::sessions::{Reason, Which};
use crate::error::Error;
use crate::identity::{TokenId, UserId, key};
use crate::models::now;
use crate::models::token::list::{Filter, Sort};
use crate::models::token::{self, Kind, Token};
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;

const DAY: i64 = 24 * 60 * 60;
/// Seconds before its end in which a token is marked.
const SOON: i64 = 7 * DAY;
/// The most days that "unused for" takes.
const MOST_DAYS: i64 = 36_500;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: tokens", |rocket| async {
        rocket.mount(BASE, bounded(routes![all, ask, revoke]))
    })
}

/// A token as the pages show it.
#[derive(Serialize)]
pub(super) struct TokenView {
    id: String,
    user_id: String,
    username: String,
    client: String,
    kind: &'static str,
    hint: String,
    created_at: i64,
    last_used_at: Option<i64>,
    ends_at: Option<i64>,
    /// `live`, `soon` (live, for a week at most) or `expired`.
    state: &'static str,
    address: Option<String>,
    user_agent: Option<String>,
    /// Whether it is the viewer's own session.
    current: bool,
}

impl TokenView {
    /// `current` is the viewer's own.
    pub(super) fn all(tokens: Vec<Token>, current: TokenId, now: i64) -> Vec<Self> {
        let view = |token| Self::new(token, current, now);
        tokens.into_iter().map(view).collect()
    }

    fn new(token: Token, current: TokenId, now: i64) -> Self {
        Self {
            id: token.id.to_string(),
            user_id: token.user_id.to_string(),
            username: token.username,
            client: token.client,
            kind: token.kind.as_str(),
            hint: token.hint,
            created_at: token.created_at,
            // The viewer's own is in use right now; that is written with the next batch.
            last_used_at: token.last_used_at.or((token.id == current).then_some(now)),
            ends_at: Some(token.ends_at).filter(|end| *end < crate::models::NEVER),
            state: match token.ends_at - now {
                ..=0 => "expired",
                // An admin's session never lasts longer.
                1..=SOON if token.kind == Kind::Api => "soon",
                _ => "live",
            },
            address: token.last_address,
            user_agent: token.user_agent,
            current: token.id == current,
        }
    }
}

const ORDERS: [Order<Sort>; 5] = [
    Order {
        name: "created",
        by: Sort::Created,
        words: ["Oldest first", "Newest first"],
    },
    Order {
        name: "last_used",
        by: Sort::LastUsed,
        words: ["Used longest ago first", "Used last first"],
    },
    Order {
        name: "expires",
        by: Sort::Expires,
        words: ["Expires first", "Expires last"],
    },
    Order {
        name: "user",
        by: Sort::User,
        words: ["User, A first", "User, Z first"],
    },
    Order {
        name: "client",
        by: Sort::Client,
        words: ["Client, A first", "Client, Z first"],
    },
];
const NEWEST: ((Sort, bool), &str) = ((Sort::Created, true), "-created");
/// Not offered where unused tokens are looked for: those that end last are nearly all in use, and of a
/// million it takes too long to find the others.
const LAST_TO_END: &str = "-expires";

/// What the list is narrowed to, as it was asked for; what makes no sense is dropped.
#[derive(Debug, Default, Serialize)]
pub(super) struct Filters {
    q: Option<String>,
    user: Option<String>,
    client: Option<String>,
    address: Option<String>,
    status: Option<String>,
    /// Days.
    unused: Option<i64>,
    /// Whether something was dropped: harmless where one looks, not where one revokes what is left.
    #[serde(skip)]
    pub(super) dropped: bool,
}

impl Filters {
    /// Takes them from parameters or fields by their names.
    pub(super) fn read<'a>(value: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        let plain = |name| text(value(name)).map(str::to_owned);
        let is_status = |word: &&str| ["live", "expired"].contains(word);
        let days = value("unused").and_then(|days| days.trim().parse().ok());
        let filters = Self {
            q: plain("q"),
            user: plain("user"),
            client: plain("client"),
            address: plain("address").map(|address| address.to_lowercase()),
            status: value("status").filter(is_status).map(str::to_owned),
            unused: days.filter(|days| (0..=MOST_DAYS).contains(days)),
            dropped: false,
        };
        let names = ["q", "user", "client", "address", "status", "unused"];
        let given = names
            .iter()
            .filter(|name| value(name).is_some_and(|v| !v.is_empty()));
        let dropped = given.count() > filters.query().len();
        Self { dropped, ..filters }
    }

    pub(super) fn filter(&self, now: i64) -> Filter {
        Filter {
            name: key(self.q.as_deref().unwrap_or_default()),
            user: self.user.as_deref().map(key),
            client: self.client.as_deref().map(key),
            address: self.address.clone(),
            live: self.status.as_deref().map(|status| status == "live"),
            unused_since: self.unused.map(|days| now - days * DAY),
            ..Filter::default()
        }
    }

    /// Whether nothing was asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.query().len() == 0 && !self.dropped
    }

    /// The parameters or fields that ask for them.
    pub(super) fn query(&self) -> Query {
        let mut query = Query::default();
        query.note("q", self.q.as_deref());
        query.note("user", self.user.as_deref());
        query.note("client", self.client.as_deref());
        query.note("address", self.address.as_deref());
        query.note("status", self.status.as_deref());
        query.note("unused", self.unused.map(|days| days.to_string()));
        query
    }
}

/// What is asked for; what makes no sense counts as absent.
#[derive(FromForm)]
pub(super) struct Asked<'r> {
    q: Option<&'r str>,
    user: Option<&'r str>,
    client: Option<&'r str>,
    address: Option<&'r str>,
    status: Option<&'r str>,
    unused: Option<&'r str>,
    sort: Option<&'r str>,
    page: Option<&'r str>,
    after: Option<&'r str>,
    before: Option<&'r str>,
}

impl Asked<'_> {
    pub(super) fn filters(&self) -> Filters {
        Filters::read(|name| match name {
            "q" => self.q,
            "user" => self.user,
            "client" => self.client,
            "address" => self.address,
            "status" => self.status,
            "unused" => self.unused,
            _ => None,
        })
    }
}

fn columns(query: &Query, sort: &str, unused: bool) -> Vec<Column> {
    let expires = Column::sorted_by("Expires", "expires", query, sort);
    vec![
        Column::sorted_by("User", "user", query, sort),
        Column::sorted_by("Client", "client", query, sort),
        Column::sorted_by("Last used", "-last_used", query, sort),
        Column::sorted_by("Created", "-created", query, sort),
        if unused {
            expires.without_reverse()
        } else {
            expires
        },
        Column::plain("State"),
        Column::hidden("Action"),
    ]
}

#[get("/tokens?<asked..>")]
async fn all(auth: &State<Auth>, frame: Frame, asked: Asked<'_>) -> Result<Template, Error> {
    let (now, filters) = (now(), asked.filters());
    let (by, sort) = order(&ORDERS, asked.sort).unwrap_or(NEWEST);
    let mut turn = Turn::to(asked.page, asked.after, asked.before, |text| by.0.key(text));
    let engine = auth.pool().engine();
    let mut db = auth.pool().read().await?;
    let found = filters.filter(now).search(&mut db, engine, now).await?;
    let mut tokens = found.part(&mut db, by, &turn.part).await?;
    if let Some(first) = turn.or_first(tokens.len()) {
        turn = first;
        tokens = found.part(&mut db, by, &turn.part).await?;
    }
    let count = found.count(&mut db, COUNTED, false).await?;
    drop(db);
    let count = turn.correct(count, tokens.len());
    let mut query = filters.query();
    let narrowed = query.narrows();
    query.note("sort", asked.sort.and(Some(sort)));
    let (pages, tokens) = Pages::of(&turn, tokens, Some(count), &query);
    let offered = |choice: &Choice| {
        filters.unused.is_none() || choice.value != LAST_TO_END || sort == LAST_TO_END
    };
    let content = context! {
        count: Counted::of(count),
        pages,
        tokens: TokenView::all(tokens, frame.admin().token_id, now),
        columns: columns(&query, sort, filters.unused.is_some()),
        orders: choices(&ORDERS).into_iter().filter(offered).collect::<Vec<_>>(),
        filters,
        sort,
        narrowed,
    };
    Ok(frame.render("admin/tokens", content))
}

#[get("/tokens/<id>/revoke?<next>")]
async fn ask(
    auth: &State<Auth>,
    frame: Frame,
    id: Result<TokenId, Error>,
    next: Option<&str>,
) -> Result<Result<Template, Done>, Error> {
    let Some(token) = find(auth, id?).await? else {
        return Ok(Err(gone(next)));
    };
    let next = back(next, token.user_id);
    let token = TokenView::new(token, frame.admin().token_id, now());
    Ok(Ok(
        frame.render("admin/confirm_token", context! { token, next })
    ))
}

/// What the question's form sends.
struct Answer {
    /// Where to go on.
    next: String,
}

impl Form for Answer {
    fn read(fields: &mut Fields) -> Option<Self> {
        let next = fields.raw("next");
        Some(Self { next })
    }
}

#[post("/tokens/<id>/revoke", data = "<answer>")]
async fn revoke(
    auth: &State<Auth>,
    admin: Admin,
    id: Result<TokenId, Error>,
    answer: Body<Answer>,
) -> Result<Done, Error> {
    let id = id?;
    let next = Some(answer.0.next.as_str()).filter(|next| !next.is_empty());
    let found = find(auth, id).await?;
    // Also one that has ended already: this process may not know yet.
    auth.end(Which::One(id), Reason::Revoked, &admin.actor())
        .await?;
    let Some(token) = found else {
        return Ok(gone(next));
    };
    let to = Redirect::to(back(next, token.user_id));
    let message = format!(
        "The token of {} for {} is revoked.",
        isolated(&token.username),
        isolated(&token.client)
    );
    Ok(Done::success(to, message))
}

async fn find(auth: &State<Auth>, id: TokenId) -> Result<Option<Token>, Error> {
    let mut db = auth.pool().read().await?;
    Ok(token::find(&mut db, id).await?)
}

/// Revoking again, or what a new login has replaced, is harmless.
fn gone(next: Option<&str>) -> Done {
    let to = next.map_or_else(|| LIST.to_owned(), |next| page_here(Some(next)));
    Done::success(Redirect::to(to), "That token has ended already.")
}

/// Where the question was asked from, else the user's page.
fn back(next: Option<&str>, user: UserId) -> String {
    match next {
        Some(next) => page_here(Some(next)),
        None => uri!("/admin", users::show(user)).to_string(),
    }
}

/// Where the list is.
pub(super) const LIST: &str = "/admin/tokens";
