//! One address or network: `GET /admin/addresses/<address>`.

use rocket::fairing::AdHoc;
use rocket::http::uri::Segments;
use rocket::http::uri::fmt::Path;
use rocket::{State, get, routes};
use rocket_dyn_templates::{Template, context};

use super::BASE;
use super::events::EventView;
use super::list::Counted;
use super::page::Frame;
use super::tokens::TokenView;
use crate::auth::Auth;
use crate::error::Error;
use crate::identity::address::Network;
use crate::models::event::{self, Action};
use crate::models::list::{Page, Start};
use crate::models::token::Token;
use crate::models::token::list::{Filter, Status};
use crate::models::{event::Event, now};
use crate::web::deadline::bounded;

/// Tokens that the page shows, and events of each kind.
const TOKENS: usize = 20;
const EVENTS: usize = 10;

/// Mounts the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: addresses", |rocket| async {
        rocket.mount(BASE, bounded(routes![show]))
    })
}

#[get("/addresses/<path..>")]
async fn show(
    auth: &State<Auth>,
    frame: Frame,
    path: Segments<'_, Path>,
) -> Result<Template, Error> {
    let text: Vec<&str> = path.collect();
    let network = Network::parse(&text.join("/")).ok_or(Error::NotFound)?;
    let tokens = Filter {
        address: Some(network),
        ..Filter::default()
    };
    let live = Filter {
        status: Some(Status::Live),
        ..tokens.clone()
    };
    let events = |action| {
        let filter = event::Filter {
            address: Some(network),
            action: Some(action),
            ..event::Filter::default()
        };
        filter.list()
    };
    let (now, mut db) = (now(), auth.pool().read().await?);
    let list = tokens.list(None, now);
    let (found, count) = list
        .page_and_count::<Token>(&mut db, Start::First, TOKENS)
        .await?;
    let live = live.list(None, now).count(&mut db).await?;
    let logins: Page<Event> = events(Action::TokenIssued)
        .page(&mut db, Start::First, EVENTS)
        .await?;
    let failures: Page<Event> = events(Action::LoginFailed)
        .page(&mut db, Start::First, EVENTS)
        .await?;
    drop(db);
    let around = network.single().and_then(Network::around);
    let content = context! {
        network: network.to_string(),
        is_network: network.single().is_none(),
        around: around.map(|network| network.to_string()),
        count: count.map(Counted::from),
        live: Counted::from(live),
        more: found.next.is_some(),
        tokens: TokenView::all(found.rows, frame.admin().token_id, now),
        more_logins: logins.next.is_some(),
        logins: EventView::all(logins.rows),
        more_failures: failures.next.is_some(),
        failures: EventView::all(failures.rows),
    };
    Ok(frame.render("admin/address", content))
}
