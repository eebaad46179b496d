//! Bulk revocation of selected or of all matching tokens: `GET /admin/tokens/revoke` asks, `POST` acts once confirmed.

use std::collections::HashSet;

use crate::context;
use rocket::http::CookieJar;
use rocket::{State, get, post};

use super::{
    BulkForm, BulkResponse, NON_FILTER_FIELDS, confirmed_actor, distinct, form_status,
    redirect_back, redirect_with_result,
};
use crate::admin::TOKENS_PATH;
use crate::admin::list::{CountView, ListParams};
use crate::admin::next_path;
use crate::admin::page::{AdminLayout, MAX_NAMED};
use crate::admin::token_filter::{load_filter, read_filter};
use crate::admin::token_view::TokenView;
use crate::auth::Auth;
use crate::db::Conn;
use crate::error::{Error, FieldErrors};
use crate::identity::TokenId;
use crate::models::list::{Count, PagePosition};
use crate::models::token::list::TokenFilter;
use crate::models::{now, token};
use crate::web::body::Body;
use crate::web::flash::FlashRedirect;
use crate::web::page::tokens;

/// The confirmation page counts tokens, users and addresses up to this number: "1,000+".
const COUNT_LIMIT: usize = 1000;
/// The word that an admin must type to revoke every matching token.
const CONFIRMATION_WORD: &str = "revoke";

/// The tokens to revoke.
enum TokenSelection {
    Selected(Vec<TokenId>),
    Matching(TokenFilter),
}

#[get("/tokens/revoke?<id>&<all>&<query..>")]
pub(super) async fn confirm_revoke(
    auth: &State<Auth>,
    layout: AdminLayout,
    cookies: &CookieJar<'_>,
    id: Vec<&str>,
    all: Option<&str>,
    query: ListParams,
) -> Result<BulkResponse, Error> {
    let form = BulkForm {
        ids: distinct(&id),
        all: all == Some("1"),
        query,
        next: TOKENS_PATH.to_owned(),
        ..BulkForm::default()
    };
    confirm_or_revoke(auth, layout, cookies, form).await
}

#[post("/tokens/revoke?<query..>", data = "<form>")]
pub(super) async fn revoke(
    auth: &State<Auth>,
    layout: AdminLayout,
    cookies: &CookieJar<'_>,
    query: ListParams,
    form: Body<BulkForm>,
) -> Result<BulkResponse, Error> {
    let Body(mut form) = form;
    form.query = merge_filters(form.query, query);
    confirm_or_revoke(auth, layout, cookies, form).await
}

async fn confirm_or_revoke(
    auth: &Auth,
    layout: AdminLayout,
    cookies: &CookieJar<'_>,
    mut form: BulkForm,
) -> Result<BulkResponse, Error> {
    let selection = {
        let mut db = auth.pool().read().await?;
        select_tokens(&mut db, &mut form, layout.admin().token_id).await?
    };
    if matches!(&selection, TokenSelection::Selected(ids) if ids.is_empty()) {
        return Ok(Ok(FlashRedirect::refused(
            redirect_back(&form, TOKENS_PATH),
            "Select at least one token.",
        )));
    }
    if form.all && (form.query.has_invalid || form.query.has_unknown(&NON_FILTER_FIELDS)) {
        let message = "Nothing was revoked, because a filter is unknown, is invalid or contradicts another filter.";
        return Ok(Ok(FlashRedirect::refused(
            redirect_back(&form, TOKENS_PATH),
            message,
        )));
    }
    let word = form.all.then_some(CONFIRMATION_WORD);
    let actor = match confirmed_actor(auth, layout.admin(), cookies, &form, word).await? {
        Ok(actor) => actor,
        Err(errors) => return confirmation_page(auth, layout, &form, &selection, &errors).await,
    };
    let revoked = match &selection {
        TokenSelection::Selected(ids) => auth.bulk.revoke_selected(ids, &actor).await,
        TokenSelection::Matching(filter) => {
            let description = form.query.description();
            auth.bulk
                .revoke_matching(filter, &description, &actor)
                .await
        }
    };
    let result = revoked.map(|revoked| format!("{} revoked.", tokens(revoked)));
    Ok(Ok(redirect_with_result(
        layout.admin(),
        redirect_back(&form, TOKENS_PATH),
        result,
    )))
}

/// Merges the filters of the form and of the URL. If they contradict each other, the query has an invalid filter.
fn merge_filters(mut form: ListParams, mut url: ListParams) -> ListParams {
    read_filter(&mut url);
    let is_empty = |query: &ListParams| {
        !query.has_invalid && !query.has_unknown(&NON_FILTER_FIELDS) && !query.has_filters()
    };
    if is_empty(&form) {
        return url;
    }
    form.has_invalid |= url.has_invalid || url.has_unknown(&NON_FILTER_FIELDS);
    form.has_invalid |= !is_empty(&url) && url.link() != form.link();
    form
}

/// The tokens to revoke, except `own`, the token of the current session.
async fn select_tokens(
    db: &mut Conn,
    form: &mut BulkForm,
    own: TokenId,
) -> sqlx::Result<TokenSelection> {
    if !form.all {
        let ids = form.ids.iter().filter_map(|id| TokenId::parse(id));
        return Ok(TokenSelection::Selected(
            ids.filter(|id| *id != own).collect(),
        ));
    }
    Ok(TokenSelection::Matching(TokenFilter {
        except: Some(own),
        ..load_filter(&mut form.query, db).await?
    }))
}

async fn confirmation_page(
    auth: &Auth,
    layout: AdminLayout,
    form: &BulkForm,
    selection: &TokenSelection,
    errors: &FieldErrors,
) -> Result<BulkResponse, Error> {
    let now = now();
    let mut db = auth.pool().read().await?;
    let (found, more) = match selection {
        TokenSelection::Matching(filter) => {
            let list = filter.list(None, now);
            let page = list.page(&mut db, PagePosition::First, COUNT_LIMIT).await?;
            (page.rows, page.next.is_some())
        }
        TokenSelection::Selected(ids) => {
            let mut found = vec![];
            for id in ids {
                found.extend(token::find(&mut db, *id).await?);
            }
            (found, false)
        }
    };
    drop(db);
    if found.is_empty() && !more {
        return Ok(Ok(FlashRedirect::success(
            redirect_back(form, TOKENS_PATH),
            "There are no tokens left to revoke.",
        )));
    }
    let count = |number: usize| {
        CountView::from(Count {
            rows: i64::try_from(number).unwrap_or(i64::MAX),
            more,
        })
    };
    let users: HashSet<_> = found.iter().map(|token| token.user_id).collect();
    let addresses: HashSet<_> = found.iter().filter_map(|token| token.address).collect();
    let remaining = found.len().saturating_sub(MAX_NAMED);
    let counts = [found.len(), users.len(), addresses.len()].map(count);
    let listed: Vec<_> = found.into_iter().take(MAX_NAMED).collect();
    let own = layout.admin().token_id;
    let content = context! {
        more: remaining,
        tokens: TokenView::all(listed, own, now),
        counts,
        all: form.all,
        chips: form.query.chips(),
        ids: if form.all { &[] } else { form.ids.as_slice() },
        next: next_path(Some(&form.next)),
        word: CONFIRMATION_WORD,
        typed: &form.typed,
        note: form.confirmation.note(),
        spared: form.all || form.ids.contains(&own.to_string()),
        requires_password: !layout.admin().is_password_fresh(now),
        errors: errors.by_field(),
    };
    Ok(Err((
        form_status(errors),
        layout.render("admin/confirm_tokens", content),
    )))
}
