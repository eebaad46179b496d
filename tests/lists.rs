//! The admin's lists against a plain reading of the same rows: every filter, every order, every page.

use std::time::Duration;

use multitoken::identity::key;
use multitoken::models::now;
use multitoken::models::user::{self, Role};
use rocket::http::Status;
use serde_json::json;
use sqlx::Row;

use crate::support::app::form;
use crate::support::{App, on_both, on_both_with};

const DAY: i64 = 24 * 60 * 60;

/// Ids of the tokens on a page, in their order.
fn ids(page: &str) -> Vec<String> {
    let rows = page.split("href=\"/admin/tokens/").skip(1);
    let id = |row: &str| row.split("/revoke?").next().unwrap().to_owned();
    rows.map(id).collect()
}

/// Where the pager leads on (`next`) or back (`prev`) from a page of the list at `path`.
pub fn link(page: &str, path: &str, rel: &str) -> Option<String> {
    let end = page.find(&format!("\" rel=\"{rel}\""))?;
    let query = page[..end].rsplit("href=\"").next()?;
    let list = path.split('?').next()?;
    Some(format!("{list}{}", query.replace("&amp;", "&")))
}

/// The tokens on all pages of a list together, but for the session that looks.
async fn all(app: &App, cookie: &str, path: &str) -> Vec<String> {
    let sql = "SELECT id FROM tokens WHERE kind = 'admin'";
    let own = app.texts(sql).await;
    let (mut found, mut at) = (vec![], path.to_owned());
    loop {
        let answer = app.page(&at, cookie).await;
        assert_eq!(answer.status, Status::Ok, "{at}");
        found.extend(ids(&answer.text));
        let Some(next) = link(&answer.text, path, "next") else {
            break;
        };
        let full = ids(&answer.text).len();
        assert_eq!(full, 50, "{at}");
        at = next;
    }
    found.retain(|id| !own.contains(id));
    found
}

/// A token as it stands in the table.
struct Token {
    id: String,
    username: String,
    client: String,
    address: String,
    created_at: i64,
    last_used_at: Option<i64>,
    ends_at: i64,
}

/// Users and tokens of every kind that filters tell apart, and the admin's cookie.
async fn populate(app: &App) -> String {
    app.user("root", Role::Admin).await;
    let cookie = app.admin_login("root").await;
    let names = ["Alice", "alfred", "Bob", "Łucja", "ſam", "a_b%c", "zoë"];
    let mut tx = app.auth().pool().write().await.unwrap();
    let mut digest = 0;
    for (number, name) in names.iter().enumerate() {
        let number = i64::try_from(number).unwrap();
        let user = multitoken::identity::UserId::new().to_string();
        let (created, seen) = (
            now() - (number + 1) * 9 * DAY,
            now() - (number + 1) * 3 * DAY,
        );
        sqlx::query(
            "INSERT INTO users (id, username, username_key, password_hash, role, created_at,
                                disabled_at, last_seen_at)
             VALUES ($1, $2, $3, 'x', $4, $5, $6, $7)",
        )
        .bind(&user)
        .bind(*name)
        .bind(key(name))
        .bind(if number == 4 { "admin" } else { "user" })
        .bind(created)
        .bind((number % 3 == 2).then_some(created + DAY))
        .bind((number != 5).then_some(seen))
        .execute(&mut *tx)
        .await
        .unwrap();
        let clients = ["Laptop", "laptop-2 ", "PHONE", "alarm", "Ärger", "a%", "tv"];
        for (place, client) in clients.iter().cycle().take(25).enumerate() {
            let place = i64::try_from(place).unwrap();
            digest += 1;
            let client = if place < 7 {
                (*client).trim().to_owned() + " x"
            } else {
                format!("{client}{place}")
            };
            let created = now() - ((number * 7 + place * 3) % 60) * DAY - place;
            let used = (place % 4 != 0).then_some(created + (place % 5) * DAY);
            sqlx::query(
                "INSERT INTO tokens (id, user_id, kind, client, client_key, username_key, digest, hint, created_at,
                                     last_used_at, expires_at, ends_at, last_address)
                 VALUES ($1, $2, 'api', $3, $4, $10, $5, 'abcd', $6, $7, NULL, $8, $9)",
            )
            .bind(multitoken::identity::TokenId::new().to_string())
            .bind(&user)
            .bind(&client)
            .bind(key(&client))
            .bind(format!("{digest}"))
            .bind(created)
            .bind(used)
            .bind(if place % 6 == 5 { now() + 1 } else { created + 200 * DAY })
            .bind(format!("203.0.{}.{place}", number % 2))
            .bind(key(name))
            .execute(&mut *tx)
            .await
            .unwrap();
        }
    }
    tx.commit().await.unwrap();
    // The session that looks moves in the order of last use when its first use is written: before, not while.
    app.page("/admin/", &cookie).await;
    app.auth().flush_usage().await.unwrap();
    // Some expire now.
    rocket::tokio::time::sleep(Duration::from_secs(3)).await;
    cookie
}

