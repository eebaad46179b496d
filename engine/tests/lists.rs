//! The admin's lists, compared with a simple evaluation of the same rows: every filter, every order, every page.

use std::collections::BTreeSet;
use std::time::Duration;

use rocket::http::Status;
use rocket_multitoken::identity::address::Address;
use rocket_multitoken::identity::device::Device;
use rocket_multitoken::identity::{TokenId, UserId, key};
use rocket_multitoken::models::now;
use rocket_multitoken::models::user::Role;
use sqlx::Row;

use crate::support::admin::link;
use crate::support::app::form;
use crate::support::{App, on_both};

const DAY: i64 = 24 * 60 * 60;

/// The ids of the rows on a page, in their order. The prefix is `t-` for tokens and `u-` for users.
fn ids(page: &str, prefix: &str) -> Vec<String> {
    let start = format!("<tr id=\"{prefix}");
    let rows = page.split(&start).skip(1);
    rows.map(|row| row.split('"').next().unwrap().to_owned())
        .collect()
}

/// The rows on all pages of a list, except the session that requests them.
async fn all(app: &App, cookie: &str, path: &str, prefix: &str) -> Vec<String> {
    let own = app
        .texts("SELECT id FROM tokens WHERE kind = 'admin'")
        .await;
    let (mut found, mut at, mut pages) = (vec![], path.to_owned(), 0);
    loop {
        let response = app.page(&at, cookie).await;
        assert_eq!(response.status, Status::Ok, "{at}");
        let rows = ids(&response.text, prefix);
        found.extend(rows.clone());
        let next = link(&response.text, path, "next");
        let is_cut = response.text.contains("5,000 rows were searched");
        assert!(next.is_none() || is_cut || rows.len() == 50, "{at}");
        let Some(next) = next else { break };
        (at, pages) = (next, pages + 1);
        assert!(pages < 1000, "{path} does not end");
    }
    found.retain(|id| !own.contains(id));
    found
}

/// A row of `tokens`.
struct Token {
    id: String,
    username: String,
    client: String,
    address: String,
    app: String,
    version: String,
    created_at: i64,
    last_used_at: i64,
    ends_at: i64,
}

const NAMES: [&str; 7] = ["Alice", "alfred", "Bob", "Łucja", "ſam", "a_b%c", "zoë"];
const CLIENTS: [&str; 7] = ["Laptop", "laptop-2", "PHONE", "alarm", "Ärger", "a%", "tv"];
const AGENTS: [&str; 4] = [
    "Inventory/4.9.1 (x)",
    "Inventory/4.12",
    "InventoryPro/1",
    "curl/8.5.0",
];

async fn insert_user(
    app: &App,
    name: &str,
    created: i64,
    role: &str,
    disabled: Option<i64>,
    seen: i64,
) -> UserId {
    let id = UserId::at(created * 1000);
    let mut db = app.auth().pool().read().await.unwrap();
    sqlx::query(
        "INSERT INTO users (id, username, username_key, password_hash, role, created_at, disabled_at, last_seen_at)
         VALUES ($1, $2, $3, 'x', $4, $5, $6, $7)",
    )
    .bind(id.to_string())
    .bind(name)
    .bind(key(name))
    .bind(role)
    .bind(created)
    .bind(disabled)
    .bind(seen)
    .execute(&mut db)
    .await
    .unwrap();
    id
}

