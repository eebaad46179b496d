//! Pages of other origins.

use multitoken::models::user::Role;
use rocket::http::{Method, Status};
use serde_json::json;

use crate::support::app::{Answer, form};
use crate::support::server::{Server, sqlite};
use crate::support::{App, PASSWORD, on_both, on_both_with};

const SPA: &str = "https://spa.example.com";

async fn preflight(app: &App, origin: &str, path: &str) -> Answer {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type"),
    ];
    app.send(Method::Options, path, &headers, "").await
}

#[test]
fn a_page_of_a_named_origin_may_call_the_api() {
    on_both_with(json!({"cors_origins": [SPA]}), async |app| {
        app.user("alice", Role::User).await;
        for (path, methods) in [
            ("/auth/login/", "POST"),
            ("/auth/me", "GET, HEAD"),
            (
                "/auth/tokens/01a20b47-0ace-7599-b4a7-bd71f3e71044/",
                "DELETE",
            ),
        ] {
            let answer = preflight(&app, SPA, path).await;
            assert_eq!(answer.status, Status::NoContent, "{path}");
            assert_eq!(answer.text, "");
            let header = |name| answer.header(name).unwrap_or_default();
            assert_eq!(header("Access-Control-Allow-Origin"), SPA);
            assert_eq!(header("Access-Control-Allow-Methods"), methods);
            let headers = header("Access-Control-Allow-Headers").to_lowercase();
            for name in [
                "authorization",
                "content-type",
                "x-request-id",
                "x-requested-with",
                "x-csrftoken",
                "traceparent",
            ] {
                assert!(headers.split(", ").any(|other| other == name), "{name}");
            }
            assert!(header("Access-Control-Max-Age").parse::<u32>().is_ok());
            assert_eq!(answer.header("Access-Control-Allow-Credentials"), None);
            assert_eq!(header("Vary"), "Origin");
        }

        let body = json!({"username": "alice", "password": PASSWORD, "client": "spa"});
        let headers = [("Origin", SPA), ("Content-Type", "application/json")];
        let path = "/auth/login/";
        let login = app
            .send(Method::Post, path, &headers, body.to_string())
            .await;
        assert_eq!(login.status, Status::Ok);
        assert_eq!(login.header("Access-Control-Allow-Origin"), Some(SPA));
        // Errors can be read too, with what they say to do.
        let wrong = app.send(Method::Post, path, &headers, "{").await;
        assert_eq!(wrong.status, Status::BadRequest);
        assert_eq!(wrong.header("Access-Control-Allow-Origin"), Some(SPA));
        let exposed = wrong.header("Access-Control-Expose-Headers").unwrap();
        for name in ["Retry-After", "WWW-Authenticate", "Location"] {
            assert!(exposed.contains(name), "{name}");
        }
        let unknown = preflight(&app, SPA, "/auth/nothing").await;
        assert_eq!(unknown.status, Status::NotFound);
        assert_eq!(unknown.header("Access-Control-Allow-Methods"), None);
    });
}

#[test]
fn pages_of_all_other_origins_may_not() {
    on_both_with(json!({"cors_origins": [SPA]}), async |app| {
        for origin in [
            "https://evil.example",
            "https://spa.example.com.evil.example",
            "http://spa.example.com",
            "https://spa.example.com:8443",
            "https://SPA.example.com",
            "null",
            "",
            "https://spa.example.com, https://evil.example",
        ] {
            let answer = preflight(&app, origin, "/auth/login/").await;
            assert_eq!(answer.status, Status::NoContent, "{origin}");
            assert!(granted(&answer).is_empty(), "{origin}");
            assert_eq!(answer.header("Vary"), Some("Origin"), "{origin}");
        }
        let twice = [("Origin", SPA), ("Origin", SPA)];
        let answer = app.send(Method::Get, "/auth/me", &twice, "").await;
        assert!(granted(&answer).is_empty());
        // The admin and all else is for pages of ours alone.
        for path in ["/admin/login", "/admin/", "/static/admin.css"] {
            let answer = preflight(&app, SPA, path).await;
            assert!(granted(&answer).is_empty(), "{path}");
        }
    });
}

#[test]
fn it_is_off_unless_origins_are_named() {
    on_both(async |app| {
        let answer = preflight(&app, SPA, "/auth/login/").await;
        assert_eq!(answer.status, Status::NoContent);
        assert!(granted(&answer).is_empty());
        assert_eq!(answer.header("Vary"), None);
    });
}

#[test]
fn a_foreign_page_can_not_use_up_its_visitors_budget() {
    on_both_with(json!({"cors_origins": [SPA]}), async |app| {
        app.user("alice", Role::User).await;
        let login = async |site: &str, origin: &str| {
            let mut headers = vec![
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Sec-Fetch-Site", site),
                ("Origin", origin),
            ];
            headers.retain(|(_, value)| !value.is_empty());
            let body = form(&[
                ("username", "alice"),
                ("password", PASSWORD),
                ("client", "page"),
            ]);
            let answer = app.send(Method::Post, "/auth/login/", &headers, body).await;
            answer.status
        };
        // The browsers that send no `Sec-Fetch-Site` send an `Origin`.
        for site in ["cross-site", "same-site", ""] {
            for origin in [
                "https://evil.example",
                "null",
                "file://",
                "https://spa.example.com.evil.example",
                "http://127.0.0.1:80001",
                "https://127.0.0.1:8000",
            ] {
                let foreign = login(site, origin).await;
                assert_eq!(foreign, Status::Forbidden, "{site} {origin}");
            }
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM attempts").await, 0);
        for (site, origin) in [
            ("cross-site", SPA),
            ("same-site", SPA),
            ("same-origin", "https://x"),
            ("", SPA),
            ("", "http://127.0.0.1:8000"),
            ("none", ""),
            ("", ""),
        ] {
            assert_eq!(login(site, origin).await, Status::Ok, "{site} {origin}");
        }
        app.login("alice", "no browser").await;
    });
}

#[test]
fn a_page_that_was_opened_at_another_address_is_told_the_expected_one() {
    let settings = json!({"public_url": "https://app.example.com:8443"});
    on_both_with(settings, async |app| {
        app.user("root", Role::Admin).await;
        let body = form(&[
            ("username", "root"),
            ("password", PASSWORD),
            ("client", "x"),
        ]);
        for path in ["/admin/login", "/auth/login/"] {
            let headers = [
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Origin", "http://192.168.1.5:8000"),
            ];
            let answer = app.send(Method::Post, path, &headers, &body).await;
            assert_eq!(answer.status, Status::Forbidden, "{path}");
            let text = answer.text.replace("&#x2F;", "/");
            assert!(
                text.contains("https://app.example.com:8443 (public_url)"),
                "{text}"
            );
            assert!(!text.contains("192.168"), "{text}");
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, 0);
    });
    // The log says so, too, without what a stranger wrote.
    let folder = tempfile::tempdir().unwrap();
    rocket::async_test(async {
        let server = Server::start(&sqlite(folder.path())).await;
        server.submit_from_elsewhere("/admin/login").await;
        let log = server.log_up_to_now().await;
        let told = log
            .lines()
            .find(|line| line.contains("another origin than public_url"));
        let told = told.unwrap_or_else(|| panic!("{log}"));
        let expected = format!("\"public_url\":\"{}\"", server.origin);
        assert!(told.contains(&expected), "{told}");
    });
}

fn granted(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.iter().map(|(name, _)| name.as_str());
    names
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}
