//! HTTP semantics: error bodies, methods, headers, paths.

use rocket::http::{Method, Status};
use rocket::local::asynchronous::Client;
use rocket::{get, routes};
use rocket_multitoken::auth::guard::User;
use rocket_multitoken::error::Error;
use rocket_multitoken::models::user::Role;
use serde_json::json;

use crate::support::app::{PROXY, figment};
use crate::support::server::sqlite;
use crate::support::{App, on_both, on_both_with};

#[test]
fn errors_are_pages_for_browsers_and_problem_details_for_other_clients() {
    on_both(async |app| {
        let html = [("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")];
        let is_page = async |app: &App, path: &str, headers: &[(&str, &str)]| {
            let response = app.send(Method::Get, path, headers, "").await;
            assert_eq!(response.status, Status::NotFound, "{path}");
            match response.header("Content-Type").unwrap() {
                "application/problem+json" => {
                    let body = response.json();
                    for member in ["type", "title", "status", "detail", "request_id"] {
                        assert!(!body[member].is_null(), "{member}");
                    }
                    assert_eq!(body["request_id"], response.header("X-Request-Id").unwrap());
                    false
                }
                kind => kind.starts_with("text/html"),
            }
        };
        assert!(!is_page(&app, "/auth/nothing", &html).await);
        assert!(is_page(&app, "/nothing", &html).await);
        assert!(!is_page(&app, "/nothing", &[]).await);
        assert!(!is_page(&app, "/nothing", &[("Accept", "application/json")]).await);
        assert!(is_page(&app, "/admin/setup?key=wrong", &[]).await);
    });
}

#[test]
fn known_paths_refuse_other_methods_and_list_the_allowed_ones() {
    on_both(async |app| {
        for (method, path, allowed) in [
            (Method::Get, "/auth/login/", "POST, OPTIONS"),
            (Method::Head, "/auth/login", "POST, OPTIONS"),
            (Method::Get, "/auth/logout/", "POST, OPTIONS"),
            (Method::Post, "/auth/me/", "GET, HEAD, DELETE, OPTIONS"),
            (Method::Put, "/auth/tokens", "GET, HEAD, OPTIONS"),
            (
                Method::Get,
                "/auth/tokens/01a20b47-0ace-7599-b4a7-bd71f3e71044/",
                "DELETE, OPTIONS",
            ),
            (Method::Delete, "/admin/users", "GET, HEAD, OPTIONS"),
            (Method::Put, "/account/password", "GET, HEAD, POST, OPTIONS"),
            (Method::Get, "/auth/reset/confirm", "POST, OPTIONS"),
            (Method::Patch, "/admin/login", "GET, HEAD, POST, OPTIONS"),
            (Method::Put, "/admin/users/new", "GET, HEAD, POST, OPTIONS"),
            (
                Method::Put,
                "/admin/tokens/01a20b47-0ace-7599-b4a7-bd71f3e71044/revoke",
                "GET, HEAD, POST, OPTIONS",
            ),
            (Method::Post, "/healthz", "GET, HEAD, OPTIONS"),
            (Method::Post, "/static/base.css", "GET, HEAD, OPTIONS"),
            (Method::Trace, "/healthz", "GET, HEAD, OPTIONS"),
            (Method::Trace, "/admin/login", "GET, HEAD, POST, OPTIONS"),
        ] {
            let response = app.send(method, path, &[], "").await;
            assert_eq!(response.status, Status::MethodNotAllowed, "{method} {path}");
            assert_eq!(response.header("Allow"), Some(allowed), "{method} {path}");
            let options = app.send(Method::Options, path, &[], "").await;
            assert_eq!(options.status, Status::NoContent, "{path}");
            assert_eq!(options.header("Allow"), Some(allowed), "{path}");
            assert_eq!(options.text, "", "{path}");
        }
        for path in [
            "/nothing",
            "/auth/nothing",
            "/auth/tokens/a/b",
            "/admin/nothing",
        ] {
            let options = app.send(Method::Options, path, &[], "").await;
            assert_eq!(options.status, Status::NotFound, "{path}");
            assert_eq!(options.header("Allow"), None, "{path}");
        }
        assert_eq!(
            app.send(Method::Head, "/healthz", &[], "").await.status,
            Status::Ok
        );
        // In the admin, clients without a session are redirected to sign-in first.
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        for path in ["/admin/logout", "/admin/logout/x", "/admin/users/disable"] {
            let unauthenticated = app.page(path, "").await;
            assert_eq!(unauthenticated.status, Status::SeeOther, "{path}");
            let to = unauthenticated.header("Location").unwrap();
            assert!(to.starts_with("/admin/login?"), "{path}: {to}");
        }
        let nothing = app.page("/admin/logout/x", &cookie).await;
        assert_eq!(nothing.status, Status::NotFound);
        // Paths for POST alone redirect an admin's GET to the page with the form.
        let id = "01a20b47-0ace-7599-b4a7-bd71f3e71044";
        for (path, page) in [
            ("/admin/logout", "/admin/"),
            ("/admin/theme/", "/admin/"),
            ("/admin/tokens/revoke?user=alice", "/admin/tokens"),
            ("/admin/users/disable", "/admin/users"),
            ("/admin/users/revoke-tokens", "/admin/users"),
        ] {
            for method in [Method::Get, Method::Head] {
                let headers = [("Cookie", cookie.as_str())];
                let response = app.send(method, path, &headers, "").await;
                assert_eq!(response.status, Status::SeeOther, "{method} {path}");
                assert_eq!(response.header("Location"), Some(page), "{method} {path}");
            }
        }
        for path in [
            "/admin/users/nobody".to_owned(),
            format!("/admin/users/{id}"),
            format!("/admin/users/{id}/disable"),
            format!("/admin/users/{id}/nonsense"),
            format!("/admin/tokens/{id}"),
        ] {
            let response = app.page(&path, &cookie).await;
            assert_eq!(response.status, Status::NotFound, "{path}");
        }
    });
}

