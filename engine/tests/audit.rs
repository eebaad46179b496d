//! The audit log as a page and as CSV.

use rocket::http::Status;
use rocket_multitoken::application;
use rocket_multitoken::auth::Auth;
use rocket_multitoken::error::Error;
use rocket_multitoken::models::event::{self, Actor, EventDetails};
use rocket_multitoken::models::now;
use rocket_multitoken::models::user::Role;
use serde_json::json;

use crate::support::app::{PROXY, form};
use crate::support::{App, on_both, on_both_with};

/// Downloads the audit log as CSV and returns its rows without the header.
async fn download(app: &App, cookie: &str, query: &str) -> Vec<Vec<String>> {
    let path = format!("/admin/audit.csv?{query}");
    let response = app.page(&path, cookie).await;
    assert_eq!(response.status, Status::Ok);
    assert_eq!(
        response.header("Content-Type"),
        Some("text/csv; charset=utf-8")
    );
    let disposition = response.header("Content-Disposition").unwrap();
    let today = time::OffsetDateTime::now_utc().date();
    let expected = format!("attachment; filename=\"audit-{today}.csv\"");
    assert_eq!(disposition, expected);
    // The byte order mark makes Excel read UTF-8.
    let text = response.text.strip_prefix('\u{feff}').unwrap();
    assert!(text.ends_with("\"\r\n"), "{text:?}");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(&reader.headers().unwrap()[0], "time");
    let lines = reader.records().map(Result::unwrap);
    lines
        .map(|line| line.iter().map(str::to_owned).collect())
        .collect()
}

#[test]
fn events_name_actor_target_address_and_reason_and_invalid_notes_change_nothing() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("Älice", Role::User).await;
        app.login("Älice", "laptop").await;
        app.try_login("Älice", "wrong", "phone").await;
        let cookie = app.admin_login("root").await;
        let path = format!("/admin/users/{alice}/disable");
        let fields = [("confirm", "yes"), ("note", "she has left")];
        app.submit(&path, &cookie, &fields).await;

        let page = app.page("/admin/audit", &cookie).await.text;
        for text in ["user.disabled", "login.failed", "203.0.113.5", "laptop"] {
            assert!(page.contains(text), "{text}");
        }
        let lines = download(&app, &cookie, "action=token.revoked").await;
        assert_eq!(lines.len(), 1);
        assert!(lines[0][0].starts_with("20") && lines[0][0].ends_with('Z'));
        let rest = [
            "token.revoked",
            "admin",
            "root",
            "Älice",
            "laptop",
            "disabled",
            "203.0.113.5",
        ];
        assert_eq!(lines[0][1..8], rest);
        assert!(!lines[0][8].is_empty(), "the request's id");
        assert_eq!(lines[0][12].len(), 4, "the token's last characters");
        let disabled = download(&app, &cookie, "action=user.disabled").await;
        assert_eq!(disabled[0][15], "she has left");

        // The event's own page shows all values.
        let event = app
            .page(&format!("/admin/audit/{}", lines[0][10]), &cookie)
            .await
            .text;
        for text in [
            &lines[0][8],
            &lines[0][11],
            &format!("…{}", lines[0][12]),
            "203.0.113.5",
            ">disabled<",
        ] {
            assert!(event.contains(text), "{text}: {event}");
        }
        for id in ["01a20d5a-0000-7000-8000-000000000000", "x"] {
            let response = app.page(&format!("/admin/audit/{id}"), &cookie).await;
            assert_eq!(response.status, Status::NotFound);
        }
        // An invalid note changes nothing.
        let bob = app.user("bob", Role::User).await;
        let path = format!("/admin/users/{bob}/disable");
        for note in ["x".repeat(201), "a\u{202e}b".to_owned()] {
            let refused = app
                .submit(&path, &cookie, &[("confirm", "yes"), ("note", &note)])
                .await;
            assert_eq!(refused.status, Status::BadRequest);
        }
        let disabled = "SELECT COUNT(*) FROM users WHERE disabled_at IS NOT NULL";
        assert_eq!(app.number(disabled).await, 1);
    });
}

