//! The admin's cookies: their attributes, and cookies that must not be accepted as one.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use rocket::http::{Method, Status};
use rocket_multitoken::models::user::Role;
use serde_json::json;

use crate::support::app::Response;
use crate::support::server::{Server, cookies_of, sqlite};
use crate::support::{App, PASSWORD, on_both, on_both_with};

async fn status(app: &App, cookies: &[&str]) -> Status {
    let headers: Vec<_> = cookies.iter().map(|value| ("Cookie", *value)).collect();
    app.send(Method::Get, "/admin/", &headers, "").await.status
}

#[test]
fn every_cookie_is_secure_http_only_and_bound_to_the_host() {
    let settings = json!({"public_url": "https://app.example.com"});
    on_both_with(settings, async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let fields = [("username", "root"), ("password", PASSWORD)];
        let login = app.submit("/admin/login", "", &fields).await;
        let cookie = login.cookie();
        let path = format!("/admin/users/{alice}/enable");
        let flash = app.submit(&path, &cookie, &[]).await;
        let both = format!("{cookie}; {}", flash.cookie());
        let shown = app.page("/admin/", &both).await;
        assert!(shown.text.contains("was enabled"), "{}", shown.text);
        let out = app.submit("/admin/logout", &cookie, &[]).await;
        let mut seen = 0;
        for response in [&login, &flash, &shown, &out] {
            let set = response
                .headers
                .iter()
                .filter(|(name, _)| name == "set-cookie");
            for (_, cookie) in set {
                assert!(cookie.starts_with("__Host-multitoken_"), "{cookie}");
                for part in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
                    assert!(cookie.contains(part), "{part} is missing in {cookie}");
                }
                assert!(!cookie.contains("Domain"), "{cookie}");
                seen += 1;
            }
        }
        assert!(seen >= 5, "{seen} cookies");
    });
}

#[test]
fn without_https_cookies_lack_only_secure_and_the_host_prefix() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let fields = [("username", "root"), ("password", PASSWORD)];
        let login = app.submit("/admin/login", "", &fields).await;
        let set = login.header("Set-Cookie").unwrap();
        assert!(set.starts_with("multitoken_admin_8000=mtk_") && !set.contains("Secure"));
        for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(set.contains(part), "{part} is missing in {set}");
        }
    });
}

#[test]
fn a_cookie_name_ends_with_the_port_unless_it_is_the_default() {
    for (origin, name) in [
        ("https://app.example.com", "__Host-multitoken_admin"),
        ("https://app.example.com:443", "__Host-multitoken_admin"),
        (
            "https://app.example.com:8443",
            "__Host-multitoken_admin_8443",
        ),
        ("http://app.example.com:80", "multitoken_admin"),
        ("http://app.example.com:8080", "multitoken_admin_8080"),
    ] {
        on_both_with(json!({"public_url": origin}), async |app| {
            app.user("root", Role::Admin).await;
            let cookie = app.admin_login("root").await;
            assert_eq!(cookie.split_once('=').unwrap().0, name, "{origin}");
            assert_eq!(status(&app, &[&cookie]).await, Status::Ok);
            // The cookie of another instance on the host has no effect.
            let cookies = format!("multitoken_admin_9=mtk_x; {cookie}");
            assert_eq!(status(&app, &[&cookies]).await, Status::Ok);
        });
    }
}

#[test]
fn two_instances_on_one_host_do_not_sign_each_other_out() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    rocket::async_test(async {
        let one = Server::start(&sqlite(folders[0].path())).await;
        let two = Server::start(&sqlite(folders[1].path())).await;
        let mut jar = BTreeMap::new();
        for server in [&one, &two] {
            let create = ["user", "create", "root", "--admin", "--password-stdin"];
            assert!(server.run(&create, PASSWORD).status.success());
            let cookie = server.admin_cookie("root").await;
            let (name, value) = cookie.split_once('=').unwrap();
            // A browser keeps one cookie per name, regardless of the port.
            jar.insert(name.to_owned(), value.to_owned());
        }
        let pairs = jar.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = pairs.collect::<Vec<_>>().join("; ");
        for server in [&one, &two] {
            assert_eq!(server.get("/admin/users", &cookies).await.status(), 200);
        }
    });
}