/// Inserts a token. `used` and `ends` are in Unix seconds; 0 is never.
#[allow(clippy::too_many_arguments)]
async fn insert_token(
    db: &mut rocket_multitoken::db::Conn,
    user: UserId,
    client: &str,
    created: i64,
    used: i64,
    ends: i64,
    address: &str,
    agent: &str,
) {
    let id = TokenId::at(created * 1000).to_string();
    let device = Device::parse(agent).unwrap();
    sqlx::query(
        "INSERT INTO tokens (id, user_id, kind, client, client_key, digest, hint, created_at, last_used_at,
                             ends_at, address, user_agent, app, app_version, device_key)
         VALUES ($1, $2, 'api', $3, $4, $1, 'abcd', $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(id)
    .bind(user.to_string())
    .bind(client)
    .bind(key(client))
    .bind(created)
    .bind(used)
    .bind(ends)
    .bind(Address::from(address.parse::<std::net::IpAddr>().unwrap()).key())
    .bind(agent)
    .bind(device.app.as_str())
    .bind(device.version.as_deref())
    .bind(device.key())
    .execute(&mut *db)
    .await
    .unwrap();
}

/// Creates users and tokens for every filter. Returns the admin's cookie.
async fn populate(app: &App) -> String {
    app.user("root", Role::Admin).await;
    let cookie = app.admin_login("root").await;
    for (number, name) in NAMES.iter().enumerate() {
        let number = i64::try_from(number).unwrap();
        let registered = now() - (number + 1) * 9 * DAY;
        let seen = if number == 5 {
            0
        } else {
            now() - (number + 1) * 3 * DAY
        };
        let role = if number == 4 { "admin" } else { "user" };
        let disabled = (number % 3 == 2).then_some(registered + DAY);
        let user = insert_user(app, name, registered, role, disabled, seen).await;
        let mut tx = app.auth().pool().write().await.unwrap();
        for (index, client) in CLIENTS.iter().cycle().take(25).enumerate() {
            let agent = AGENTS[index % AGENTS.len()];
            let index = i64::try_from(index).unwrap();
            let client = if index < 7 {
                format!("{client} x")
            } else {
                format!("{client}{index}")
            };
            let created = now() - ((number * 7 + index * 3) % 60) * DAY - index;
            let used = if index % 4 == 0 {
                0
            } else {
                created + (index % 5) * DAY
            };
            let ends = match index % 6 {
                5 => now() + 1,
                4 => now() + 3 * DAY,
                _ => created + 200 * DAY,
            };
            let address = match index % 3 {
                0 => format!("203.0.{}.{index}", number % 2),
                1 => format!("203.0.113.{}", number * 10),
                _ => format!("2001:db8:{}::{index}", number % 2),
            };
            insert_token(&mut tx, user, &client, created, used, ends, &address, agent).await;
        }
        tx.commit().await.unwrap();
    }
    // Write the first use of the admin's session now, so that it keeps its place in the order of last use.
    app.page("/admin/", &cookie).await;
    app.auth().last_uses.flush().await.unwrap();
    // Wait until some tokens have expired.
    rocket::tokio::time::sleep(Duration::from_secs(3)).await;
    cookie
}

async fn tokens(app: &App) -> Vec<Token> {
    let mut db = app.auth().pool().read().await.unwrap();
    let rows = sqlx::query(
        "SELECT t.id, u.username, t.client, t.address, t.app, COALESCE(t.app_version, ''), t.created_at,
                t.last_used_at, t.ends_at
         FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.kind = 'api'",
    );
    let rows = rows.fetch_all(&mut db).await.unwrap();
    let token = |row: &sqlx::any::AnyRow| Token {
        id: row.get(0),
        username: row.get(1),
        client: row.get(2),
        address: Address::try_from(row.get::<String, _>(3))
            .unwrap()
            .to_string(),
        app: row.get(4),
        version: row.get(5),
        created_at: row.get(6),
        last_used_at: row.get(7),
        ends_at: row.get(8),
    };
    rows.iter().map(token).collect()
}

/// Whether a filter keeps a token.
type Predicate = fn(&Token) -> bool;

fn unused(t: &Token, days: i64) -> bool {
    let last = if t.last_used_at > 0 {
        t.last_used_at
    } else {
        t.created_at
    };
    last <= now() - days * DAY
}

const FILTERS: [(&[(&str, &str)], Predicate); 27] = [
    (&[], |_| true),
    (&[("user", "BOB")], |t| t.username == "Bob"),
    (&[("user", "SAM")], |t| t.username == "ſam"),
    (&[("user", "Bo")], |_| false),
    (&[("user", "nobody")], |_| false),
    (&[("client", "phone X")], |t| t.client == "PHONE x"),
    (&[("client", "phone")], |_| false),
    (&[("status", "expired")], |t| t.ends_at <= now()),
    (&[("status", "live")], |t| t.ends_at > now()),
    (&[("status", "unused")], |t| t.last_used_at == 0),
    (&[("status", "expiring")], |t| {
        t.ends_at > now() && t.ends_at <= now() + 7 * DAY
    }),
    (&[("status", "nonsense")], |_| true),
    (&[("unused", "20")], |t| unused(t, 20)),
    (&[("unused", "0")], |t| unused(t, 0)),
    (&[("unused", "-1")], |_| true),
    (&[("address", "203.0.113.2")], |t| {
        t.address == "203.0.113.2"
    }),
    (&[("address", "203.0.113.20")], |t| {
        t.address == "203.0.113.20"
    }),
    (&[("address", "::ffff:203.0.113.20")], |t| {
        t.address == "203.0.113.20"
    }),
    (&[("address", "203.0.1.77/24")], |t| {
        t.address.starts_with("203.0.1.")
    }),
    (&[("address", "2001:DB8:1::/48")], |t| {
        t.address.starts_with("2001:db8:1:")
    }),
    (&[("address", "203.0.1.")], |_| true),
    (&[("device", "inventory")], |t| {
        t.app == "Inventory" && t.version != "1"
    }),
    (&[("device", "Inventory"), ("older", "4.12")], |t| {
        t.version == "4.9.1"
    }),
    (&[("older", "4.12")], |_| true),
    (&[("kind", "api")], |_| true),
    (
        &[("user", "alice"), ("status", "live"), ("unused", "10")],
        |t| t.username == "Alice" && t.ends_at > now() && unused(t, 10),
    ),
    (
        &[
            ("address", "203.0.0.0/16"),
            ("device", "curl"),
            ("status", "unused"),
        ],
        |t| t.address.starts_with("203.0.") && t.app == "curl" && t.last_used_at == 0,
    ),
];

#[test]
fn every_token_filter_finds_the_matching_tokens_and_no_others() {
    on_both(async |app| {
        let cookie = populate(&app).await;
        let rows = tokens(&app).await;
        for (query, matches) in FILTERS {
            let mut expected: Vec<_> = rows
                .iter()
                .filter(|t| matches(t))
                .map(|t| t.id.clone())
                .collect();
            let path = format!("/admin/tokens?{}", form(query));
            let mut found = all(&app, &cookie, &path, "t-").await;
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{query:?}");
            let page = app.page(&path, &cookie).await.text;
            // The current session may be in the list, but cannot be selected.
            let words = [0, 1].map(|own| match expected.len() + own {
                1 => "1 token".to_owned(),
                count => format!("{count} tokens"),
            });
            let counted = words
                .iter()
                .any(|words| page.contains(&format!(">{words}")));
            assert!(counted, "{query:?}: {words:?}");
        }
        // Each active filter has a link that removes it.
        let path = "/admin/tokens?client=tv+x&device=curl&older=9&sort=-created&status=live";
        let page = app.page(path, &cookie).await.text.replace("&#x2F;", "/");
        for without in [
            "?device=curl&amp;older=9&amp;status=live&amp;sort=-created",
            "?client=tv+x&amp;status=live&amp;sort=-created",
            "?client=tv+x&amp;device=curl&amp;status=live&amp;sort=-created",
        ] {
            assert!(
                page.contains(&format!("href=\"/admin/tokens{without}\"")),
                "{without}"
            );
        }
    });
}

#[test]
#[ignore = "slow"]
fn every_token_order_holds_across_pages_and_in_reverse() {
    on_both(async |app| {
        let cookie = populate(&app).await;
        let rows = tokens(&app).await;
        let key = |id: &String, sort: &str| {
            let token = rows.iter().find(|token| token.id == *id).unwrap();
            match sort {
                "created" => token.created_at,
                "last_used" => token.last_used_at,
                _ => token.ends_at,
            }
        };
        for (filter, sorts) in [
            ("", &["created", "last_used", "expires"][..]),
            ("&status=live", &["created", "last_used", "expires"]),
            ("&user=alice", &["created"]),
            ("&kind=api", &["created"]),
            ("&status=unused", &["created"]),
            ("&unused=5", &["last_used"]),
            ("&status=expired", &["expires"]),
            ("&status=expiring", &["expires"]),
        ] {
            let page = app
                .page(&format!("/admin/tokens?{filter}"), &cookie)
                .await
                .text;
            for sort in ["created", "last_used", "expires"] {
                let is_offered = page.contains(&format!("<option value=\"-{sort}\""));
                assert_eq!(is_offered, sorts.contains(&sort), "{filter} {sort}");
            }
            for sort in sorts {
                let path = format!("/admin/tokens?sort={sort}{filter}");
                let ascending = all(&app, &cookie, &path, "t-").await;
                let keys: Vec<_> = ascending.iter().map(|id| key(id, sort)).collect();
                assert!(keys.is_sorted(), "{path}");
                let mut descending =
                    all(&app, &cookie, &path.replace("sort=", "sort=-"), "t-").await;
                descending.reverse();
                assert_eq!(descending, ascending, "{path}: no row twice, none left out");
                assert!(!ascending.is_empty(), "{path}");
            }
        }
        // With no sort order or an invalid one, the newest come first.
        let newest = all(&app, &cookie, "/admin/tokens?sort=-created", "t-").await;
        for sort in ["", "?sort=nonsense", "?sort=--created", "?sort=client"] {
            let path = format!("/admin/tokens{sort}");
            assert_eq!(all(&app, &cookie, &path, "t-").await, newest, "{path}");
        }
    });
}

#[test]
#[ignore = "slow"]
fn previous_page_links_return_to_the_same_rows() {
    on_both(async |app| {
        let cookie = populate(&app).await;
        let user = "INSERT INTO users (id, username, username_key, role, created_at)
                    SELECT t.id, t.id, t.id, 'user', t.created_at FROM tokens t";
        app.execute(user).await;
        let event = "INSERT INTO events (id, at, action, via, client, client_key)
                     SELECT t.id, t.created_at, 'token.issued', 'api', 'a', 'a' FROM tokens t";
        app.execute(event).await;
        for (path, start) in [
            ("/admin/tokens?sort=created", "<tr id=\"t-"),
            ("/admin/tokens?sort=-last_used", "<tr id=\"t-"),
            ("/admin/tokens?unused=3", "<tr id=\"t-"),
            ("/admin/tokens?sort=expires&status=live", "<tr id=\"t-"),
            ("/admin/tokens?address=203.0.0.0/16", "<tr id=\"t-"),
            ("/admin/users?sort=name", "<tr id=\"u-"),
            ("/admin/users?sort=-last_seen&status=active", "<tr id=\"u-"),
            ("/admin/audit?client=a", "href=\"/admin/audit/"),
            ("/admin/audit", "href=\"/admin/audit/"),
        ] {
            let rows = |page: &str| -> Vec<String> {
                let rows = page.split(start).skip(1);
                rows.map(|row| row.split('"').next().unwrap().to_owned())
                    .collect()
            };
            let (mut pages, mut at) = (vec![], path.to_owned());
            loop {
                let page = app.page(&at, &cookie).await.text;
                pages.push(rows(&page));
                if let Some(back) = link(&page, path, "prev") {
                    let back = app.page(&back, &cookie).await.text;
                    assert_eq!(rows(&back), pages[pages.len() - 2], "{at}");
                    assert!(link(&back, path, "next").is_some());
                }
                assert_eq!(
                    link(&page, path, "prev").is_none(),
                    pages.len() == 1,
                    "{at}"
                );
                let Some(next) = link(&page, path, "next") else {
                    break;
                };
                at = next;
            }
            assert!(pages.len() > 2, "{path}");
            let all: Vec<_> = pages.concat();
            assert_eq!(
                all.iter().collect::<BTreeSet<_>>().len(),
                all.len(),
                "{path}"
            );
        }
    });
}

#[test]
#[ignore = "slow"]
fn rows_that_stay_are_listed_exactly_once_while_others_come_and_go() {
    on_both(async |app| {
        let cookie = populate(&app).await;
        let user = UserId::parse(
            &app.texts("SELECT id FROM users WHERE username = 'Bob'")
                .await[0],
        )
        .unwrap();
        for path in [
            "/admin/tokens?sort=created",
            "/admin/tokens?kind=api",
            "/admin/tokens?sort=-expires",
        ] {
            let before = all(&app, &cookie, path, "t-").await;
            let (mut seen, mut at, mut round) = (vec![], path.to_owned(), 0);
            loop {
                let page = app.page(&at, &cookie).await.text;
                seen.extend(ids(&page, "t-"));
                // Delete a row that was seen and one that was not, and insert rows in several places.
                let first = seen[seen.len() - 1].clone();
                let ahead = before.iter().rev().find(|id| !seen.contains(id)).cloned();
                let mut tx = app.auth().pool().write().await.unwrap();
                for id in [Some(first), ahead].into_iter().flatten() {
                    let delete = sqlx::query("DELETE FROM tokens WHERE id = $1 AND kind = 'api'");
                    delete.bind(id).execute(&mut *tx).await.unwrap();
                }
                for number in 0..5_i64 {
                    let created = now() - (number * 14 + 1) * DAY;
                    let (client, ends) = (
                        format!("{path} {round} {number}"),
                        now() + number * 50 * DAY + 9,
                    );
                    insert_token(&mut tx, user, &client, created, 0, ends, "192.0.2.1", "x/1")
                        .await;
                }
                tx.commit().await.unwrap();
                let Some(next) = link(&page, path, "next") else {
                    break;
                };
                (at, round) = (next, round + 1);
            }
            let after: BTreeSet<_> = all(&app, &cookie, path, "t-").await.into_iter().collect();
            let stayed: Vec<_> = before.iter().filter(|id| after.contains(*id)).collect();
            let seen_of_them: Vec<_> = seen.iter().filter(|id| stayed.contains(id)).collect();
            assert_eq!(seen_of_them, stayed, "{path}");
            assert!(stayed.len() > 50, "{path}");
        }
    });
}

#[test]
fn an_invalid_cursor_is_ignored() {
    on_both(async |app| {
        let cookie = populate(&app).await;
        let id = "01a20d5a-0000-7000-8000-000000000000";
        for path in [
            "/admin/tokens?sort=-last_used",
            "/admin/tokens",
            "/admin/users?sort=name",
            "/admin/audit",
        ] {
            let first = app.page(path, &cookie).await.text;
            let rows = |page: &str| (ids(page, "t-"), ids(page, "u-"));
            for cursor in [
                "x",
                "1.2",
                "%00.a",
                ".",
                "'",
                "g.1",
                "A.1",
                ".5",
                "%F0%9F.1",
                &format!("{id}.%00"),
            ] {
                let separator = if path.contains('?') { '&' } else { '?' };
                let page = app
                    .page(
                        &format!("{path}{separator}after={cursor}&before={cursor}"),
                        &cookie,
                    )
                    .await;
                assert_eq!(page.status, Status::Ok, "{path} {cursor}");
                assert_eq!(rows(&page.text), rows(&first), "{path} {cursor}");
            }
        }
        // A cursor with a text where the order requires a number is invalid.
        let path = format!("/admin/tokens?sort=-last_used&after={id}.x");
        assert!(link(&app.page(&path, &cookie).await.text, &path, "prev").is_none());
    });
}

#[test]
fn a_page_searches_a_bounded_number_of_rows_and_continues_from_there() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let mut users = vec![];
        for number in 0..11_000 {
            // Bulk inserts, because 11,000 single ones take too long.
            let name = if number % 100 == 1 { "mark" } else { "u" };
            users.push(format!(
                "('{}', '{name}{number}', '{name}{number}', 'user', 1)",
                UserId::at(1_600_000_000_000 + number)
            ));
        }
        let mut tx = app.auth().pool().write().await.unwrap();
        for some in users.chunks(500) {
            let sql = format!(
                "INSERT INTO users (id, username, username_key, role, created_at) VALUES {}",
                some.join(",")
            );
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        // In the order of creation, the matching rows are far apart.
        let path = "/admin/users?q=u77&sort=name&role=user";
        let found = all(&app, &cookie, "/admin/users?q=u9999", "u-").await;
        assert_eq!(found.len(), 1, "u9999");
        let oldest = "/admin/users?q=U12";
        let page = app.page(oldest, &cookie).await.text;
        assert!(page.contains("5,000 rows were searched"), "{page}");
        assert!(
            ids(&page, "u-").len() < 50 && page.contains("+ users match"),
            "{page}"
        );
        // Only the first page has a count, which requires another search.
        let next = link(&page, oldest, "next").unwrap();
        let page = app.page(&next, &cookie).await.text;
        assert!(page.contains(">Continued</p>"), "{page}");
        let all_of_them = all(&app, &cookie, oldest, "u-").await;
        // The matches are u12, u120 to u129 and u1200 to u1299, except u1201, which is called mark1201.
        assert_eq!(all_of_them.len(), 110);
        assert_eq!(all(&app, &cookie, path, "u-").await.len(), 110);
        // Walk back from the last page.
        for path in [oldest, "/admin/users?q=U12&sort=name"] {
            let (mut at, mut last) = (path.to_owned(), String::new());
            while let Some(next) = link(&app.page(&at, &cookie).await.text, path, "next") {
                (last, at) = (at, next);
            }
            assert_ne!(last, "", "{path}");
            let (mut found, mut pages) = (vec![], 0);
            loop {
                let page = app.page(&at, &cookie).await.text;
                let mut rows = ids(&page, "u-");
                rows.reverse();
                found.extend(rows);
                let Some(back) = link(&page, path, "prev") else {
                    break;
                };
                (at, pages) = (back, pages + 1);
                assert!(pages < 100, "{path} has no beginning");
            }
            let mut seen: Vec<_> = found.clone();
            seen.dedup();
            let mut expected = all(&app, &cookie, path, "u-").await;
            expected.reverse();
            // The first page is shown in full, so rows may repeat.
            let distinct: BTreeSet<_> = seen.iter().collect();
            assert_eq!(distinct, expected.iter().collect::<BTreeSet<_>>(), "{path}");
        }
        // A page that is full when the limit is reached has a next page, too.
        let full = app.page("/admin/users?q=mark", &cookie).await.text;
        assert_eq!(ids(&full, "u-").len(), 50);
        assert!(link(&full, "/admin/users", "next").is_some(), "{full}");
        let marked = all(&app, &cookie, "/admin/users?q=mark", "u-").await;
        assert_eq!(marked.iter().collect::<BTreeSet<_>>().len(), 110);
        assert_eq!(marked.len(), 110);
        // Counts stop at 1,000.
        let everyone = app.page("/admin/users", &cookie).await.text;
        assert!(everyone.contains("1,000+ users"), "{everyone}");
    });
}

