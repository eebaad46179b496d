//! The front page: how things stand, what happened last.

use std::time::{Duration, Instant};

use rocket::fairing::AdHoc;
use rocket::tokio::sync::Mutex;
use rocket::{State, get, routes};
use rocket_dyn_templates::{Template, context};

use super::BASE;
use super::chart::{self, Days, Share};
use super::page::Frame;
use super::users::Happened;
use crate::auth::Auth;
use crate::db::{self, Pool};
use crate::error::Error;
use crate::models::stats::{self, Counts};
use crate::models::{event, now};

const DAY: i64 = 24 * 60 * 60;
const EVENTS: i64 = 10;
/// Clients that the chart names.
const CLIENTS: i64 = 8;
/// Figures that took longer than this to take are shown for a while.
const SLOW: Duration = Duration::from_millis(100);
const A_WHILE: Duration = Duration::from_mins(1);

/// Mounts the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: dashboard", |rocket| async {
        rocket.manage(Shown::default()).mount(BASE, routes![show])
    })
}

/// How things stood at some time.
#[derive(Clone)]
struct Figures {
    counts: Counts,
    days: Days,
    clients: Vec<Share>,
    at: i64,
}

impl Figures {
    async fn take(pool: &Pool) -> Result<Self, Error> {
        let now = now();
        let first = now / DAY - (chart::DAYS - 1);
        let mut db = pool.read().await?;
        let counts = stats::counts(&mut db, now).await?;
        let daily = stats::daily(&mut db, first).await?;
        let clients = stats::clients(&mut db, now, CLIENTS).await?;
        Ok(Self {
            clients: chart::shares(clients, counts.api_tokens),
            counts,
            days: Days::of(first, &daily),
            at: now,
        })
    }
}

/// The figures that were slow to take, and until when they are shown: with millions of tokens the
/// page would else cost seconds a click.
#[derive(Default)]
pub(super) struct Shown(Mutex<Option<(Instant, Figures)>>);

impl Shown {
    async fn figures(&self, pool: &Pool) -> Result<Figures, Error> {
        let mut shown = self.0.lock().await;
        let start = Instant::now();
        if let Some((until, figures)) = &*shown
            && start < *until
        {
            return Ok(figures.clone());
        }
        let figures = Figures::take(pool).await?;
        *shown = (start.elapsed() > SLOW).then(|| (Instant::now() + A_WHILE, figures.clone()));
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
    let mut db = pool.read().await?;
    let events = event::latest(&mut db, EVENTS).await?;
    let content = context! {
        counts: figures.counts,
        days: figures.days,
        clients: figures.clients,
        at: figures.at,
        events: events.into_iter().map(Happened::from).collect::<Vec<_>>(),
        version: env!("CARGO_PKG_VERSION"),
        database: pool.engine().name(),
        schema: db::newest_migration(),
        in_order,
    };
    Ok(frame.render("admin/dashboard", content))
}