async fn tokens(app: &App) -> Vec<Token> {
    let mut db = app.auth().pool().read().await.unwrap();
    let rows = sqlx::query(
        "SELECT t.id, u.username, t.client, t.last_address, t.created_at, t.last_used_at, t.ends_at
         FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.kind = 'api'",
    );
    let rows = rows.fetch_all(&mut db).await.unwrap();
    let token = |row: &sqlx::any::AnyRow| Token {
        id: row.get(0),
        username: row.get(1),
        client: row.get(2),
        address: row.get(3),
        created_at: row.get(4),
        last_used_at: row.get(5),
        ends_at: row.get(6),
    };
    rows.iter().map(token).collect()
}

/// What a list of tokens is to show: whether a token is in it.
type Keeps = fn(&Token) -> bool;

#[test]
fn every_filter_of_tokens_finds_what_it_says_and_nothing_else() {
    on_both(async |app| {
        let cookie = populate(&app).await;
        let rows = tokens(&app).await;
        let begins = |text: &str, with: &str| key(text).starts_with(with);
        assert!(begins("ſam", "sa"));
        let filters: [(&[(&str, &str)], Keeps); 15] = [
            (&[], |_| true),
            (&[("q", "aL")], |t| {
                ["al"]
                    .iter()
                    .any(|q| key(&t.username).starts_with(q) || key(&t.client).starts_with(q))
            }),
            (&[("q", "LAPTOP")], |t| key(&t.client).starts_with("laptop")),
            (&[("q", "SAM")], |t| t.username == "ſam"),
            (&[("q", "a%")], |t| key(&t.client).starts_with("a%")),
            (&[("q", "a_b")], |t| t.username == "a_b%c"),
            (&[("q", "ä")], |t| key(&t.client).starts_with('ä')),
            (&[("user", "BOB")], |t| t.username == "Bob"),
            (&[("user", "nobody")], |_| false),
            (&[("client", "phone X")], |t| t.client == "PHONE x"),
            (&[("status", "expired")], |t| t.ends_at <= now()),
            (&[("status", "live")], |t| t.ends_at > now()),
            (&[("unused", "20")], |t| {
                t.last_used_at.unwrap_or(t.created_at) <= now() - 20 * DAY
            }),
            (&[("address", "203.0.1.")], |t| {
                t.address.starts_with("203.0.1.")
            }),
            (
                &[
                    ("q", "a"),
                    ("status", "live"),
                    ("unused", "10"),
                    ("user", "alice"),
                ],
                |t| {
                    t.username == "Alice"
                        && t.ends_at > now()
                        && t.last_used_at.unwrap_or(t.created_at) <= now() - 10 * DAY
                },
            ),
        ];
        for (query, keeps) in filters {
            let mut wanted: Vec<_> = rows
                .iter()
                .filter(|t| keeps(t))
                .map(|t| t.id.clone())
                .collect();
            let path = format!("/admin/tokens?{}", form(query));
            let mut found = all(&app, &cookie, &path).await;
            found.sort();
            wanted.sort();
            assert_eq!(found, wanted, "{query:?}");
            let page = app.page(&path, &cookie).await.text;
            // The viewer's own session is listed where nothing leaves it out, but not to be ticked.
            let own = i64::from(page.contains("this session"));
            let count = wanted.len() + usize::try_from(own).unwrap();
            let words = format!("{count} {}", if count == 1 { "token" } else { "tokens" });
            assert!(page.contains(&words), "{query:?}: {words}");
        }
    });
}

