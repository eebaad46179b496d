//! The user's devices and tokens: `GET /account/`, `POST /account/tokens/<id>/revoke`,
//! `POST /account/tokens/revoke-others`.

use rocket::fairing::AdHoc;
use rocket::response::Redirect;
use rocket::{State, get, post, routes};
use serde::Serialize;

use crate::account::page::AccountLayout;
use crate::account::{BASE, HOME};
use crate::auth::Auth;
use crate::auth::guard::Account;
use crate::auth::revocation::{Reason, TokenSelector};
use crate::context;
use crate::error::Error;
use crate::identity::TokenId;
use crate::identity::device::Device;
use crate::models::token::{self, TokenKind, TokenRow};
use crate::models::{NEVER, now};
use crate::web::deadline::bounded;
use crate::web::drain::IgnoredBody;
use crate::web::flash::FlashRedirect;
use crate::web::templates::Template;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("account: tokens", |rocket| async {
        rocket.mount(BASE, bounded(routes![list, revoke, revoke_others]))
    })
}

#[derive(Serialize)]
struct OwnTokenView {
    id: String,
    /// The browser, or the name of the client.
    name: String,
    /// Whether it is a browser session, here or in the admin.
    is_browser: bool,
    is_admin: bool,
    hint: String,
    app: Option<String>,
    version: Option<String>,
    address: Option<String>,
    created_at: i64,
    last_used_at: Option<i64>,
    ends_at: Option<i64>,
    /// Whether it is the current session.
    current: bool,
}

impl OwnTokenView {
    fn new(token: TokenRow, current: TokenId, now: i64) -> Self {
        let current = token.id == current;
        let is_browser = token.kind != TokenKind::Api;
        Self {
            id: token.id.to_string(),
            name: if is_browser {
                browser_name(&token)
            } else {
                token.client
            },
            is_browser,
            is_admin: token.kind == TokenKind::Admin,
            hint: token.hint,
            app: token.app,
            version: token.app_version,
            address: token.address.map(|address| address.to_string()),
            created_at: token.created_at,
            last_used_at: if current {
                Some(now)
            } else {
                token.last_used_at
            },
            ends_at: Some(token.ends_at).filter(|end| *end < NEVER),
            current,
        }
    }
}

/// The browser's name, such as "Firefox 140 on Windows".
fn browser_name(token: &TokenRow) -> String {
    let Some(app) = &token.app else {
        return "Unknown browser".to_owned();
    };
    let version = token.app_version.as_deref().unwrap_or_default();
    let major = version.split('.').next().unwrap_or_default();
    let system = token.user_agent.as_deref().and_then(Device::system);
    let system = system.map(|system| format!("on {system}"));
    let words = [app, major, system.as_deref().unwrap_or_default()];
    words
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[get("/")]
async fn list(auth: &State<Auth>, layout: AccountLayout) -> Result<Template, Error> {
    let (user, current, now) = (layout.account().user_id, layout.account().token_id, now());
    let live = {
        let mut db = auth.pool().read().await?;
        token::list_live(&mut db, user, now).await?
    };
    let mut tokens: Vec<_> = live
        .into_iter()
        .map(|token| OwnTokenView::new(token, current, now))
        .collect();
    tokens.sort_by_key(|token| {
        (
            !token.current,
            -token.last_used_at.unwrap_or(token.created_at),
        )
    });
    let count = tokens.len();
    let (browsers, apps): (Vec<_>, Vec<_>) = tokens.into_iter().partition(|token| token.is_browser);
    Ok(layout.render("account/tokens", context! { browsers, apps, count }))
}

#[post("/tokens/<id>/revoke", data = "<_body>")]
async fn revoke(
    auth: &State<Auth>,
    account: Account,
    id: Result<TokenId, Error>,
    _body: IgnoredBody,
) -> Result<FlashRedirect, Error> {
    let own = TokenSelector::Owned(id?, account.user_id);
    let to = Redirect::to(HOME);
    // Revoking a token twice is harmless.
    let message = match auth
        .sessions
        .revoke(own, Reason::Revoked, &account.actor())
        .await?
    {
        0 => "This device was already signed out.",
        _ => "The device was signed out.",
    };
    Ok(FlashRedirect::success(to, message))
}

#[post("/tokens/revoke-others", rank = 2, data = "<_body>")]
async fn revoke_others(
    auth: &State<Auth>,
    account: Account,
    _body: IgnoredBody,
) -> Result<FlashRedirect, Error> {
    let others = TokenSelector::ByUser(account.user_id, Some(account.token_id));
    let ended = auth
        .sessions
        .revoke(others, Reason::Revoked, &account.actor())
        .await?;
    let message = match ended {
        0 => "No other devices were signed in.".to_owned(),
        1 => "1 other device was signed out.".to_owned(),
        _ => format!("{ended} other devices were signed out."),
    };
    Ok(FlashRedirect::success(Redirect::to(HOME), message))
}
