//! Bulk actions on users: `POST /admin/users/disable` and `POST /admin/users/revoke-tokens`.

use crate::context;
use rocket::http::CookieJar;
use rocket::{State, post};

use super::{
    BulkForm, BulkResponse, confirmed_actor, form_status, redirect_back, redirect_with_result,
};
use crate::admin::USERS_PATH;
use crate::admin::next_path;
use crate::admin::page::{AdminLayout, MAX_NAMED};
use crate::admin::user_view::ListedUserView;
use crate::auth::Auth;
use crate::auth::bulk_actions::DisableResult;
use crate::error::{Error, FieldErrors};
use crate::identity::UserId;
use crate::models::event::Actor;
use crate::models::token::{self, TokenRow};
use crate::models::{now, user};
use crate::web::body::Body;
use crate::web::flash::FlashRedirect;
use crate::web::page::{tokens, users};

#[post("/users/disable", data = "<form>")]
pub(super) async fn disable(
    auth: &State<Auth>,
    layout: AdminLayout,
    cookies: &CookieJar<'_>,
    form: Body<BulkForm>,
) -> Result<BulkResponse, Error> {
    confirm_or_run(auth, layout, cookies, form.0, BulkAction::Disable).await
}

#[post("/users/revoke-tokens", data = "<form>")]
pub(super) async fn revoke_tokens(
    auth: &State<Auth>,
    layout: AdminLayout,
    cookies: &CookieJar<'_>,
    form: Body<BulkForm>,
) -> Result<BulkResponse, Error> {
    confirm_or_run(auth, layout, cookies, form.0, BulkAction::RevokeTokens).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BulkAction {
    Disable,
    RevokeTokens,
}

async fn confirm_or_run(
    auth: &Auth,
    layout: AdminLayout,
    cookies: &CookieJar<'_>,
    form: BulkForm,
    action: BulkAction,
) -> Result<BulkResponse, Error> {
    let mut ids: Vec<UserId> = form.ids.iter().filter_map(|id| UserId::parse(id)).collect();
    let own = layout.admin().user_id;
    // An admin who ticks one box too many must not be locked out.
    ids.retain(|id| action != BulkAction::Disable || *id != own);
    if ids.is_empty() {
        let message = match (action, form.ids.is_empty()) {
            (BulkAction::Disable, false) => {
                "You cannot disable your own account here. Open your user page to disable it."
            }
            _ => "Select at least one user.",
        };
        return Ok(Ok(FlashRedirect::refused(
            redirect_back(&form, USERS_PATH),
            message,
        )));
    }
    let actor = match confirmed_actor(auth, layout.admin(), cookies, &form, None).await? {
        Ok(actor) => actor,
        Err(errors) => return confirmation_page(auth, layout, &form, &ids, action, &errors).await,
    };
    let result = match action {
        BulkAction::Disable => disable_users(auth, &actor, &ids).await,
        BulkAction::RevokeTokens => {
            let kept = layout.admin().token_id;
            let revoked = auth
                .bulk
                .revoke_for_users(&ids, kept, "selected users", &actor)
                .await;
            revoked.map(|revoked| format!("{} revoked.", tokens(revoked)))
        }
    };
    Ok(Ok(redirect_with_result(
        layout.admin(),
        redirect_back(&form, USERS_PATH),
        result,
    )))
}

async fn disable_users(auth: &Auth, actor: &Actor, ids: &[UserId]) -> Result<String, Error> {
    let DisableResult {
        users: disabled,
        tokens: revoked,
        not_disabled,
    } = auth.bulk.disable_users(ids, actor).await?;
    let (disabled_users, ended_tokens) = (users(disabled), tokens(revoked));
    let not_disabled = not_disabled.map(|reason| format!(" One user was not disabled: {reason}"));
    Ok(format!(
        "{disabled_users} disabled. {ended_tokens} revoked.{}",
        not_disabled.unwrap_or_default()
    ))
}

async fn confirmation_page(
    auth: &Auth,
    layout: AdminLayout,
    form: &BulkForm,
    ids: &[UserId],
    action: BulkAction,
    errors: &FieldErrors,
) -> Result<BulkResponse, Error> {
    let now = now();
    let mut rows = vec![];
    let mut db = auth.pool().read().await?;
    for id in ids {
        if let Some(user) = user::find(&mut db, *id).await? {
            let live = token::list_live(&mut db, *id, now).await?;
            let is_revoked = |token: &&TokenRow| token.id != layout.admin().token_id;
            let tokens = live.iter().filter(is_revoked).count();
            rows.push(ListedUserView::new(
                user,
                i64::try_from(tokens).unwrap_or(i64::MAX),
            ));
        }
    }
    drop(db);
    if rows.is_empty() {
        let message = "These users no longer exist.";
        return Ok(Ok(FlashRedirect::success(
            redirect_back(form, USERS_PATH),
            message,
        )));
    }
    let admin = layout.admin();
    let content = context! {
        count: rows.len(),
        tokens: rows.iter().map(ListedUserView::tokens).sum::<i64>(),
        more: rows.len().saturating_sub(MAX_NAMED),
        users: rows.into_iter().take(MAX_NAMED).collect::<Vec<_>>(),
        ids: ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
        disable: action == BulkAction::Disable,
        own: ids.contains(&admin.user_id),
        spared: action == BulkAction::Disable && form.ids.contains(&admin.user_id.to_string()),
        note: form.confirmation.note(),
        next: next_path(Some(&form.next)),
        requires_password: !admin.is_password_fresh(now),
        errors: errors.by_field(),
    };
    Ok(Err((
        form_status(errors),
        layout.render("admin/confirm_users", content),
    )))
}
