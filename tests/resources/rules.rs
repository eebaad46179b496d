//! The rules that all resources share: ownership, pagination, limits, errors, and the admin's pages.

mod admin;

use std::collections::BTreeMap;
use std::time::Duration;

use rocket::futures::future::{join, join_all};
use rocket::http::{Method, Status};
use rocket::tokio::time::sleep;
use rocket_multitoken::identity::UserId;
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::user;
use serde_json::{Value, json};

use super::{RESOURCES, Resource, borrowed, form_of, send_json, two_users};
use crate::support::app::form;
use crate::support::{App, on_both};

/// Runs the test for each resource, on both databases.
fn on_each_resource(test: impl AsyncFn(&App, &Resource)) {
    for resource in RESOURCES {
        eprintln!("{}", resource.name);
        on_both(async |app| test(&app, resource).await);
    }
}

/// The ids of a page, and the path of the next page.
fn parse_page(listing: &Value) -> (Vec<String>, Option<String>) {
    let results = listing["results"].as_array().unwrap().iter();
    let ids = results.map(|row| row["id"].as_str().unwrap().to_owned());
    (ids.collect(), listing["next"].as_str().map(str::to_owned))
}

#[test]
fn a_user_creates_reads_changes_and_deletes_a_row() {
    on_each_resource(async |app, resource| {
        let [alice, _] = two_users(app).await;
        let example = (resource.example)();
        for slash in ["", "/"] {
            let path = format!("/{}{slash}", resource.name);
            let made = app.post(&path, &alice, example.clone()).await;
            assert_eq!(made.status, Status::Created, "{}", made.text);
            let row = made.json();
            assert!(row["created_at"].as_str().unwrap().ends_with('Z'));
            assert!(row["changed_at"].is_null());
            for field in resource.fields() {
                assert_eq!(row[&field], example[&field], "{field}");
            }
            let id = row["id"].as_str().unwrap();
            let location = format!("/{}/{id}", resource.name);
            assert_eq!(made.header("Location"), Some(&*location));

            let path = format!("{location}{slash}");
            assert_eq!(app.get(&path, &alice).await.json(), row);
            let put = (resource.longest)().to_string();
            let changed = send_json(app, Method::Put, &path, &alice, &put)
                .await
                .json();
            assert_eq!(changed["id"], row["id"]);
            for field in resource.fields() {
                assert_eq!(changed[&field], (resource.longest)()[&field], "{field}");
            }
            assert!(changed["changed_at"].as_str().unwrap().ends_with('Z'));
            assert_eq!(changed["created_at"], row["created_at"]);
            assert_eq!(app.get(&path, &alice).await.json(), changed);

            let gone = send_json(app, Method::Delete, &path, &alice, "").await;
            assert_eq!((gone.status, &*gone.text), (Status::NoContent, ""));
            for method in [Method::Get, Method::Put, Method::Delete] {
                let again = send_json(app, method, &path, &alice, &example.to_string()).await;
                assert_eq!(again.status, Status::NotFound, "{method}");
            }
        }
        assert!(resource.rows(app).await.is_empty());
        let events = app.texts("SELECT action FROM events").await;
        assert!(!events.iter().any(|action| action == resource.deleted));
    });
}

#[test]
fn another_users_row_is_not_found_and_does_not_change() {
    on_each_resource(async |app, resource| {
        let [alice, bob] = two_users(app).await;
        let hers = resource.write(app, &alice).await;
        let his = resource.write(app, &bob).await;
        let before = resource.rows(app).await;
        let list = resource.path();
        let nothing = format!("{list}01a20b47-0ace-7599-b4a7-bd71f3e71044/");
        let put = (resource.example)().to_string();
        for method in [Method::Get, Method::Put, Method::Delete] {
            let nothing = send_json(app, method, &nothing, &bob, &put).await;
            assert_eq!(nothing.status, Status::NotFound);
            for id in [
                hers.as_str(),
                "x",
                &hers.to_uppercase(),
                &format!("{hers}x"),
            ] {
                let path = format!("{list}{id}/");
                let refused = send_json(app, method, &path, &bob, &put).await;
                assert_eq!(refused.status, Status::NotFound, "{method} {path}");
                assert_eq!(refused.without_request_id(), nothing.without_request_id());
            }
        }
        // Alice's row is older: a list of bob's that continues after it is empty.
        let after = app.get(&format!("{list}?after={hers}"), &bob).await.json();
        assert_eq!(parse_page(&after), (vec![], None));
        for (token, id) in [(&bob, his), (&alice, hers)] {
            let listed = parse_page(&app.get(&list, token).await.json());
            assert_eq!(listed, (vec![id], None));
        }
        assert_eq!(resource.rows(app).await, before);
    });
}

