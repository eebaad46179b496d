//! Notes: whose they are, page by page, what is refused; and the admin's pages.

use std::time::Duration;

use multitoken::identity::UserId;
use multitoken::models::event::Actor;
use multitoken::models::note::{self, Text};
use multitoken::models::user::Role;
use rocket::futures::future::{join, join_all};
use rocket::http::{Method, Status};
use rocket::tokio::time::sleep;
use serde_json::{Value, json};

use crate::account::stale_session;
use crate::lists::link;
use crate::support::app::{Answer, form};
use crate::support::{App, PASSWORD, on_both};

mod guide;

/// Writes a note, and gives its id.
pub async fn write(app: &App, token: &str, text: &str) -> String {
    let answer = app.post("/notes/", token, json!({ "text": text })).await;
    assert_eq!(answer.status, Status::Created, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// All notes as they stand in the table.
pub async fn rows(app: &App) -> Vec<String> {
    let rows = "SELECT id || user_id || text || COALESCE(CAST(changed_at AS TEXT), '')
                FROM notes ORDER BY id";
    app.texts(rows).await
}

async fn ask(app: &App, method: Method, path: &str, token: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    app.send(method, path, &headers, body).await
}

/// Alice and bob, each signed in.
async fn two_users(app: &App) -> [String; 2] {
    let mut tokens = ["alice", "bob"].map(str::to_owned);
    for token in &mut tokens {
        app.user(token, Role::User).await;
        *token = app.login(token, "laptop").await;
    }
    tokens
}

/// Ids of one page, and where the next is.
fn page(listing: &Value) -> (Vec<String>, Option<String>) {
    let results = listing["results"].as_array().unwrap().iter();
    let ids = results.map(|note| note["id"].as_str().unwrap().to_owned());
    (ids.collect(), listing["next"].as_str().map(str::to_owned))
}

#[test]
fn a_note_is_written_read_changed_and_deleted_by_its_user() {
    on_both(async |app| {
        let [alice, _] = two_users(&app).await;
        for slash in ["", "/"] {
            let path = format!("/notes{slash}");
            let made = app
                .post(&path, &alice, json!({"text": " one\r\ntwo\t "}))
                .await;
            assert_eq!(made.status, Status::Created);
            let note = made.json();
            assert_eq!(
                note["text"], "one\ntwo",
                "ends of lines are kept, as one character"
            );
            assert!(note["created_at"].as_str().unwrap().ends_with('Z'));
            assert!(note["changed_at"].is_null());
            let id = note["id"].as_str().unwrap();
            assert_eq!(made.header("Location"), Some(&*format!("/notes/{id}")));

            let path = format!("/notes/{id}{slash}");
            assert_eq!(app.get(&path, &alice).await.json(), note);
            let put = r#"{"text": "three"}"#;
            let changed = ask(&app, Method::Put, &path, &alice, put).await.json();
            assert_eq!(
                (&changed["id"], &changed["text"]),
                (&note["id"], &json!("three"))
            );
            assert!(changed["changed_at"].as_str().unwrap().ends_with('Z'));
            assert_eq!(changed["created_at"], note["created_at"]);
            assert_eq!(app.get(&path, &alice).await.json(), changed);

            let gone = ask(&app, Method::Delete, &path, &alice, "").await;
            assert_eq!((gone.status, &*gone.text), (Status::NoContent, ""));
            for method in [Method::Get, Method::Put, Method::Delete] {
                let again = ask(&app, method, &path, &alice, put).await;
                assert_eq!(again.status, Status::NotFound, "{method}");
            }
        }
        assert!(rows(&app).await.is_empty());
        let events = "SELECT COUNT(*) FROM events WHERE action LIKE 'note%'";
        assert_eq!(
            app.number(events).await,
            0,
            "one's own are nobody's business"
        );
    });
}

#[test]
fn anothers_note_is_one_that_does_not_exist() {
    on_both(async |app| {
        let [alice, bob] = two_users(&app).await;
        let (hers, his) = (
            write(&app, &alice, "hers").await,
            write(&app, &bob, "his").await,
        );
        let before = rows(&app).await;
        let nothing = "/notes/01a20b47-0ace-7599-b4a7-bd71f3e71044/";
        for method in [Method::Get, Method::Put, Method::Delete] {
            let put = r#"{"text": "mine now"}"#;
            let nothing = ask(&app, method, nothing, &bob, put).await;
            assert_eq!(nothing.status, Status::NotFound);
            for id in [
                hers.as_str(),
                "x",
                &hers.to_uppercase(),
                &format!("{hers}x"),
            ] {
                let path = format!("/notes/{id}/");
                let refused = ask(&app, method, &path, &bob, put).await;
                assert_eq!(refused.status, Status::NotFound, "{method} {path}");
                assert_eq!(refused.but_for_request_id(), nothing.but_for_request_id());
            }
        }
        // Hers is older: where his list goes on after it, it has nothing.
        let listed = app.get(&format!("/notes/?after={hers}"), &bob).await.json();
        assert_eq!(page(&listed), (vec![], None));
        assert_eq!(
            page(&app.get("/notes/", &bob).await.json()),
            (vec![his], None)
        );
        assert_eq!(
            page(&app.get("/notes/", &alice).await.json()),
            (vec![hers], None)
        );
        assert_eq!(rows(&app).await, before);
    });
}

#[test]
fn pages_follow_one_another_while_notes_come_and_go() {
    on_both(async |app| {
        let [alice, bob] = two_users(&app).await;
        let mut wanted = vec![];
        for number in 0..120 {
            if number == 50 {
                let (first, next) = page(&app.get("/notes/", &alice).await.json());
                assert_eq!((first.len(), next), (50, None), "that was all");
            }
            wanted.insert(0, write(&app, &alice, &format!("{number}")).await);
            write(&app, &bob, "his").await;
        }
        let (mut seen, mut at) = (vec![], "/notes/".to_owned());
        loop {
            let (ids, next) = page(&app.get(&at, &alice).await.json());
            // Of the first page the last one goes, which the second follows; of those that no page has shown
            // one does each time; and another comes.
            let last = ids.last().cloned().filter(|_| seen.is_empty());
            seen.extend(ids);
            let unseen = wanted.get(seen.len() + 3).cloned();
            for id in [last, unseen.clone()].into_iter().flatten() {
                let path = format!("/notes/{id}");
                let gone = ask(&app, Method::Delete, &path, &alice, "").await;
                assert_eq!(gone.status, Status::NoContent);
            }
            wanted.retain(|id| unseen.as_ref() != Some(id));
            write(&app, &alice, "meanwhile").await;
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        assert_eq!(seen, wanted, "newest first, none twice, none left out");
        assert!(at.contains("after="), "there were several pages");
    });
}

#[test]
fn what_is_unfit_is_told_by_its_field() {
    on_both(async |app| {
        let [alice, _] = two_users(&app).await;
        let id = write(&app, &alice, "as it was").await;
        let long = format!("{{\"text\": \"{}\"}}", "é".repeat(501));
        let padded = format!("{{\"text\": \" {}\"}}", "é".repeat(500));
        let unfit = [
            ("{}", "This field is required."),
            (r#"{"text": ""}"#, "This field may not be blank."),
            (r#"{"text": " \r\n "}"#, "This field may not be blank."),
            (&long, "Ensure this field has no more than 500 characters."),
            (
                &padded,
                "Ensure this field has no more than 500 characters.",
            ),
            (r#"{"text": 1}"#, "Not a valid string."),
            (
                r#"{"text": "a\u0000b"}"#,
                "Control characters are not allowed.",
            ),
            (
                r#"{"text": "a\u202eb"}"#,
                "Control characters are not allowed.",
            ),
        ];
        let before = rows(&app).await;
        for (method, path) in [
            (Method::Post, "/notes/"),
            (Method::Put, &*format!("/notes/{id}")),
        ] {
            for (body, complaint) in unfit {
                let refused = ask(&app, method, path, &alice, body).await;
                assert_eq!(refused.status, Status::BadRequest, "{body}");
                assert_eq!(refused.json()["text"], json!([complaint]), "{body}");
            }
            for (body, status) in [
                ("{", Status::BadRequest),
                ("[]", Status::BadRequest),
                (&*" ".repeat(8193), Status::PayloadTooLarge),
            ] {
                assert_eq!(ask(&app, method, path, &alice, body).await.status, status);
            }
            let bearer = format!("Bearer {alice}");
            let plain = [("Authorization", &*bearer), ("Content-Type", "text/plain")];
            let refused = app.send(method, path, &plain, "text=x").await;
            assert_eq!(refused.status, Status::UnsupportedMediaType);
        }
        let nonsense = app.get("/notes/?after=x", &alice).await;
        assert_eq!(nonsense.status, Status::BadRequest);
        assert_eq!(nonsense.json()["after"], json!(["Not an id."]));
        assert_eq!(rows(&app).await, before);

        // As long as it may be, in what takes most room: JSON's escapes, and a form's.
        let most = "😀".repeat(500);
        let escaped = format!("{{\"text\": \"{}\"}}", r"\ud83d\ude00".repeat(500));
        let made = ask(&app, Method::Post, "/notes/", &alice, &escaped).await;
        assert_eq!(made.json()["text"], most);
        let bearer = format!("Bearer {alice}");
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        let headers = [("Authorization", &*bearer), kind];
        let encoded = form(&[("text", &most)]);
        let made = app.send(Method::Post, "/notes/", &headers, encoded).await;
        assert_eq!(made.json()["text"], most);
    });
}

#[test]
fn other_methods_are_refused_and_errors_are_what_who_asks_can_read() {
    on_both(async |app| {
        let [alice, _] = two_users(&app).await;
        let id = write(&app, &alice, "hers").await;
        for (method, path, allowed) in [
            (Method::Put, "/notes/", "GET, HEAD, POST, OPTIONS"),
            (Method::Delete, "/notes?after=x", "GET, HEAD, POST, OPTIONS"),
            (
                Method::Post,
                &*format!("/notes/{id}/"),
                "GET, HEAD, PUT, DELETE, OPTIONS",
            ),
            (
                Method::Patch,
                &*format!("/notes/{id}"),
                "GET, HEAD, PUT, DELETE, OPTIONS",
            ),
        ] {
            let refused = ask(&app, method, path, &alice, "{}").await;
            assert_eq!(refused.status, Status::MethodNotAllowed, "{method} {path}");
            assert_eq!(refused.header("Allow"), Some(allowed), "{method} {path}");
        }
        for (accept, kind) in [
            ("*/*", "application/problem+json"),
            ("application/json", "application/problem+json"),
            ("text/html", "text/html; charset=utf-8"),
        ] {
            let answer = app
                .send(Method::Get, "/notes/", &[("Accept", accept)], "")
                .await;
            assert_eq!(answer.status, Status::Unauthorized);
            assert!(answer.header("WWW-Authenticate").is_some());
            assert_eq!(answer.header("Content-Type"), Some(kind));
        }
    });
}

#[test]
fn notes_go_with_their_user_and_no_other() {
    on_both(async |app| {
        let [alice, bob] = two_users(&app).await;
        write(&app, &alice, "hers").await;
        let his = write(&app, &bob, "his").await;
        let id = app.texts("SELECT id FROM users WHERE username = 'alice'");
        let id = multitoken::identity::UserId::parse(&id.await[0]).unwrap();
        let deleted = app.auth().delete_user(id, &Actor::command_line()).await;
        assert!(deleted.is_ok());
        let left = rows(&app).await;
        assert!(left.len() == 1 && left[0].starts_with(&his), "{left:?}");
    });
}

/// Ids of the notes on a page of the admin's, in their order.
fn listed(page: &str) -> Vec<String> {
    let rows = page.split("href=\"/admin/notes/").skip(1);
    let ids = rows.filter_map(|row| row.split_once("/delete\""));
    ids.map(|(id, _)| id.to_owned()).collect()
}

#[test]
fn an_admin_sees_everybodys_notes_newest_first_or_those_of_one() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let empty = app.page("/admin/notes", &cookie).await;
        assert!(empty.text.contains("Nobody has written a note yet."));
        let [alice, bob] = two_users(&app).await;
        let (mut all, mut hers) = (vec![], vec![]);
        for number in 0..110 {
            let token = if number % 4 == 0 { &bob } else { &alice };
            let id = write(&app, token, &format!("{number}")).await;
            all.insert(0, id.clone());
            if number % 4 > 0 {
                hers.insert(0, id);
            }
        }
        for (path, wanted) in [
            ("/admin/notes", &all),
            ("/admin/notes?user=ALICE", &hers),
            ("/admin/notes?user=%00&after=y", &all),
        ] {
            let (mut seen, mut at, mut before) = (vec![], path.to_owned(), vec![]);
            loop {
                let page = app.page(&at, &cookie).await;
                assert_eq!(page.status, Status::Ok, "{at}");
                if let Some(back) = link(&page.text, path, "prev") {
                    let back = app.page(&back, &cookie).await;
                    assert_eq!(listed(&back.text), before, "back from {at}");
                }
                before = listed(&page.text);
                seen.extend(before.clone());
                // What is written meanwhile stands on no later page.
                if path.ends_with("notes") && seen.len() == 50 {
                    write(&app, &bob, "meanwhile").await;
                    app.execute("DELETE FROM notes WHERE text = 'meanwhile'")
                        .await;
                }
                match link(&page.text, path, "next") {
                    Some(next) => at = next,
                    None => break,
                }
            }
            assert_eq!(&seen, wanted, "{path}");
        }
        let nobody = app.page("/admin/notes?user=nobody", &cookie).await;
        assert!(
            nobody.text.contains("No user of that name"),
            "{}",
            nobody.text
        );
    });
}

#[test]
fn what_a_note_says_is_text_on_every_page() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let [alice, _] = two_users(&app).await;
        for text in [
            "<script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
            "</textarea><b>bold</b>",
            "{{ 99991*99989 }}",
        ] {
            let id = write(&app, &alice, text).await;
            let escaped = tera_escaped(text);
            for path in [
                "/admin/notes".to_owned(),
                format!("/admin/notes/{id}/delete"),
            ] {
                let page = app.page(&path, &cookie).await.text;
                assert!(page.contains(&escaped), "{path}: {page}");
                assert!(!page.contains(text) || text == escaped, "{path}");
            }
            let unfit = format!("{text}\u{202e}");
            let again = app
                .submit("/admin/notes/new", &cookie, &[("text", &unfit)])
                .await;
            assert_eq!(again.status, Status::BadRequest);
            assert!(again.text.contains(&escaped), "{}", again.text);
            assert!(!again.text.contains(text) || text == escaped);
        }
    });
}

