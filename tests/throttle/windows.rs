//! Guessing slowly: failures in a row make windows grow, for strangers alone.

use std::ops::RangeInclusive;

use multitoken::models::user::Role;
use rocket::http::{Method, Status};
use serde_json::json;

use super::{behind_a_proxy, wait};
use crate::support::app::Answer;
use crate::support::{App, PASSWORD, on_both, on_both_with};

const HOME: &str = "198.51.100.1";
const AWAY: &str = "192.0.2.7";
/// As if all windows were over.
const OVER: &str = "UPDATE attempts SET ends_at = 1";

/// Ten failures from elsewhere with each of the names, in a new window.
async fn use_up(app: &App, names: &[&str]) {
    app.execute(OVER).await;
    for name in names {
        for number in 0..10 {
            let answer = app.try_login_from(AWAY, name, "wrong").await;
            assert_eq!(answer.status, Status::BadRequest, "{name} {number}");
        }
    }
}

/// Whether the right password is refused for about so long.
fn is_blocked_for(answer: &Answer, seconds: i64) -> bool {
    let about: RangeInclusive<i64> = seconds - 100..=seconds;
    answer.status == Status::TooManyRequests && about.contains(&wait(answer))
}

#[test]
fn windows_grow_with_the_20th_50th_and_100th_failure_in_a_row_and_keep_no_owner_out() {
    let settings = json!({"login_failures_per_address": 9999});
    on_both_with(behind_a_proxy(settings), async |app| {
        app.user("alice", Role::User).await;
        let home = async |password| app.try_login_from(HOME, "alice", password).await;
        let token = home(PASSWORD).await.json()["auth_token"].to_string();
        let token = token.trim_matches('"').to_owned();
        let names = ["alice", "nobody"];
        for round in 1..=10 {
            use_up(&app, &names).await;
            let seconds = match round {
                1 => 300,
                2..5 => 900,
                5..10 => 3600,
                _ => 86_400,
            };
            let mut refused = vec![];
            for name in names {
                let answer = app.try_login_from(AWAY, name, PASSWORD).await;
                assert!(is_blocked_for(&answer, seconds), "{name} {round}");
                refused.push(answer.but_for_request_id());
            }
            assert_eq!(refused[0], refused[1]);
            // From wherever else, too, but for where she signed in before.
            let elsewhere = app.try_login_from("192.0.2.8", "alice", PASSWORD).await;
            assert!(is_blocked_for(&elsewhere, seconds));
            assert_eq!(home(PASSWORD).await.status, Status::Ok);
        }
        let answer = app.try_login_from(AWAY, "alice", PASSWORD).await;
        assert!(
            answer.text.contains("Try again in 24 hours"),
            "{}",
            answer.text
        );

        // A live session gives its password from anywhere, and has a budget of its own.
        let token = home(PASSWORD).await.json()["auth_token"]
            .as_str()
            .map_or(token, str::to_owned);
        let change = async |current: &str| {
            let body = json!({"current_password": current, "new_password": "a brand new one"});
            let headers = [
                ("Authorization", format!("Bearer {token}")),
                ("Content-Type", "application/json".to_owned()),
                ("X-Forwarded-For", "192.0.2.9".to_owned()),
            ];
            let headers: Vec<_> = headers.iter().map(|(a, b)| (*a, b.as_str())).collect();
            app.send(Method::Post, "/auth/password/", &headers, body.to_string())
                .await
        };
        for _ in 0..9 {
            assert_eq!(change("wrong").await.status, Status::BadRequest);
        }
        assert_eq!(change(PASSWORD).await.status, Status::Ok);
        assert_eq!(change("wrong").await.status, Status::BadRequest);
        assert!(is_blocked_for(&change("a brand new one").await, 300));
        assert!(app.works(&token).await);
        let runs = app
            .texts("SELECT CAST(run AS TEXT) FROM attempts WHERE run > 0")
            .await;
        assert_eq!(
            runs,
            ["100", "100"],
            "neither counts in the run of strangers"
        );
    });
}

