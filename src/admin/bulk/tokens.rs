//! Several tokens at once, or all that match: `POST /admin/tokens/revoke`.

use std::collections::HashSet;

use rocket::http::CookieJar;
use rocket::http::uri::Origin;
use rocket::{State, post};
use rocket_dyn_templates::context;

use super::{Answer, Many, back, refused, report, status};
use crate::admin::flash::Done;
use crate::admin::list::Counted;
use crate::admin::next::page_here;
use crate::admin::page::{Frame, NAMED, tokens};
use crate::admin::tokens::{Asked, LIST, NAMES, TokenView};
use crate::auth::Auth;
use crate::db::Conn;
use crate::error::{Error, FieldErrors};
use crate::identity::TokenId;
use crate::models::list::{Count, Start};
use crate::models::token::list::Filter;
use crate::models::{now, token};
use crate::web::body::Body;

/// Tokens that the question counts, with their users and addresses: beyond, it says "1,000+".
const EXAMINED: usize = 1000;
/// What has to be typed before everything that matches is revoked.
const WORD: &str = "revoke";

/// The tokens that are meant.
enum Meant {
    These(Vec<TokenId>),
    Matching(Filter),
}

#[post("/tokens/revoke?<asked..>", data = "<many>")]
pub(super) async fn revoke(
    auth: &State<Auth>,
    frame: Frame,
    cookies: &CookieJar<'_>,
    asked: Asked<'_>,
    url: &Origin<'_>,
    many: Body<Many>,
) -> Result<Answer, Error> {
    let Body(mut many) = many;
    // They may stand in the URL, as they do for the list; but not some here and some there.
    let mut in_url = asked.filters();
    in_url.dropped |= is_repeated(url);
    if many.filters.is_empty() {
        many.filters = in_url;
    } else if in_url.dropped || !in_url.is_empty() && in_url.query() != many.filters.query() {
        many.filters.dropped = true;
    }
    let meant = {
        let mut db = auth.pool().read().await?;
        meant(&mut db, &many, frame.admin().token_id).await?
    };
    if matches!(&meant, Meant::These(ids) if ids.is_empty()) {
        return Ok(Ok(Done::refused(
            back(&many, LIST),
            "No token was selected.",
        )));
    }
    if many.all && many.filters.dropped {
        let sentence =
            "One of the filters makes no sense, or contradicts another; nothing was revoked.";
        return Ok(Ok(Done::refused(back(&many, LIST), sentence)));
    }
    if !many.confirmed {
        return ask_tokens(auth, frame, &many, &meant, &FieldErrors::default()).await;
    }
    if many.all && !many.typed.trim().eq_ignore_ascii_case(WORD) {
        let errors = FieldErrors::of("typed", format!("Type “{WORD}” to go on."));
        return ask_tokens(auth, frame, &many, &meant, &errors).await;
    }
    if let Some(errors) = refused(auth, frame.admin(), cookies, &many).await? {
        return ask_tokens(auth, frame, &many, &meant, &errors).await;
    }
    let actor = match many.note.signed(frame.admin().actor()) {
        Ok(actor) => actor,
        Err(Error::Invalid(errors)) => {
            return ask_tokens(auth, frame, &many, &meant, &errors).await;
        }
        Err(error) => return Err(error),
    };
    let ended = match &meant {
        Meant::These(ids) => auth.end_these(ids, &actor).await,
        Meant::Matching(filter) => {
            let described = many.filters.query().described();
            auth.end_matching(filter, &described, &actor).await
        }
    };
    let done = ended.map(|ended| format!("{} revoked.", tokens(ended)));
    Ok(Ok(report(frame.admin(), back(&many, LIST), done)))
}

/// Whether a filter stands in the URL more than once: which is meant?
fn is_repeated(url: &Origin<'_>) -> bool {
    let query = url.query().into_iter().flat_map(|query| query.segments());
    let names: Vec<_> = query.map(|(name, _)| name).collect();
    let count = |wanted: &&str| names.iter().filter(|name| *name == wanted).count();
    NAMES.iter().any(|name| count(name) > 1)
}

/// Never the session that asks, whose token is `own`.
async fn meant(db: &mut Conn, many: &Many, own: TokenId) -> sqlx::Result<Meant> {
    if !many.all {
        let ids = many.ids.iter().filter_map(|id| TokenId::parse(id));
        return Ok(Meant::These(ids.filter(|id| *id != own).collect()));
    }
    Ok(Meant::Matching(Filter {
        except: Some(own),
        ..many.filters.filter(db).await?
    }))
}

async fn ask_tokens(
    auth: &Auth,
    frame: Frame,
    many: &Many,
    meant: &Meant,
    errors: &FieldErrors,
) -> Result<Answer, Error> {
    let now = now();
    let mut db = auth.pool().read().await?;
    let (found, more) = match meant {
        Meant::Matching(filter) => {
            let list = filter.list(None, now);
            let page = list.page(&mut db, Start::First, EXAMINED).await?;
            (page.rows, page.next.is_some())
        }
        Meant::These(ids) => {
            let mut found = vec![];
            for id in ids {
                found.extend(token::find(&mut db, *id).await?);
            }
            (found, false)
        }
    };
    drop(db);
    if found.is_empty() && !more {
        return Ok(Ok(Done::success(
            back(many, LIST),
            "No token is left to revoke.",
        )));
    }
    let count = |different: usize| {
        Counted::from(Count {
            rows: i64::try_from(different).unwrap_or(i64::MAX),
            more,
        })
    };
    let users: HashSet<_> = found.iter().map(|token| token.user_id).collect();
    let addresses: HashSet<_> = found.iter().filter_map(|token| token.address).collect();
    let rest = found.len().saturating_sub(NAMED);
    let counts = [found.len(), users.len(), addresses.len()].map(count);
    let some: Vec<_> = found.into_iter().take(NAMED).collect();
    let own = frame.admin().token_id;
    let content = context! {
        more: rest,
        tokens: TokenView::all(some, own, now),
        counts,
        all: many.all,
        filters: &many.filters,
        fields: many.filters.query(),
        ids: if many.all { &[] } else { many.ids.as_slice() },
        next: page_here(Some(&many.next)),
        word: WORD,
        typed: &many.typed,
        note: many.note.as_str(),
        spared: many.all || many.ids.contains(&own.to_string()),
        asks_password: !frame.admin().password_is_fresh(now),
        errors: errors.by_field(),
    };
    Ok(Err((
        status(errors),
        frame.render("admin/confirm_tokens", content),
    )))
}
