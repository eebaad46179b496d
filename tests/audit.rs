//! The audit trail as a page and as CSV.

use multitoken::models::user::Role;
use rocket::http::Status;

use crate::support::app::form;
use crate::support::{App, on_both};

/// Lines of CSV without the heading, cell by cell.
async fn download(app: &App, cookie: &str, query: &str) -> Vec<Vec<String>> {
    let path = format!("/admin/audit.csv?{query}");
    let answer = app.page(&path, cookie).await;
    assert_eq!(answer.status, Status::Ok);
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/csv; charset=utf-8")
    );
    let disposition = answer.header("Content-Disposition").unwrap();
    assert!(disposition.starts_with("attachment"), "{disposition}");
    let mut reader = csv::Reader::from_reader(answer.text.as_bytes());
    assert_eq!(&reader.headers().unwrap()[0], "time");
    let lines = reader.records().map(Result::unwrap);
    lines
        .map(|line| line.iter().map(str::to_owned).collect())
        .collect()
}

#[test]
fn the_trail_says_who_did_what_to_whom_when_from_where_and_why() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("Älice", Role::User).await;
        app.login("Älice", "laptop").await;
        app.try_login("Älice", "wrong", "phone").await;
        let cookie = app.admin_login("root").await;
        let path = format!("/admin/users/{alice}/disable");
        app.submit(&path, &cookie, &[("confirm", "yes")]).await;

        let page = app.page("/admin/audit", &cookie).await.text;
        for text in ["user.disabled", "wrong password", "203.0.113.5", "laptop"] {
            assert!(page.contains(text), "{text}");
        }
        let lines = download(&app, &cookie, "action=token.ended").await;
        assert_eq!(lines.len(), 1);
        assert!(lines[0][0].starts_with("20") && lines[0][0].ends_with('Z'));
        let rest = [
            "token.ended",
            "admin",
            "root",
            "Älice",
            "laptop",
            "user disabled",
            "203.0.113.5",
        ];
        assert_eq!(lines[0][1..8], rest);
        assert!(!lines[0][8].is_empty(), "the request's id");
    });
}

#[test]
fn filters_narrow_it_and_nonsense_counts_as_absent() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        app.user("Älice", Role::User).await;
        app.user("bob", Role::User).await;
        app.login("Älice", "laptop").await;
        app.login("bob", "phone").await;
        let cookie = app.admin_login("root").await;
        app.execute("UPDATE events SET at = 1700000000 WHERE client = 'phone'")
            .await;
        let count = async |query: &str| download(&app, &cookie, query).await.len();
        let all = count("").await;
        assert_eq!(all, 6);
        for (query, lines) in [
            (form(&[("q", "äLI")]), 2),
            ("q=LAP".to_owned(), 1),
            ("q=%25".to_owned(), 0),
            ("action=token.issued".to_owned(), 3),
            ("actor=BOB".to_owned(), 1),
            ("from=2023-11-14&to=2023-11-14".to_owned(), 1),
            ("to=2023-11-13".to_owned(), 0),
            ("from=2023-11-15".to_owned(), 5),
            ("action=token.issued&q=b".to_owned(), 2),
            (
                "action=nonsense&from=soon&to=99999-01-01&page=x&q=%00".to_owned(),
                6,
            ),
            ("x=y".to_owned(), 6),
        ] {
            assert_eq!(count(&query).await, lines, "{query}");
        }
        let nothing = app.page("/admin/audit?q=nobody", &cookie).await.text;
        assert!(nothing.contains("Nothing matches"), "{nothing}");
    });
}

#[test]
fn it_streams_whole_and_pages_by_fifty() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let mut tx = app.auth().pool().write().await.unwrap();
        for number in 0..1205 {
            let id = multitoken::identity::EventId::new().to_string();
            sqlx::query(
                "INSERT INTO events (id, at, action, via, client, client_key)
                 VALUES ($1, $2, 'token.ended', 'api', $3, $3)",
            )
            .bind(id)
            .bind(1_700_000_000_i64 + number)
            .bind(format!("client {number}"))
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
        let lines = download(&app, &cookie, "action=token.ended").await;
        let clients: Vec<_> = lines.iter().map(|line| line[5].clone()).collect();
        let wanted: Vec<_> = (0..1205).rev().map(|n| format!("client {n}")).collect();
        assert_eq!(clients, wanted);

        let query = "action=token.ended&q=client";
        let page = async |number: u32| {
            let path = format!("/admin/audit?{query}&page={number}");
            app.page(&path, &cookie).await.text
        };
        let (first, last) = (page(1).await, page(25).await);
        assert!(first.contains("client 1204") && first.contains("client 1155<"));
        assert!(!first.contains("client 1154<") && first.contains("page=2"));
        assert!(last.contains("client 0<") && !last.contains("page=26"));
        assert!(last.contains("q=client&amp;action=token.ended&amp;page=24"));
    });
}

#[test]
fn no_cell_is_a_formula_or_more_than_one_line() {
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
        let lines = download(&app, &cookie, "action=token.issued&q=").await;
        for name in names {
            let inert = match name {
                "x;=cmd|' /C calc'!A0" => "'x;'=cmd|' /C calc'!A0".to_owned(),
                "x; \"@y" => "'x; \"'@y".to_owned(),
                "x,+1;-2" => "'x,'+1;'-2".to_owned(),
                name if name.starts_with('a') => name.to_owned(),
                name => format!("'{name}"),
            };
            let told = lines.iter().filter(|line| line[3] == inert);
            assert_eq!(told.count(), 1, "{inert}");
        }
        for cell in lines.iter().flatten() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '＝']), "{cell}");
            assert!(!cell.contains(['\r', '\n', '\u{1b}']), "{cell}");
        }
        // Nor where a spreadsheet expects another separator, and blanks or quotes do not count.
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
                    let begins = cell.trim_start_matches(['"', ' ']);
                    assert!(!begins.starts_with(['=', '+', '-', '@', '＝']), "{cell}");
                }
            }
        }
    });
}