/// Follows redirects and always sends these cookies, whatever the server sets. Returns the first target and the last
/// response.
async fn follow(app: &App, login: &Response, cookies: &str) -> (String, Response) {
    let first = login.header("Location").unwrap().to_owned();
    let mut response = app.page(&first, cookies).await;
    for _ in 0..3 {
        let Some(next) = response.header("Location").map(str::to_owned) else {
            break;
        };
        response = app.page(&next, cookies).await;
    }
    (first, response)
}

#[test]
fn a_browser_that_does_not_return_the_session_cookie_gets_an_explanation() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let fields = [("username", "root"), ("password", PASSWORD)];
        for next in ["", "?next=%2Fadmin%2Fusers%3Fq%3Da"] {
            let path = format!("/admin/login{next}");
            let login = app.submit(&path, "", &fields).await;
            assert_eq!(login.status, Status::SeeOther);
            let message = "did not return the session cookie";
            for cookies in ["", "multitoken_admin_8000=mtk_x", "other=1"] {
                let (_, page) = follow(&app, &login, cookies).await;
                assert_eq!(page.status, Status::Ok);
                assert!(page.text.contains(message), "{cookies}: {}", page.text);
                let action = format!("action=\"{path}\"");
                assert!(page.text.contains(&action) || next.is_empty(), "{action}");
            }
            // With the session cookie there is no message.
            let (first, page) = follow(&app, &login, &login.cookie()).await;
            assert_eq!(page.status, Status::Ok, "{first}");
            assert!(!page.text.contains(message) && page.text.contains("/admin/logout"));
            // Nor after the session was used, or some time after sign-in.
            app.auth().last_uses.flush().await.unwrap();
            let page = app.page(&path, "").await;
            assert!(page.text.contains("Sign in") && !page.text.contains(message));
            app.execute("UPDATE tokens SET last_used_at = 0").await;
            assert!(app.page(&path, "").await.text.contains(message));
            let earlier = "UPDATE tokens SET id = '01900000' || substr(id, 9)";
            app.execute(earlier).await;
            assert!(!app.page(&path, "").await.text.contains(message));
        }
        for path in ["/admin/login", "/admin/login?next=/admin/users"] {
            let page = app.page(path, "").await;
            assert!(!page.text.contains("session cookie"), "{path}");
        }
    });
}

/// Rocket drops a whole header that is not valid UTF-8.
#[test]
fn another_applications_binary_cookie_gets_an_explanation_and_no_redirect_loop() {
    let folder = tempfile::tempdir().unwrap();
    rocket::async_test(async {
        let server = Server::start(&sqlite(folder.path())).await;
        let create = ["user", "create", "root", "--admin", "--password-stdin"];
        assert!(server.run(&create, PASSWORD).status.success());
        let host = server.origin.trim_start_matches("http://").to_owned();
        let fields = [("username", "root"), ("password", PASSWORD)];
        let login = server.submit("/admin/login", "", &fields).await;
        let cookie = cookies_of(&login);
        let mut path = login.headers()["Location"].to_str().unwrap().to_owned();
        for _ in 0..3 {
            let mut request = format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: {cookie}; other="
            )
            .into_bytes();
            request.extend(b"\xff\r\n\r\n");
            let mut stream = TcpStream::connect(&host).unwrap();
            stream.write_all(&request).unwrap();
            let mut response = vec![];
            stream.read_to_end(&mut response).unwrap();
            let response = String::from_utf8(response).unwrap();
            let Some((_, rest)) = response.split_once("location: ") else {
                assert!(
                    response.contains("did not return the session cookie"),
                    "{response}"
                );
                return;
            };
            path = rest.lines().next().unwrap().to_owned();
        }
        panic!("it never ends: {path}");
    });
}

#[test]
fn a_cookie_with_another_spelling_of_the_name_is_ignored() {
    let settings = json!({"public_url": "https://app.example.com"});
    on_both_with(settings, async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let token = cookie.split_once('=').unwrap().1;
        assert_eq!(status(&app, &[&cookie]).await, Status::Ok);
        // Any host of the domain may set these: to a browser they have no `__Host-` prefix.
        for name in [
            "__Host%2Dmultitoken_admin",
            "__Host-multitoken_%61dmin",
            "%5F_Host-multitoken_admin",
            "multitoken_admin",
            "\u{2000}__Host-multitoken_admin",
            "\u{a0}__Host-multitoken_admin",
            "__Host-multitoken_admin\u{2003}",
            "__host-multitoken_admin",
        ] {
            let planted = format!("{name}={token}");
            assert_eq!(status(&app, &[&planted]).await, Status::SeeOther, "{name}");
            let cookies = format!("{cookie}; {name}=mtk_x");
            assert_eq!(status(&app, &[&cookies]).await, Status::Ok, "{name}");
        }
        let twice = format!("{cookie}; __Host-multitoken_admin=mtk_x");
        assert_eq!(status(&app, &[&twice]).await, Status::SeeOther);
    });
}

