//! The front page: how things stand, what happened last.

use std::time::Instant;

use rocket::fairing::AdHoc;
use rocket::tokio::sync::Mutex;
use rocket::{State, get, routes};
use rocket_dyn_templates::{Template, context};
use serde::Serialize;

use super::BASE;
use super::chart::{self, Chart, Part, Unit};
use super::events::EventView;
use super::list::Counted;
use super::page::Frame;
use super::users::Row;
use crate::auth::Auth;
use crate::db::{self, Conn, Pool};
use crate::error::Error;
use crate::models::event::{self, Action};
use crate::models::list::Start;
use crate::models::stats::{self, Ranked};
use crate::models::token::Kind;
use crate::models::token::list::{self as tokens, Status};
use crate::models::{now, user};
use crate::web::deadline::bounded;

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// Events that the page shows, and locked users.
const EVENTS: usize = 10;
const LOCKED: usize = 10;
/// Clients that the chart names; addresses and accounts with most failed logins.
const CLIENTS: i64 = 8;
const TARGETS: i64 = 5;
/// Failed logins that are looked at to find those.
const FAILURES: i64 = 50_000;
/// Figures are shown for so many times as long as they took to make: an open dashboard takes a twentieth of the
/// database's time at most.
const SHOWN: u32 = 20;

/// Mounts the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: dashboard", |rocket| async {
        rocket
            .manage(Shown::default())
            .mount(BASE, bounded(routes![show]))
    })
}

/// What takes a look at many rows, as it was at some time.
#[derive(Clone)]
struct Figures {
    days: Chart,
    hours: Chart,
    clients: Vec<Part>,
    addresses: Vec<Ranked>,
    accounts: Vec<Ranked>,
    at: i64,
}

impl Figures {
    async fn take(pool: &Pool) -> Result<Self, Error> {
        let now = now();
        let mut db = pool.read().await?;
        let first = |unit: Unit| (now / unit.seconds() - (unit.count() - 1)) * unit.seconds();
        let (day, hour) = (first(Unit::Day), first(Unit::Hour));
        let days = stats::by_time(&mut db, day, DAY, Unit::Day.count()).await?;
        let hours = stats::by_time(&mut db, hour, HOUR, Unit::Hour.count()).await?;
        let (clients, tokens) = stats::clients(&mut db, CLIENTS).await?;
        let [addresses, accounts] = stats::targets(&mut db, now - DAY, FAILURES, TARGETS).await?;
        Ok(Self {
            days: Chart::of(Unit::Day, day, &days),
            hours: Chart::of(Unit::Hour, hour, &hours),
            clients: chart::parts(clients, tokens),
            addresses,
            accounts,
            at: now,
        })
    }
}

/// Figures that are lists' filters: each has the count of its list.
#[derive(Serialize)]
struct Tile {
    label: &'static str,
    path: &'static str,
    count: Counted,
}

async fn tiles(db: &mut Conn, auth: &Auth, now: i64) -> Result<Vec<Tile>, Error> {
    let tokens = |status| tokens::Filter {
        kind: Some(Kind::Api),
        status,
        ..tokens::Filter::default()
    };
    let users = |status| user::Filter {
        status: Some(status),
        ..user::Filter::default()
    };
    let events = |action| event::Filter {
        action: Some(action),
        from: Some(now - DAY),
        ..event::Filter::default()
    };
    let mut tiles = vec![];
    for (label, path, list) in [
        (
            "Active users",
            "/admin/users?status=active",
            users(user::Status::Active).list(None, now),
        ),
        (
            "Live tokens",
            "/admin/tokens?kind=api&status=live",
            tokens(Some(Status::Live)).list(None, now),
        ),
        (
            "Never used",
            "/admin/tokens?kind=api&status=unused",
            tokens(Some(Status::Unused)).list(None, now),
        ),
        (
            "Expire within a week",
            "/admin/tokens?kind=api&status=expiring",
            tokens(Some(Status::Expiring)).list(None, now),
        ),
        (
            "Failed logins, 24 h",
            "/admin/audit?action=login.failed&last=24h",
            events(Action::LoginFailed).list(),
        ),
        (
            "Throttled, 24 h",
            "/admin/audit?action=login.throttled&last=24h",
            events(Action::LoginThrottled).list(),
        ),
        (
            "Locked users",
            "/admin/users?status=locked",
            users(auth.locked()).list(None, now),
        ),
        (
            "Disabled users",
            "/admin/users?status=disabled",
            users(user::Status::Disabled).list(None, now),
        ),
    ] {
        let count = list.count(db).await?.into();
        tiles.push(Tile { label, path, count });
    }
    Ok(tiles)
}

/// The figures that were made last.
#[derive(Default)]
pub(super) struct Shown(Mutex<Option<(Figures, Instant)>>);

impl Shown {
    /// Those, or others; whoever comes while they are made waits for them.
    async fn figures(&self, pool: &Pool) -> Result<Figures, Error> {
        let mut last = self.0.lock().await;
        if let Some((figures, until)) = last.as_ref()
            && Instant::now() < *until
        {
            return Ok(figures.clone());
        }
        let start = Instant::now();
        let figures = Figures::take(pool).await?;
        *last = Some((figures.clone(), Instant::now() + start.elapsed() * SHOWN));
        Ok(figures)
    }
}

#[get("/")]
pub(super) async fn show(
    auth: &State<Auth>,
    shown: &State<Shown>,
    frame: Frame,
) -> Result<Template, Error> {
    let pool = auth.pool();
    let figures = shown.figures(pool).await?;
    let in_order = pool.is_in_order().await?;
    let (now, mut db) = (now(), pool.read().await?);
    let tiles = tiles(&mut db, auth, now).await?;
    let locked = user::Filter {
        status: Some(auth.locked()),
        ..user::Filter::default()
    };
    let locked = locked
        .list(None, now)
        .page::<user::Listed>(&mut db, Start::First, LOCKED)
        .await?;
    let events = event::Filter {
        without_server: true,
        ..event::Filter::default()
    };
    let events = events.list().page(&mut db, Start::First, EVENTS).await?;
    drop(db);
    let content = context! {
        tiles,
        days: figures.days,
        hours: figures.hours,
        clients: figures.clients,
        addresses: figures.addresses,
        accounts: figures.accounts,
        at: figures.at,
        locked: locked.rows.into_iter().map(Row::from).collect::<Vec<_>>(),
        events: EventView::all(events.rows),
        version: env!("CARGO_PKG_VERSION"),
        database: pool.engine().name(),
        schema: db::newest_migration(),
        in_order,
    };
    Ok(frame.render("admin/dashboard", content))
}
