//! The list of users, and the page of one user with their tokens by client.

use rocket::fairing::AdHoc;
use rocket::{State, get, routes};

use crate::admin::BASE;
use crate::admin::csv::{Csv, CsvRows};
use crate::admin::event_view::EventView;
use crate::admin::list::{
    CountView, ListParams, PER_PAGE, Pager, SortColumn, SortMenu, SortOption,
};
use crate::admin::page::AdminLayout;
use crate::admin::token_view::TokenView;
use crate::admin::user_view::{ListedUserView, UserView};
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::context;
use crate::error::Error;
use crate::identity::{UserId, key};
use crate::models::event;
use crate::models::list::{PagePosition, SortBy};
use crate::models::now;
use crate::models::token;
use crate::models::user::{self, UserFilter, UserListRow, UserStatus};
use crate::web::deadline::bounded;
use crate::web::templates::Template;
use crate::web::time::rfc3339;

const MAX_EVENTS: usize = 10;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: users", |rocket| async {
        rocket.mount(BASE, bounded(routes![list, download, show]))
    })
}

const SORT_OPTIONS: [SortOption; 3] = [
    SortOption {
        name: "name",
        by: SortBy::Name,
        labels: ["Name: A to Z", "Name: Z to A"],
    },
    SortOption {
        name: "created",
        by: SortBy::Created,
        labels: ["Created: oldest first", "Created: newest first"],
    },
    SortOption {
        name: "last_seen",
        by: SortBy::LastSeen,
        labels: ["Last seen: oldest first", "Last seen: newest first"],
    },
];

fn filter(query: &mut ListParams, auth: &Auth) -> UserFilter {
    UserFilter {
        name: query.text("q").map(|text| key(&text)).unwrap_or_default(),
        status: query.keyword("status", |word| match word {
            "active" => Some(UserStatus::Active),
            "disabled" => Some(UserStatus::Disabled),
            "invited" => Some(UserStatus::Invited),
            "locked" => Some(auth.throttle.locked_status()),
            _ => None,
        }),
        role: query.value("role", |word| word.parse().ok()),
    }
}

fn columns(sorting: &SortMenu) -> Vec<SortColumn> {
    vec![
        sorting.column("User", "name"),
        SortColumn::plain("Role"),
        SortColumn::plain("Status"),
        SortColumn::number("Live tokens"),
        sorting.column("Last seen", "-last_seen"),
        sorting.column("Created", "-created"),
    ]
}

#[get("/users?<query..>")]
async fn list(
    auth: &State<Auth>,
    layout: AdminLayout,
    mut query: ListParams,
) -> Result<Template, Error> {
    let filter = filter(&mut query, auth);
    let list = filter.list(query.sort(&SORT_OPTIONS), now());
    let sorting = SortMenu::new(&SORT_OPTIONS, &list, &query);
    let position = query.position(&list);
    let mut db = auth.pool().read().await?;
    let (page, count) = list
        .page_and_count::<UserListRow>(&mut db, position, PER_PAGE)
        .await?;
    drop(db);
    let content = context! {
        count: count.map(CountView::from),
        pager: Pager::new(&page, &query),
        users: page.rows.into_iter().map(ListedUserView::from).collect::<Vec<_>>(),
        columns: columns(&sorting),
        chips: query.chips(),
        filters: query.values(),
        query: query.link(),
        sorting,
        has_filters: query.has_filters(),
        own: layout.admin().user_id.to_string(),
    };
    Ok(layout.render("admin/users", content))
}

const CSV_HEADER: &str = "id,username,role,status,live tokens,last seen,last login,created";

#[get("/users.csv?<query..>")]
async fn download(auth: &State<Auth>, _admin: Admin, mut query: ListParams) -> Result<Csv, Error> {
    let list = filter(&mut query, auth).list(query.sort(&SORT_OPTIONS), now());
    let rows = CsvRows::new(auth, list, CSV_HEADER, |listed: UserListRow| {
        let status = listed.status();
        let user = listed.user;
        vec![
            Some(user.id.to_string()),
            Some(user.username),
            Some(user.role.as_str().to_owned()),
            Some(status.to_owned()),
            Some(listed.tokens.to_string()),
            user.last_seen_at.and_then(rfc3339),
            user.last_login_at.and_then(rfc3339),
            rfc3339(user.created_at),
        ]
    });
    rows.download("users").await
}

#[get("/users/<id>")]
async fn show(
    auth: &State<Auth>,
    layout: AdminLayout,
    id: Result<UserId, Error>,
) -> Result<Template, Error> {
    let id = id?;
    let locks = auth.throttle.locks(id).await?;
    let mut db = auth.pool().read().await?;
    let user = user::find(&mut db, id).await?.ok_or(Error::NotFound)?;
    let email = user::email(&mut db, id).await?;
    let has_password = user::has_password(&mut db, id).await?;
    let tokens = token::list_by_user(&mut db, id).await?;
    let [about, by] = [
        event::EventFilter::about(&user),
        event::EventFilter::by(&user),
    ]
    .map(|filter| filter.list());
    let about = about.page(&mut db, PagePosition::First, MAX_EVENTS).await?;
    let by = by.page(&mut db, PagePosition::First, MAX_EVENTS).await?;
    drop(db);
    let (current, now) = (layout.admin().token_id, now());
    let live = tokens.iter().filter(|token| token.ends_at > now).count();
    let content = context! {
        own: id == layout.admin().user_id,
        email: email.map(|(address, is_verified)| context! { address, is_verified }),
        has_password,
        user: UserView::from(user),
        locks: context! {
            strangers: locks.strangers_until,
            failures: locks.failures,
            known: locks.known_addresses,
        },
        live,
        tokens: TokenView::all(tokens, current, now),
        about: EventView::all(about.rows),
        by: EventView::all(by.rows),
    };
    Ok(layout.render("admin/user", content))
}