#[test]
fn every_order_of_tokens_is_kept_over_all_pages_and_reversed() {
    on_both(async |app| {
        let cookie = populate(&app).await;
        let rows = tokens(&app).await;
        let key = |id: &String, sort: &str| {
            let token = rows.iter().find(|token| token.id == *id).unwrap();
            let (text, number) = match sort {
                "client" => (key(&token.client), 0),
                "user" => (key(&token.username), 0),
                "created" => (String::new(), token.created_at),
                "last_used" => (String::new(), token.last_used_at.unwrap_or(0)),
                _ => (String::new(), token.ends_at),
            };
            (text, number)
        };
        for filter in ["", "&status=live", "&q=a", "&unused=5", "&client=tv+x"] {
            for sort in ["client", "user", "created", "last_used", "expires"] {
                let path = format!("/admin/tokens?sort={sort}{filter}");
                let rising = all(&app, &cookie, &path).await;
                let keys: Vec<_> = rising.iter().map(|id| key(id, sort)).collect();
                assert!(keys.is_sorted(), "{path}");
                let mut falling = all(&app, &cookie, &path.replace("sort=", "sort=-")).await;
                falling.reverse();
                assert_eq!(falling, rising, "{path}: no row twice, none left out");
                assert!(!rising.is_empty(), "{path}");
            }
        }
        // Without one, and with nonsense for one, the newest come first.
        let newest = all(&app, &cookie, "/admin/tokens?sort=-created").await;
        for path in [
            "/admin/tokens",
            "/admin/tokens?sort=nonsense",
            "/admin/tokens?sort=--created",
        ] {
            assert_eq!(all(&app, &cookie, path).await, newest, "{path}");
        }
    });
}

/// Texts of a page that name its rows.
fn rows(page: &str, start: &str) -> Vec<String> {
    let rows = page.split(start).skip(1);
    rows.map(|row| row.split(['"', '/']).next().unwrap().to_owned())
        .collect()
}

#[test]
fn links_lead_to_the_pages_that_have_those_numbers_and_back() {
    on_both(async |app| {
        let cookie = populate(&app).await;
        let user = "INSERT INTO users (id, username, username_key, password_hash, role, created_at)
                    SELECT t.id, t.id, t.id, 'x', 'user', t.created_at FROM tokens t";
        app.execute(user).await;
        let event = "INSERT INTO events (id, at, action, via, client, client_key)
                     SELECT t.id, t.created_at, 'token.issued', 'api', 'a', 'a' FROM tokens t";
        app.execute(event).await;
        let lists = [
            (
                "/admin/tokens?sort=",
                "href=\"/admin/tokens/",
                "client user created last_used expires",
            ),
            (
                "/admin/tokens?q=a&sort=",
                "href=\"/admin/tokens/",
                "client user created last_used expires",
            ),
            (
                "/admin/users?sort=",
                "name=\"id\" value=\"",
                "name created last_seen",
            ),
            (
                "/admin/audit?q=a&x=",
                "<time data-absolute datetime=\"",
                "x",
            ),
        ];
        for (path, start, sorts) in lists {
            for sort in sorts
                .split(' ')
                .flat_map(|sort| [sort.to_owned(), format!("-{sort}")])
            {
                let path = format!("{path}{sort}");
                let mut pages = vec![];
                let mut at = path.clone();
                loop {
                    let page = app.page(&at, &cookie).await.text;
                    pages.push(rows(&page, start));
                    let number = pages.len();
                    let numbered = app.page(&format!("{path}&page={number}"), &cookie).await;
                    assert_eq!(
                        rows(&numbered.text, start),
                        pages[number - 1],
                        "{path} {number}"
                    );
                    if let Some(back) = link(&page, &path, "prev") {
                        let back = app.page(&back, &cookie).await.text;
                        assert_eq!(rows(&back, start), pages[number - 2], "{path} {number}");
                        assert!(link(&back, &path, "next").is_some());
                    }
                    let Some(next) = link(&page, &path, "next") else {
                        break;
                    };
                    at = next;
                }
                assert!(pages.len() > 2, "{path}");
            }
        }
    });
}