#[test]
fn filters_narrow_the_log_and_invalid_values_are_ignored() {
    on_both_with(
        json!({"trusted_proxies": [PROXY.to_owned() + "/32"]}),
        async |app| {
            app.user("root", Role::Admin).await;
            app.user("Älice", Role::User).await;
            app.user("Älice2", Role::User).await;
            app.user("bob", Role::User).await;
            app.login("Älice", "laptop").await;
            app.try_login_from("198.51.100.7", "bob", "wrong").await;
            app.try_login_from("2001:db8::7", "bob", crate::support::PASSWORD)
                .await;
            let cookie = app.admin_login("root").await;
            let then = rocket_multitoken::identity::EventId::at(1_700_000_000_000).to_string();
            let mut db = app.auth().pool().read().await.unwrap();
            sqlx::query(
                "INSERT INTO events (id, at, action, via, subject_name, subject_key, reason)
             VALUES ($1, 1700000000, 'token.expired', 'server', 'bob', 'bob', 'expired')",
            )
            .bind(then)
            .execute(&mut db)
            .await
            .unwrap();
            drop(db);
            let token = app
                .texts("SELECT token_id FROM events WHERE client = 'laptop'")
                .await;
            let count = async |query: &str| download(&app, &cookie, query).await.len();
            let all = count("").await;
            assert_eq!(all, 9);
            for (query, lines) in [
                (form(&[("subject", "älICE")]), 2),
                ("subject=%C3%84l".to_owned(), 0),
                ("subject=bob".to_owned(), 4),
                ("actor=BOB".to_owned(), 1),
                ("client=LAPTOP".to_owned(), 2),
                ("client=lap".to_owned(), 0),
                ("action=token.issued".to_owned(), 3),
                ("action=token.issued&subject=bob".to_owned(), 1),
                ("address=198.51.100.7".to_owned(), 1),
                ("address=198.51.100.70".to_owned(), 0),
                ("address=198.51.0.0/16".to_owned(), 1),
                ("address=2001:DB8::/32".to_owned(), 1),
                ("address=198.51.0.0/16&action=token.issued".to_owned(), 0),
                ("address=nonsense".to_owned(), 9),
                (format!("token={}", token[0]), 1),
                ("token=nonsense".to_owned(), 9),
                ("reason=password".to_owned(), 1),
                ("reason=nonsense".to_owned(), 9),
                ("via=cli".to_owned(), 4),
                ("via=server".to_owned(), 1),
                ("via=api".to_owned(), 3),
                ("via=nonsense".to_owned(), 9),
                ("from=2023-11-14&to=2023-11-14".to_owned(), 1),
                ("to=2023-11-14&subject=bob".to_owned(), 1),
                ("to=2023-11-13".to_owned(), 0),
                ("from=2023-11-15".to_owned(), 8),
                // In Tokyo it was the 15th already.
                ("to=2023-11-14&tz=Asia/Tokyo".to_owned(), 0),
                ("to=2023-11-15&tz=Asia/Tokyo".to_owned(), 1),
                ("to=2023-11-14&tz=No/Where".to_owned(), 1),
                ("last=24h".to_owned(), 8),
                ("last=7d&via=cli".to_owned(), 4),
                ("last=nonsense".to_owned(), 9),
                (
                    "action=nonsense&from=soon&to=99999-01-01&q=%00".to_owned(),
                    9,
                ),
                ("x=y".to_owned(), 9),
            ] {
                assert_eq!(count(&query).await, lines, "{query}");
            }
            let nothing = app.page("/admin/audit?subject=nobody", &cookie).await.text;
            assert!(nothing.contains("No events match"), "{nothing}");
            // Every value links to the events with the same value.
            let page = app.page("/admin/audit?via=api", &cookie).await.text;
            for link in [
                "?subject=bob",
                "?action=login.failed",
                "?reason=password",
                "?client=laptop",
                "/addresses/198.51.100.7",
                "?actor=%C3%84lice",
            ] {
                assert!(page.contains(&format!("{link}\"")), "{link}: {page}");
            }
        },
    );
}

#[test]
fn last_month_can_be_downloaded_without_other_months() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let this = time::OffsetDateTime::now_utc()
            .date()
            .replace_day(1)
            .unwrap();
        let last = this.previous_day().unwrap();
        let mut tx = app.auth().pool().write().await.unwrap();
        for (number, day) in [
            last.replace_day(1).unwrap().previous_day().unwrap(),
            last.replace_day(1).unwrap(),
            last,
            this,
        ]
        .into_iter()
        .enumerate()
        {
            let at = day.midnight().assume_utc().unix_timestamp() + 43_200;
            sqlx::query("INSERT INTO events (id, at, action, via, client) VALUES ($1, $2, 'token.issued', 'api', $3)")
                .bind(rocket_multitoken::identity::EventId::at(at * 1000).to_string())
                .bind(at)
                .bind(format!("day {number}"))
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        let page = app.page("/admin/audit", &cookie).await.text;
        assert!(page.contains("/admin/audit?last=month\""), "{page}");
        let page = app.page("/admin/audit?last=month", &cookie).await.text;
        assert!(page.contains("/admin/audit.csv?last=month\""), "{page}");
        let lines = download(&app, &cookie, "last=month").await;
        let clients: Vec<_> = lines.iter().map(|line| line[5].as_str()).collect();
        assert_eq!(clients, ["day 2", "day 1"]);
    });
}

