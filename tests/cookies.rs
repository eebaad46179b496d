//! The cookies of the admin: how they are made, and that nothing else passes for one.

use multitoken::models::user::Role;
use rocket::http::{Method, Status};
use serde_json::json;

use crate::support::{App, PASSWORD, on_both, on_both_with};

async fn status(app: &App, cookies: &[&str]) -> Status {
    let headers: Vec<_> = cookies.iter().map(|value| ("Cookie", *value)).collect();
    app.send(Method::Get, "/admin/", &headers, "").await.status
}

#[test]
fn every_cookie_is_for_this_host_for_https_and_not_for_scripts() {
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
        assert!(shown.text.contains("is enabled"), "{}", shown.text);
        let out = app.submit("/admin/logout", &cookie, &[]).await;
        let mut seen = 0;
        for answer in [&login, &flash, &shown, &out] {
            let set = answer
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
fn without_https_they_are_the_same_but_for_what_needs_it() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let fields = [("username", "root"), ("password", PASSWORD)];
        let login = app.submit("/admin/login", "", &fields).await;
        let set = login.header("Set-Cookie").unwrap();
        assert!(set.starts_with("multitoken_admin=mtk_") && !set.contains("Secure"));
        for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(set.contains(part), "{part} is missing in {set}");
        }
    });
}

#[test]
fn a_cookie_by_another_spelling_of_the_name_is_no_cookie_of_ours() {
    let settings = json!({"public_url": "https://app.example.com"});
    on_both_with(settings, async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let token = cookie.split_once('=').unwrap().1;
        assert_eq!(status(&app, &[&cookie]).await, Status::Ok);
        // Names like these any host of the domain may set: to a browser they have no prefix.
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
            let beside = format!("{cookie}; {name}=mtk_x");
            assert_eq!(status(&app, &[&beside]).await, Status::Ok, "{name}");
        }
        let twice = format!("{cookie}; __Host-multitoken_admin=mtk_x");
        assert_eq!(status(&app, &[&twice]).await, Status::SeeOther);
    });
}

#[test]
fn signing_in_gives_a_new_token_and_ends_the_one_the_browser_had() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let first = app.admin_login("root").await;
        let fields = [("username", "root"), ("password", PASSWORD)];
        let second = app.submit("/admin/login", &first, &fields).await.cookie();
        assert_ne!(first, second);
        assert_eq!(status(&app, &[&first]).await, Status::SeeOther);
        assert_eq!(status(&app, &[&second]).await, Status::Ok);
        assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, 1);
        // A token that somebody else planted is not taken over.
        let planted = "multitoken_admin=mtk_planted";
        let third = app.submit("/admin/login", planted, &fields).await.cookie();
        assert!(!third.contains("planted"));
    });
}

#[test]
fn an_admins_session_ends_by_disuse_and_after_its_life() {
    let settings = json!({"admin_session_ttl": "8h", "admin_idle_ttl": "30m"});
    on_both_with(settings, async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let ends = "SELECT ends_at - created_at FROM tokens";
        assert_eq!(app.number(ends).await, 30 * 60);
        let life = "SELECT expires_at - created_at FROM tokens";
        assert_eq!(app.number(life).await, 8 * 60 * 60);
        // However much it is used, the absolute end stays.
        app.execute("UPDATE tokens SET expires_at = created_at + 60")
            .await;
        assert_eq!(status(&app, &[&cookie]).await, Status::Ok);
        app.auth().flush_usage().await.unwrap();
        assert_eq!(app.number(ends).await, 60);
        app.execute("UPDATE tokens SET ends_at = created_at").await;
        assert_eq!(status(&app, &[&cookie]).await, Status::SeeOther);
    });
}

#[test]
fn a_sentence_that_somebody_else_wrote_is_not_shown() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        for planted in [
            "multitoken_flash=success:Call%20me%20at%20evil.example",
            "_flash=7:successCall me",
            "_flash=1:%C3%A9",
            "multitoken_flash=%C3%A9",
        ] {
            let both = format!("{cookie}; {planted}");
            let page = app.page("/admin/", &both).await;
            assert_eq!(page.status, Status::Ok, "{planted}");
            assert!(!page.text.contains("Call"), "{planted}");
            assert_eq!(app.page("/admin/login", planted).await.status, Status::Ok);
        }
    });
}
