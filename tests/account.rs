//! What an admin does to a user's account, and when the own password is asked for again.

use std::time::Duration;

use multitoken::models::user::Role;
use rocket::http::Status;
use serde_json::json;

use crate::support::app::Answer;
use crate::support::{App, PASSWORD, on_both, on_both_with};

const NEW: &str = "another horse battery";

/// An admin's session whose password was last given over 15 minutes ago.
pub async fn stale_session(app: &App) -> String {
    let cookie = app.admin_login("root").await;
    app.execute(
        "UPDATE tokens SET created_at = created_at - 901, confirmed_at = NULL
         WHERE kind = 'admin'",
    )
    .await;
    cookie
}

async fn act(app: &App, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let mut all = vec![("confirm", "yes")];
    all.extend(fields);
    app.submit(path, cookie, &all).await
}

#[test]
fn an_admin_sets_a_password_which_ends_that_users_tokens_only() {
    on_both(async |app| {
        let root = app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let (token, bobs) = (
            app.login("alice", "laptop").await,
            app.login("bob", "laptop").await,
        );
        let cookie = app.admin_login("root").await;
        let path = format!("/admin/users/{alice}/password");
        assert!(app.page(&path, &cookie).await.text.contains("alice"));
        for weak in ["", "short", "password", "alice-in-chains"] {
            let refused = act(&app, &path, &cookie, &[("password", weak)]).await;
            assert_eq!(refused.status, Status::BadRequest, "{weak}");
            assert!(refused.text.contains("role=\"alert\""));
        }
        assert!(app.works(&token).await, "nothing has changed so far");
        let done = act(&app, &path, &cookie, &[("password", NEW)]).await;
        assert_eq!(done.status, Status::SeeOther, "{}", done.text);
        assert!(!app.works(&token).await && app.works(&bobs).await);
        let old = app.try_login("alice", PASSWORD, "laptop").await;
        assert_eq!(old.status, Status::BadRequest);
        let new = app.try_login("alice", NEW, "laptop").await;
        assert_eq!(new.status, Status::Ok);
        // One's own password spares the session that one is in.
        let own = format!("/admin/users/{root}/password");
        let scripts = app.login("root", "script").await;
        let fields = [("password", NEW), ("current_password", PASSWORD)];
        let cookie = act(&app, &own, &cookie, &fields).await.cookie();
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);
        assert!(!app.works(&scripts).await);
        let reasons = "SELECT DISTINCT reason FROM events WHERE action = 'token.revoked'";
        assert_eq!(app.texts(reasons).await, ["password"]);
    });
}

#[test]
fn ones_own_password_is_set_with_the_current_one_only() {
    on_both(async |app| {
        let root = app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let cookie = app.admin_login("root").await;
        let path = |user| format!("/admin/users/{user}/password");
        let own = path(root);
        let asks = |page: Answer| page.text.contains("name=\"current_password\"");
        assert!(asks(app.page(&own, &cookie).await), "however fresh");
        assert!(!asks(app.page(&path(alice), &cookie).await));
        for (current, complaint) in [
            ("", "Enter your current password, too."),
            ("wrong", "not your current password"),
            (NEW, "not your current password"),
        ] {
            let fields = [("password", NEW), ("current_password", current)];
            let refused = act(&app, &own, &cookie, &fields).await;
            assert_eq!(refused.status, Status::BadRequest, "{current}");
            assert!(refused.text.contains(complaint), "{}", refused.text);
            assert!(asks(refused));
        }
        let absent = act(&app, &own, &cookie, &[("password", NEW)]).await;
        assert_eq!(absent.status, Status::BadRequest);
        let refused = app.try_login("root", NEW, "x").await;
        assert_eq!(
            refused.status,
            Status::BadRequest,
            "nothing has changed so far"
        );
        // Having been asked for it does not make it fresh for this.
        let fields = [("password", "short"), ("current_password", PASSWORD)];
        let short = act(&app, &own, &cookie, &fields).await;
        assert!(
            short.text.contains("too short") && asks(short),
            "the new one is refused"
        );
        let cookie = app.admin_login("root").await;
        let fields = [("password", NEW), ("current_password", PASSWORD)];
        let done = act(&app, &own, &cookie, &fields).await;
        assert_eq!(done.status, Status::SeeOther, "{}", done.text);
        let old = app.try_login("root", PASSWORD, "x").await;
        assert_eq!(old.status, Status::BadRequest);
        assert_eq!(app.try_login("root", NEW, "x").await.status, Status::Ok);
        assert_eq!(app.page("/admin/", &done.cookie()).await.status, Status::Ok);
    });
}

#[test]
fn an_admin_makes_users_and_is_told_what_is_unfit() {
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
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 1);
        for (name, role) in [("alice", "user"), ("boss", "admin"), ("bob", "emperor")] {
            let fields = [("username", name), ("password", PASSWORD), ("role", role)];
            let made = app.submit("/admin/users/new", &cookie, &fields).await;
            let location = made.header("Location").unwrap();
            assert!(location.starts_with("/admin/users/"), "{location}");
            app.login(name, "laptop").await;
        }
        // Making an admin is as grave as promoting one.
        let stale = stale_session(&app).await;
        let fields = [("username", "x"), ("password", PASSWORD), ("role", "admin")];
        let asked = app.submit("/admin/users/new", &stale, &fields).await;
        assert_eq!(asked.status, Status::BadRequest);
        assert!(asked.text.contains("current_password"));
        let roles = app.texts("SELECT username || ' ' || role FROM users ORDER BY id");
        assert_eq!(
            roles.await,
            ["root admin", "alice user", "boss admin", "bob user"]
        );
    });
}