fn tera_escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('/', "&#x2F;")
}

#[test]
fn an_admin_writes_in_the_own_name_and_is_told_what_is_unfit() {
    on_both(async |app| {
        let root = app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        two_users(&app).await;
        let new = "/admin/notes/new";
        assert!(app.page(new, &cookie).await.text.contains("<textarea"));
        let long = "x".repeat(501);
        for (text, complaint) in [
            ("", "may not be blank"),
            (&*long, "no more than 500 characters"),
            ("a\u{0}b", "Control characters"),
        ] {
            let again = app.submit(new, &cookie, &[("text", text)]).await;
            assert_eq!(again.status, Status::BadRequest);
            assert!(again.text.contains("role=\"alert\"") && again.text.contains(complaint));
            assert!(
                again.text.contains(&format!("\n{text}</textarea>")),
                "as it was typed"
            );
        }
        assert!(rows(&app).await.is_empty());
        let alice = app
            .texts("SELECT id FROM users WHERE username = 'alice'")
            .await;
        let fields = [
            ("text", "one\r\ntwo"),
            ("user", "alice"),
            ("user_id", &alice[0]),
        ];
        let done = app.submit(new, &cookie, &fields).await;
        assert_eq!(done.status, Status::SeeOther, "{}", done.text);
        assert_eq!(done.header("Location"), Some("/admin/notes"));
        let owners = app.texts("SELECT user_id || ' ' || text FROM notes").await;
        assert_eq!(owners, [format!("{root} one\ntwo")]);
        let both = format!("{cookie}; {}", done.cookie());
        let page = app.page("/admin/notes", &both).await;
        assert!(page.text.contains("Your note is kept."), "{}", page.text);
    });
}

