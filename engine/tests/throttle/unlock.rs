//! Unlocking an account that failed logins have locked, in the admin and on the command line.

use rocket::http::Status;
use rocket_multitoken::identity::UserId;
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::user::Role;
use serde_json::{Value, json};

use super::{behind_a_proxy, guess, is_throttled};
use crate::support::server::{Server, on_each_url, stderr, stdout};
use crate::support::{PASSWORD, on_both, on_both_with};

const UNLOCKED: &str = "SELECT COUNT(*) FROM events WHERE action = 'user.unlocked'";

#[test]
fn the_user_page_shows_the_lock_and_unlocks_only_once_confirmed() {
    on_both_with(behind_a_proxy(json!({})), async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let cookie = app.admin_login("root").await;
        let path = format!("/admin/users/{alice}");
        let page = async || app.page(&path, &cookie).await.text;
        let untouched = page().await;
        assert!(!untouched.contains("blocked") && !untouched.contains("/unlock"));

        let home = async |password| app.try_login_from("198.51.100.1", "alice", password).await;
        assert_eq!(home(PASSWORD).await.status, Status::Ok);
        for round in 0..2 {
            for _ in 0..10 {
                app.try_login_from("192.0.2.7", "alice", "wrong").await;
                if round == 1 {
                    home("wrong").await;
                }
            }
            let text = page().await;
            assert!(
                text.contains("Logins from unknown IP addresses are blocked until"),
                "{text}"
            );
            let failures = format!("{} consecutive failed logins", 10 * (round + 1));
            assert!(text.contains(&failures), "{text}");
            assert!(text.contains(&format!("{path}/unlock")));
            assert_eq!(
                text.contains("198.51.100.1</span> are blocked until"),
                round == 1
            );
            if round == 0 {
                app.execute("UPDATE attempts SET ends_at = 1").await;
                let between = page().await;
                assert!(!between.contains("blocked"), "the window is over");
                assert!(
                    between.contains("10, from unknown IP addresses"),
                    "{between}"
                );
            }
        }
        let away = async || app.try_login_from("192.0.2.7", "alice", PASSWORD).await;
        assert_eq!(away().await.status, Status::TooManyRequests);
        assert!(is_throttled(&home(PASSWORD).await));

        let question = app.page(&format!("{path}/unlock"), &cookie).await;
        assert!(
            question.text.contains("Unlock <bdi>alice</bdi>?"),
            "{}",
            question.text
        );
        assert_eq!(
            app.number(UNLOCKED).await,
            0,
            "the question changes nothing"
        );
        let done = app.submit(&format!("{path}/unlock"), &cookie, &[]).await;
        assert_eq!(done.status, Status::SeeOther);
        assert_eq!(done.header("Location"), Some(path.as_str()));
        let unlocked = app
            .page(&path, &format!("{cookie}; {}", done.cookie()))
            .await
            .text;
        assert!(unlocked.contains("was unlocked"), "{unlocked}");
        assert!(!page().await.contains("blocked"));
        assert_eq!(app.number(UNLOCKED).await, 1);
        let actors = app
            .texts(
                "SELECT actor_name || ' ' || subject_name || ' ' || via FROM events
                 WHERE action = 'user.unlocked'",
            )
            .await;
        assert_eq!(actors, ["root alice admin"]);
        assert_eq!(home(PASSWORD).await.status, Status::Ok);
        // The run has ended, too: ten more failures lock the account for five minutes only.
        for _ in 0..10 {
            let guess = app.try_login_from("192.0.2.9", "alice", "wrong").await;
            assert_eq!(guess.status, Status::BadRequest);
        }
        assert!(is_throttled(
            &app.try_login_from("192.0.2.9", "alice", PASSWORD).await
        ));
    });
}

#[test]
fn unlocking_one_user_unlocks_no_other_and_no_address() {
    on_both_with(json!({"login_failures_per_address": 20}), async |app| {
        let alice = app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        for name in ["alice", "bob"] {
            guess(&app, name, 10).await;
        }
        let actor = Actor::command_line();
        app.auth().throttle.unlock(alice, &actor).await.unwrap();
        app.auth().throttle.unlock(alice, &actor).await.unwrap();
        let left = "SELECT CAST(SUM(failures) AS BIGINT) FROM attempts";
        assert_eq!(app.number(left).await, 30, "bob's and the address's");
        assert!(is_throttled(
            &app.try_login("alice", PASSWORD, "laptop").await
        ));
        app.execute("DELETE FROM attempts WHERE key LIKE 'from:%'")
            .await;
        app.login("alice", "laptop").await;
        assert!(is_throttled(
            &app.try_login("bob", PASSWORD, "laptop").await
        ));
        assert!(
            app.auth()
                .throttle
                .unlock(UserId::new(), &actor)
                .await
                .is_err()
        );
    });
}

#[test]
fn deleting_a_user_deletes_their_attempts() {
    on_both(async |app| {
        let alice = app.user("alice", Role::User).await;
        guess(&app, "alice", 1).await;
        let rows = "SELECT COUNT(*) FROM attempts WHERE key LIKE 'user:%'";
        assert_eq!(app.number(rows).await, 1);
        let actor = Actor::command_line();
        app.auth()
            .accounts
            .delete_user(alice, &actor)
            .await
            .unwrap();
        assert_eq!(app.number(rows).await, 0);
    });
}

#[test]
fn the_command_line_unlocks_a_user_of_a_running_server() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let shown = |server: &Server| -> Value {
            let output = server.run(&["user", "show", "alice", "--json"], "");
            serde_json::from_str(&stdout(&output)).unwrap()
        };
        assert!(shown(&server)["locked_until"].is_null());
        for _ in 0..10 {
            assert_eq!(server.try_login("alice", "wrong").await, 400);
        }
        assert_eq!(server.try_login("alice", PASSWORD).await, 429);
        let locked = shown(&server);
        assert!(
            locked["locked_until"].as_str().unwrap().ends_with('Z'),
            "{locked}"
        );
        assert_eq!(locked["username"], "alice");
        for _ in 0..2 {
            let output = server.run(&["user", "unlock", "alice"], "");
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
            assert!(stderr(&output).contains("unlocked"), "{}", stderr(&output));
        }
        assert!(shown(&server)["locked_until"].is_null());
        assert_eq!(server.try_login("alice", PASSWORD).await, 200);
        let unknown = server.run(&["user", "unlock", "nobody"], "");
        assert_eq!(unknown.status.code(), Some(1));
        assert!(stderr(&unknown).contains("nobody"), "{}", stderr(&unknown));
        assert_eq!(server.run(&["user", "unlock"], "").status.code(), Some(2));
        assert_eq!(server.terminate(), Some(0));
    });
}
