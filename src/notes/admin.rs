//! Admin pages of all users' notes: `GET /admin/notes`, `GET, POST /admin/notes/new`,
//! `GET, POST /admin/notes/<id>/delete`.

use std::collections::BTreeMap;

use rocket::http::{CookieJar, Status};
use rocket::response::Redirect;
use rocket::{Build, Rocket, State, get, post, routes};
use rocket_multitoken::admin::BASE;
use rocket_multitoken::admin::confirm::Confirmation;
use rocket_multitoken::admin::list::{ListParams, PER_PAGE, Pager};
use rocket_multitoken::admin::page::AdminLayout;
use rocket_multitoken::auth::Auth;
use rocket_multitoken::context;
use rocket_multitoken::error::{Error, FieldErrors};
use rocket_multitoken::models::event::{self, Actor, EventDetails};
use rocket_multitoken::models::{now, user};
use rocket_multitoken::web::body::{Body, Fields, Form, FormInput};
use rocket_multitoken::web::deadline::bounded;
use rocket_multitoken::web::flash::FlashRedirect;
use rocket_multitoken::web::menu;
use rocket_multitoken::web::page::{FormResult, isolated};
use rocket_multitoken::web::templates::Template;
use serde::Serialize;

use super::DELETED;
use super::model::{self, Content, NoteId, NoteOfUser};

const LIST: &str = "/admin/notes";

/// Mounts the routes and adds a menu entry.
pub fn mount(rocket: Rocket<Build>) -> Rocket<Build> {
    let routes = bounded(routes![list, new, create, confirm_delete, delete]);
    menu::add(rocket, "Notes", LIST).mount(BASE, routes)
}

/// A row as the pages show it.
#[derive(Serialize)]
struct NoteView {
    id: String,
    user_id: String,
    username: String,
    #[serde(flatten)]
    content: Content,
    created_at: i64,
    changed_at: Option<i64>,
}

impl From<NoteOfUser> for NoteView {
    fn from(row: NoteOfUser) -> Self {
        Self {
            id: row.note.id.to_string(),
            user_id: row.user_id.to_string(),
            username: row.username,
            content: row.note.content,
            created_at: row.note.created_at,
            changed_at: row.note.changed_at,
        }
    }
}

#[get("/notes?<query..>")]
async fn list(
    auth: &State<Auth>,
    layout: AdminLayout,
    mut query: ListParams,
) -> Result<Template, Error> {
    let mut db = auth.pool().read().await?;
    let user = match query.text("user") {
        Some(name) => Some(user::id_by_name(&mut db, &name).await?),
        None => None,
    };
    let list = model::list_for_admin(user);
    let position = query.position(&list);
    let page = list.page::<NoteOfUser>(&mut db, position, PER_PAGE).await?;
    drop(db);
    let values = context! {
        pager: Pager::new(&page, &query),
        rows: page.rows.into_iter().map(NoteView::from).collect::<Vec<_>>(),
        chips: query.chips(),
        filters: query.values(),
        has_filters: query.has_filters(),
    };
    Ok(layout.render("notes/list", values))
}

#[get("/notes/new")]
fn new(layout: AdminLayout) -> Template {
    form_page(layout, BTreeMap::new(), &FieldErrors::default())
}

#[post("/notes/new", data = "<form>")]
async fn create(
    auth: &State<Auth>,
    layout: AdminLayout,
    form: Body<FormInput<Content>>,
) -> FormResult {
    let Body(FormInput { values, parsed }) = form;
    let content = match parsed {
        Ok(content) => content,
        Err(errors) => {
            let page = form_page(layout, values, &errors);
            return Ok(Err((Status::BadRequest, page)));
        }
    };
    let mut tx = auth.pool().write().await?;
    let created = model::insert(&mut tx, layout.admin().user_id, &content, now()).await?;
    if created.is_none() {
        let page = form_page(
            layout,
            values,
            &FieldErrors::single("text", model::MAX_PER_USER_MESSAGE),
        );
        return Ok(Err((Status::Forbidden, page)));
    }
    tx.commit().await?;
    Ok(Ok(FlashRedirect::success(
        Redirect::to(LIST),
        "Your note was saved.",
    )))
}

/// The page with the form, filled in with the last attempt.
fn form_page(
    layout: AdminLayout,
    typed: BTreeMap<String, String>,
    errors: &FieldErrors,
) -> Template {
    let values = context! { typed, errors: errors.by_field() };
    layout.render("notes/new", values)
}

#[get("/notes/<id>/delete")]
async fn confirm_delete(
    auth: &State<Auth>,
    layout: AdminLayout,
    id: Result<NoteId, Error>,
) -> Result<Template, Error> {
    let row = find(auth, id?).await?;
    Ok(confirmation_page(layout, row, "", &FieldErrors::default()))
}

/// The confirmation form.
struct DeleteForm(Confirmation);

impl Form for DeleteForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(Confirmation::read(fields)))
    }
}

#[post("/notes/<id>/delete", data = "<form>")]
async fn delete(
    auth: &State<Auth>,
    layout: AdminLayout,
    id: Result<NoteId, Error>,
    cookies: &CookieJar<'_>,
    form: Body<DeleteForm>,
) -> FormResult {
    let row = find(auth, id?).await?;
    let (admin, Body(DeleteForm(confirmation))) = (layout.admin(), form);
    // A deletion cannot be undone, so it requires a recently entered password.
    let requires_password = !admin.is_password_fresh(now());
    let actor = match confirmation
        .confirm(auth, admin, cookies, requires_password)
        .await?
    {
        Ok(actor) => actor,
        Err(errors) => {
            let page = confirmation_page(layout, row, confirmation.note(), &errors);
            return Ok(Err((Status::BadRequest, page)));
        }
    };
    let to = Redirect::to(LIST);
    match remove(auth, &row, &actor).await {
        Ok(()) => {
            let message = format!("A note of {} was deleted.", isolated(&row.username));
            Ok(Ok(FlashRedirect::success(to, message)))
        }
        // A redirect and not an error page, because the response must carry the cookie of a renewed session.
        Err(error) => Ok(Ok(FlashRedirect::failed(to, &error, admin.caller()))),
    }
}

/// Deletes a user's note and adds an audit event. What users do with their own notes is not logged.
async fn remove(auth: &Auth, row: &NoteOfUser, actor: &Actor) -> Result<(), Error> {
    let details = EventDetails {
        subject: Some((row.user_id, &row.username)),
        ..EventDetails::default()
    };
    let mut tx = auth.pool().write().await?;
    if !model::delete(&mut tx, row.user_id, row.note.id).await? {
        return Err(Error::NotFound);
    }
    event::insert_custom(&mut tx, DELETED, actor, details, now()).await?;
    Ok(tx.commit().await?)
}

/// The confirmation page, with the errors of the last attempt.
fn confirmation_page(
    layout: AdminLayout,
    row: NoteOfUser,
    admin_note: &str,
    errors: &FieldErrors,
) -> Template {
    let values = context! {
        requires_password: !layout.admin().is_password_fresh(now()),
        errors: errors.by_field(),
        admin_note,
        row: NoteView::from(row),
    };
    layout.render("notes/delete", values)
}

async fn find(auth: &Auth, id: NoteId) -> Result<NoteOfUser, Error> {
    let mut db = auth.pool().read().await?;
    model::find_for_admin(&mut db, id)
        .await?
        .ok_or(Error::NotFound)
}
