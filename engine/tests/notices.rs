//! Notices by mail about a user's account.

use rocket::http::{Method, Status};
use rocket_multitoken::models::user::Role;
use serde_json::json;

use crate::mail::mails;
use crate::support::app::PROXY;
use crate::support::{App, PASSWORD, on_both_with};

const ALICE_EMAIL: &str = "alice@example.com";

/// Creates alice with a verified address.
async fn create_alice(app: &App) {
    app.user("alice", Role::User).await;
    app.execute(format!(
        "UPDATE users SET email = '{ALICE_EMAIL}', email_key = '{ALICE_EMAIL}', email_verified_at = 1
         WHERE username = 'alice'"
    ))
    .await;
}

/// The mails to alice, latest first.
async fn notices(app: &App, count: usize) -> Vec<String> {
    mails(app, ALICE_EMAIL, count).await
}

#[test]
fn a_sign_in_from_a_new_address_sends_one_notice() {
    on_both_with(json!({ "trusted_proxies": [PROXY] }), async |app| {
        create_alice(&app).await;
        // The first sign-in ever sends no notice.
        app.login("alice", "laptop").await;
        app.try_login_from("192.0.2.7", "alice", PASSWORD).await;
        let mail = notices(&app, 1).await.remove(0);
        assert!(
            mail.contains("New sign-in") && mail.contains("192.0.2.7"),
            "{mail}"
        );
        app.try_login_from("192.0.2.7", "alice", PASSWORD).await;
        notices(&app, 1).await;
    });
}

#[test]
fn a_sign_in_with_another_app_or_system_sends_a_notice_but_an_update_does_not() {
    on_both_with(json!({}), async |app| {
        create_alice(&app).await;
        let login = async |agent: &str| {
            let body = json!({ "username": "alice", "password": PASSWORD, "client": "laptop" });
            let headers = [("Content-Type", "application/json"), ("User-Agent", agent)];
            let response = app
                .send(Method::Post, "/auth/login/", &headers, body.to_string())
                .await;
            assert_eq!(response.status, Status::Ok, "{}", response.text);
        };
        let firefox = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0";
        login(firefox).await;
        login(&firefox.replace("140", "141")).await;
        notices(&app, 0).await;
        login("Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0").await;
        let mail = notices(&app, 1).await.remove(0);
        assert!(mail.contains("Device: Firefox on Linux"), "{mail}");
        login(firefox).await;
        notices(&app, 1).await;
    });
}

#[test]
fn twenty_failures_in_a_row_send_a_notice_and_nineteen_do_not() {
    let settings =
        json!({ "login_failures_per_account": 1000, "login_failures_per_address": 1000 });
    on_both_with(settings, async |app| {
        create_alice(&app).await;
        for _ in 0..19 {
            app.try_login("alice", "wrong", "laptop").await;
        }
        notices(&app, 0).await;
        app.try_login("alice", "wrong", "laptop").await;
        let mail = notices(&app, 1).await.remove(0);
        assert!(mail.contains("failed attempts"), "{mail}");
    });
}

#[test]
fn revocations_by_an_admin_send_one_notice() {
    on_both_with(json!({}), async |app| {
        create_alice(&app).await;
        app.user("root", Role::Admin).await;
        for client in ["laptop", "phone", "script"] {
            app.login("alice", client).await;
        }
        let admin = app.admin_login("root").await;
        for id in app.texts("SELECT id FROM tokens WHERE kind = 'api'").await {
            let path = format!("/admin/tokens/{id}/revoke");
            let done = app.submit(&path, &admin, &[("confirm", "yes")]).await;
            assert_eq!(done.status, Status::SeeOther);
        }
        let mail = notices(&app, 1).await.remove(0);
        assert!(mail.contains("An admin signed"), "{mail}");
    });
}

#[test]
fn a_changed_password_sends_a_notice() {
    on_both_with(json!({}), async |app| {
        create_alice(&app).await;
        let token = app.login("alice", "laptop").await;
        let change =
            json!({ "current_password": PASSWORD, "new_password": "a staple for every horse" });
        let done = app.post("/auth/password/", &token, change).await;
        assert_eq!(done.status, Status::Ok);
        let mail = notices(&app, 1).await.remove(0);
        assert!(mail.contains("must sign in again"), "{mail}");
    });
}

#[test]
fn tokens_expiring_within_a_week_are_listed_in_a_single_notice() {
    on_both_with(json!({}), async |app| {
        create_alice(&app).await;
        for client in ["laptop", "phone", "script", "tablet", "watch"] {
            app.login("alice", client).await;
        }
        app.execute(
            "UPDATE tokens SET created_at = created_at - 80 * 86400, expires_at = expires_at - 85 * 86400,
                               ends_at = expires_at - 85 * 86400 WHERE client <> 'watch'",
        )
        .await;
        app.execute("UPDATE tokens SET ends_at = expires_at WHERE client <> 'watch'")
            .await;
        let outbox = &app.auth().outbox;
        outbox.warn_of_expiry().await.unwrap();
        outbox.warn_of_expiry().await.unwrap();
        let mail = notices(&app, 1).await.remove(0);
        for client in ["laptop", "phone", "script", "tablet"] {
            assert!(mail.contains(&format!("- {client}: 20")), "{mail}");
        }
        assert!(!mail.contains("watch"), "{mail}");
    });
}

#[test]
fn signing_out_ends_both_browser_sessions() {
    on_both_with(json!({}), async |app| {
        app.user("root", Role::Admin).await;
        for sign_out in ["/account/logout", "/admin/logout"] {
            let admin = app.admin_login("root").await;
            let cookies = format!("{admin}; {}", app.account_login("root").await);
            let done = app.submit(sign_out, &cookies, &[]).await;
            assert_eq!(done.status, Status::SeeOther);
            for path in ["/account/", "/admin/"] {
                let page = app.page(path, &cookies).await;
                assert_eq!(page.status, Status::SeeOther, "{path} after {sign_out}");
            }
            assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, 0);
        }
    });
}

#[test]
fn another_spelling_of_an_address_does_not_reveal_an_account() {
    on_both_with(json!({}), async |app| {
        create_alice(&app).await;
        for name in [ALICE_EMAIL, "nobody@example.com"] {
            for _ in 0..10 {
                app.try_login(name, "wrong", "laptop").await;
            }
            let again = app.try_login(name, "wrong", "laptop").await;
            assert_eq!(again.status, Status::TooManyRequests, "{name}");
            let other = app.try_login(&name.to_uppercase(), "wrong", "laptop").await;
            assert_eq!(other.status, Status::BadRequest, "{name}");
        }
    });
}