#[test]
fn a_page_goes_on_where_the_one_before_ended_whatever_went_meanwhile() {
    on_both(async |app| {
        let cookie = populate(&app).await;
        let path = "/admin/tokens?sort=created";
        let whole = all(&app, &cookie, path).await;
        let first = app.page(path, &cookie).await.text;
        let next = link(&first, path, "next").unwrap();
        let last = ids(&first)[49].clone();
        let gone = "DELETE FROM tokens WHERE id IN
                    (SELECT id FROM tokens ORDER BY created_at, id LIMIT 3)";
        app.execute(gone).await;
        let place = whole.iter().position(|id| *id == last).unwrap();
        let second = ids(&app.page(&next, &cookie).await.text);
        assert_eq!(second[0], whole[place + 1]);
        // Back, where too few are left for a page, is the list's beginning.
        let third = link(&app.page(&next, &cookie).await.text, path, "next").unwrap();
        let back = link(&app.page(&third, &cookie).await.text, path, "prev").unwrap();
        let gone = "DELETE FROM tokens WHERE id IN
                    (SELECT id FROM tokens ORDER BY created_at, id LIMIT 70)";
        app.execute(gone).await;
        let first = app.page(path, &cookie).await.text;
        let again = app.page(&back, &cookie).await.text;
        assert_eq!(ids(&again), ids(&first));
        assert!(again.contains("Page 1 of"), "{again}");
        // Nonsense counts as absent.
        for after in [
            "x",
            "01a20d5a-0000-7000-8000-000000000000",
            "1.2",
            "%00.a",
            ".",
            "'",
        ] {
            let path = format!("/admin/tokens?sort=created&page=2&after={after}&before={after}");
            let page = app.page(&path, &cookie).await;
            let numbered = app.page("/admin/tokens?sort=created&page=2", &cookie).await;
            assert_eq!(
                (page.status, ids(&page.text)),
                (Status::Ok, ids(&numbered.text))
            );
        }
    });
}

#[test]
fn a_name_that_begins_with_an_accent_is_found_and_listed_in_its_place() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        // Its canonical form has a space before the accent, which is not part of the name.
        app.user("´x", Role::User).await;
        app.login("´x", "laptop").await;
        let cookie = app.admin_login("root").await;
        for list in ["users?q=", "tokens?q=", "tokens?user="] {
            let path = format!(
                "/admin/{list}{}",
                form(&[("", "´x")]).trim_start_matches('=')
            );
            let page = app.page(&path, &cookie).await.text;
            assert!(
                page.contains("1 user match") || page.contains("1 token match"),
                "{path}: {page}"
            );
        }
    });
}