#[test]
fn users_are_found_by_any_part_of_the_name_and_by_status() {
    on_both(async |app| {
        let cookie = populate(&app).await;
        let names = async |query: &[(&str, &str)]| {
            let path = format!("/admin/users?{}", form(query));
            let mut names = vec![];
            for id in all(&app, &cookie, &path, "u-").await {
                let user = app.auth().pool().read().await.unwrap();
                let mut user = user;
                let name: String = sqlx::query_scalar("SELECT username FROM users WHERE id = $1")
                    .bind(id)
                    .fetch_one(&mut user)
                    .await
                    .unwrap();
                names.push(name);
            }
            names.sort();
            names
        };
        for (query, expected) in [
            (&[("q", "li")][..], &["Alice"][..]),
            (&[("q", "AL")], &["Alice", "alfred"]),
            (&[("q", "SAM")], &["ſam"]),
            (&[("q", "%")], &["a_b%c"]),
            (&[("q", "_")], &["a_b%c"]),
            (&[("q", "\\")], &[]),
            (&[("q", "Ë")], &["zoë"]),
            (&[("status", "disabled")], &["Bob", "a_b%c"]),
            (&[("status", "disabled"), ("q", "b%")], &["a_b%c"]),
            (&[("status", "active"), ("q", "b")], &[]),
            (&[("role", "admin")], &["root", "ſam"]),
            (&[("role", "admin"), ("q", "oo")], &["root"]),
            (&[("role", "user"), ("q", "o")], &["Bob", "zoë"]),
            (&[("status", "locked")], &[]),
        ] {
            assert_eq!(names(query).await, expected, "{query:?}");
        }
        // Failures from unknown addresses lock an account until the window ends.
        app.user("carol", Role::User).await;
        app.user("dave", Role::User).await;
        for name in ["carol", "dave"] {
            for _ in 0..10 {
                app.try_login(name, "wrong", "x").await;
            }
        }
        app.execute(
            "UPDATE attempts SET ends_at = 1 WHERE key = (SELECT 'user:' || id FROM users WHERE username = 'dave')",
        )
        .await;
        assert_eq!(names(&[("status", "locked")]).await, ["carol"]);
        assert_eq!(names(&[("status", "locked"), ("q", "dave")]).await, [""; 0]);
        for sort in ["name", "created", "last_seen"] {
            let ascending = all(&app, &cookie, &format!("/admin/users?sort={sort}"), "u-").await;
            let mut descending =
                all(&app, &cookie, &format!("/admin/users?sort=-{sort}"), "u-").await;
            descending.reverse();
            assert_eq!(ascending, descending, "{sort}");
            assert_eq!(ascending.len(), NAMES.len() + 3);
        }
    });
}
