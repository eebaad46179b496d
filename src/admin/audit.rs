//! The audit trail: `GET /admin/audit`, and all of it as CSV: `GET /admin/audit.csv`.

use rocket::fairing::AdHoc;
use rocket::form::FromForm;
use rocket::http::{ContentType, Header};
use rocket::response::Responder;
use rocket::response::stream::ByteStream;
use rocket::{State, get, routes};
use rocket_dyn_templates::{Template, context};
use time::format_description::well_known::Iso8601;
use time::{Date, Duration, Time, UtcOffset};

use super::BASE;
use super::list::{Pages, Query, Turn, text};
use super::page::{Frame, plain_query};
use super::users::Happened;
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::error::Error;
use crate::identity::key;
use crate::models::event::{self, Action, Event, Filter};
use crate::models::place::{Key, Part, Place, Start};
use crate::web::deadline::bounded;
use crate::web::time::rfc3339;

/// Lines of CSV that are read, held and sent at once.
const CHUNK: i64 = 500;
/// What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// What a spreadsheet may split a line at, whatever is quoted: which one it expects depends on its
/// language.
const SEPARATORS: [char; 5] = [',', ';', '\t', '\r', '\n'];

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: audit", |rocket| async {
        rocket.mount(BASE, bounded(routes![list, download]))
    })
}

/// What is asked for; what makes no sense counts as absent.
#[derive(FromForm)]
struct Asked<'r> {
    q: Option<&'r str>,
    action: Option<&'r str>,
    actor: Option<&'r str>,
    from: Option<&'r str>,
    to: Option<&'r str>,
    page: Option<&'r str>,
    after: Option<&'r str>,
    before: Option<&'r str>,
}

impl Asked<'_> {
    fn filter(&self) -> Filter {
        let q = plain_query(self.q);
        let known = |word: &str| {
            let mut all = Action::ALL.iter().copied();
            all.find(|action| action.as_str() == word)
        };
        let actor = plain_query(self.actor);
        Filter {
            name: key(q),
            action: self.action.and_then(known),
            actor: (!actor.is_empty()).then(|| key(actor)),
            from: self.from.and_then(|day| midnight(day, 0)),
            // The last day is one of them.
            until: self.to.and_then(|day| midnight(day, 1)),
        }
    }

    /// The same question as a query, without the page.
    fn query(&self) -> Query {
        let filter = self.filter();
        let mut query = Query::default();
        query.note("q", text(self.q));
        query.note("action", filter.action.map(Action::as_str));
        query.note("actor", text(self.actor));
        query.note("from", self.from.filter(|_| filter.from.is_some()));
        query.note("to", self.to.filter(|_| filter.until.is_some()));
        query
    }
}

/// The beginning of a day in UTC, so many days later, in unix seconds.
fn midnight(day: &str, later: i64) -> Option<i64> {
    let day = Date::parse(day, &Iso8601::DATE).ok()?;
    let day = day.checked_add(Duration::days(later))?;
    Some(
        day.with_time(Time::MIDNIGHT)
            .assume_offset(UtcOffset::UTC)
            .unix_timestamp(),
    )
}

#[get("/audit?<asked..>")]
async fn list(auth: &State<Auth>, frame: Frame, asked: Asked<'_>) -> Result<Template, Error> {
    let (filter, query) = (asked.filter(), asked.query());
    let time = |text: &str| text.parse().ok().map(Key::Number);
    let mut turn = Turn::to(asked.page, asked.after, asked.before, time);
    let engine = auth.pool().engine();
    let mut db = auth.pool().read().await?;
    let mut events = event::list(&mut db, engine, &filter, &turn.part).await?;
    if let Some(first) = turn.or_first(events.len()) {
        turn = first;
        events = event::list(&mut db, engine, &filter, &turn.part).await?;
    }
    let (pages, events) = Pages::of(&turn, events, None, &query);
    let content = context! {
        pages,
        events: events.into_iter().map(Happened::from).collect::<Vec<_>>(),
        actions: Action::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>(),
        q: plain_query(asked.q),
        action: filter.action.map(Action::as_str),
        actor: text(asked.actor),
        from: asked.from.filter(|_| filter.from.is_some()),
        to: asked.to.filter(|_| filter.until.is_some()),
        narrowed: query.narrows(),
        query: query.text(),
    };
    Ok(frame.render("admin/audit", content))
}

