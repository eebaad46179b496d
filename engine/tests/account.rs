//! Actions of an admin on a user's account, and when they require the admin's password.

use std::time::Duration;

use rocket::http::Status;
use rocket_multitoken::models::user::Role;
use serde_json::json;

use crate::support::admin::stale_session;
use crate::support::app::Response;
use crate::support::{App, PASSWORD, on_both, on_both_with};

const NEW_PASSWORD: &str = "another horse battery";

async fn submit_confirmed(
    app: &App,
    path: &str,
    cookie: &str,
    fields: &[(&str, &str)],
) -> Response {
    let mut all = vec![("confirm", "yes")];
    all.extend(fields);
    app.submit(path, cookie, &all).await
}

#[test]
fn setting_a_users_password_revokes_that_users_tokens_only() {
    on_both(async |app| {
        let root = app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let (token, bobs_token) = (
            app.login("alice", "laptop").await,
            app.login("bob", "laptop").await,
        );
        let cookie = app.admin_login("root").await;
        let path = format!("/admin/users/{alice}/password");
        assert!(app.page(&path, &cookie).await.text.contains("alice"));
        for weak in ["", "short", "password", "alice-in-chains"] {
            let refused = submit_confirmed(&app, &path, &cookie, &[("password", weak)]).await;
            assert_eq!(refused.status, Status::BadRequest, "{weak}");
            assert!(refused.text.contains("role=\"alert\""));
        }
        assert!(
            app.works(&token).await,
            "a refused password revokes nothing"
        );
        let done = submit_confirmed(&app, &path, &cookie, &[("password", NEW_PASSWORD)]).await;
        assert_eq!(done.status, Status::SeeOther, "{}", done.text);
        assert!(!app.works(&token).await && app.works(&bobs_token).await);
        let old = app.try_login("alice", PASSWORD, "laptop").await;
        assert_eq!(old.status, Status::BadRequest);
        let new = app.try_login("alice", NEW_PASSWORD, "laptop").await;
        assert_eq!(new.status, Status::Ok);
        // Changing your own password keeps the current session.
        let own = format!("/admin/users/{root}/password");
        let scripts = app.login("root", "script").await;
        let fields = [("password", NEW_PASSWORD), ("current_password", PASSWORD)];
        let cookie = submit_confirmed(&app, &own, &cookie, &fields)
            .await
            .cookie();
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);
        assert!(!app.works(&scripts).await);
        let reasons = "SELECT DISTINCT reason FROM events WHERE action = 'token.revoked'";
        assert_eq!(app.texts(reasons).await, ["password"]);
    });
}

#[test]
fn changing_your_own_password_requires_the_current_one() {
    on_both(async |app| {
        let root = app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let cookie = app.admin_login("root").await;
        let path = |user| format!("/admin/users/{user}/password");
        let own = path(root);
        let asks_for_password = |page: Response| page.text.contains("name=\"current_password\"");
        assert!(
            asks_for_password(app.page(&own, &cookie).await),
            "required even right after sign-in"
        );
        assert!(!asks_for_password(app.page(&path(alice), &cookie).await));
        for (current, complaint) in [
            ("", "Enter your current password."),
            ("wrong", "password is incorrect"),
            (NEW_PASSWORD, "password is incorrect"),
        ] {
            let fields = [("password", NEW_PASSWORD), ("current_password", current)];
            let refused = submit_confirmed(&app, &own, &cookie, &fields).await;
            assert_eq!(refused.status, Status::BadRequest, "{current}");
            assert!(refused.text.contains(complaint), "{}", refused.text);
            assert!(asks_for_password(refused));
        }
        let absent = submit_confirmed(&app, &own, &cookie, &[("password", NEW_PASSWORD)]).await;
        assert_eq!(absent.status, Status::BadRequest);
        let refused = app.try_login("root", NEW_PASSWORD, "x").await;
        assert_eq!(
            refused.status,
            Status::BadRequest,
            "a refused change has no effect"
        );
        // A failed attempt with the right current password does not confirm it for the next one.
        let fields = [("password", "short"), ("current_password", PASSWORD)];
        let short = submit_confirmed(&app, &own, &cookie, &fields).await;
        assert!(
            short.text.contains("too short") && asks_for_password(short),
            "the new password is refused"
        );
        let cookie = app.admin_login("root").await;
        let fields = [("password", NEW_PASSWORD), ("current_password", PASSWORD)];
        let done = submit_confirmed(&app, &own, &cookie, &fields).await;
        assert_eq!(done.status, Status::SeeOther, "{}", done.text);
        let old = app.try_login("root", PASSWORD, "x").await;
        assert_eq!(old.status, Status::BadRequest);
        assert_eq!(
            app.try_login("root", NEW_PASSWORD, "x").await.status,
            Status::Ok
        );
        assert_eq!(app.page("/admin/", &done.cookie()).await.status, Status::Ok);
    });
}

