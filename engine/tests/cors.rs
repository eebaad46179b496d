//! CORS, and requests from pages of other origins.

use rocket::http::{Method, Status};
use rocket_multitoken::models::user::Role;
use serde_json::json;

use crate::support::app::{Response, form};
use crate::support::server::{Server, sqlite};
use crate::support::{App, PASSWORD, on_both, on_both_with};

const SPA: &str = "https://spa.example.com";

async fn preflight(app: &App, origin: &str, path: &str) -> Response {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type"),
    ];
    app.send(Method::Options, path, &headers, "").await
}

#[test]
fn pages_of_allowed_origins_can_call_the_api() {
    on_both_with(json!({"cors_origins": [SPA]}), async |app| {
        app.user("alice", Role::User).await;
        for (path, methods) in [
            ("/auth/login/", "POST"),
            ("/auth/me", "GET, HEAD, DELETE"),
            (
                "/auth/tokens/01a20b47-0ace-7599-b4a7-bd71f3e71044/",
                "DELETE",
            ),
        ] {
            let response = preflight(&app, SPA, path).await;
            assert_eq!(response.status, Status::NoContent, "{path}");
            assert_eq!(response.text, "");
            let header = |name| response.header(name).unwrap_or_default();
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
            assert_eq!(response.header("Access-Control-Allow-Credentials"), None);
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
        // Errors are readable too, including the headers that a client needs.
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
fn pages_of_other_origins_cannot_call_the_api() {
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
            let response = preflight(&app, origin, "/auth/login/").await;
            assert_eq!(response.status, Status::NoContent, "{origin}");
            assert!(cors_headers(&response).is_empty(), "{origin}");
            assert_eq!(response.header("Vary"), Some("Origin"), "{origin}");
        }
        let twice = [("Origin", SPA), ("Origin", SPA)];
        let response = app.send(Method::Get, "/auth/me", &twice, "").await;
        assert!(cors_headers(&response).is_empty());
        // CORS is for the API. The admin and static files never allow it.
        for path in ["/admin/login", "/admin/", "/static/admin.css"] {
            let response = preflight(&app, SPA, path).await;
            assert!(cors_headers(&response).is_empty(), "{path}");
        }
    });
}

#[test]
fn cors_is_off_by_default() {
    on_both(async |app| {
        let response = preflight(&app, SPA, "/auth/login/").await;
        assert_eq!(response.status, Status::NoContent);
        assert!(cors_headers(&response).is_empty());
        assert_eq!(response.header("Vary"), None);
    });
}

#[test]
fn a_cross_origin_page_cannot_use_up_the_visitors_login_budget() {
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
            let response = app.send(Method::Post, "/auth/login/", &headers, body).await;
            response.status
        };
        // Browsers that send no `Sec-Fetch-Site` send an `Origin`.
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
fn a_form_from_another_origin_is_refused_with_public_url_and_without_its_origin() {
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
            let response = app.send(Method::Post, path, &headers, &body).await;
            assert_eq!(response.status, Status::Forbidden, "{path}");
            let text = response.text.replace("&#x2F;", "/");
            assert!(
                text.contains("https://app.example.com:8443 (public_url)"),
                "{text}"
            );
            assert!(!text.contains("192.168"), "{text}");
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, 0);
    });
    // The log has the setting, but not the value from the request.
    let folder = tempfile::tempdir().unwrap();
    rocket::async_test(async {
        let server = Server::start(&sqlite(folder.path())).await;
        server.submit_cross_site("/admin/login").await;
        let log = server.log_up_to_now().await;
        let line = log
            .lines()
            .find(|line| line.contains("refused a cross-origin request"));
        let line = line.unwrap_or_else(|| panic!("{log}"));
        let expected = format!("\"public_url\":\"{}\"", server.origin);
        assert!(line.contains(&expected), "{line}");
    });
}

fn cors_headers(response: &Response) -> Vec<&str> {
    let names = response.headers.iter().map(|(name, _)| name.as_str());
    names
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}