#[test]
fn signing_in_issues_a_new_token_and_revokes_the_browsers_previous_one() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let first = app.admin_login("root").await;
        let fields = [("username", "root"), ("password", PASSWORD)];
        let second = app.submit("/admin/login", &first, &fields).await.cookie();
        assert_ne!(first, second);
        assert_eq!(status(&app, &[&first]).await, Status::SeeOther);
        assert_eq!(status(&app, &[&second]).await, Status::Ok);
        assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, 1);
        // A planted token is not adopted (session fixation).
        let planted = "multitoken_admin_8000=mtk_planted";
        let third = app.submit("/admin/login", planted, &fields).await.cookie();
        assert!(!third.contains("planted"));
    });
}

#[test]
fn an_admin_session_has_an_idle_timeout_and_an_absolute_lifetime() {
    let settings = json!({"admin_session_ttl": "8h", "admin_idle_ttl": "30m"});
    on_both_with(settings, async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let ends = "SELECT ends_at - created_at FROM tokens";
        assert_eq!(app.number(ends).await, 30 * 60);
        let life = "SELECT expires_at - created_at FROM tokens";
        assert_eq!(app.number(life).await, 8 * 60 * 60);
        // Use does not extend the absolute lifetime.
        app.execute("UPDATE tokens SET expires_at = created_at + 60")
            .await;
        assert_eq!(status(&app, &[&cookie]).await, Status::Ok);
        app.auth().last_uses.flush().await.unwrap();
        assert_eq!(app.number(ends).await, 60);
        app.execute("UPDATE tokens SET ends_at = created_at").await;
        assert_eq!(status(&app, &[&cookie]).await, Status::SeeOther);
    });
}

#[test]
fn an_expired_session_is_explained_and_sign_in_returns_to_the_page() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        assert_eq!(status(&app, &[&cookie]).await, Status::Ok);
        app.auth().last_uses.flush().await.unwrap();
        app.execute("UPDATE tokens SET ends_at = created_at").await;
        let list = "/admin/tokens?client=laptop";
        let page = app.page(list, &cookie).await;
        let to_list = page.header("Location").unwrap().to_owned();
        assert!(to_list.contains("next=%2Fadmin%2Ftokens%3Fclient%3Dlaptop"));

        let post = async |referer: &str| {
            let headers = [
                ("Cookie", cookie.as_str()),
                ("Sec-Fetch-Site", "same-origin"),
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Referer", referer),
            ];
            let path = "/admin/tokens/revoke";
            let sent = app.send(Method::Post, path, &headers, "id=x").await;
            sent.header("Location").unwrap().to_owned()
        };
        let here = format!("http://127.0.0.1:8000{list}");
        assert_eq!(post(&here).await, to_list);
        for elsewhere in [
            "",
            "https://127.0.0.1:8000/admin/",
            "http://127.0.0.1:8000.evil.example/admin/",
            "http://127.0.0.1:80001/admin/",
        ] {
            assert_eq!(post(elsewhere).await, "/admin/login", "{elsewhere}");
        }

        let message = "Your session has expired.";
        let sign_in = app.page(&to_list, &cookie).await;
        assert!(sign_in.text.contains(message), "{}", sign_in.text);
        assert!(!app.page(&to_list, "").await.text.contains(message));
        let fields = [("username", "root"), ("password", PASSWORD)];
        let back = app.submit(&to_list, &cookie, &fields).await;
        assert_eq!(back.header("Location"), Some(list));
    });
}

#[test]
fn a_planted_flash_message_is_not_shown() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        for planted in [
            "multitoken_flash_8000=success:Call%20me%20at%20evil.example",
            "_flash=7:successCall me",
            "_flash=1:%C3%A9",
            "multitoken_flash_8000=%C3%A9",
        ] {
            let both = format!("{cookie}; {planted}");
            let page = app.page("/admin/", &both).await;
            assert_eq!(page.status, Status::Ok, "{planted}");
            assert!(!page.text.contains("Call"), "{planted}");
            assert_eq!(app.page("/admin/login", planted).await.status, Status::Ok);
        }
    });
}
