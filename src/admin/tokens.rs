//! Every token: `GET /admin/tokens`; and one of them: asking before it is revoked, and revoking it.

use rocket::fairing::AdHoc;
use rocket::form::FromForm;
use rocket::http;
use rocket::response::Redirect;
use rocket::{State, get, post, routes, uri};
use rocket_dyn_templates::{Template, context};
use serde::Serialize;

use super::comment::Note;
use super::csv::{Csv, Rows};
use super::flash::Done;
use super::list::{Column, Counted, Order, PER_PAGE, Pager, Query, Sorting, order, start, text};
use super::next::page_here;
use super::page::{Frame, isolated};
use super::{BASE, users};
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::auth::sessions::{Reason, Which};
use crate::db::Conn;
use crate::error::{Error, FieldErrors};
use crate::identity::address::Network;
use crate::identity::device::is_version;
use crate::identity::{TokenId, UserId, key};
use crate::models::list::COUNTED;
use crate::models::token::list::{Filter, SOON, Sort, Status};
use crate::models::token::{self, Kind, Token};
use crate::models::{NEVER, now, stats, user};
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;
use crate::web::time::rfc3339;

/// The maximum of days that "unused for" takes.
const MAX_DAYS: i64 = 36_500;
/// Apps and versions that a client's list names.
const DEVICES: i64 = 12;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: tokens", |rocket| async {
        rocket.mount(BASE, bounded(routes![all, download, ask, revoke]))
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
    app: Option<String>,
    version: Option<String>,
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
            ends_at: Some(token.ends_at).filter(|end| *end < NEVER),
            state: match token.ends_at - now {
                ..=0 => "expired",
                // An admin's session never lasts longer.
                1..=SOON if token.kind == Kind::Api => "soon",
                _ => "live",
            },
            address: token.address.map(|address| address.to_string()),
            app: token.app,
            version: token.app_version,
            user_agent: token.user_agent,
            current: token.id == current,
        }
    }
}

const ORDERS: [Order<Sort>; 3] = [
    Order {
        name: "created",
        by: Sort::Created,
        words: ["Created: oldest first", "Created: newest first"],
    },
    Order {
        name: "last_used",
        by: Sort::LastUsed,
        words: ["Last used: oldest first", "Last used: newest first"],
    },
    Order {
        name: "expires",
        by: Sort::Expires,
        words: ["Expires: soonest first", "Expires: latest first"],
    },
];

/// What the list is narrowed to, as it was asked for; an invalid value is dropped.
#[derive(Debug, Default, Serialize)]
pub(super) struct Filters {
    user: Option<String>,
    client: Option<String>,
    address: Option<String>,
    device: Option<String>,
    older: Option<String>,
    kind: Option<String>,
    status: Option<String>,
    /// Days.
    unused: Option<i64>,
    /// Whether something was dropped: harmless in a list, not where what is left is revoked.
    #[serde(skip)]
    pub(super) dropped: bool,
}

/// The parameters that are filters.
pub(super) const NAMES: [&str; 8] = [
    "user", "client", "address", "device", "older", "kind", "status", "unused",
];

fn status(word: &str) -> Option<Status> {
    match word {
        "live" => Some(Status::Live),
        "expired" => Some(Status::Expired),
        "unused" => Some(Status::Unused),
        "expiring" => Some(Status::Expiring),
        _ => None,
    }
}

fn kind(word: &str) -> Option<Kind> {
    Kind::try_from(word.to_owned()).ok()
}

impl Filters {
    /// Takes them from parameters or fields by their names.
    pub(super) fn read<'a>(value: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        let plain = |name| text(value(name)).map(str::to_owned);
        let days = value("unused").and_then(|days| days.trim().parse().ok());
        let network = value("address").and_then(Network::parse);
        let device = plain("device");
        let filters = Self {
            user: plain("user"),
            client: plain("client"),
            address: network.map(|network| network.to_string()),
            older: plain("older").filter(|older| device.is_some() && is_version(older)),
            device,
            kind: value("kind")
                .filter(|word| kind(word).is_some())
                .map(str::to_owned),
            status: value("status")
                .filter(|word| status(word).is_some())
                .map(str::to_owned),
            unused: days.filter(|days| (0..=MAX_DAYS).contains(days)),
            dropped: false,
        };
        let given = NAMES
            .iter()
            .filter(|name| value(name).is_some_and(|v| !v.is_empty()));
        let dropped = given.count() > filters.query().len();
        Self { dropped, ..filters }
    }

    /// Looks the user up; a name that nobody has finds nothing.
    pub(super) async fn filter(&self, db: &mut Conn) -> sqlx::Result<Filter> {
        let user = match &self.user {
            Some(name) => Some(user::id_of(db, name).await?),
            None => None,
        };
        Ok(Filter {
            user,
            client: self.client.as_deref().map(key),
            address: self.address.as_deref().and_then(Network::parse),
            device: self.device.clone(),
            older: self.older.clone(),
            kind: self.kind.as_deref().and_then(kind),
            status: self.status.as_deref().and_then(status),
            unused: self.unused,
            ..Filter::default()
        })
    }

    /// Whether nothing was asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.query().len() == 0 && !self.dropped
    }

    /// The parameters or fields that ask for them.
    pub(super) fn query(&self) -> Query {
        let mut query = Query::default();
        query.note("user", self.user.as_deref());
        query.note("client", self.client.as_deref());
        query.note("address", self.address.as_deref());
        query.note("device", self.device.as_deref());
        query.note("older", self.older.as_deref());
        query.note("kind", self.kind.as_deref());
        query.note("status", self.status.as_deref());
        query.note("unused", self.unused.map(|days| days.to_string()));
        query
    }
}