/// CSV for a download, however long.
#[derive(Responder)]
struct Csv<T> {
    lines: T,
    kind: ContentType,
    disposition: Header<'static>,
}

#[get("/audit.csv?<asked..>")]
fn download(auth: &State<Auth>, _admin: Admin, asked: Asked<'_>) -> Csv<ByteStream![Vec<u8>]> {
    let (auth, filter) = (Auth::clone(auth), asked.filter());
    let lines = ByteStream! {
        yield record(&HEADING.map(|name| Some(name.to_owned())));
        let mut part = Part::first(CHUNK);
        loop {
            // A connection for each chunk: who reads slowly holds none.
            let chunk = match chunk(&auth, &filter, &part).await {
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::warn!("a download of the trail breaks off: {error}");
                    yield record(&HEADING.map(|_| Some("broken off".to_owned())));
                    break;
                }
            };
            let Some((last, _)) = chunk.last() else { break };
            part.start = Start::After(last.clone());
            yield chunk.into_iter().flat_map(|(_, event)| record(&cells(event))).collect();
        }
    };
    Csv {
        lines,
        kind: ContentType::CSV,
        disposition: Header::new("Content-Disposition", "attachment; filename=\"audit.csv\""),
    }
}

const HEADING: [&str; 10] = [
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
];

async fn chunk(auth: &Auth, filter: &Filter, part: &Part) -> Result<Vec<(Place, Event)>, Error> {
    let mut db = auth.pool().read_long().await?;
    Ok(event::list(&mut db, auth.pool().engine(), filter, part).await?)
}

fn cells(event: Event) -> [Option<String>; 10] {
    [
        rfc3339(event.at),
        Some(event.action),
        Some(event.via),
        event.actor_name,
        event.subject_name,
        event.client,
        event.reason,
        event.address,
        event.request_id,
        Some(event.count.to_string()),
    ]
}

/// A line of CSV in which no cell is a formula.
fn record(cells: &[Option<String>; 10]) -> Vec<u8> {
    let inert = cells
        .iter()
        .map(|cell| inert(cell.as_deref().unwrap_or_default()));
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(vec![]);
    // Memory takes whatever is written.
    let _ = writer.write_record(inert);
    writer.into_inner().unwrap_or_default()
}

/// The text with an apostrophe before every character that a formula could begin with: at the beginning, or
/// after a separator, with nothing but separators, blanks and quotes in between. A text that needs one
/// begins with one, too, so that it is seen to be changed.
fn inert(text: &str) -> String {
    let mut inert = String::with_capacity(text.len() + 2);
    let mut begins = true;
    for char in text.chars() {
        if begins && FORMULA.contains(&char) {
            inert.push('\'');
        }
        let goes_on = char.is_whitespace() || char == '"';
        begins = SEPARATORS.contains(&char) || begins && goes_on;
        inert.push(char);
    }
    let opens = text.starts_with(SEPARATORS);
    if (opens || inert.len() > text.len()) && !inert.starts_with('\'') {
        inert.insert(0, '\'');
    }
    inert
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_formula_begins_in_a_cell_however_it_is_split() {
        for (text, wanted) in [
            ("=1+1", "'=1+1"),
            (" =1", "' '=1"),
            ("x;=cmd|' /C calc'!A0", "'x;'=cmd|' /C calc'!A0"),
            ("x; \"=1", "'x; \"'=1"),
            ("x,@y;;+z", "'x,'@y;;'+z"),
            ("x\t-1\r\n＝2", "'x\t'-1\r\n'＝2"),
            ("\tx", "'\tx"),
            ("a=b; c-d", "a=b; c-d"),
            ("2026-03-03T12:00:00Z", "2026-03-03T12:00:00Z"),
            ("x-ray (2); y", "x-ray (2); y"),
            ("", ""),
        ] {
            assert_eq!(inert(text), wanted, "{text:?}");
        }
    }
}