#[test]
fn an_admin_promotes_demotes_and_deletes() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        let cookie = app.admin_login("root").await;
        let path = |action: &str| format!("/admin/users/{alice}/{action}");
        act(&app, &path("promote"), &cookie, &[]).await;
        let hers = app.admin_login("alice").await;
        assert_eq!(app.page("/admin/", &hers).await.status, Status::Ok);
        act(&app, &path("demote"), &cookie, &[]).await;
        assert_eq!(app.page("/admin/", &hers).await.status, Status::SeeOther);
        assert!(app.works(&token).await, "the API's tokens go on");

        let asked = app.submit(&path("delete"), &cookie, &[]).await;
        assert_eq!(asked.status, Status::Ok, "without a yes it asks");
        assert!(app.works(&token).await && asked.text.contains("Delete"));
        let done = act(&app, &path("delete"), &cookie, &[]).await;
        assert_eq!(done.header("Location"), Some("/admin/users"));
        assert!(!app.works(&token).await);
        let gone = act(&app, &path("delete"), &cookie, &[]).await;
        assert_eq!(gone.status, Status::NotFound);
        let trail = app
            .texts("SELECT action FROM events WHERE subject_name = 'alice' ORDER BY id")
            .await;
        for action in [
            "user.promoted",
            "user.demoted",
            "token.revoked",
            "user.deleted",
        ] {
            assert!(trail.iter().any(|line| line == action), "{trail:?}");
        }
        let nothing = app.page(&path("explode"), &cookie).await;
        assert_eq!(nothing.status, Status::NotFound);
    });
}

#[test]
fn grave_actions_ask_for_the_own_password_after_a_quarter_of_an_hour() {
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
                let fields = [("password", NEW), ("current_password", wrong)];
                let refused = act(&app, &path(action), &cookie, &fields).await;
                assert_eq!(refused.status, Status::BadRequest, "{action}");
                let why = if wrong.is_empty() {
                    "Enter your current password, too."
                } else {
                    "not your current password"
                };
                assert!(refused.text.contains(why));
            }
            assert!(app.works(&token).await, "{action} was refused");
        }
        let roles = app
            .texts("SELECT role FROM users WHERE username = 'alice'")
            .await;
        assert_eq!(roles, ["user"]);
        // The others don't ask.
        for action in ["disable", "enable", "demote"] {
            let cookie = stale_session(&app).await;
            let page = app.page(&path(action), &cookie).await;
            assert!(!page.text.contains("current_password"), "{action}");
            let done = act(&app, &path(action), &cookie, &[]).await;
            assert_eq!(done.status, Status::SeeOther, "{action}");
        }
    });
}

#[test]
fn the_password_given_again_counts_for_a_quarter_of_an_hour_and_renews_the_session() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let cookie = stale_session(&app).await;
        // Long enough to be remembered, and to be sure of it.
        for _ in 0..4 {
            app.page("/admin/", &cookie).await;
            rocket::tokio::time::sleep(Duration::from_millis(80)).await;
        }
        let path = format!("/admin/users/{alice}/revoke-tokens");
        let done = act(&app, &path, &cookie, &[("current_password", PASSWORD)]).await;
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
        let again = act(&app, &path, &renewed, &[]).await;
        assert_eq!(again.status, Status::SeeOther);
        let sessions = "SELECT COUNT(*) FROM tokens WHERE kind = 'admin'";
        assert_eq!(app.number(sessions).await, 1);
    });
}

#[test]
fn guessing_the_own_password_is_slowed_down_too() {
    on_both_with(json!({"login_failures_per_account": 3}), async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let cookie = stale_session(&app).await;
        let path = format!("/admin/users/{alice}/delete");
        for _ in 0..3 {
            let wrong = act(&app, &path, &cookie, &[("current_password", "wrong")]).await;
            assert_eq!(wrong.status, Status::BadRequest);
        }
        let stopped = act(&app, &path, &cookie, &[("current_password", PASSWORD)]).await;
        assert_eq!(stopped.status, Status::TooManyRequests);
        assert!(stopped.header("Retry-After").is_some());
        let users = "SELECT COUNT(*) FROM users";
        assert_eq!(app.number(users).await, 2);
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);
    });
}

#[test]
fn an_action_that_fails_after_the_password_was_given_again_keeps_the_session() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let cookie = stale_session(&app).await;
        // Something goes wrong in the middle of it.
        app.execute("ALTER TABLE events RENAME COLUMN reason TO gone")
            .await;
        let path = format!("/admin/users/{alice}/promote");
        let fields = [("current_password", PASSWORD)];
        let broken = act(&app, &path, &cookie, &fields).await;
        app.execute("ALTER TABLE events RENAME COLUMN gone TO reason")
            .await;
        assert_eq!(broken.status, Status::SeeOther);
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::SeeOther);
        let renewed = broken.cookie();
        let page = app.page("/admin/users", &renewed).await;
        assert_eq!(page.status, Status::Ok);
        assert!(
            page.text.contains("cannot answer right now"),
            "{}",
            page.text
        );
        let cookie = stale_session(&app).await;
        // The last admin, who may not be deleted, is told so in a session that goes on.
        let root = app
            .texts("SELECT id FROM users WHERE username = 'root'")
            .await;
        let path = format!("/admin/users/{}/delete", root[0]);
        let refused = act(&app, &path, &cookie, &fields).await;
        assert_eq!(refused.status, Status::SeeOther);
        let renewed = refused.cookie();
        let page = app.page("/admin/users", &renewed).await;
        assert_eq!(page.status, Status::Ok);
        assert!(page.text.contains("last active admin"), "{}", page.text);
    });
}