/// What is asked for; an invalid value counts as absent.
#[derive(FromForm)]
pub(super) struct Asked<'r> {
    user: Option<&'r str>,
    client: Option<&'r str>,
    address: Option<&'r str>,
    device: Option<&'r str>,
    older: Option<&'r str>,
    kind: Option<&'r str>,
    status: Option<&'r str>,
    unused: Option<&'r str>,
    sort: Option<&'r str>,
    after: Option<&'r str>,
    before: Option<&'r str>,
}

impl Asked<'_> {
    pub(super) fn filters(&self) -> Filters {
        Filters::read(|name| match name {
            "user" => self.user,
            "client" => self.client,
            "address" => self.address,
            "device" => self.device,
            "older" => self.older,
            "kind" => self.kind,
            "status" => self.status,
            "unused" => self.unused,
            _ => None,
        })
    }
}

fn columns(sorting: &Sorting) -> Vec<Column> {
    vec![
        Column::plain("User"),
        Column::plain("Client"),
        Column::plain("Device"),
        Column::plain("IP address"),
        sorting.column("Last used", "-last_used"),
        sorting.column("Created", "-created"),
        sorting.column("Expires", "expires"),
        Column::plain("State"),
        Column::hidden("Action"),
    ]
}

#[get("/tokens?<asked..>")]
async fn all(auth: &State<Auth>, frame: Frame, asked: Asked<'_>) -> Result<Template, Error> {
    let (now, filters) = (now(), asked.filters());
    let mut query = filters.query();
    let mut db = auth.pool().read().await?;
    let filter = filters.filter(&mut db).await?;
    let sorted = filter.sorted(order(&ORDERS, asked.sort));
    query.note(
        "sort",
        asked.sort.filter(|_| order(&ORDERS, asked.sort).is_some()),
    );
    let sorting = Sorting::of(&ORDERS, &filter.sorts(), sorted, &query);
    let list = filter.list(sorted, now);
    let from = start(&list, asked.after, asked.before);
    let (page, count) = list.page_and_count(&mut db, from, PER_PAGE).await?;
    let devices = match &filter.client {
        Some(client) => stats::devices(&mut db, client, COUNTED, DEVICES).await?,
        None => vec![],
    };
    drop(db);
    let content = context! {
        count: count.map(Counted::from),
        pager: Pager::of(&page, &query),
        tokens: TokenView::all(page.rows, frame.admin().token_id, now),
        columns: columns(&sorting),
        chips: query.chips(),
        query: query.text(),
        sorting,
        devices,
        filters,
        narrowed: query.narrows(),
    };
    Ok(frame.render("admin/tokens", content))
}

const HEADING: [&str; 12] = [
    "id",
    "user",
    "client",
    "kind",
    "hint",
    "created",
    "last used",
    "expires",
    "address",
    "app",
    "version",
    "user agent",
];

#[get("/tokens.csv?<asked..>")]
async fn download(auth: &State<Auth>, _admin: Admin, asked: Asked<'_>) -> Result<Csv, Error> {
    let filter = {
        let mut db = auth.pool().read().await?;
        asked.filters().filter(&mut db).await?
    };
    let list = filter.list(filter.sorted(order(&ORDERS, asked.sort)), now());
    let rows = Rows::new(auth, list, &HEADING, |token: Token| {
        vec![
            Some(token.id.to_string()),
            Some(token.username),
            Some(token.client),
            Some(token.kind.as_str().to_owned()),
            Some(token.hint),
            rfc3339(token.created_at),
            token.last_used_at.and_then(rfc3339),
            Some(token.ends_at)
                .filter(|end| *end < NEVER)
                .and_then(rfc3339),
            token.address.map(|address| address.to_string()),
            token.app,
            token.app_version,
            token.user_agent,
        ]
    });
    rows.download("tokens").await
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
    Ok(Ok(question(
        frame,
        token,
        &next,
        "",
        &FieldErrors::default(),
    )))
}

/// The page that asks before a token is revoked, with what was wrong with the answer before.
fn question(frame: Frame, token: Token, next: &str, note: &str, errors: &FieldErrors) -> Template {
    let token = TokenView::new(token, frame.admin().token_id, now());
    let content = context! { token, next, note, errors: errors.by_field() };
    frame.render("admin/confirm_token", content)
}

/// What the question's form sends.
struct Answer {
    /// Where to go on.
    next: String,
    note: Note,
}

impl Form for Answer {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            next: fields.raw("next"),
            note: Note::read(fields),
        })
    }
}

#[post("/tokens/<id>/revoke", data = "<answer>")]
async fn revoke(
    auth: &State<Auth>,
    frame: Frame,
    id: Result<TokenId, Error>,
    answer: Body<Answer>,
) -> Result<Result<Done, (http::Status, Template)>, Error> {
    let id = id?;
    let next = Some(answer.0.next.as_str()).filter(|next| !next.is_empty());
    let found = find(auth, id).await?;
    // Also one that has ended already: this process may not know yet.
    let note = &answer.0.note;
    let actor = match (note.signed(frame.admin().actor()), &found) {
        (Ok(actor), _) => actor,
        (Err(Error::Invalid(errors)), Some(token)) => {
            let next = back(next, token.user_id);
            let page = question(frame, token.clone(), &next, note.as_str(), &errors);
            return Ok(Err((http::Status::BadRequest, page)));
        }
        (Err(error), _) => return Err(error),
    };
    auth.end(Which::One(id), Reason::Revoked, &actor).await?;
    let Some(token) = found else {
        return Ok(Ok(gone(next)));
    };
    let to = Redirect::to(back(next, token.user_id));
    let message = format!(
        "The token of {} for {} is revoked.",
        isolated(&token.username),
        isolated(&token.client)
    );
    Ok(Ok(Done::success(to, message)))
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
