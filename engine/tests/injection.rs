//! Hostile text: markup, formulas, control characters and header injection in names, user agents and parameters.

use rocket::http::{Method, Status};
use rocket_multitoken::models::user::Role;
use serde_json::json;

use crate::support::app::{Response, form};
use crate::support::server::{Server, sqlite};
use crate::support::{App, PASSWORD, on_both};

/// Valid names that must be shown as text.
const NAMES: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{ 99991*99989 }}{% include \"x\" %}",
    "=HYPERLINK(\"http://evil.example\")",
    "'; DROP TABLE users; --",
    "אבג <b>שלום</b>",
];
/// Invalid names.
const INVALID: [&str; 7] = [
    "a\0b",
    "a\r\nb: c",
    "a\u{1b}[31mb",
    "a\u{202e}b",
    "a\u{2066}b",
    "a\u{200f}b",
    "a\u{85}b",
];

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#x27;")
        .replace('/', "&#x2F;")
}

/// The start of the script element on every page.
const SCRIPT: &str = "<script type=\"module\" src=\"/static/";

fn assert_harmless(page: &Response, what: &str) {
    assert!(page.status.code < 500, "{what}: {}", page.status);
    for harm in [
        "<script",
        "<img src=x",
        "<b>",
        "9998000099",
        "\u{1b}",
        "\u{202e}",
    ] {
        let text = page.text.replace(SCRIPT, "");
        assert!(!text.contains(harm), "{harm} in {what}: {text}");
    }
}

async fn login(app: &App, name: &str, client: &str, agent: &str) -> Response {
    let body = json!({"username": name, "password": PASSWORD, "client": client});
    let headers = [("Content-Type", "application/json"), ("User-Agent", agent)];
    app.send(Method::Post, "/auth/login/", &headers, body.to_string())
        .await
}

#[test]
fn names_clients_and_user_agents_are_escaped() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        for name in NAMES {
            let id = app.user(name, Role::User).await;
            let response = login(&app, name, name, name).await;
            assert_eq!(response.status, Status::Ok, "{name}");
            assert_eq!(response.json()["client"], name, "stored unchanged");
            let token = app
                .texts("SELECT id FROM tokens ORDER BY id DESC LIMIT 1")
                .await
                .remove(0);
            let user = format!("/admin/users/{id}");
            let isolated = format!(">{}</bdi>", escaped(name));
            for path in [
                "/admin/".to_owned(),
                "/admin/users".to_owned(),
                format!("/admin/users?{}", form(&[("q", name)])),
                user.clone(),
                format!("{user}/disable"),
                format!("{user}/delete"),
                format!("/admin/tokens/{token}/revoke"),
            ] {
                let page = app.page(&path, &cookie).await;
                assert_eq!(page.status, Status::Ok, "{path}");
                assert_harmless(&page, &path);
                assert!(page.text.contains(&isolated), "{isolated}: {}", page.text);
            }
            let done = app.submit(&format!("{user}/disable"), &cookie, &[]).await;
            let both = format!("{cookie}; {}", done.cookie());
            let flash = app.page(&user, &both).await;
            assert_harmless(&flash, "a flash");
            // Plain text is isolated with characters (UAX #9, 2.4.2).
            let sentence = format!("\u{2068}{}\u{2069} was disabled", escaped(name));
            assert!(flash.text.contains(&sentence), "{}", flash.text);
        }
    });
}

