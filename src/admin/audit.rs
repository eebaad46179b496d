//! The audit log: `GET /admin/audit`, one event: `GET /admin/audit/<id>`, and a file: `GET /admin/audit.csv`.

use rocket::fairing::AdHoc;
use rocket::form::FromForm;
use rocket::{State, get, routes};
use rocket_dyn_templates::{Template, context};

use super::BASE;
use super::csv::{Csv, Rows};
use super::events::EventView;
use super::list::{Counted, PER_PAGE, Pager, Query, start, text};
use super::page::Frame;
use super::period::{PRESETS, Period, date, zone};
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::auth::sessions::Reason;
use crate::error::Error;
use crate::identity::address::Network;
use crate::identity::{EventId, TokenId, key};
use crate::models::event::{self, Action, Event, Filter, Via};
use crate::models::list::Start;
use crate::models::now;
use crate::web::deadline::bounded;
use crate::web::time::rfc3339;

/// Events of a bulk action that its page shows.
const CAUSED: usize = 20;
/// The fields of the form.
const FIELDS: [&str; 11] = [
    "subject", "actor", "action", "client", "address", "token", "reason", "via", "from", "to", "tz",
];
/// Reasons of failed and throttled logins, beside those for which tokens end.
const OF_LOGINS: [&str; 9] = [
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

/// What is asked for; an invalid value counts as absent.
#[derive(FromForm)]
struct Asked<'r> {
    subject: Option<&'r str>,
    actor: Option<&'r str>,
    action: Option<&'r str>,
    client: Option<&'r str>,
    address: Option<&'r str>,
    token: Option<&'r str>,
    reason: Option<&'r str>,
    via: Option<&'r str>,
    cause: Option<&'r str>,
    from: Option<&'r str>,
    to: Option<&'r str>,
    last: Option<&'r str>,
    tz: Option<&'r str>,
    after: Option<&'r str>,
    before: Option<&'r str>,
}

/// Every reason that an event can have, once.
fn reasons() -> Vec<&'static str> {
    let mut reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    reasons.extend(OF_LOGINS);
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

impl Asked<'_> {
    /// The preset, unless there are dates.
    fn preset(&self) -> Option<&str> {
        let has_dates = [self.from, self.to]
            .into_iter()
            .flatten()
            .any(|day| date(day).is_some());
        let is_preset = |name: &&str| PRESETS.iter().any(|(known, _)| known == name);
        self.last.filter(is_preset).filter(|_| !has_dates)
    }

    fn period(&self) -> Period {
        let zone = zone(self.tz);
        let preset = self
            .preset()
            .and_then(|name| Period::preset(name, zone, now()));
        preset.unwrap_or_else(|| {
            let day = |text: Option<&str>| text.and_then(date);
            Period::days(day(self.from), day(self.to), zone)
        })
    }

    fn filter(&self) -> Filter {
        let period = self.period();
        let action = |word| Action::ALL.iter().copied().find(|one| one.as_str() == word);
        let via = |word| Via::ALL.into_iter().find(|one| one.as_str() == word);
        Filter {
            token: self.token.and_then(TokenId::parse),
            cause: self.cause.and_then(EventId::parse),
            subject: text(self.subject).map(key),
            actor: text(self.actor).map(key),
            address: self.address.and_then(Network::parse),
            client: text(self.client).map(key),
            action: self.action.and_then(action),
            reason: self
                .reason
                .filter(|word| reasons().contains(word))
                .map(str::to_owned),
            via: self.via.and_then(via),
            from: period.from,
            until: period.until,
            ..Filter::default()
        }
    }

    /// The same question as a query, without the page.
    fn query(&self, filter: &Filter) -> Query {
        let mut query = Query::default();
        query.note("subject", text(self.subject));
        query.note("actor", text(self.actor));
        query.note("action", filter.action.map(Action::as_str));
        query.note("client", text(self.client));
        query.note("address", filter.address.map(|network| network.to_string()));
        query.note("token", filter.token.map(|id| id.to_string()));
        query.note("reason", filter.reason.as_deref());
        query.note("via", filter.via.map(Via::as_str));
        query.note("cause", filter.cause.map(|id| id.to_string()));
        let last = self.preset();
        query.note("last", last);
        query.note(
            "from",
            self.from
                .filter(|_| last.is_none() && filter.from.is_some()),
        );
        query.note(
            "to",
            self.to.filter(|_| last.is_none() && filter.until.is_some()),
        );
        query.note(
            "tz",
            self.tz.filter(|name| zone(Some(name)).name() == *name),
        );
        query
    }
}

#[get("/audit?<asked..>")]
async fn list(auth: &State<Auth>, frame: Frame, asked: Asked<'_>) -> Result<Template, Error> {
    let filter = asked.filter();
    let query = asked.query(&filter);
    let list = filter.list();
    let from = start(&list, asked.after, asked.before);
    let mut db = auth.pool().read().await?;
    let (page, count) = list.page_and_count(&mut db, from, PER_PAGE).await?;
    drop(db);
    let presets: Vec<_> = PRESETS
        .iter()
        .map(|(name, label)| (label, query.with_preset(name)))
        .collect();
    let content = context! {
        count: count.map(Counted::from),
        pager: Pager::of(&page, &query),
        events: EventView::all(page.rows),
        actions: Action::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>(),
        reasons: reasons(),
        channels: Via::ALL.map(Via::as_str),
        presets,
        chips: query.chips(),
        asked: query.values(&FIELDS),
        tz: zone(asked.tz).name(),
        narrowed: query.narrows(),
        query: query.text(),
    };
    Ok(frame.render("admin/audit", content))
}

#[get("/audit/<id>")]
async fn show(
    auth: &State<Auth>,
    frame: Frame,
    id: Result<EventId, Error>,
) -> Result<Template, Error> {
    let id = id?;
    let mut db = auth.pool().read().await?;
    let event = event::find(&mut db, id).await?.ok_or(Error::NotFound)?;
    let part = Filter {
        cause: Some(id),
        ..Filter::default()
    };
    let caused = part.list().page(&mut db, Start::First, CAUSED).await?;
    drop(db);
    let content = context! {
        more: caused.next.is_some(),
        caused: EventView::all(caused.rows),
        event: EventView::from(event),
    };
    Ok(frame.render("admin/event", content))
}

const HEADING: [&str; 16] = [
    "time",
    "action",
    "via",
    "actor",
    "subject",
    "client",
    "reason",
    "address",
    "request_id",
    "count",
    "id",
    "token",
    "hint",
    "part_of",
    "filter",
    "note",
];

#[get("/audit.csv?<asked..>")]
async fn download(auth: &State<Auth>, _admin: Admin, asked: Asked<'_>) -> Result<Csv, Error> {
    let rows = Rows::new(auth, asked.filter().list(), &HEADING, |event: Event| {
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
