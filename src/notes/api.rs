//! The current user's notes: `GET, POST /notes/`, `GET, PUT, DELETE /notes/<id>/`.

use rocket::http::Status;
use rocket::response::status::Created;
use rocket::serde::json::Json;
use rocket::{Build, Rocket, State, delete, get, post, put, routes, uri};
use rocket_multitoken::api::description::describe;
use rocket_multitoken::auth::Auth;
use rocket_multitoken::auth::guard::User;
use rocket_multitoken::error::Error;
use rocket_multitoken::field::Prose;
use rocket_multitoken::models::now;
use rocket_multitoken::web::body::{Body, Fields, Form};
use rocket_multitoken::web::deadline::bounded;
use rocket_multitoken::web::drain::IgnoredBody;
use rocket_multitoken::web::time::rfc3339;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::model::{self, Content, Note, NoteId};

/// Notes per page.
const PER_PAGE: usize = 50;

/// Mounts the routes.
pub fn mount(rocket: Rocket<Build>) -> Rocket<Build> {
    let routes = bounded(routes![list, create, show, change, delete]);
    describe(rocket, ApiDoc::openapi()).mount("/notes", routes)
}

#[derive(OpenApi)]
#[openapi(
    paths(list, create, show, change, delete),
    tags((name = "notes", description = "The current user's notes."))
)]
struct ApiDoc;

#[derive(Serialize, ToSchema)]
#[schema(as = Note)]
struct NoteItem {
    #[schema(format = "uuid")]
    id: String,
    #[schema(value_type = String, example = "Buy oats")]
    text: Prose,
    #[schema(required, format = DateTime, example = "2026-03-03T12:00:00Z")]
    created_at: Option<String>,
    /// Null before the first change.
    #[schema(required, format = DateTime, example = "2026-03-04T08:15:00Z")]
    changed_at: Option<String>,
}

impl From<Note> for NoteItem {
    fn from(note: Note) -> Self {
        Self {
            id: note.id.to_string(),
            text: note.content.text,
            created_at: rfc3339(note.created_at),
            changed_at: note.changed_at.and_then(rfc3339),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Notes)]
struct NoteList {
    results: Vec<NoteItem>,
    /// The path of the next page. Null on the last one.
    #[schema(
        required,
        example = "/notes?after=01a20ed9-0fa2-734d-9724-6c9de436e097"
    )]
    next: Option<String>,
}

/// The current user's notes, newest first
#[utoipa::path(
    get, path = "/notes/", tag = "notes", operation_id = "list_notes", security(("token" = [])),
    params(("after" = Option<String>, Query, description = "The last id of the previous page.", format = "uuid")),
    responses((status = 200, description = "Up to 50 notes.", body = NoteList), (status = 400)),
)]
#[get("/?<after>")]
async fn list(auth: &State<Auth>, user: User, after: Vec<&str>) -> Result<Json<NoteList>, Error> {
    let parse = |id| NoteId::parse(id).ok_or_else(|| Error::invalid("after", "Not an id."));
    // An `Option` would be None if the parameter is repeated. With a `Vec`, the first value counts.
    let after = after.first().copied().map(parse).transpose()?;
    let mut db = auth.pool().read().await?;
    // One more row than the page has shows whether there is a next page.
    let limit = i64::try_from(PER_PAGE + 1).unwrap_or(i64::MAX);
    let mut rows = model::list(&mut db, user.user_id, after, limit).await?;
    let has_more = rows.len() > PER_PAGE;
    rows.truncate(PER_PAGE);
    let last = rows.last().filter(|_| has_more);
    Ok(Json(NoteList {
        next: last.map(|row| uri!("/notes", list(vec![row.id.to_string()])).to_string()),
        results: rows.into_iter().map(NoteItem::from).collect(),
    }))
}

impl Form for Content {
    fn read(fields: &mut Fields) -> Option<Self> {
        // All fields are read before the first `?`, so that the response names every invalid one.
        let text = fields.value("text");
        Some(Self { text: text? })
    }
}

/// Create a note
#[utoipa::path(
    post, path = "/notes/", tag = "notes", operation_id = "create_note", security(("token" = [])),
    request_body = Content,
    responses((
        status = 201, description = "The note.", body = NoteItem,
        headers(("Location" = String, description = "The path of the note.")),
        links(
            ("show" = (operation_id = "show_note", parameters(("id" = "$response.body#/id")))),
            ("change" = (operation_id = "change_note", parameters(("id" = "$response.body#/id")))),
            ("delete" = (operation_id = "delete_note", parameters(("id" = "$response.body#/id")))),
        ),
    ), (status = 403)),
)]
#[post("/", data = "<content>")]
async fn create(
    auth: &State<Auth>,
    user: User,
    content: Body<Content>,
) -> Result<Created<Json<NoteItem>>, Error> {
    let Body(content) = content;
    let mut tx = auth.pool().write().await?;
    let created = model::insert(&mut tx, user.user_id, &content, now()).await?;
    let created = created.ok_or(Error::LimitReached(model::MAX_PER_USER_MESSAGE))?;
    tx.commit().await?;
    let location = uri!("/notes", show(created.id)).to_string();
    Ok(Created::new(location).body(Json(created.into())))
}

/// One of the current user's notes
#[utoipa::path(
    get, path = "/notes/{id}/", tag = "notes", operation_id = "show_note", security(("token" = [])),
    params(("id" = String, Path, description = "The note's id.", format = "uuid")),
    responses((status = 200, description = "The note.", body = NoteItem), (status = 404)),
)]
#[get("/<id>")]
async fn show(
    auth: &State<Auth>,
    user: User,
    id: Result<NoteId, Error>,
) -> Result<Json<NoteItem>, Error> {
    let id = id?;
    let mut db = auth.pool().read().await?;
    let found = model::find(&mut db, user.user_id, id).await?;
    Ok(Json(found.ok_or(Error::NotFound)?.into()))
}

/// Replace one of the current user's notes
#[utoipa::path(
    put, path = "/notes/{id}/", tag = "notes", operation_id = "change_note", security(("token" = [])),
    params(("id" = String, Path, description = "The note's id.", format = "uuid")),
    request_body = Content,
    responses((status = 200, description = "The changed note.", body = NoteItem), (status = 404)),
)]
#[put("/<id>", data = "<content>")]
async fn change(
    auth: &State<Auth>,
    user: User,
    id: Result<NoteId, Error>,
    content: Body<Content>,
) -> Result<Json<NoteItem>, Error> {
    let (id, Body(content)) = (id?, content);
    let mut tx = auth.pool().write().await?;
    let changed = model::change(&mut tx, user.user_id, id, &content, now()).await?;
    tx.commit().await?;
    Ok(Json(changed.ok_or(Error::NotFound)?.into()))
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
    let deleted = model::delete(&mut tx, user.user_id, id).await?;
    tx.commit().await?;
    if deleted {
        Ok(Status::NoContent)
    } else {
        Err(Error::NotFound)
    }
}