#[test]
fn users_are_filtered_and_sorted() {
    on_both(async |app| {
        let cookie = populate(&app).await;
        let names = async |query: &str| {
            let page = app
                .page(&format!("/admin/users?{query}"), &cookie)
                .await
                .text;
            let cells = page.split("data-label=\"User\"").skip(1);
            let name = |cell: &str| {
                let text = cell.split("<bdi>").nth(1).unwrap();
                text.split("</bdi>").next().unwrap().to_owned()
            };
            cells.map(name).collect::<Vec<_>>()
        };
        let by_name = [
            "a_b%c", "alfred", "Alice", "Bob", "root", "ſam", "zoë", "Łucja",
        ];
        assert_eq!(names("").await, by_name);
        assert_eq!(names("sort=name").await, by_name);
        assert_eq!(names("sort=-name").await.first().unwrap(), "Łucja");
        assert_eq!(names("q=AL").await, ["alfred", "Alice"]);
        assert_eq!(names("q=%25").await, [""; 0]);
        assert_eq!(names("status=disabled").await, ["a_b%c", "Bob"]);
        assert_eq!(names("status=active&role=admin").await, ["root", "ſam"]);
        assert_eq!(names("role=user&q=z").await, ["zoë"]);
        let newest = [
            "root", "Alice", "alfred", "Bob", "Łucja", "ſam", "a_b%c", "zoë",
        ];
        assert_eq!(names("sort=-created").await, newest);
        let seen = [
            "root", "Alice", "alfred", "Bob", "Łucja", "ſam", "zoë", "a_b%c",
        ];
        assert_eq!(
            names("sort=-last_seen").await,
            seen,
            "who never was comes last"
        );
        assert_eq!(names("sort=last_seen").await.first().unwrap(), "a_b%c");
        let nonsense = "status=gone&role=king&sort=size&page=0&q=%00";
        assert_eq!(names(nonsense).await, by_name);
    });
}

#[test]
fn links_of_a_list_keep_what_it_was_asked_for() {
    on_both(async |app| {
        let cookie = populate(&app).await;
        let path = "/admin/tokens?q=a&status=live&sort=-client";
        let page = app.page(path, &cookie).await.text;
        assert!(
            page.contains("href=\"?q=a&amp;status=live&amp;sort=client\""),
            "{page}"
        );
        assert!(page.contains("aria-sort=\"descending\""));
        assert!(page.contains("<option value=\"live\" selected>"));
        assert!(page.contains("<option value=\"-client\" selected>"));
        let all = app.page("/admin/tokens?sort=user", &cookie).await.text;
        assert!(
            all.contains("href=\"?sort=user&amp;page=2&amp;after="),
            "{all}"
        );
        assert!(all.contains("Page 1 of 4"));
        let last = app
            .page("/admin/tokens?sort=user&page=4", &cookie)
            .await
            .text;
        assert!(!last.contains("rel=\"next\"") && last.contains("rel=\"prev\""));
        let beyond = app.page("/admin/tokens?page=5", &cookie).await.text;
        assert!(beyond.contains("There is nothing on page 5"));
        // Those that end last are nearly all in use: not where unused ones are looked for.
        let last = "<option value=\"-expires\"";
        assert!(all.contains(last));
        let unused = app.page("/admin/tokens?unused=1&sort=expires", &cookie);
        let unused = unused.await.text;
        assert!(!unused.contains(last) && !unused.contains("sort=-expires"));
        let nothing = app.page("/admin/tokens?q=nothing", &cookie).await.text;
        assert!(nothing.contains("No token matches"));
    });
}

#[test]
fn being_seen_is_noted_with_the_use_of_a_token() {
    on_both_with(json!({"token_idle_ttl": "10s"}), async |app| {
        let alice = app.user("alice", Role::User).await;
        let seen = "SELECT COALESCE(last_seen_at, 0) FROM users";
        assert_eq!(app.number(seen).await, 0);
        let token = app.login("alice", "laptop").await;
        let at_login = app.number(seen).await;
        assert!(at_login > 0, "a login counts");
        app.execute("UPDATE users SET last_seen_at = 1000").await;
        assert!(app.works(&token).await);
        app.auth().flush_usage().await.unwrap();
        assert!(app.number(seen).await >= at_login);
        // It never goes back, but from a time that has yet to come.
        for (before, after) in [(1000, 1500), (2000, 2000), (3000, 3000), (4000, 1500)] {
            let mut tx = app.auth().pool().write().await.unwrap();
            sqlx::query("UPDATE users SET last_seen_at = $1")
                .bind(before)
                .execute(&mut *tx)
                .await
                .unwrap();
            user::note_seen(&mut tx, alice, 1500, 3000).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(app.number(seen).await, after);
        }
    });
}