#[test]
fn a_strangers_success_ends_a_run_and_a_known_addresss_does_not() {
    let settings = json!({"login_failures_per_address": 9999});
    on_both_with(behind_a_proxy(settings), async |app| {
        app.user("alice", Role::User).await;
        assert_eq!(
            app.try_login_from(HOME, "alice", PASSWORD).await.status,
            Status::Ok
        );
        for (address, seconds) in [(HOME, 900), ("192.0.2.99", 300)] {
            app.execute("DELETE FROM attempts").await;
            use_up(&app, &["alice"]).await;
            app.execute(OVER).await;
            let success = app.try_login_from(address, "alice", PASSWORD).await;
            assert_eq!(success.status, Status::Ok);
            use_up(&app, &["alice"]).await;
            let blocked = app.try_login_from(AWAY, "alice", PASSWORD).await;
            assert!(
                is_blocked_for(&blocked, seconds),
                "{address} {}",
                blocked.text
            );
        }
    });
}

#[test]
fn thirty_quiet_days_end_a_run() {
    let settings = json!({"login_failures_per_address": 9999});
    on_both_with(behind_a_proxy(settings), async |app| {
        app.user("alice", Role::User).await;
        for (quiet, seconds) in [
            (
                "UPDATE attempts SET failed_at = failed_at - 2590000 WHERE run > 0",
                900,
            ),
            (
                "UPDATE attempts SET failed_at = failed_at - 2592000 WHERE run > 0",
                300,
            ),
        ] {
            app.execute("DELETE FROM attempts").await;
            for _ in 0..2 {
                use_up(&app, &["alice", "nobody"]).await;
            }
            app.execute(quiet).await;
            use_up(&app, &["alice", "nobody"]).await;
            for name in ["alice", "nobody"] {
                let blocked = app.try_login_from(AWAY, name, PASSWORD).await;
                assert!(is_blocked_for(&blocked, seconds), "{name} {}", blocked.text);
            }
        }
    });
}

#[test]
fn a_clock_that_was_set_back_blocks_nobody() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let mut statuses = vec![];
        for name in ["alice", "nobody"] {
            super::guess(&app, name, 10).await;
            statuses.push(app.try_login(name, PASSWORD, "laptop").await.status);
        }
        assert_eq!(statuses, [Status::TooManyRequests; 2]);
        // Two days: what was written is that far ahead now.
        app.execute(
            "UPDATE attempts SET ends_at = ends_at + 172800, failed_at = failed_at + 172800,
                 generation = generation + 11520, pending = 50, pending_before = 50, run = 100",
        )
        .await;
        app.login("alice", "laptop").await;
        let nobody = app.try_login("nobody", PASSWORD, "laptop").await;
        assert_eq!(nobody.status, Status::BadRequest);
        app.execute("UPDATE logins SET logins = 100").await;
        let full = app.try_login("alice", PASSWORD, "laptop").await;
        assert_eq!(full.status, Status::TooManyRequests);
        app.execute("UPDATE logins SET ends_at = ends_at + 172800")
            .await;
        app.login("alice", "laptop").await;
    });
}

#[test]
fn the_latest_hundred_thousand_names_are_remembered_and_every_account() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        super::guess(&app, "alice", 1).await;
        app.execute("UPDATE attempts SET kept_until = 4000000000 WHERE key LIKE 'user:%'")
            .await;
        app.execute(
            "INSERT INTO attempts (key, failures, ends_at, pending, pending_before, generation, run,
                                   failed_at, kept_until)
             WITH RECURSIVE names (number) AS
                 (SELECT 1 UNION ALL SELECT number + 1 FROM names WHERE number < 100100)
             SELECT 'name:' || number, 0, 1, 0, 0, 0, 1, 1, 4000000000 + number FROM names",
        )
        .await;
        app.auth().prune_attempts().await.unwrap();
        let names = "SELECT COUNT(*) FROM attempts WHERE key LIKE 'name:%'";
        assert_eq!(app.number(names).await, 100_000);
        let newest = "SELECT COUNT(*) FROM attempts WHERE key IN ('name:101', 'name:100100')";
        assert_eq!(app.number(newest).await, 2);
        let oldest = "SELECT COUNT(*) FROM attempts WHERE key IN ('name:1', 'name:100')";
        assert_eq!(app.number(oldest).await, 0);
        let account = "SELECT COUNT(*) FROM attempts WHERE key LIKE 'user:%'";
        assert_eq!(app.number(account).await, 1);
    });
}
