//! The front page: how things stand, what happened last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rocket::fairing::AdHoc;
use rocket::tokio::sync::Mutex;
use rocket::tokio::time::{MissedTickBehavior, interval};
use rocket::tokio::{self, select};
use rocket::{Shutdown, State, get, routes};
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
use crate::web::deadline::bounded;

const DAY: i64 = 24 * 60 * 60;
const EVENTS: i64 = 10;
/// Clients that the chart names.
const CLIENTS: i64 = 8;
/// Figures that took longer than this to take are taken beside the requests.
const SLOW: Duration = Duration::from_millis(100);
/// For how long those are shown before they are taken again for whoever looks, and for how long before they
/// are in any case.
const A_WHILE: Duration = Duration::from_mins(1);
const OLDEST: Duration = Duration::from_mins(5);

/// Mounts the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: dashboard", |rocket| async {
        let shown = Shown::default();
        let kept = AdHoc::on_liftoff("admin: figures", |rocket| {
            Box::pin(async {
                if let (Some(auth), Some(shown)) = (rocket.state::<Auth>(), rocket.state::<Shown>())
                {
                    let pool = auth.pool().clone();
                    tokio::spawn(shown.clone().keep(pool, rocket.shutdown()));
                }
            })
        });
        rocket
            .manage(shown)
            .attach(kept)
            .mount(BASE, bounded(routes![show]))
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

/// The figures that were taken last. With a million tokens they take a second, which nobody who opens the
/// page waits for: they are taken beside the requests then.
#[derive(Clone, Default)]
pub(super) struct Shown(Arc<Inner>);

#[derive(Default)]
struct Inner {
    last: Mutex<Option<Taken>>,
    /// Whether they are being taken beside the requests.
    busy: AtomicBool,
}

#[derive(Clone)]
struct Taken {
    figures: Figures,
    at: Instant,
    slowly: bool,
}

impl Taken {
    async fn now(pool: &Pool) -> Result<Self, Error> {
        let start = Instant::now();
        let figures = Figures::take(pool).await?;
        let at = Instant::now();
        let slowly = at - start > SLOW;
        Ok(Self {
            figures,
            at,
            slowly,
        })
    }
}

impl Shown {
    async fn figures(&self, pool: &Pool) -> Result<Figures, Error> {
        let mut last = self.0.last.lock().await;
        if let Some(taken) = last.as_ref()
            && taken.slowly
        {
            if taken.at.elapsed() > A_WHILE {
                let (shown, pool) = (self.clone(), pool.clone());
                tokio::spawn(async move { shown.take_beside(&pool).await });
            }
            return Ok(taken.figures.clone());
        }
        let taken = last.insert(Taken::now(pool).await?);
        Ok(taken.figures.clone())
    }

    /// Takes them while the last ones are shown.
    async fn take_beside(&self, pool: &Pool) {
        if self.0.busy.swap(true, Ordering::Relaxed) {
            return;
        }
        match Taken::now(pool).await {
            Ok(taken) => {
                let mut last = self.0.last.lock().await;
                if last.as_ref().is_none_or(|last| last.at < taken.at) {
                    *last = Some(taken);
                }
            }
            Err(error) => tracing::warn!("the dashboard's figures stay as they were: {error}"),
        }
        self.0.busy.store(false, Ordering::Relaxed);
    }

    /// Takes them now and every so often, so that they are never very old, until the server stops.
    async fn keep(self, pool: Pool, shutdown: Shutdown) {
        let mut ticks = interval(OLDEST);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(shutdown);
        loop {
            select! {
                () = &mut shutdown => return,
                _ = ticks.tick() => self.take_beside(&pool).await,
            }
        }
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
