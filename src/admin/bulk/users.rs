//! Several users at once: `POST /admin/users/disable` and `POST /admin/users/revoke-tokens`.

use rocket::http::CookieJar;
use rocket::{State, post};
use rocket_dyn_templates::context;

use super::{Answer, Many, back, refused, report, status};
use crate::admin::flash::Done;
use crate::admin::next::page_here;
use crate::admin::page::{Frame, NAMED, tokens, users};
use crate::admin::users::{LIST, Row};
use crate::auth::Auth;
use crate::auth::accounts::Disabled;
use crate::error::{Error, FieldErrors};
use crate::identity::UserId;
use crate::models::event::Actor;
use crate::models::{now, token, user};
use crate::web::body::Body;

#[post("/users/disable", data = "<many>")]
pub(super) async fn disable(
    auth: &State<Auth>,
    frame: Frame,
    cookies: &CookieJar<'_>,
    many: Body<Many>,
) -> Result<Answer, Error> {
    act_on_users(auth, frame, cookies, many.0, Act::Disable).await
}

#[post("/users/revoke-tokens", data = "<many>")]
pub(super) async fn revoke_tokens(
    auth: &State<Auth>,
    frame: Frame,
    cookies: &CookieJar<'_>,
    many: Body<Many>,
) -> Result<Answer, Error> {
    act_on_users(auth, frame, cookies, many.0, Act::RevokeTokens).await
}

/// What is done to many users.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Disable,
    RevokeTokens,
}

async fn act_on_users(
    auth: &Auth,
    frame: Frame,
    cookies: &CookieJar<'_>,
    many: Many,
    act: Act,
) -> Result<Answer, Error> {
    let mut ids: Vec<UserId> = many.ids.iter().filter_map(|id| UserId::parse(id)).collect();
    let own = frame.admin().user_id;
    // Nobody shuts the own door by a tick too many.
    ids.retain(|id| act != Act::Disable || *id != own);
    if ids.is_empty() {
        let why = match (act, many.ids.is_empty()) {
            (Act::Disable, false) => "You can't disable yourself here; your own page can.",
            _ => "No user was selected.",
        };
        return Ok(Ok(Done::refused(back(&many, LIST), why)));
    }
    if !many.confirmed {
        return ask_users(auth, frame, &many, &ids, act, &FieldErrors::default()).await;
    }
    if let Some(errors) = refused(auth, frame.admin(), cookies, &many).await? {
        return ask_users(auth, frame, &many, &ids, act, &errors).await;
    }
    let actor = match many.note.signed(frame.admin().actor()) {
        Ok(actor) => actor,
        Err(Error::Invalid(errors)) => {
            return ask_users(auth, frame, &many, &ids, act, &errors).await;
        }
        Err(error) => return Err(error),
    };
    let done = match act {
        Act::Disable => disable_each(auth, &actor, &ids).await,
        Act::RevokeTokens => {
            let kept = frame.admin().token_id;
            let ended = auth
                .end_of_users(&ids, kept, "selected users", &actor)
                .await;
            ended.map(|ended| format!("{} revoked.", tokens(ended)))
        }
    };
    Ok(Ok(report(frame.admin(), back(&many, LIST), done)))
}

async fn disable_each(auth: &Auth, actor: &Actor, ids: &[UserId]) -> Result<String, Error> {
    let Disabled {
        users: disabled,
        tokens: ended,
        left,
    } = auth.disable_each(ids, actor).await?;
    let (who, what) = (users(disabled), tokens(ended));
    let left = left.map(|why| format!(" One was left alone: {why}"));
    Ok(format!(
        "{who} disabled. {what} ended.{}",
        left.unwrap_or_default()
    ))
}

async fn ask_users(
    auth: &Auth,
    frame: Frame,
    many: &Many,
    ids: &[UserId],
    act: Act,
    errors: &FieldErrors,
) -> Result<Answer, Error> {
    let now = now();
    let mut found = vec![];
    let mut db = auth.pool().read().await?;
    for id in ids {
        if let Some(user) = user::find(&mut db, *id).await? {
            let tokens = token::list_live(&mut db, *id, now).await?.len();
            found.push(Row::new(user, i64::try_from(tokens).unwrap_or(i64::MAX)));
        }
    }
    drop(db);
    if found.is_empty() {
        let sentence = "These users are gone already.";
        return Ok(Ok(Done::success(back(many, LIST), sentence)));
    }
    let admin = frame.admin();
    let content = context! {
        count: found.len(),
        tokens: found.iter().map(Row::tokens).sum::<i64>(),
        more: found.len().saturating_sub(NAMED),
        users: found.into_iter().take(NAMED).collect::<Vec<_>>(),
        ids: ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
        disable: act == Act::Disable,
        own: ids.contains(&admin.user_id),
        spared: act == Act::Disable && many.ids.contains(&admin.user_id.to_string()),
        note: many.note.as_str(),
        next: page_here(Some(&many.next)),
        asks_password: !admin.password_is_fresh(now),
        errors: errors.by_field(),
    };
    Ok(Err((
        status(errors),
        frame.render("admin/confirm_users", content),
    )))
}
