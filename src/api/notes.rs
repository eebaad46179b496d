//! The current user's notes: `GET, POST /notes/`, `GET, PUT, DELETE /notes/<id>/`.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::status::Created;
use rocket::serde::json::Json;
use rocket::{State, delete, get, post, put, routes, uri};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::auth::Auth;
use crate::auth::guard::User;
use crate::error::{Error, FieldErrors};
use crate::identity::NoteId;
use crate::models::note::{self, Note, Text};
use crate::models::now;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;
use crate::web::drain::IgnoredBody;
use crate::web::time::rfc3339;

/// Notes in one answer.
const PER_PAGE: usize = 50;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: notes", |rocket| async {
        rocket.mount(
            "/notes",
            bounded(routes![list, create, show, change, delete]),
        )
    })
}

/// What stands above these routes.
#[derive(OpenApi)]
#[openapi(
    paths(list, create, show, change, delete),
    tags((name = "notes", description = "An example: the current user's notes."))
)]
pub(super) struct Described;

#[derive(Serialize, ToSchema)]
#[schema(as = Note)]
struct Item {
    #[schema(format = "uuid")]
    id: String,
    #[schema(example = "Buy oats")]
    text: String,
    #[schema(required, format = DateTime, example = "2026-03-03T12:00:00Z")]
    created_at: Option<String>,
    /// Null if it never was.
    #[schema(required, format = DateTime, example = "2026-03-04T08:15:00Z")]
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

#[derive(Serialize, ToSchema)]
#[schema(as = Notes)]
struct Listing {
    results: Vec<Item>,
    /// The path of the next page; null on the last one.
    #[schema(
        required,
        example = "/notes?after=01a20ed9-0fa2-734d-9724-6c9de436e097"
    )]
    next: Option<String>,
}

/// The current user's notes, newest first
#[utoipa::path(
    get, path = "/notes/", tag = "notes", operation_id = "list_notes", security(("token" = [])),
    params(("after" = Option<String>, Query, description = "The last note of the page before.", format = "uuid")),
    responses((status = 200, description = "Up to 50 notes.", body = Listing), (status = 400)),
)]
#[get("/?<after>")]
async fn list(auth: &State<Auth>, user: User, after: Vec<&str>) -> Result<Json<Listing>, Error> {
    let known = |id| NoteId::parse(id).ok_or_else(|| FieldErrors::one("after", "Not an id."));
    // Given twice, the first counts.
    let after = after.first().copied().map(known).transpose()?;
    let mut db = auth.pool().read().await?;
    // One more than is shown: whether there is another page.
    let limit = i64::try_from(PER_PAGE + 1).unwrap_or(i64::MAX);
    let mut notes = note::list(&mut db, user.user_id, after, limit).await?;
    let more = notes.len() > PER_PAGE;
    notes.truncate(PER_PAGE);
    let last = notes.last().filter(|_| more);
    Ok(Json(Listing {
        next: last.map(|note| uri!("/notes", list(vec![note.id.to_string()])).to_string()),
        results: notes.into_iter().map(Item::from).collect(),
    }))
}

#[derive(ToSchema)]
#[schema(as = NoteFields)]
struct Written {
    #[schema(value_type = String, min_length = 1, max_length = 500, example = "Buy oats")]
    text: Text,
}

impl Form for Written {
    fn read(fields: &mut Fields) -> Option<Self> {
        let text = fields.text("text", Text::parse);
        Some(Self { text: text? })
    }
}

/// Write a note
#[utoipa::path(
    post, path = "/notes/", tag = "notes", operation_id = "create_note", security(("token" = [])),
    request_body = Written,
    responses((
        status = 201, description = "The note.", body = Item,
        headers(("Location" = String, description = "Its path.")),
        links(
            ("show" = (operation_id = "show_note", parameters(("id" = "$response.body#/id")))),
            ("change" = (operation_id = "change_note", parameters(("id" = "$response.body#/id")))),
            ("delete" = (operation_id = "delete_note", parameters(("id" = "$response.body#/id")))),
        ),
    ), (status = 403)),
)]
#[post("/", data = "<written>")]
async fn create(
    auth: &State<Auth>,
    user: User,
    written: Body<Written>,
) -> Result<Created<Json<Item>>, Error> {
    let Body(Written { text }) = written;
    let mut tx = auth.pool().write().await?;
    let note = note::insert(&mut tx, user.user_id, &text, now()).await?;
    let note = note.ok_or(Error::LimitReached(note::FULL))?;
    tx.commit().await?;
    let location = uri!("/notes", show(note.id)).to_string();
    Ok(Created::new(location).body(Json(note.into())))
}

/// One of the current user's notes
#[utoipa::path(
    get, path = "/notes/{id}/", tag = "notes", operation_id = "show_note", security(("token" = [])),
    params(("id" = String, Path, description = "The note's id.", format = "uuid")),
    responses((status = 200, description = "The note.", body = Item), (status = 404)),
)]
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

/// Change one of the current user's notes
#[utoipa::path(
    put, path = "/notes/{id}/", tag = "notes", operation_id = "change_note", security(("token" = [])),
    params(("id" = String, Path, description = "The note's id.", format = "uuid")),
    request_body = Written,
    responses((status = 200, description = "The changed note.", body = Item), (status = 404)),
)]
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

/// Delete one of the current user's notes
#[utoipa::path(
    delete, path = "/notes/{id}/", tag = "notes", operation_id = "delete_note", security(("token" = [])),
    params(("id" = String, Path, description = "The note's id.", format = "uuid")),
    responses((status = 204, description = "The note is deleted."), (status = 404)),
)]
#[delete("/<id>", data = "<_body>")]
async fn delete(
    auth: &State<Auth>,
    user: User,
    id: Result<NoteId, Error>,
    _body: IgnoredBody,
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