#[test]
fn an_admin_creates_users_and_invalid_input_creates_none() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        assert_eq!(
            app.page("/admin/users/new", &cookie).await.status,
            Status::Ok
        );
        for (name, password, complaint) in [
            ("", PASSWORD, "may not be blank"),
            ("a\u{202e}b", PASSWORD, "Control characters"),
            ("ROOT", PASSWORD, "already exists"),
            ("alice", "password", "too common"),
            ("alice", "", "too short"),
        ] {
            let fields = [("username", name), ("password", password)];
            let again = app.submit("/admin/users/new", &cookie, &fields).await;
            assert_eq!(again.status, Status::BadRequest, "{name} {password}");
            assert!(
                again.text.contains(complaint),
                "{complaint}: {}",
                again.text
            );
        }
        let fields = |name, role| [("username", name), ("password", PASSWORD), ("role", role)];
        let emperor = fields("bob", "emperor");
        let again = app.submit("/admin/users/new", &cookie, &emperor).await;
        assert_eq!(again.status, Status::BadRequest);
        assert!(again.text.contains("Select a valid choice."));
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 1);
        for (name, role) in [("alice", "user"), ("boss", "admin"), ("bob", "")] {
            let fields = fields(name, role);
            let created = app.submit("/admin/users/new", &cookie, &fields).await;
            let location = created.header("Location").unwrap();
            assert!(location.starts_with("/admin/users/"), "{location}");
            app.login(name, "laptop").await;
        }
        // Creating an admin is as sensitive as promoting one.
        let stale = stale_session(&app).await;
        let fields = [("username", "x"), ("password", PASSWORD), ("role", "admin")];
        let prompt = app.submit("/admin/users/new", &stale, &fields).await;
        assert_eq!(prompt.status, Status::BadRequest);
        assert!(prompt.text.contains("current_password"));
        let roles = app.texts("SELECT username || ' ' || role FROM users ORDER BY id");
        assert_eq!(
            roles.await,
            ["root admin", "alice user", "boss admin", "bob user"]
        );
    });
}

#[test]
fn an_admin_promotes_and_demotes_users_and_deletes_them_only_once_confirmed() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        let cookie = app.admin_login("root").await;
        let path = |action: &str| format!("/admin/users/{alice}/{action}");
        submit_confirmed(&app, &path("promote"), &cookie, &[]).await;
        let alice_cookie = app.admin_login("alice").await;
        assert_eq!(app.page("/admin/", &alice_cookie).await.status, Status::Ok);
        submit_confirmed(&app, &path("demote"), &cookie, &[]).await;
        assert_eq!(
            app.page("/admin/", &alice_cookie).await.status,
            Status::SeeOther
        );
        assert!(app.works(&token).await, "API tokens keep working");

        let prompt = app.submit(&path("delete"), &cookie, &[]).await;
        assert_eq!(prompt.status, Status::Ok, "asks for confirmation");
        assert!(app.works(&token).await && prompt.text.contains("Delete"));
        let done = submit_confirmed(&app, &path("delete"), &cookie, &[]).await;
        assert_eq!(done.header("Location"), Some("/admin/users"));
        assert!(!app.works(&token).await);
        let gone = submit_confirmed(&app, &path("delete"), &cookie, &[]).await;
        assert_eq!(gone.status, Status::NotFound);
        let actions = app
            .texts("SELECT action FROM events WHERE subject_name = 'alice' ORDER BY id")
            .await;
        for action in [
            "user.promoted",
            "user.demoted",
            "token.revoked",
            "user.deleted",
        ] {
            assert!(actions.iter().any(|line| line == action), "{actions:?}");
        }
        let nothing = app.page(&path("explode"), &cookie).await;
        assert_eq!(nothing.status, Status::NotFound);
    });
}

