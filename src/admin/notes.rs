//! All users' notes, one of the admin's own, and the end of anybody's: `GET /admin/notes`,
//! `GET, POST /admin/notes/new`, `GET, POST /admin/notes/<id>/delete`.

use rocket::fairing::AdHoc;
use rocket::form::FromForm;
use rocket::http::{CookieJar, Status};
use rocket::response::Redirect;
use rocket::{State, get, post, routes};
use rocket_dyn_templates::{Template, context};
use serde::Serialize;

use super::BASE;
use super::comment::Note;
use super::confirm::confirm;
use super::flash::Done;
use super::list::{PER_PAGE, Pager, Query, start, text};
use super::page::{Frame, isolated};
use crate::auth::Auth;
use crate::error::{Error, FieldErrors};
use crate::identity::NoteId;
use crate::models::event::{self, About, Action, Actor};
use crate::models::note::{self, Owned, Text};
use crate::models::{now, user};
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;

/// Where the list is.
const LIST: &str = "/admin/notes";

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: notes", |rocket| async {
        rocket.mount(BASE, bounded(routes![list, compose, create, ask, delete]))
    })
}

/// A note as the pages show it.
#[derive(Serialize)]
struct NoteView {
    id: String,
    user_id: String,
    username: String,
    text: String,
    created_at: i64,
    changed_at: Option<i64>,
}

impl From<Owned> for NoteView {
    fn from(owned: Owned) -> Self {
        Self {
            id: owned.note.id.to_string(),
            user_id: owned.user_id.to_string(),
            username: owned.username,
            text: owned.note.text,
            created_at: owned.note.created_at,
            changed_at: owned.note.changed_at,
        }
    }
}

/// What is asked for; an invalid value counts as absent.
#[derive(FromForm)]
struct Asked<'r> {
    user: Option<&'r str>,
    after: Option<&'r str>,
    before: Option<&'r str>,
}

#[get("/notes?<asked..>")]
async fn list(auth: &State<Auth>, frame: Frame, asked: Asked<'_>) -> Result<Template, Error> {
    let mut query = Query::default();
    query.note("user", text(asked.user));
    let mut db = auth.pool().read().await?;
    let user = match text(asked.user) {
        Some(name) => Some(user::id_of(&mut db, name).await?),
        None => None,
    };
    let list = note::list_any(user.as_deref());
    let from = start(&list, asked.after, asked.before);
    let page = list.page::<Owned>(&mut db, from, PER_PAGE).await?;
    drop(db);
    let content = context! {
        pager: Pager::of(&page, &query),
        notes: page.rows.into_iter().map(NoteView::from).collect::<Vec<_>>(),
        chips: query.chips(),
        asked: query.values(&["user"]),
        narrowed: query.narrows(),
    };
    Ok(frame.render("admin/notes", content))
}

#[get("/notes/new")]
fn compose(frame: Frame) -> Template {
    form(frame, "", &FieldErrors::default())
}

/// What the form sends, as it was typed; what is unfit in it is said in the form again.
struct Entered {
    text: String,
}

impl Form for Entered {
    fn read(fields: &mut Fields) -> Option<Self> {
        let text = fields.raw("text");
        Some(Self { text })
    }
}

#[post("/notes/new", data = "<entered>")]
async fn create(
    auth: &State<Auth>,
    frame: Frame,
    entered: Body<Entered>,
) -> Result<Result<Done, (Status, Template)>, Error> {
    let Body(Entered { text }) = entered;
    let fit = match Text::parse(&text) {
        Ok(fit) => fit,
        Err(complaint) => {
            let page = form(frame, &text, &FieldErrors::of("text", complaint));
            return Ok(Err((Status::BadRequest, page)));
        }
    };
    let mut tx = auth.pool().write().await?;
    let note = note::insert(&mut tx, frame.admin().user_id, &fit, now()).await?;
    if note.is_none() {
        let page = form(frame, &text, &FieldErrors::of("text", note::FULL));
        return Ok(Err((Status::Forbidden, page)));
    }
    tx.commit().await?;
    Ok(Ok(Done::success(Redirect::to(LIST), "Your note is kept.")))
}

fn form(frame: Frame, text: &str, errors: &FieldErrors) -> Template {
    let content = context! { text, most: Text::MAX, errors: errors.by_field() };
    frame.render("admin/new_note", content)
}

#[get("/notes/<id>/delete")]
async fn ask(
    auth: &State<Auth>,
    frame: Frame,
    id: Result<NoteId, Error>,
) -> Result<Template, Error> {
    let note = find(auth, id?).await?;
    Ok(question(frame, note, "", &FieldErrors::default()))
}

/// What the question's form sends.
struct Answer {
    /// The admin's own.
    current: Password,
    /// What the admin says about it.
    comment: Note,
}

impl Form for Answer {
    fn read(fields: &mut Fields) -> Option<Self> {
        let current = Password::new(fields.raw("current_password"));
        let comment = Note::read(fields);
        Some(Self { current, comment })
    }
}

#[post("/notes/<id>/delete", data = "<answer>")]
async fn delete(
    auth: &State<Auth>,
    frame: Frame,
    id: Result<NoteId, Error>,
    cookies: &CookieJar<'_>,
    answer: Body<Answer>,
) -> Result<Result<Done, (Status, Template)>, Error> {
    let note = find(auth, id?).await?;
    let (admin, Answer { current, comment }) = (frame.admin(), answer.0);
    // It can't be undone.
    let asks = !admin.password_is_fresh(now());
    if asks && let Some(errors) = confirm(auth, admin, cookies, &current).await? {
        let page = question(frame, note, comment.as_str(), &errors);
        return Ok(Err((Status::BadRequest, page)));
    }
    let actor = match comment.signed(admin.actor()) {
        Ok(actor) => actor,
        Err(Error::Invalid(errors)) => {
            let page = question(frame, note, comment.as_str(), &errors);
            return Ok(Err((Status::BadRequest, page)));
        }
        Err(error) => return Err(error),
    };
    let to = Redirect::to(LIST);
    match remove(auth, &note, &actor).await {
        Ok(()) => {
            let sentence = format!("A note of {} is deleted.", isolated(&note.username));
            Ok(Ok(Done::success(to, sentence)))
        }
        // Told on a page: the session may have a new token.
        Err(error) => Ok(Ok(Done::failed(to, &error, admin))),
    }
}

/// Deletes somebody's note. That an admin did so is a line of the trail; what users do with their own is not.
async fn remove(auth: &Auth, note: &Owned, actor: &Actor) -> Result<(), Error> {
    let about = About {
        subject: Some((note.user_id, &note.username)),
        ..About::default()
    };
    let mut tx = auth.pool().write().await?;
    if !note::delete(&mut tx, note.user_id, note.note.id).await? {
        return Err(Error::NotFound);
    }
    event::insert(&mut tx, Action::NoteDeleted, actor, about, now()).await?;
    Ok(tx.commit().await?)
}

/// The page that asks before a note is deleted, with what was wrong with the answer before.
fn question(frame: Frame, note: Owned, comment: &str, errors: &FieldErrors) -> Template {
    let content = context! {
        asks_password: !frame.admin().password_is_fresh(now()),
        errors: errors.by_field(),
        comment,
        note: NoteView::from(note),
    };
    frame.render("admin/confirm_note", content)
}

async fn find(auth: &Auth, id: NoteId) -> Result<Owned, Error> {
    let mut db = auth.pool().read().await?;
    note::find_any(&mut db, id).await?.ok_or(Error::NotFound)
}
