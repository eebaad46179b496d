//! The dashboard: counts, charts and the newest audit events.

mod chart;

use std::time::Instant;

use rocket::fairing::AdHoc;
use rocket::{State, get, routes};
use serde::Serialize;
use tokio::sync::Mutex;

use self::chart::{Chart, ClientShare, Unit};
use crate::admin::BASE;
use crate::admin::event_view::EventView;
use crate::admin::list::CountView;
use crate::admin::page::AdminLayout;
use crate::admin::user_view::ListedUserView;
use crate::application;
use crate::auth::Auth;
use crate::context;
use crate::db::{self, Conn, Pool};
use crate::error::Error;
use crate::models::event::{self, Action};
use crate::models::list::PagePosition;
use crate::models::stats::{self, RankedValue};
use crate::models::token::TokenKind;
use crate::models::token::list::{self as tokens, TokenStatus};
use crate::models::{now, user};
use crate::web::deadline::bounded;
use crate::web::templates::Template;

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
const MAX_EVENTS: usize = 10;
const MAX_LOCKED: usize = 10;
/// Clients named in the chart.
const MAX_CLIENTS: i64 = 8;
/// Addresses, and as many accounts, with the most failed logins.
const MAX_TARGETS: i64 = 5;
/// Failed logins read to find them.
const MAX_FAILURES: i64 = 50_000;
/// The figures are cached for this many times as long as computing them took. An open dashboard therefore uses at most
/// a twentieth of the database's time.
const CACHE_FACTOR: u32 = 20;

/// Mounts the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: dashboard", |rocket| async {
        rocket
            .manage(FiguresCache::default())
            .mount(BASE, bounded(routes![show]))
    })
}

/// The figures that read many rows, and the time they were computed.
#[derive(Clone)]
struct Figures {
    days: Chart,
    hours: Chart,
    clients: Vec<ClientShare>,
    addresses: Vec<RankedValue>,
    accounts: Vec<RankedValue>,
    at: i64,
}

impl Figures {
    async fn compute(pool: &Pool) -> Result<Self, Error> {
        let now = now();
        let mut db = pool.read().await?;
        let first_start = |unit: Unit| (now / unit.seconds() - (unit.count() - 1)) * unit.seconds();
        let (day, hour) = (first_start(Unit::Day), first_start(Unit::Hour));
        let days = stats::counts_by_period(&mut db, day, DAY, Unit::Day.count()).await?;
        let hours = stats::counts_by_period(&mut db, hour, HOUR, Unit::Hour.count()).await?;
        let (clients, tokens) = stats::top_clients(&mut db, MAX_CLIENTS).await?;
        let [addresses, accounts] =
            stats::top_failed_logins(&mut db, now - DAY, MAX_FAILURES, MAX_TARGETS).await?;
        Ok(Self {
            days: Chart::new(Unit::Day, day, &days),
            hours: Chart::new(Unit::Hour, hour, &hours),
            clients: chart::client_shares(clients, tokens),
            addresses,
            accounts,
            at: now,
        })
    }
}

/// A count that links to the list of exactly its rows.
#[derive(Serialize)]
struct Tile {
    label: &'static str,
    path: &'static str,
    count: CountView,
}

async fn tiles(db: &mut Conn, auth: &Auth, now: i64) -> Result<Vec<Tile>, Error> {
    let tokens = |status| tokens::TokenFilter {
        kind: Some(TokenKind::Api),
        status,
        ..tokens::TokenFilter::default()
    };
    let users = |status| user::UserFilter {
        status: Some(status),
        ..user::UserFilter::default()
    };
    let events = |action| event::EventFilter {
        action: Some(action),
        from: Some(now - DAY),
        ..event::EventFilter::default()
    };
    let mut tiles = vec![];
    for (label, path, list) in [
        (
            "Active users",
            "/admin/users?status=active",
            users(user::UserStatus::Active).list(None, now),
        ),
        (
            "Live API tokens",
            "/admin/tokens?kind=api&status=live",
            tokens(Some(TokenStatus::Live)).list(None, now),
        ),
        (
            "API tokens never used",
            "/admin/tokens?kind=api&status=unused",
            tokens(Some(TokenStatus::Unused)).list(None, now),
        ),
        (
            "API tokens expiring soon",
            "/admin/tokens?kind=api&status=expiring",
            tokens(Some(TokenStatus::Expiring)).list(None, now),
        ),
        (
            "Failed logins, 24 h",
            "/admin/audit?action=login.failed&last=24h",
            events(Action::LoginFailed).list(),
        ),
        (
            "Throttled logins, 24 h",
            "/admin/audit?action=login.throttled&last=24h",
            events(Action::LoginThrottled).list(),
        ),
        (
            "Locked users",
            "/admin/users?status=locked",
            users(auth.throttle.locked_status()).list(None, now),
        ),
        (
            "Disabled users",
            "/admin/users?status=disabled",
            users(user::UserStatus::Disabled).list(None, now),
        ),
    ] {
        let count = list.count(db).await?.into();
        tiles.push(Tile { label, path, count });
    }
    Ok(tiles)
}

/// Cache of the latest figures.
#[derive(Default)]
struct FiguresCache(Mutex<Option<(Figures, Instant)>>);

impl FiguresCache {
    /// The cached figures, or new ones. Concurrent requests wait for one computation.
    async fn figures(&self, pool: &Pool) -> Result<Figures, Error> {
        let mut cached = self.0.lock().await;
        if let Some((figures, until)) = cached.as_ref()
            && Instant::now() < *until
        {
            return Ok(figures.clone());
        }
        let start = Instant::now();
        let figures = Figures::compute(pool).await?;
        *cached = Some((
            figures.clone(),
            Instant::now() + start.elapsed() * CACHE_FACTOR,
        ));
        Ok(figures)
    }
}

#[get("/")]
async fn show(
    auth: &State<Auth>,
    cache: &State<FiguresCache>,
    layout: AdminLayout,
) -> Result<Template, Error> {
    let pool = auth.pool();
    let figures = cache.figures(pool).await?;
    let in_order = pool.has_current_schema().await?;
    let (now, mut db) = (now(), pool.read().await?);
    let tiles = tiles(&mut db, auth, now).await?;
    let locked = user::UserFilter {
        status: Some(auth.throttle.locked_status()),
        ..user::UserFilter::default()
    };
    let locked = locked
        .list(None, now)
        .page::<user::UserListRow>(&mut db, PagePosition::First, MAX_LOCKED)
        .await?;
    let events = event::EventFilter {
        without_server: true,
        ..event::EventFilter::default()
    };
    let events = events
        .list()
        .page(&mut db, PagePosition::First, MAX_EVENTS)
        .await?;
    drop(db);
    let content = context! {
        tiles,
        days: figures.days,
        hours: figures.hours,
        clients: figures.clients,
        addresses: figures.addresses,
        accounts: figures.accounts,
        at: figures.at,
        locked: locked.rows.into_iter().map(ListedUserView::from).collect::<Vec<_>>(),
        events: EventView::all(events.rows),
        version: application().version,
        database: pool.engine().name(),
        schema: db::newest_migration(),
        in_order,
    };
    Ok(layout.render("admin/dashboard", content))
}
