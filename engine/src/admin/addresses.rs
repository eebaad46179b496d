//! The page of an address or network: `GET /admin/addresses/<address>`.

use rocket::fairing::AdHoc;
use rocket::http::uri::Segments;
use rocket::http::uri::fmt::Path;
use rocket::{State, get, routes};

use crate::admin::BASE;
use crate::admin::event_view::EventView;
use crate::admin::list::CountView;
use crate::admin::page::AdminLayout;
use crate::admin::token_view::TokenView;
use crate::auth::Auth;
use crate::context;
use crate::error::Error;
use crate::identity::address::Network;
use crate::models::event::{self, Action};
use crate::models::list::{Page, PagePosition};
use crate::models::token::TokenRow;
use crate::models::token::list::{TokenFilter, TokenStatus};
use crate::models::{event::Event, now};
use crate::web::deadline::bounded;
use crate::web::templates::Template;

const MAX_TOKENS: usize = 20;
/// Of logins and of failed logins, each.
const MAX_EVENTS: usize = 10;

/// Mounts the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: addresses", |rocket| async {
        rocket.mount(BASE, bounded(routes![show]))
    })
}

#[get("/addresses/<path..>")]
async fn show(
    auth: &State<Auth>,
    layout: AdminLayout,
    path: Segments<'_, Path>,
) -> Result<Template, Error> {
    let text: Vec<&str> = path.collect();
    let network = Network::parse(&text.join("/")).ok_or(Error::NotFound)?;
    let tokens = TokenFilter {
        address: Some(network),
        ..TokenFilter::default()
    };
    let live = TokenFilter {
        status: Some(TokenStatus::Live),
        // The current session is not revoked.
        except: Some(layout.admin().token_id),
        ..tokens.clone()
    };
    let events = |action| {
        let filter = event::EventFilter {
            address: Some(network),
            action: Some(action),
            ..event::EventFilter::default()
        };
        filter.list()
    };
    let (now, mut db) = (now(), auth.pool().read().await?);
    let list = tokens.list(None, now);
    let (page, count) = list
        .page_and_count::<TokenRow>(&mut db, PagePosition::First, MAX_TOKENS)
        .await?;
    let live = live.list(None, now).count(&mut db).await?;
    let logins: Page<Event> = events(Action::TokenIssued)
        .page(&mut db, PagePosition::First, MAX_EVENTS)
        .await?;
    let failures: Page<Event> = events(Action::LoginFailed)
        .page(&mut db, PagePosition::First, MAX_EVENTS)
        .await?;
    drop(db);
    let around = network.single().and_then(Network::containing);
    let content = context! {
        network: network.to_string(),
        is_network: network.single().is_none(),
        around: around.map(|network| network.to_string()),
        count: count.map(CountView::from),
        live: CountView::from(live),
        more: page.next.is_some(),
        tokens: TokenView::all(page.rows, layout.admin().token_id, now),
        more_logins: logins.next.is_some(),
        logins: EventView::all(logins.rows),
        more_failures: failures.next.is_some(),
        failures: EventView::all(failures.rows),
    };
    Ok(layout.render("admin/address", content))
}