#[test]
fn deleting_somebodys_note_asks_first_and_stays_in_the_trail() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let [alice, _] = two_users(&app).await;
        let (first, second) = (
            write(&app, &alice, "the-first").await,
            write(&app, &alice, "the-second").await,
        );
        let before = rows(&app).await;
        let cookie = stale_session(&app).await;
        let path = format!("/admin/notes/{first}/delete");
        let question = app.page(&path, &cookie).await;
        assert!(question.text.contains("the-first") && question.text.contains("alice"));
        for (wrong, why) in [
            ("wrong", "not your current"),
            ("", "Enter your current password, too."),
        ] {
            let refused = app
                .submit(&path, &cookie, &[("current_password", wrong)])
                .await;
            assert_eq!(refused.status, Status::BadRequest);
            assert!(refused.text.contains(why), "{}", refused.text);
        }
        assert_eq!(rows(&app).await, before, "asking changes nothing");

        let right = [("current_password", PASSWORD)];
        let done = app.submit(&path, &cookie, &right).await;
        assert_eq!(done.header("Location"), Some("/admin/notes"));
        assert_eq!(rows(&app).await, before[1..]);
        // The password given again has renewed the session, so the next does not ask.
        let cookie = done.cookie();
        let flash = app.page("/admin/notes", &cookie).await;
        assert!(
            flash.text.contains("\u{2068}alice\u{2069} is deleted."),
            "{}",
            flash.text
        );
        let path = format!("/admin/notes/{second}/delete");
        let question = app.page(&path, &cookie).await;
        assert!(!question.text.contains("current_password"));
        let long = "x".repeat(201);
        let refused = app.submit(&path, &cookie, &[("note", &long)]).await;
        assert_eq!(refused.status, Status::BadRequest);
        assert!(refused.text.contains("no more than 200 characters"));
        let fields = [("note", "an old address")];
        assert_eq!(
            app.submit(&path, &cookie, &fields).await.status,
            Status::SeeOther
        );
        let noted =
            "SELECT COALESCE(note, '-') FROM events WHERE action = 'note.deleted' ORDER BY id";
        assert_eq!(app.texts(noted).await, ["-", "an old address"]);
        let again = app.submit(&path, &cookie, &[]).await;
        assert_eq!(again.status, Status::NotFound);

        let trail = "SELECT actor_name || ' ' || subject_name || COALESCE(reason, '')
                     FROM events WHERE action = 'note.deleted'";
        assert_eq!(app.texts(trail).await, ["root alice", "root alice"]);
        let found = app
            .page("/admin/audit?action=note.deleted&subject=ALICE", &cookie)
            .await;
        assert_eq!(found.text.matches("note.deleted</a>").count(), 2);
    });
}