#[test]
fn sensitive_actions_require_the_password_after_15_minutes_and_others_never() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        let path = |action: &str| format!("/admin/users/{alice}/{action}");
        for action in ["promote", "password", "revoke-tokens", "delete"] {
            let cookie = stale_session(&app).await;
            let page = app.page(&path(action), &cookie).await;
            assert!(page.text.contains("current_password"), "{action}");
            for wrong in ["wrong", ""] {
                let fields = [("password", NEW_PASSWORD), ("current_password", wrong)];
                let refused = submit_confirmed(&app, &path(action), &cookie, &fields).await;
                assert_eq!(refused.status, Status::BadRequest, "{action}");
                let why = if wrong.is_empty() {
                    "Enter your current password."
                } else {
                    "password is incorrect"
                };
                assert!(refused.text.contains(why));
            }
            assert!(app.works(&token).await, "{action} was refused");
        }
        let roles = app
            .texts("SELECT role FROM users WHERE username = 'alice'")
            .await;
        assert_eq!(roles, ["user"]);
        // Other actions require no password.
        for action in ["disable", "enable", "demote"] {
            let cookie = stale_session(&app).await;
            let page = app.page(&path(action), &cookie).await;
            assert!(!page.text.contains("current_password"), "{action}");
            let done = submit_confirmed(&app, &path(action), &cookie, &[]).await;
            assert_eq!(done.status, Status::SeeOther, "{action}");
        }
    });
}

#[test]
fn confirming_the_password_lasts_15_minutes_and_replaces_the_session_token() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let cookie = stale_session(&app).await;
        // Long enough for the process to cache the token and confirm the entry.
        for _ in 0..4 {
            app.page("/admin/", &cookie).await;
            rocket::tokio::time::sleep(Duration::from_millis(80)).await;
        }
        let path = format!("/admin/users/{alice}/revoke-tokens");
        let done = submit_confirmed(&app, &path, &cookie, &[("current_password", PASSWORD)]).await;
        assert_eq!(done.status, Status::SeeOther);
        let set = done
            .headers
            .iter()
            .find(|(name, value)| name == "set-cookie" && value.contains("multitoken_admin_8000="));
        let renewed = set.unwrap().1.split(';').next().unwrap().to_owned();
        assert_ne!(renewed, cookie);
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::SeeOther);
        assert_eq!(app.page("/admin/", &renewed).await.status, Status::Ok);
        let page = app.page(&path, &renewed).await;
        assert!(!page.text.contains("current_password"));
        let again = submit_confirmed(&app, &path, &renewed, &[]).await;
        assert_eq!(again.status, Status::SeeOther);
        let sessions = "SELECT COUNT(*) FROM tokens WHERE kind = 'admin'";
        assert_eq!(app.number(sessions).await, 1);
    });
}

#[test]
fn guesses_at_the_current_password_are_throttled_and_change_nothing() {
    on_both_with(json!({"login_failures_per_account": 3}), async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let cookie = stale_session(&app).await;
        let path = format!("/admin/users/{alice}/delete");
        for _ in 0..3 {
            let wrong =
                submit_confirmed(&app, &path, &cookie, &[("current_password", "wrong")]).await;
            assert_eq!(wrong.status, Status::BadRequest);
        }
        let stopped =
            submit_confirmed(&app, &path, &cookie, &[("current_password", PASSWORD)]).await;
        assert_eq!(stopped.status, Status::TooManyRequests);
        assert!(stopped.header("Retry-After").is_some());
        let users = "SELECT COUNT(*) FROM users";
        assert_eq!(app.number(users).await, 2);
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);
    });
}

#[test]
fn an_action_that_fails_after_confirming_the_password_keeps_the_session() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let cookie = stale_session(&app).await;
        // Break the action after the password check.
        app.execute("ALTER TABLE events RENAME COLUMN reason TO gone")
            .await;
        let path = format!("/admin/users/{alice}/promote");
        let fields = [("current_password", PASSWORD)];
        let broken = submit_confirmed(&app, &path, &cookie, &fields).await;
        app.execute("ALTER TABLE events RENAME COLUMN gone TO reason")
            .await;
        assert_eq!(broken.status, Status::SeeOther);
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::SeeOther);
        let renewed = broken.cookie();
        let page = app.page("/admin/users", &renewed).await;
        assert_eq!(page.status, Status::Ok);
        assert!(
            page.text.contains("temporarily unavailable"),
            "{}",
            page.text
        );
        let cookie = stale_session(&app).await;
        // The last admin cannot be deleted. The message appears in the renewed session.
        let root = app
            .texts("SELECT id FROM users WHERE username = 'root'")
            .await;
        let path = format!("/admin/users/{}/delete", root[0]);
        let refused = submit_confirmed(&app, &path, &cookie, &fields).await;
        assert_eq!(refused.status, Status::SeeOther);
        let renewed = refused.cookie();
        let page = app.page("/admin/users", &renewed).await;
        assert_eq!(page.status, Status::Ok);
        assert!(page.text.contains("last active admin"), "{}", page.text);
    });
}