#[test]
fn a_valid_request_id_from_a_proxy_is_kept_and_no_other() {
    on_both_with(json!({"trusted_proxies": [PROXY]}), async |app| {
        let send = async |id: &str| {
            app.send(Method::Get, "/healthz", &[("X-Request-Id", id)], "")
                .await
        };
        assert_eq!(
            send("proxy-1.2_3").await.header("X-Request-Id"),
            Some("proxy-1.2_3")
        );
        assert_ne!(send("a b").await.header("X-Request-Id"), Some("a b"));
    });
}

#[test]
fn other_spellings_of_a_path_have_the_same_guard_or_are_not_found() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let token = app.login("root", "laptop").await;
        let bearer = format!("Bearer {token}");
        for path in [
            "//auth/me",
            "/%61uth/me",
            "/auth//me/",
            "/auth/./me",
            "/auth/x/../me",
            "/AUTH/me",
            "/auth/Me",
            "/auth/me.",
            "/auth/me..",
            "/auth;/me",
            "/auth/me;x=y",
            "/auth/me%2f",
            "/auth%2fme",
            "/auth/me%00",
            "/auth/me%20",
            "/auth/me/?token=x",
        ] {
            let unauthenticated = app.send(Method::Get, path, &[], "").await;
            assert!(
                [Status::Unauthorized, Status::NotFound].contains(&unauthenticated.status),
                "{path}: {}",
                unauthenticated.status
            );
            let known = [("Authorization", bearer.as_str())];
            let user = app.send(Method::Get, path, &known, "").await.status;
            let same_guard = unauthenticated.status == Status::Unauthorized;
            assert_eq!(user == Status::Ok, same_guard, "{path}: {user}");
        }
        for path in [
            "//admin",
            "/%61dmin/users",
            "/admin/..;/users",
            "/admin/..;/admin/users",
            "/admin/.",
            "/admin/..",
            "/admin/../admin/users",
            "/admin/%2e%2e/admin/users",
            "/admin;/users",
            "/admin/users;.css",
            "/admin/users.",
            "/admin/users%20",
            "/admin//users",
            "/admin%2fusers",
            "/%2fadmin/users",
            "/admin%00",
            "/ADMIN/",
            "/Admin/users",
            "/admin./",
            "/static/../admin/users",
            "/static/..%2fadmin",
        ] {
            let unauthenticated = app.send(Method::Get, path, &[], "").await;
            let location = unauthenticated.header("Location").unwrap_or_default();
            let guarded =
                unauthenticated.status == Status::SeeOther && location.starts_with("/admin/login");
            assert!(
                guarded || unauthenticated.status == Status::NotFound,
                "{path}: {} {location}",
                unauthenticated.status
            );
            let admin = app.page(path, &cookie).await.status;
            assert!(
                [Status::Ok, Status::NotFound].contains(&admin),
                "{path}: {admin}"
            );
        }
    });
}

