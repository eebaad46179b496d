//! What an admin does to many at once: `POST /admin/tokens/revoke`, `POST /admin/users/disable` and
//! `POST /admin/users/revoke-tokens`. Each asks first, with the count, and for the own password.

use std::collections::HashSet;

use rocket::fairing::AdHoc;
use rocket::http::{CookieJar, Status};
use rocket::response::Redirect;
use rocket::{State, post, routes};
use rocket_dyn_templates::{Template, context};

use super::BASE;
use super::confirm::confirm;
use super::flash::Done;
use super::list::{COUNTED, Counted};
use super::page::{Frame, tokens, users};
use super::session::page_here;
use super::tokens::{Asked, Filters, LIST, TokenView};
use super::users::{LIST as USERS, Row};
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::auth::sessions::{Reason, Which};
use crate::error::{Error, FieldErrors};
use crate::identity::{TokenId, UserId};
use crate::models::token;
use crate::models::token::list::{self, Filter, Sort};
use crate::models::{now, user};
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};

/// What has to be typed before everything that matches is revoked.
const WORD: &str = "revoke";
/// Tokens and users that a question names.
const NAMED: usize = 10;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: many at once", |rocket| async {
        rocket.mount(BASE, routes![revoke, disable_users, revoke_of_users])
    })
}

/// What a list's form sends, and then the question's.
struct Many {
    ids: Vec<String>,
    /// Everything that the filters let through.
    all: bool,
    filters: Filters,
    /// Where to go on.
    next: String,
    confirmed: bool,
    typed: String,
    current: Password,
}

impl Form for Many {
    /// Room for what a long page has ticked.
    const LIMIT: u64 = 64 * 1024;

    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            ids: distinct(&fields.all("id")),
            filters: Filters::read(|name| fields.all(name).last().copied()),
            all: fields.raw("all") == "1",
            next: fields.raw("next"),
            confirmed: fields.raw("confirm") == "yes",
            typed: fields.raw("typed"),
            current: Password::new(fields.raw("current_password")),
        })
    }
}

fn distinct(ids: &[&str]) -> Vec<String> {
    let mut ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    ids
}

/// A change that was made, or the page that asks for it.
type Answer = Result<Done, (Status, Template)>;

/// The tokens that are meant.
enum Meant {
    These(Vec<TokenId>),
    Matching(Filter),
}

#[post("/tokens/revoke?<asked..>", data = "<many>")]
async fn revoke(
    auth: &State<Auth>,
    frame: Frame,
    cookies: &CookieJar<'_>,
    asked: Asked<'_>,
    many: Body<Many>,
) -> Result<Answer, Error> {
    let Body(mut many) = many;
    // They may stand in the URL, as they do for the list.
    if many.filters.is_empty() {
        many.filters = asked.filters();
    }
    let own = frame.admin().token_id;
    let meant = if many.all {
        let mut db = auth.pool().read().await?;
        let filter = many.filters.filter(&mut db, now()).await?;
        Meant::Matching(Filter {
            except: Some(own),
            ..filter
        })
    } else {
        let ids = many.ids.iter().filter_map(|id| TokenId::parse(id));
        Meant::These(ids.filter(|id| *id != own).collect())
    };
    if matches!(&meant, Meant::These(ids) if ids.is_empty()) {
        return Ok(Ok(Done::refused(
            back(&many, LIST),
            "No token was selected.",
        )));
    }
    if many.all && many.filters.dropped {
        let sentence = "One of the filters makes no sense; nothing was revoked.";
        return Ok(Ok(Done::refused(back(&many, LIST), sentence)));
    }
    if !many.confirmed {
        return ask_tokens(auth, frame, &many, &meant, &FieldErrors::default()).await;
    }
    if many.all && !many.typed.trim().eq_ignore_ascii_case(WORD) {
        let errors = complaint("typed", format!("Type “{WORD}” to go on."));
        return ask_tokens(auth, frame, &many, &meant, &errors).await;
    }
    if let Some(errors) = refused(auth, frame.admin(), cookies, &many).await? {
        return ask_tokens(auth, frame, &many, &meant, &errors).await;
    }
    let (actor, reason) = (frame.admin().actor(), Reason::Revoked);
    let ended = match &meant {
        Meant::These(ids) => auth.end_these(ids, reason, &actor).await,
        Meant::Matching(filter) => auth.end_matching(filter, reason, &actor).await,
    };
    let done = ended.map(|ended| format!("{} revoked.", tokens(ended)));
    Ok(Ok(report(frame.admin(), back(&many, LIST), done)))
}

