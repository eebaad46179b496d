//! The audit log: the list `GET /admin/audit`, one event `GET /admin/audit/<id>`, a download `GET /admin/audit.csv`.

mod period;

use crate::context;
use crate::web::templates::Template;
use chrono_tz::Tz;
use rocket::fairing::AdHoc;
use rocket::{State, get, routes};

use self::period::{PRESETS, Period, parse_date};
use crate::admin::BASE;
use crate::admin::csv::{Csv, CsvRows};
use crate::admin::event_view::EventView;
use crate::admin::list::{CountView, ListParams, PER_PAGE, Pager};
use crate::admin::page::AdminLayout;
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::auth::outbox::MailKind;
use crate::auth::revocation::Reason;
use crate::error::Error;
use crate::identity::address::Network;
use crate::identity::{EventId, TokenId, key};
use crate::models::event::{self, Action, Channel, Event, EventFilter};
use crate::models::list::PagePosition;
use crate::models::now;
use crate::web::deadline::bounded;
use crate::web::time::rfc3339;

/// Events shown on the page of a bulk action.
const MAX_CAUSED: usize = 20;
/// Reasons of failed and throttled logins.
const LOGIN_REASONS: [&str; 9] = [
    "unknown",
    "password",
    "disabled",
    "role",
    "confirmation",
    "account",
    "address",
    "network",
    "logins",
];

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: audit", |rocket| async {
        rocket.mount(BASE, bounded(routes![list, download, show]))
    })
}

/// Every reason that an event can have.
fn reasons() -> Vec<&'static str> {
    let mut reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    reasons.extend(LOGIN_REASONS);
    // An event of an invitation or of a mail that was given up names the mail.
    reasons.extend(MailKind::ALL.map(MailKind::as_str));
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

fn filter(query: &mut ListParams) -> EventFilter {
    let name = |text: String| key(&text);
    let filter = EventFilter {
        subject: query.text("subject").map(name),
        actor: query.text("actor").map(name),
        action: query.keyword("action", |word| {
            Action::all().find(|action| action.as_str() == word)
        }),
        client: query.text("client").map(name),
        address: query.value("address", Network::parse),
        token: query.value("token", TokenId::parse),
        reason: query.keyword("reason", |word| {
            reasons().contains(&word).then(|| word.to_owned())
        }),
        via: query.keyword("via", |word| {
            let mut channels = Channel::ALL.into_iter();
            channels.find(|channel| channel.as_str() == word)
        }),
        cause: query.value("cause", EventId::parse),
        ..EventFilter::default()
    };
    let Period { from, until } = period(query);
    EventFilter {
        from,
        until,
        ..filter
    }
}

/// The period of the query: its dates, or if it has none, its preset.
fn period(query: &mut ListParams) -> Period {
    let [first, last] = ["from", "to"].map(|name| query.value(name, parse_date));
    let has_days = first.or(last).is_some();
    let preset = query.keyword("last", |word| {
        let known = PRESETS.iter().map(|(name, _)| *name);
        known.filter(|_| !has_days).find(|name| *name == word)
    });
    let zone = query.keyword("tz", |name| name.parse().ok());
    let zone = zone.unwrap_or(Tz::UTC);
    preset
        .and_then(|name| Period::preset(name, zone, now()))
        .unwrap_or_else(|| Period::days(first, last, zone))
}

#[get("/audit?<query..>")]
async fn list(
    auth: &State<Auth>,
    layout: AdminLayout,
    mut query: ListParams,
) -> Result<Template, Error> {
    let list = filter(&mut query).list();
    let position = query.position(&list);
    let mut db = auth.pool().read().await?;
    let (page, count) = list.page_and_count(&mut db, position, PER_PAGE).await?;
    drop(db);
    let presets = PRESETS.map(|(name, label)| {
        let last = Some(("last", name));
        (label, query.link_without(&["from", "to", "last"], last))
    });
    let content = context! {
        count: count.map(CountView::from),
        pager: Pager::new(&page, &query),
        events: EventView::all(page.rows),
        actions: Action::all().map(Action::as_str).collect::<Vec<_>>(),
        reasons: reasons(),
        channels: Channel::ALL.map(Channel::as_str),
        presets,
        chips: query.chips(),
        filters: query.values(),
        has_filters: query.has_filters(),
        query: query.link(),
    };
    Ok(layout.render("admin/audit", content))
}

#[get("/audit/<id>")]
async fn show(
    auth: &State<Auth>,
    layout: AdminLayout,
    id: Result<EventId, Error>,
) -> Result<Template, Error> {
    let id = id?;
    let mut db = auth.pool().read().await?;
    let event = event::find(&mut db, id).await?.ok_or(Error::NotFound)?;
    let filter = EventFilter {
        cause: Some(id),
        ..EventFilter::default()
    };
    let caused = filter
        .list()
        .page(&mut db, PagePosition::First, MAX_CAUSED)
        .await?;
    drop(db);
    let content = context! {
        more: caused.next.is_some(),
        caused: EventView::all(caused.rows),
        event: EventView::from(event),
    };
    Ok(layout.render("admin/event", content))
}

const CSV_HEADER: &str = "time,action,via,actor,subject,client,reason,address,request_id,\
    count,id,token,hint,part_of,filter,note";

#[get("/audit.csv?<query..>")]
async fn download(auth: &State<Auth>, _admin: Admin, mut query: ListParams) -> Result<Csv, Error> {
    let list = filter(&mut query).list();
    let rows = CsvRows::new(auth, list, CSV_HEADER, |event: Event| {
        vec![
            rfc3339(event.at),
            Some(event.action),
            Some(event.via),
            event.actor_name,
            event.subject_name,
            event.client,
            event.reason,
            event.address.map(|address| address.to_string()),
            event.request_id,
            Some(event.count.to_string()),
            Some(event.id.to_string()),
            event.token_id,
            event.hint,
            event.cause_id,
            event.filter,
            event.note,
        ]
    });
    rows.download("audit").await
}