#[test]
fn readiness_requires_the_current_schema_and_health_does_not() {
    on_both(async |app| {
        let ready = app.get("/readyz", "").await;
        assert_eq!(ready.status, Status::Ok);
        assert_eq!(ready.text, r#"{"status":"ok"}"#, "no details");
        app.execute("UPDATE _sqlx_migrations SET version = 99 WHERE version = 1")
            .await;
        assert_eq!(
            app.get("/readyz", "").await.status,
            Status::ServiceUnavailable
        );
        assert_eq!(app.get("/healthz", "").await.status, Status::Ok);
    });
}

#[test]
fn no_files_outside_the_static_folder_are_served() {
    on_both(async |app| {
        for path in [
            "/static",
            "/static/",
            "/static/.",
            "/static/../Cargo.toml",
            "/static/%2e%2e/Cargo.toml",
            "/static/..%2fCargo.toml",
            "/static/.git/config",
            "/.git/config",
            "/static/admin.css/",
        ] {
            let response = app.send(Method::Get, path, &[], "").await;
            let is_sheet = response.text.contains("The admin's pages");
            assert!(response.status == Status::NotFound || is_sheet, "{path}");
            assert!(!response.text.contains("[package]"), "{path}");
        }
    });
}

#[test]
fn a_form_field_cannot_change_the_method() {
    on_both(async |app| {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        for (method, body, status) in [
            // A form field cannot change the method of a POST.
            (Method::Post, "_method=get", Status::MethodNotAllowed),
            (Method::Post, "_method=HEAD&x=y", Status::MethodNotAllowed),
            (Method::Post, "&_method=head", Status::MethodNotAllowed),
            (Method::Post, "[_method]=get", Status::MethodNotAllowed),
            (Method::Post, "._method=get", Status::MethodNotAllowed),
            (Method::Post, "_method[=get", Status::MethodNotAllowed),
            (Method::Post, "x=y", Status::MethodNotAllowed),
            // Other methods never become a POST.
            (Method::Get, "_method=post", Status::Ok),
            (Method::Get, "_method=put", Status::Ok),
            (Method::Put, "_method=get", Status::MethodNotAllowed),
        ] {
            let response = app.send(method, "/healthz", &form, body).await;
            assert_eq!(response.status, status, "{method} {body}");
            assert!(!response.text.is_empty(), "{method} {body}");
        }
    });
}

/// A route with an optional user, which fails for its own reasons.
#[get("/with-or-without")]
fn optional_user(user: Option<User>) -> Result<(), Error> {
    Err(user.map_or(Error::Overloaded, |_| Error::NotFound))
}

#[test]
fn the_routes_own_error_is_returned_and_not_the_guards() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite(folder.path());
        let rocket = crate::rocket(figment(&url, &json!({}))).unwrap();
        let rocket = rocket.mount("/auth", routes![optional_user]);
        let client = Client::untracked(rocket).await.unwrap();
        let response = client.get("/auth/with-or-without").dispatch().await;
        assert_eq!(response.status(), Status::ServiceUnavailable);
        assert_eq!(response.headers().get_one("Retry-After"), Some("1"));
        assert_eq!(response.headers().get_one("WWW-Authenticate"), None);
    });
}