async fn ask_tokens(
    auth: &Auth,
    frame: Frame,
    many: &Many,
    meant: &Meant,
    errors: &FieldErrors,
) -> Result<Answer, Error> {
    let (now, newest) = (now(), (Sort::LastUsed, true));
    let mut db = auth.pool().read().await?;
    let (count, some) = match meant {
        Meant::Matching(filter) => {
            let count = list::count(&mut db, filter, now, COUNTED + 1).await?;
            let (engine, most) = (auth.pool().engine(), i64::try_from(NAMED).unwrap_or(1));
            let some = list::page(&mut db, engine, filter, newest, now, (most, 0)).await?;
            (count, some)
        }
        Meant::These(ids) => {
            let mut found = vec![];
            for id in ids {
                found.extend(token::find(&mut db, *id).await?);
            }
            let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
            found.truncate(NAMED);
            (count, found)
        }
    };
    drop(db);
    if count == 0 {
        return Ok(Ok(Done::success(
            back(many, LIST),
            "No token is left to revoke.",
        )));
    }
    let own = frame.admin().token_id;
    let content = context! {
        more: count - i64::try_from(some.len()).unwrap_or(0),
        tokens: TokenView::all(some, own, now),
        count: Counted::of(count),
        all: many.all,
        filters: &many.filters,
        fields: many.filters.query(),
        ids: if many.all { &[] } else { many.ids.as_slice() },
        next: page_here(Some(&many.next)),
        word: WORD,
        typed: &many.typed,
        spared: many.all || many.ids.contains(&own.to_string()),
        asks_password: !frame.admin().password_is_fresh(now),
        errors: errors.messages().map(|(_, message)| message).collect::<Vec<_>>(),
    };
    Ok(Err((
        status(errors),
        frame.render("admin/confirm_tokens", content),
    )))
}

#[post("/users/disable", data = "<many>")]
async fn disable_users(
    auth: &State<Auth>,
    frame: Frame,
    cookies: &CookieJar<'_>,
    many: Body<Many>,
) -> Result<Answer, Error> {
    act_on_users(auth, frame, cookies, many.0, Act::Disable).await
}

#[post("/users/revoke-tokens", data = "<many>")]
async fn revoke_of_users(
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
        return Ok(Ok(Done::refused(back(&many, USERS), why)));
    }
    if !many.confirmed {
        return ask_users(auth, frame, &many, &ids, act, &FieldErrors::default()).await;
    }
    if let Some(errors) = refused(auth, frame.admin(), cookies, &many).await? {
        return ask_users(auth, frame, &many, &ids, act, &errors).await;
    }
    let done = match act {
        Act::Disable => disable_each(auth, frame.admin(), &ids).await,
        Act::RevokeTokens => revoke_each(auth, frame.admin(), &ids).await,
    };
    Ok(Ok(report(frame.admin(), back(&many, USERS), done)))
}

async fn disable_each(auth: &Auth, admin: &Admin, ids: &[UserId]) -> Result<String, Error> {
    let (mut disabled, mut ended, mut left) = (0, 0, None);
    for id in ids {
        match auth.disable(*id, &admin.actor()).await {
            Ok(count) => {
                disabled += 1;
                ended += count;
            }
            Err(Error::NotFound) => {}
            Err(Error::Conflict(why)) => left = Some(why),
            Err(error) => return Err(error),
        }
    }
    let (who, what) = (users(disabled), tokens(ended));
    let left = left.map(|why| format!(" One was left alone: {why}"));
    Ok(format!(
        "{who} disabled. {what} ended.{}",
        left.unwrap_or_default()
    ))
}

async fn revoke_each(auth: &Auth, admin: &Admin, ids: &[UserId]) -> Result<String, Error> {
    let mut ended = 0;
    for id in ids {
        let which = Which::OfUser(*id, Some(admin.token_id));
        ended += auth.end(which, Reason::Revoked, &admin.actor()).await?;
    }
    Ok(format!("{} revoked.", tokens(ended)))
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
        return Ok(Ok(Done::success(back(many, USERS), sentence)));
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
        next: page_here(Some(&many.next)),
        asks_password: !admin.password_is_fresh(now),
        errors: errors.messages().map(|(_, message)| message).collect::<Vec<_>>(),
    };
    Ok(Err((
        status(errors),
        frame.render("admin/confirm_users", content),
    )))
}

/// What is wrong with the password given again, if it has to be given and is not right.
async fn refused(
    auth: &Auth,
    admin: &Admin,
    cookies: &CookieJar<'_>,
    many: &Many,
) -> Result<Option<FieldErrors>, Error> {
    if admin.password_is_fresh(now()) {
        return Ok(None);
    }
    match confirm(auth, admin, cookies, &many.current).await {
        Ok(()) => Ok(None),
        Err(Error::Invalid(errors)) => Ok(Some(errors)),
        Err(error) => Err(error),
    }
}

/// What became of it. It is said on a page whatever it is: the session may have a new token, and
/// Rocket drops new cookies where an error is answered.
fn report(admin: &Admin, to: Redirect, done: Result<String, Error>) -> Done {
    match done {
        Ok(sentence) => Done::success(to, sentence),
        Err(error) => {
            error.write_down(&admin.caller().request_id);
            Done::refused(to, error.detail())
        }
    }
}

fn back(many: &Many, otherwise: &'static str) -> Redirect {
    match many.next.as_str() {
        "" => Redirect::to(otherwise),
        next => Redirect::to(page_here(Some(next))),
    }
}

fn complaint(field: &'static str, message: String) -> FieldErrors {
    let mut errors = FieldErrors::default();
    errors.add(field, message);
    errors
}

fn status(errors: &FieldErrors) -> Status {
    if errors.messages().next().is_some() {
        Status::BadRequest
    } else {
        Status::Ok
    }
}
