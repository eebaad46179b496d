//! One's own notes: `GET, POST /notes/`, `GET, PUT, DELETE /notes/<id>/`.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::status::Created;
use rocket::serde::json::Json;
use rocket::{State, delete, get, post, put, routes, uri};
use serde::Serialize;

use crate::auth::Auth;
use crate::auth::guard::User;
use crate::error::{Error, FieldErrors};
use crate::identity::NoteId;
use crate::models::note::{self, Note, Text};
use crate::models::now;
use crate::web::body::{Body, Fields, Form};
use crate::web::time::rfc3339;

/// Notes in one answer.
const PER_PAGE: usize = 50;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: notes", |rocket| async {
        rocket.mount("/notes", routes![list, create, show, change, delete])
    })
}

#[derive(Serialize)]
struct Item {
    id: String,
    text: String,
    created_at: Option<String>,
    changed_at: Option<String>,
}

impl From<Note> for Item {
    fn from(note: Note) -> Self {
        Self {
            id: note.id.to_string(),
            text: note.text,
            created_at: rfc3339(note.created_at),
            changed_at: note.changed_at.and_then(rfc3339),
        }
    }
}

#[derive(Serialize)]
struct Listing {
    results: Vec<Item>,
    /// Where the list goes on, if it does.
    next: Option<String>,
}

#[get("/?<after>")]
async fn list(auth: &State<Auth>, user: User, after: Option<&str>) -> Result<Json<Listing>, Error> {
    let known = |id| NoteId::parse(id).ok_or_else(|| FieldErrors::one("after", "Not an id."));
    let after = after.map(known).transpose()?;
    let mut db = auth.pool().read().await?;
    // One more than is shown: whether there is another page.
    let limit = i64::try_from(PER_PAGE + 1).unwrap_or(i64::MAX);
    let mut notes = note::list(&mut db, user.user_id, after, limit).await?;
    let more = notes.len() > PER_PAGE;
    notes.truncate(PER_PAGE);
    let last = notes.last().filter(|_| more);
    Ok(Json(Listing {
        next: last.map(|note| uri!("/notes", list(Some(note.id.to_string()))).to_string()),
        results: notes.into_iter().map(Item::from).collect(),
    }))
}

struct Written {
    text: Text,
}

impl Form for Written {
    fn read(fields: &mut Fields) -> Option<Self> {
        let text = fields.text("text", Text::parse);
        Some(Self { text: text? })
    }
}

#[post("/", data = "<written>")]
async fn create(
    auth: &State<Auth>,
    user: User,
    written: Body<Written>,
) -> Result<Created<Json<Item>>, Error> {
    let Body(Written { text }) = written;
    let mut tx = auth.pool().write().await?;
    let note = note::insert(&mut tx, user.user_id, &text, now()).await?;
    tx.commit().await?;
    let location = uri!("/notes", show(note.id)).to_string();
    Ok(Created::new(location).body(Json(note.into())))
}

#[get("/<id>")]
async fn show(
    auth: &State<Auth>,
    user: User,
    id: Result<NoteId, Error>,
) -> Result<Json<Item>, Error> {
    let id = id?;
    let mut db = auth.pool().read().await?;
    let note = note::find(&mut db, user.user_id, id).await?;
    Ok(Json(note.ok_or(Error::NotFound)?.into()))
}

#[put("/<id>", data = "<written>")]
async fn change(
    auth: &State<Auth>,
    user: User,
    id: Result<NoteId, Error>,
    written: Body<Written>,
) -> Result<Json<Item>, Error> {
    let (id, Body(Written { text })) = (id?, written);
    let mut tx = auth.pool().write().await?;
    let note = note::change(&mut tx, user.user_id, id, &text, now()).await?;
    tx.commit().await?;
    Ok(Json(note.ok_or(Error::NotFound)?.into()))
}

#[delete("/<id>")]
async fn delete(
    auth: &State<Auth>,
    user: User,
    id: Result<NoteId, Error>,
) -> Result<Status, Error> {
    let id = id?;
    let mut tx = auth.pool().write().await?;
    let deleted = note::delete(&mut tx, user.user_id, id).await?;
    tx.commit().await?;
    if deleted {
        Ok(Status::NoContent)
    } else {
        Err(Error::NotFound)
    }
}
