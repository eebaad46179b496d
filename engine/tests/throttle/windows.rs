//! Slow guessing: failures in a row extend the lock, for unknown addresses only.

use std::ops::RangeInclusive;

use rocket::http::{Method, Status};
use rocket_multitoken::auth::background_tasks;
use rocket_multitoken::models::user::Role;
use serde_json::json;

use super::{behind_a_proxy, retry_after};
use crate::support::app::Response;
use crate::support::{App, PASSWORD, on_both, on_both_with};

const HOME: &str = "198.51.100.1";
const AWAY: &str = "192.0.2.7";
/// Ends all windows.
const END_WINDOWS: &str = "UPDATE attempts SET ends_at = 1";

/// Starts a new window and fails ten times with each name from `AWAY`.
async fn fail_ten_times(app: &App, names: &[&str]) {
    app.execute(END_WINDOWS).await;
    for name in names {
        for number in 0..10 {
            let response = app.try_login_from(AWAY, name, "wrong").await;
            assert_eq!(response.status, Status::BadRequest, "{name} {number}");
        }
    }
}

/// Whether the response refuses for about `seconds`.
fn is_blocked_for(response: &Response, seconds: i64) -> bool {
    let about: RangeInclusive<i64> = seconds - 100..=seconds;
    response.status == Status::TooManyRequests && about.contains(&retry_after(response))
}

#[test]
#[ignore = "slow"]
fn windows_grow_at_the_20th_50th_and_100th_failure_in_a_row_and_never_lock_out_the_owner() {
    let settings = json!({"login_failures_per_address": 9999});
    on_both_with(behind_a_proxy(settings), async |app| {
        app.user("alice", Role::User).await;
        let home = async |password| app.try_login_from(HOME, "alice", password).await;
        let token = home(PASSWORD).await.json()["auth_token"].to_string();
        let token = token.trim_matches('"').to_owned();
        let names = ["alice", "nobody"];
        for round in 1..=10 {
            fail_ten_times(&app, &names).await;
            let seconds = match round {
                1 => 300,
                2..5 => 900,
                5..10 => 3600,
                _ => 86_400,
            };
            let mut refused = vec![];
            for name in names {
                let response = app.try_login_from(AWAY, name, PASSWORD).await;
                assert!(is_blocked_for(&response, seconds), "{name} {round}");
                refused.push(response.without_request_id());
            }
            assert_eq!(refused[0], refused[1]);
            // Any other unknown address is refused, too. A known one is not.
            let elsewhere = app.try_login_from("192.0.2.8", "alice", PASSWORD).await;
            assert!(is_blocked_for(&elsewhere, seconds));
            assert_eq!(home(PASSWORD).await.status, Status::Ok);
        }
        let response = app.try_login_from(AWAY, "alice", PASSWORD).await;
        assert!(
            response.text.contains("Try again in 24 hours"),
            "{}",
            response.text
        );

        // Confirming the password in a session works from any address and has its own budget.
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
            "neither counts in the run of unknown addresses"
        );
    });
}

#[test]
fn a_success_from_an_unknown_address_ends_a_run_and_one_from_a_known_address_does_not() {
    let settings = json!({"login_failures_per_address": 9999});
    on_both_with(behind_a_proxy(settings), async |app| {
        app.user("alice", Role::User).await;
        assert_eq!(
            app.try_login_from(HOME, "alice", PASSWORD).await.status,
            Status::Ok
        );
        for (address, seconds) in [(HOME, 900), ("192.0.2.99", 300)] {
            app.execute("DELETE FROM attempts").await;
            fail_ten_times(&app, &["alice"]).await;
            app.execute(END_WINDOWS).await;
            let success = app.try_login_from(address, "alice", PASSWORD).await;
            assert_eq!(success.status, Status::Ok);
            fail_ten_times(&app, &["alice"]).await;
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
fn thirty_days_without_failures_end_a_run() {
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
                fail_ten_times(&app, &["alice", "nobody"]).await;
            }
            app.execute(quiet).await;
            fail_ten_times(&app, &["alice", "nobody"]).await;
            for name in ["alice", "nobody"] {
                let blocked = app.try_login_from(AWAY, name, PASSWORD).await;
                assert!(is_blocked_for(&blocked, seconds), "{name} {}", blocked.text);
            }
        }
    });
}

#[test]
fn a_clock_set_back_locks_no_account() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let mut statuses = vec![];
        for name in ["alice", "nobody"] {
            super::guess(&app, name, 10).await;
            statuses.push(app.try_login(name, PASSWORD, "laptop").await.status);
        }
        assert_eq!(statuses, [Status::TooManyRequests; 2]);
        // Stored times are two days ahead now.
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
fn the_latest_hundred_thousand_names_and_all_accounts_are_kept() {
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
        background_tasks::prune_attempts(app.auth().pool())
            .await
            .unwrap();
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
