//! The list of tokens `GET /admin/tokens`, and revocation of one: `GET` asks for confirmation, `POST` acts.

use rocket::fairing::AdHoc;
use rocket::http;
use rocket::response::Redirect;
use rocket::{State, get, post, routes};

use crate::admin::csv::{Csv, CsvRows};
use crate::admin::list::{
    CountView, ListParams, PER_PAGE, Pager, SortColumn, SortMenu, SortOption,
};
use crate::admin::note::AdminNote;
use crate::context;
use crate::web::flash::FlashRedirect;
use crate::web::templates::Template;

use crate::admin::next_path;
use crate::admin::page::AdminLayout;
use crate::admin::token_filter::load_filter;
use crate::admin::token_view::TokenView;
use crate::admin::{BASE, TOKENS_PATH, user_path};
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::auth::revocation::{Reason, TokenSelector};
use crate::error::{Error, FieldErrors};
use crate::identity::{TokenId, UserId};
use crate::models::list::{COUNT_LIMIT, SortBy};
use crate::models::token::{self, TokenRow};
use crate::models::{NEVER, now, stats};
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;
use crate::web::page::{FormResult, isolated};
use crate::web::time::rfc3339;

/// Apps and versions listed for a client.
const MAX_DEVICES: i64 = 12;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: tokens", |rocket| async {
        rocket.mount(
            BASE,
            bounded(routes![list, download, confirm_revoke, revoke]),
        )
    })
}

const SORT_OPTIONS: [SortOption; 3] = [
    SortOption {
        name: "created",
        by: SortBy::Created,
        labels: ["Created: oldest first", "Created: newest first"],
    },
    SortOption {
        name: "last_used",
        by: SortBy::LastUsed,
        labels: ["Last used: oldest first", "Last used: newest first"],
    },
    SortOption {
        name: "expires",
        by: SortBy::Expires,
        labels: ["Expires: soonest first", "Expires: latest first"],
    },
];

fn columns(sorting: &SortMenu) -> Vec<SortColumn> {
    vec![
        SortColumn::plain("User"),
        SortColumn::plain("Client"),
        SortColumn::plain("Device"),
        SortColumn::plain("IP address"),
        sorting.column("Last used", "-last_used"),
        sorting.column("Created", "-created"),
        sorting.column("Expires", "expires"),
        SortColumn::plain("Status"),
        SortColumn::hidden("Action"),
    ]
}

#[get("/tokens?<query..>")]
async fn list(
    auth: &State<Auth>,
    layout: AdminLayout,
    mut query: ListParams,
) -> Result<Template, Error> {
    let now = now();
    let mut db = auth.pool().read().await?;
    let filter = load_filter(&mut query, &mut db).await?;
    let list = filter.list(query.sort(&SORT_OPTIONS), now);
    let sorting = SortMenu::new(&SORT_OPTIONS, &list, &query);
    let position = query.position(&list);
    let (page, count) = list.page_and_count(&mut db, position, PER_PAGE).await?;
    let devices = match &filter.client {
        Some(client) => stats::top_devices(&mut db, client, COUNT_LIMIT, MAX_DEVICES).await?,
        None => vec![],
    };
    drop(db);
    let content = context! {
        count: count.map(CountView::from),
        pager: Pager::new(&page, &query),
        tokens: TokenView::all(page.rows, layout.admin().token_id, now),
        columns: columns(&sorting),
        chips: query.chips(),
        filters: query.values(),
        query: query.link(),
        sorting,
        devices,
        has_filters: query.has_filters(),
    };
    Ok(layout.render("admin/tokens", content))
}

const CSV_HEADER: &str =
    "id,user,client,kind,hint,state,created,last used,expires,address,app,version,user agent";