#[test]
fn pages_repeat_and_omit_no_row_while_rows_come_and_go() {
    on_each_resource(async |app, resource| {
        let [alice, bob] = two_users(app).await;
        let list = resource.path();
        let mut wanted = vec![];
        for number in 0..120 {
            if number == 50 {
                let (first, next) = parse_page(&app.get(&list, &alice).await.json());
                assert_eq!((first.len(), next), (50, None), "50 rows fill one page");
            }
            wanted.insert(0, resource.write(app, &alice).await);
            resource.write(app, &bob).await;
        }
        let (mut seen, mut at) = (vec![], list.clone());
        loop {
            let (ids, next) = parse_page(&app.get(&at, &alice).await.json());
            // Deletes the row that the cursor names after the first page, and after every page a row that is still to
            // come. Also creates a row each time.
            let last = ids.last().cloned().filter(|_| seen.is_empty());
            seen.extend(ids);
            let unseen = wanted.get(seen.len() + 3).cloned();
            for id in [last, unseen.clone()].into_iter().flatten() {
                let path = format!("{list}{id}");
                let gone = send_json(app, Method::Delete, &path, &alice, "").await;
                assert_eq!(gone.status, Status::NoContent);
            }
            wanted.retain(|id| unseen.as_ref() != Some(id));
            resource.write(app, &alice).await;
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        assert_eq!(seen, wanted, "newest first, each row once");
        assert!(at.contains("after="), "the list has several pages");
    });
}

#[test]
fn an_invalid_body_changes_nothing() {
    on_each_resource(async |app, resource| {
        let [alice, _] = two_users(app).await;
        let id = resource.write(app, &alice).await;
        let before = resource.rows(app).await;
        let list = resource.path();
        let (field, text) = resource.invalid;
        let limit = usize::try_from(resource.limit).unwrap();
        for (method, path) in [(Method::Post, &list), (Method::Put, &format!("{list}{id}"))] {
            for (body, status) in [
                ("{", Status::BadRequest),
                ("[]", Status::BadRequest),
                (&*" ".repeat(limit), Status::BadRequest),
                (&*" ".repeat(limit + 1), Status::PayloadTooLarge),
            ] {
                let refused = send_json(app, method, path, &alice, body).await;
                assert_eq!(refused.status, status, "{method} {path}");
            }
            let bearer = format!("Bearer {alice}");
            let plain = [("Authorization", &*bearer), ("Content-Type", "text/plain")];
            let refused = app.send(method, path, &plain, "x=x").await;
            assert_eq!(refused.status, Status::UnsupportedMediaType);
            let mut body = (resource.example)();
            body[field] = text.into();
            let refused = send_json(app, method, path, &alice, &body.to_string()).await;
            assert_eq!(refused.status, Status::BadRequest);
            assert_eq!(refused.json()[field].as_array().unwrap().len(), 1);
        }
        let nonsense = app.get(&format!("{list}?after=x"), &alice).await;
        assert_eq!(nonsense.status, Status::BadRequest);
        assert_eq!(nonsense.json()["after"], json!(["Not an id."]));
        assert_eq!(resource.rows(app).await, before);
    });
}

/// JSON with every non-ASCII character escaped, its longest encoding.
fn ascii_json(body: &Value) -> String {
    let text = body.to_string();
    let units = text.encode_utf16().map(|unit| match u8::try_from(unit) {
        Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
        _ => format!("\\u{unit:04x}"),
    });
    units.collect::<Vec<_>>().concat()
}

#[test]
fn the_longest_values_are_accepted_in_every_encoding() {
    on_each_resource(async |app, resource| {
        let [alice, _] = two_users(app).await;
        let longest = (resource.longest)();
        let bearer = format!("Bearer {alice}");
        let fields = form_of(&longest);
        let parts = fields.iter().map(|(name, value)| {
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        });
        for (kind, body) in [
            ("application/json", ascii_json(&longest)),
            (
                "application/x-www-form-urlencoded",
                form(&borrowed(&fields)),
            ),
            (
                "multipart/form-data; boundary=x",
                parts.collect::<String>() + "--x--\r\n",
            ),
        ] {
            let headers = [("Authorization", &*bearer), ("Content-Type", kind)];
            let made = app
                .send(Method::Post, &resource.path(), &headers, body)
                .await;
            assert_eq!(made.status, Status::Created, "{kind}: {}", made.text);
            for field in resource.fields() {
                assert_eq!(made.json()[&field], longest[&field], "{kind} {field}");
            }
        }
    });
}

#[test]
fn other_methods_are_refused_and_errors_follow_the_accept_header() {
    on_each_resource(async |app, resource| {
        let [alice, _] = two_users(app).await;
        let id = resource.write(app, &alice).await;
        let name = resource.name;
        let of_list = "GET, HEAD, POST, OPTIONS";
        let of_one = "GET, HEAD, PUT, DELETE, OPTIONS";
        for (method, path, allowed) in [
            (Method::Put, format!("/{name}/"), of_list),
            (Method::Delete, format!("/{name}?after=x"), of_list),
            (Method::Post, format!("/{name}/{id}/"), of_one),
            (Method::Patch, format!("/{name}/{id}"), of_one),
        ] {
            let refused = send_json(app, method, &path, &alice, "{}").await;
            assert_eq!(refused.status, Status::MethodNotAllowed, "{method} {path}");
            assert_eq!(refused.header("Allow"), Some(allowed), "{method} {path}");
        }
        for (accept, kind) in [
            ("*/*", "application/problem+json"),
            ("application/json", "application/problem+json"),
            ("text/html", "text/html; charset=utf-8"),
        ] {
            let accept = [("Accept", accept)];
            let answer = app.send(Method::Get, &resource.path(), &accept, "").await;
            assert_eq!(answer.status, Status::Unauthorized);
            assert!(answer.header("WWW-Authenticate").is_some());
            assert_eq!(answer.header("Content-Type"), Some(kind));
        }
    });
}

#[test]
fn deleting_a_user_deletes_their_rows_and_no_others() {
    on_each_resource(async |app, resource| {
        let [alice, bob] = two_users(app).await;
        resource.write(app, &alice).await;
        let his = resource.write(app, &bob).await;
        let (alice_id, actor) = (id_of(app, "alice").await, Actor::command_line());
        let deleted = app.auth().accounts.delete_user(alice_id, &actor).await;
        assert!(deleted.is_ok());
        let left = resource.rows(app).await;
        assert!(left.len() == 1 && left[0].starts_with(&his), "{left:?}");
    });
}

async fn id_of(app: &App, name: &str) -> UserId {
    let sql = format!("SELECT id FROM users WHERE username = '{name}'");
    UserId::parse(&app.texts(sql).await[0]).unwrap()
}

/// Gives the user `count` more rows, copied from another user's row.
async fn copy_rows(app: &App, resource: &Resource, owner: &str, count: u32) {
    let table = resource.name;
    let mut columns = app.tables().await.remove(table).unwrap();
    columns.retain(|column| column != "id" && column != "user_id");
    let own: Vec<_> = columns
        .iter()
        .map(|column| format!("one.{column}"))
        .collect();
    let (columns, own) = (columns.join(", "), own.join(", "));
    app.execute(format!(
        "INSERT INTO {table} (id, user_id, {columns})
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
         SELECT 'old ' || n, users.id, {own} FROM users, numbers, {table} AS one WHERE username = '{owner}'"
    ))
    .await;
}

#[test]
fn concurrent_requests_cannot_give_a_user_more_than_a_thousand_rows() {
    on_each_resource(async |app, resource| {
        let [alice, bob] = two_users(app).await;
        resource.write(app, &bob).await;
        copy_rows(app, resource, "alice", 995).await;
        let path = resource.path();
        let one = || app.post(&path, &alice, (resource.example)());
        let answers = join_all((0..12).map(|_| one())).await;
        let (made, refused): (Vec<_>, Vec<_>) = answers
            .iter()
            .partition(|answer| answer.status == Status::Created);
        assert_eq!(made.len(), 5);
        for answer in refused {
            assert_eq!(answer.status, Status::Forbidden, "{}", answer.text);
            assert_eq!(answer.json()["detail"], resource.full);
            assert_eq!(answer.json()["status"], 403);
        }
        assert_eq!(resource.rows(app).await.len(), 1001);
        // Other users are not affected, and existing rows can be changed and deleted.
        resource.write(app, &bob).await;
        let id = made[0].json()["id"].as_str().unwrap().to_owned();
        let row = format!("{path}{id}/");
        let put = (resource.example)().to_string();
        let changed = send_json(app, Method::Put, &row, &alice, &put).await;
        assert_eq!(changed.status, Status::Ok);
        let deleted = send_json(app, Method::Delete, &row, &alice, "").await;
        assert_eq!(deleted.status, Status::NoContent);

        // A row that is not committed yet counts: the next request waits for the lock on the user's row, which this
        // transaction holds.
        let alice_id = id_of(app, "alice").await;
        let mut tx = app.auth().pool().write().await.unwrap();
        user::lock(&mut tx, alice_id).await.unwrap();
        let table = resource.name;
        let his = format!("SELECT MIN(id) FROM {table} WHERE id NOT LIKE 'old%'");
        let move_one = format!("UPDATE {table} SET user_id = $1 WHERE id = ({his})");
        let move_one = sqlx::query(sqlx::AssertSqlSafe(move_one)).bind(alice_id.to_string());
        move_one.execute(&mut *tx).await.unwrap();
        let commit = async {
            sleep(Duration::from_millis(300)).await;
            tx.commit().await.unwrap();
        };
        let (refused, ()) = join(one(), commit).await;
        assert_eq!(refused.status, Status::Forbidden, "{}", refused.text);

        // The admin's form has the same limit.
        app.execute("UPDATE users SET role = 'admin'").await;
        let cookie = app.admin_login("alice").await;
        let new = format!("{}/new", resource.admin());
        let form = resource.form();
        let full = app.submit(&new, &cookie, &borrowed(&form)).await;
        assert_eq!(full.status, Status::Forbidden);
        assert!(full.text.contains("the maximum"), "{}", full.text);
        let counts = app.texts(format!(
            "SELECT CAST(COUNT(*) AS TEXT) FROM {table} JOIN users ON users.id = user_id WHERE username = 'alice'"
        ));
        assert_eq!(counts.await, ["1000"]);
    });
}

#[test]
fn no_two_resources_share_a_name() {
    let mut names = BTreeMap::new();
    for resource in RESOURCES {
        assert!(names.insert(resource.name, resource.label).is_none());
    }
}