#[test]
fn control_characters_are_refused_in_names_and_removed_from_user_agents() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        app.user("alice", Role::User).await;
        let cookie = app.admin_login("root").await;
        let marks = format!("e{}", "\u{301}".repeat(5000));
        for text in INVALID {
            let as_name = login(&app, text, "laptop", "x").await;
            assert_eq!(as_name.status, Status::BadRequest, "{text:?}");
            assert!(as_name.json()["username"].is_array(), "{text:?}");
            let as_client = login(&app, "alice", text, "x").await;
            assert!(as_client.json()["client"].is_array(), "{text:?}");
            let as_agent = login(&app, "alice", "laptop", text).await;
            assert_eq!(as_agent.status, Status::Ok, "{text:?}");
            let stored = app.texts("SELECT user_agent FROM tokens WHERE kind = 'api'");
            let stored = stored.await.remove(0);
            assert!(stored.starts_with('a') && !stored.chars().any(char::is_control));
            assert!(!stored.contains(['\u{202e}', '\u{2066}', '\u{200f}']));
            let query = format!("/admin/users?{}", form(&[("q", text)]));
            let page = app.page(&query, &cookie).await;
            assert_eq!(page.status, Status::Ok, "{text:?}");
            assert!(
                page.text.contains("2 users"),
                "an invalid filter is ignored"
            );
            let sign_in = [("username", text), ("password", PASSWORD)];
            let again = app.submit("/admin/login", "", &sign_in).await;
            assert_eq!(again.status, Status::BadRequest, "{text:?}");
        }
        // Ten kilobytes of combining marks.
        let long = login(&app, &marks, "laptop", "x").await;
        assert_eq!(long.status, Status::PayloadTooLarge);
        let client = login(&app, "alice", &marks[..1001], "x").await;
        assert!(client.json()["client"].is_array());
        let agent = login(&app, "alice", "laptop", &marks).await;
        assert_eq!(agent.status, Status::Ok);
        let stored = app.texts("SELECT user_agent FROM tokens WHERE kind = 'api'");
        assert!(stored.await[0].chars().count() <= 255);
        let query = format!("/admin/users?{}", form(&[("q", &marks)]));
        let page = app.page(&query, &cookie).await;
        assert_eq!(page.status, Status::Ok);
        assert!(
            page.text.contains("2 users"),
            "an invalid filter is ignored"
        );
    });
}

#[test]
fn requests_cannot_forge_log_lines() {
    let folder = tempfile::tempdir().unwrap();
    rocket::async_test(async {
        let server = Server::start(&sqlite(folder.path())).await;
        let printed = server.log().len();
        let client = reqwest::Client::new();
        for text in [
            "%0d%0a2026-01-01T00:00:00Z%20ERROR%20FORGED",
            "%1b[31mFORGED",
            "FORGED%00",
        ] {
            for path in [
                "/",
                "/auth/",
                "/admin/",
                "/healthz?x=",
                "/admin/login?next=",
            ] {
                let url = format!("{}{path}{text}", server.origin);
                let get = client.get(url).header("X-Request-Id", "FORGED FORGED");
                get.header("User-Agent", "FORGED\tx").send().await.unwrap();
            }
        }
        let fields = [
            ("username", "a\r\nFORGED\u{1b}[31m"),
            ("client", "FORGED\n"),
        ];
        let login = client.post(format!("{}/auth/login", server.origin));
        login.form(&fields).send().await.unwrap();
        let log = server.log_up_to_now().await;
        let lines = &log[printed..];
        assert!(lines.matches("\"status\":").count() >= 16, "{lines}");
        assert!(
            !lines.contains("FORGED") && !lines.contains('\u{1b}'),
            "{lines}"
        );
        for line in lines.lines() {
            assert!(
                serde_json::from_str::<serde_json::Value>(line).is_ok(),
                "{line}"
            );
        }
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn parameters_cannot_inject_response_headers() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        for path in [
            "/admin/login?next=%0d%0aSet-Cookie:%20x=y",
            "/admin/%0d%0aSet-Cookie:%20x=y",
            "/admin/users?q=%0d%0aSet-Cookie:%20x=y",
            "/auth/%0d%0aSet-Cookie:%20x=y",
        ] {
            let response = app.page(path, "").await;
            assert!(response.status.code < 500, "{path}");
            assert_eq!(response.header("Set-Cookie"), None, "{path}");
            for (name, value) in &response.headers {
                assert!(!value.contains(['\r', '\n']), "{name}: {value}");
            }
        }
        let id = [("X-Request-Id", "a\u{1b}[31m")];
        let response = app.send(Method::Get, "/healthz", &id, "").await;
        assert!(!response.header("X-Request-Id").unwrap().contains('\u{1b}'));
    });
}