#[test]
fn csv_exports_have_every_row_and_a_failing_database_gets_503() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let mut tx = app.auth().pool().write().await.unwrap();
        for number in 0..1205 {
            let id = rocket_multitoken::identity::EventId::new().to_string();
            sqlx::query(
                "INSERT INTO events (id, at, action, via, client, client_key)
                 VALUES ($1, $2, 'token.revoked', 'api', $3, $3)",
            )
            .bind(id)
            .bind(1_700_000_000_i64 + number)
            .bind(format!("client {number}"))
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
        let lines = download(&app, &cookie, "action=token.revoked").await;
        let clients: Vec<_> = lines.iter().map(|line| line[5].clone()).collect();
        let expected: Vec<_> = (0..1205).rev().map(|n| format!("client {n}")).collect();
        assert_eq!(clients, expected);
        for (list, rows) in [("users", 1), ("tokens", 1)] {
            let response = app.page(&format!("/admin/{list}.csv"), &cookie).await;
            assert_eq!(
                response.text.matches("\r\n").count(),
                rows + 1,
                "{}",
                response.text
            );
        }
        // A failure before the first byte gets an error status.
        app.execute("ALTER TABLE events RENAME COLUMN note TO gone")
            .await;
        let response = app.page("/admin/audit.csv", &cookie).await;
        assert_eq!(response.status, Status::ServiceUnavailable);
        app.execute("ALTER TABLE events RENAME COLUMN gone TO note")
            .await;
    });
}

#[test]
fn csv_cells_are_never_formulas_or_several_lines() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let names = [
            "=HYPERLINK(\"http://evil.example\",\"x\")",
            "+1+1",
            "-2",
            "@SUM(A1)",
            "＝1",
            "a,\"b\";c",
            "x;=cmd|' /C calc'!A0",
            "x; \"@y",
            "x,+1;-2",
            "a=b; c-d",
        ];
        for name in names {
            app.user(name, Role::User).await;
            app.login(name, name).await;
        }
        let lines = download(&app, &cookie, "action=token.issued").await;
        for name in names {
            let inert = match name {
                "x;=cmd|' /C calc'!A0" => "'x;'=cmd|' /C calc'!A0".to_owned(),
                "x; \"@y" => "'x; \"'@y".to_owned(),
                "x,+1;-2" => "'x,'+1;'-2".to_owned(),
                name if name.starts_with('a') => name.to_owned(),
                name => format!("'{name}"),
            };
            let matching = lines.iter().filter(|line| line[3] == inert);
            assert_eq!(matching.count(), 1, "{inert}");
        }
        for cell in lines.iter().flatten() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '＝']), "{cell}");
            assert!(!cell.contains(['\r', '\n', '\u{1b}']), "{cell}");
        }
        // Spreadsheets may split at other separators and skip spaces or quotes.
        let file = app.page("/admin/audit.csv", &cookie).await.text;
        assert!(file.contains(";'=cmd"));
        for separator in [b';', b'\t', b','] {
            let mut reader = csv::ReaderBuilder::new();
            let reader = reader
                .has_headers(false)
                .flexible(true)
                .delimiter(separator);
            for line in reader.from_reader(file.as_bytes()).records() {
                for cell in &line.unwrap() {
                    let text = cell.trim_start_matches(['"', ' ']);
                    assert!(!text.starts_with(['=', '+', '-', '@', '＝']), "{cell}");
                }
            }
        }
    });
}

#[test]
fn an_application_can_add_events_of_its_own_actions_only() {
    on_both(async |app| {
        let auth = app.client.rocket().state::<Auth>().unwrap();
        let actor = Actor::command_line();
        let mut tx = auth.pool().write().await.unwrap();
        for action in application().actions {
            let about = EventDetails::default();
            let added = event::insert_custom(&mut tx, action, &actor, about, now()).await;
            assert!(added.is_ok(), "{action}: {added:?}");
        }
        for action in ["token.revoked", "parcel.lost"] {
            let about = EventDetails::default();
            let added = event::insert_custom(&mut tx, action, &actor, about, now()).await;
            assert!(matches!(added, Err(Error::Internal(_))), "{action}");
        }
    });
}