#[test]
fn a_user_has_a_thousand_notes_and_not_one_more_however_many_are_written_at_once() {
    on_both(async |app| {
        let [alice, bob] = two_users(&app).await;
        app.execute(
            "INSERT INTO notes (id, user_id, text, created_at)
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 995)
             SELECT 'old ' || n, id, 'old', 0 FROM users, numbers WHERE username = 'alice'",
        )
        .await;
        let one = || app.post("/notes/", &alice, json!({"text": "one more"}));
        let answers = join_all((0..12).map(|_| one())).await;
        let (made, refused): (Vec<_>, Vec<_>) = answers
            .iter()
            .partition(|answer| answer.status == Status::Created);
        assert_eq!(made.len(), 5);
        for answer in refused {
            assert_eq!(answer.status, Status::Forbidden, "{}", answer.text);
            let detail = "You have 1,000 notes, the maximum. Delete one and try again.";
            assert_eq!(answer.json()["detail"], detail);
            assert_eq!(answer.json()["status"], 403);
        }
        assert_eq!(rows(&app).await.len(), 1000);
        // Nobody else is concerned, and what is there can be changed and deleted.
        write(&app, &bob, "his").await;
        let id = made[0].json()["id"].as_str().unwrap().to_owned();
        let path = format!("/notes/{id}/");
        let put = r#"{"text": "changed"}"#;
        let changed = ask(&app, Method::Put, &path, &alice, put).await;
        assert_eq!(changed.status, Status::Ok);
        let deleted = ask(&app, Method::Delete, &path, &alice, "").await;
        assert_eq!(deleted.status, Status::NoContent);
        // A note that is being stored counts.
        let user = app
            .texts("SELECT id FROM users WHERE username = 'alice'")
            .await;
        let user = UserId::parse(&user[0]).unwrap();
        let mut tx = app.auth().pool().write().await.unwrap();
        let text = Text::parse("room again").unwrap();
        assert!(
            note::insert(&mut tx, user, &text, 1)
                .await
                .unwrap()
                .is_some()
        );
        let commit = async {
            sleep(Duration::from_millis(300)).await;
            tx.commit().await.unwrap();
        };
        let (refused, ()) = join(one(), commit).await;
        assert_eq!(refused.status, Status::Forbidden, "{}", refused.text);
        // The admin's form has the same limit.
        app.execute("UPDATE users SET role = 'admin'").await;
        let cookie = app.admin_login("alice").await;
        let full = app
            .submit("/admin/notes/new", &cookie, &[("text", "kept?")])
            .await;
        assert_eq!(full.status, Status::Forbidden);
        assert!(full.text.contains("the maximum") && full.text.contains("kept?</textarea>"));
        assert_eq!(rows(&app).await.len(), 1001);
    });
}