#[get("/tokens.csv?<query..>")]
async fn download(auth: &State<Auth>, _admin: Admin, mut query: ListParams) -> Result<Csv, Error> {
    let filter = {
        let mut db = auth.pool().read().await?;
        load_filter(&mut query, &mut db).await?
    };
    let list = filter.list(query.sort(&SORT_OPTIONS), now());
    let rows = CsvRows::new(auth, list, CSV_HEADER, |token: TokenRow| {
        let expired = token.ends_at <= now();
        vec![
            Some(token.id.to_string()),
            Some(token.username),
            Some(token.client),
            Some(token.kind.as_str().to_owned()),
            Some(token.hint),
            Some(if expired { "expired" } else { "live" }.to_owned()),
            rfc3339(token.created_at),
            token.last_used_at.and_then(rfc3339),
            Some(token.ends_at)
                .filter(|end| *end < NEVER)
                .and_then(rfc3339),
            token.address.map(|address| address.to_string()),
            token.app,
            token.app_version,
            token.user_agent,
        ]
    });
    rows.download("tokens").await
}

#[get("/tokens/<id>/revoke?<next>")]
async fn confirm_revoke(
    auth: &State<Auth>,
    layout: AdminLayout,
    id: Result<TokenId, Error>,
    next: Option<&str>,
) -> Result<Result<Template, FlashRedirect>, Error> {
    let Some(token) = find(auth, id?).await? else {
        return Ok(Err(already_revoked(next)));
    };
    let next = return_path(next, token.user_id);
    Ok(Ok(confirmation_page(
        layout,
        token,
        &next,
        "",
        &FieldErrors::default(),
    )))
}

/// The confirmation page, with the errors of the last attempt.
fn confirmation_page(
    layout: AdminLayout,
    token: TokenRow,
    next: &str,
    note: &str,
    errors: &FieldErrors,
) -> Template {
    let token = TokenView::new(token, layout.admin().token_id, now());
    let content = context! { token, next, note, errors: errors.by_field() };
    layout.render("admin/confirm_token", content)
}

/// The confirmation form.
struct RevokeForm {
    next: String,
    note: AdminNote,
}

impl Form for RevokeForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            next: fields.raw("next"),
            note: AdminNote::read(fields),
        })
    }
}

#[post("/tokens/<id>/revoke", data = "<form>")]
async fn revoke(
    auth: &State<Auth>,
    layout: AdminLayout,
    id: Result<TokenId, Error>,
    form: Body<RevokeForm>,
) -> FormResult {
    let id = id?;
    let next = Some(form.0.next.as_str()).filter(|next| !next.is_empty());
    let found = find(auth, id).await?;
    // A token that is no longer in the database is revoked, too, because this process may still accept it.
    let note = &form.0.note;
    let actor = match (note.attach_to(layout.admin().actor()), &found) {
        (Ok(actor), _) => actor,
        (Err(errors), Some(token)) => {
            let next = return_path(next, token.user_id);
            let page = confirmation_page(layout, token.clone(), &next, note.as_str(), &errors);
            return Ok(Err((http::Status::BadRequest, page)));
        }
        (Err(errors), None) => return Err(Error::Invalid(errors)),
    };
    auth.sessions
        .revoke(TokenSelector::ById(id), Reason::Revoked, &actor)
        .await?;
    let Some(token) = found else {
        return Ok(Ok(already_revoked(next)));
    };
    let to = Redirect::to(return_path(next, token.user_id));
    let message = format!(
        "The token of {} for {} was revoked.",
        isolated(&token.username),
        isolated(&token.client)
    );
    Ok(Ok(FlashRedirect::success(to, message)))
}

async fn find(auth: &State<Auth>, id: TokenId) -> Result<Option<TokenRow>, Error> {
    let mut db = auth.pool().read().await?;
    Ok(token::find(&mut db, id).await?)
}

/// The response for a token that was revoked or replaced before. Revoking it again is harmless.
fn already_revoked(next: Option<&str>) -> FlashRedirect {
    let to = next.map_or_else(|| TOKENS_PATH.to_owned(), |next| next_path(Some(next)));
    FlashRedirect::success(
        Redirect::to(to),
        "This token is already expired or revoked.",
    )
}

/// The page that led to the confirmation, otherwise the user's page.
fn return_path(next: Option<&str>, user: UserId) -> String {
    match next {
        Some(next) => next_path(Some(next)),
        None => user_path(user),
    }
}
