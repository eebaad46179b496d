//! Throttling of failed logins, and who must not be affected by it.

use std::time::{Duration, Instant};

use rocket::futures::future::{join, join_all};
use rocket::http::Status;
use rocket_multitoken::auth::background_tasks;
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::user::Role;
use serde_json::{Value, json};

use crate::support::app::{PROXY, Response, address_key};
use crate::support::server::{Server, on_each_url};
use crate::support::{App, PASSWORD, on_both, on_both_with};

mod events;
mod flood;
mod logins;
mod networks;
mod pending;
mod unlock;
mod windows;

const ROWS: &str = "SELECT COUNT(*) FROM attempts";
const COUNTED: &str = "SELECT COALESCE(CAST(SUM(failures + pending + pending_before) AS BIGINT), 0)
                       FROM attempts";
const THROTTLED: &str = "SELECT COUNT(*) FROM events WHERE action = 'login.throttled'";

fn is_throttled(response: &Response) -> bool {
    if response.status != Status::TooManyRequests {
        return false;
    }
    assert!(
        (1..=300).contains(&retry_after(response)),
        "{}",
        retry_after(response)
    );
    true
}

/// The seconds in `Retry-After`.
fn retry_after(response: &Response) -> i64 {
    response.header("Retry-After").unwrap().parse().unwrap()
}

/// Settings that trust the forwarded address in test requests.
fn behind_a_proxy(mut settings: Value) -> Value {
    settings["trusted_proxies"] = json!([PROXY.to_owned() + "/32"]);
    settings
}

async fn guess(app: &App, name: &str, times: usize) {
    for number in 0..times {
        let response = app.try_login(name, "wrong", "laptop").await;
        assert_eq!(response.status, Status::BadRequest, "guess {number}");
    }
}

#[test]
fn an_account_is_throttled_after_ten_failures_whether_it_exists_or_not() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let disabled = app.user("carol", Role::User).await;
        let actor = Actor::command_line();
        app.auth().accounts.disable(disabled, &actor).await.unwrap();
        let mut responses = vec![];
        for name in ["alice", "nobody", "carol"] {
            guess(&app, name, 9).await;
            // Another case is the same name.
            guess(&app, &name.to_uppercase(), 1).await;
            let refused = app.try_login(name, "wrong", "laptop").await;
            assert!(is_throttled(&refused), "{name}");
            let right = app.try_login(name, PASSWORD, "laptop").await;
            assert!(is_throttled(&right), "the password makes no difference");
            let mut body = refused.without_request_id();
            body["detail"] = json!("");
            responses.push(body);
        }
        responses.dedup();
        assert_eq!(responses.len(), 1);
        // Refused attempts were not hashed, counted or recorded.
        let failed = "SELECT CAST(SUM(count) AS BIGINT) FROM events WHERE action = 'login.failed'";
        assert_eq!(app.number(failed).await, 30);
        assert_eq!(app.number(COUNTED).await, 60);
        assert_eq!(app.number(THROTTLED).await, 3);
        let reason = app
            .texts("SELECT DISTINCT reason FROM events WHERE action = 'login.throttled'")
            .await;
        assert_eq!(reason, ["account"]);
    });
}

#[test]
fn a_burst_of_guesses_does_not_exceed_the_limit() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let guesses = (0..60).map(|_| app.try_login("alice", "wrong", "laptop"));
        let responses = join_all(guesses).await;
        let hashed = responses.iter().filter(|a| a.status == Status::BadRequest);
        assert_eq!(hashed.count(), 10);
        for late in responses.iter().filter(|a| is_throttled(a)) {
            let retry_after: u64 = late.header("Retry-After").unwrap().parse().unwrap();
            assert!(
                retry_after > 200,
                "the whole window must pass: {retry_after}"
            );
        }
        assert_eq!(responses.iter().filter(|a| is_throttled(a)).count(), 50);
    });
}

#[test]
fn a_burst_over_many_threads_does_not_exceed_the_limit() {
    let settings = json!({"hash_threads": 16, "hash_memory_kib": 4096});
    on_both_with(settings, async |app| {
        app.user("alice", Role::User).await;
        let guesses = (0..60).map(|_| app.try_login("alice", "wrong", "laptop"));
        let responses = join_all(guesses).await;
        let hashed = responses.iter().filter(|a| a.status == Status::BadRequest);
        assert_eq!(hashed.count(), 10);
        assert_eq!(app.number(COUNTED).await, 20);
    });
}

#[test]
fn attempts_waiting_for_pending_ones_do_not_delay_other_users() {
    on_both_with(json!({"hash_threads": 1}), async |app| {
        app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        guess(&app, "alice", 1).await;
        // As after a crash of a process that was checking ten passwords.
        app.execute("UPDATE attempts SET failures = 0, pending = 10 WHERE key LIKE 'user:%'")
            .await;
        let waiting = join_all((0..50).map(|_| app.try_login("alice", "wrong", "laptop")));
        let others = async {
            for _ in 0..5 {
                let start = Instant::now();
                app.login("bob", "laptop").await;
                assert!(start.elapsed() < Duration::from_secs(3));
            }
            app.execute(
                "UPDATE attempts SET pending = 0, pending_before = 0 WHERE key LIKE 'user:%'",
            )
            .await;
        };
        let (responses, ()) = join(waiting, others).await;
        let hashed = responses.iter().filter(|a| a.status == Status::BadRequest);
        assert_eq!(hashed.count(), 10, "ten more after the pending ones ended");
        assert_eq!(responses.iter().filter(|a| is_throttled(a)).count(), 40);
    });
}

#[test]
fn successful_logins_do_not_count_as_failures() {
    on_both_with(json!({"login_failures_per_account": 3}), async |app| {
        app.user("alice", Role::User).await;
        for round in 0..10 {
            app.login("alice", &format!("client {round}")).await;
        }
        assert_eq!(app.number(COUNTED).await, 0);
        guess(&app, "alice", 2).await;
        app.login("alice", "laptop").await;
        guess(&app, "alice", 1).await;
        assert!(is_throttled(
            &app.try_login("alice", PASSWORD, "laptop").await
        ));
    });
}

#[test]
fn an_address_is_throttled_after_fifty_failures_over_all_accounts() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        for number in 0..50 {
            guess(&app, &format!("name {number}"), 1).await;
        }
        let stopped = app.try_login("alice", PASSWORD, "laptop").await;
        assert!(is_throttled(&stopped));
        let reason = app
            .texts("SELECT reason FROM events WHERE action = 'login.throttled'")
            .await;
        assert_eq!(reason, ["address"]);
    });
}

#[test]
fn other_clients_cannot_lock_the_owner_out() {
    on_both_with(behind_a_proxy(json!({})), async |app| {
        app.user("alice", Role::User).await;
        let home =
            async |password: &str| app.try_login_from("198.51.100.1", "alice", password).await;
        let away = async |password: &str| app.try_login_from("192.0.2.7", "alice", password).await;
        let token = home(PASSWORD).await.json()["auth_token"]
            .as_str()
            .unwrap()
            .to_owned();
        for _ in 0..10 {
            assert_eq!(away("wrong").await.status, Status::BadRequest);
        }
        assert!(is_throttled(&away(PASSWORD).await));
        // The token keeps working, and so does a login from the owner's known address.
        assert!(app.works(&token).await);
        assert_eq!(home(PASSWORD).await.status, Status::Ok);
        // The known address has a budget of its own.
        for _ in 0..10 {
            assert_eq!(home("wrong").await.status, Status::BadRequest);
        }
        assert!(is_throttled(&home(PASSWORD).await));
    });
}

#[test]
fn an_ipv6_network_of_64_bits_has_one_budget() {
    let settings = json!({"login_failures_per_address": 5});
    on_both_with(behind_a_proxy(settings), async |app| {
        app.user("alice", Role::User).await;
        for host in 0..5 {
            let address = format!("2001:db8:1:2::{host}");
            let name = format!("name {host}");
            let response = app.try_login_from(&address, &name, "wrong").await;
            assert_eq!(response.status, Status::BadRequest);
        }
        let same = app
            .try_login_from("2001:db8:1:2:ffff::9", "alice", PASSWORD)
            .await;
        assert!(is_throttled(&same));
        let other = app
            .try_login_from("2001:db8:1:3::9", "alice", PASSWORD)
            .await;
        assert_eq!(other.status, Status::Ok);
    });
}

#[test]
fn a_forwarded_address_from_an_untrusted_client_is_ignored() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        for number in 0..10 {
            let claimed = format!("198.51.100.{number}");
            let response = app.try_login_from(&claimed, "alice", "wrong").await;
            assert_eq!(response.status, Status::BadRequest);
        }
        let claimed = app.try_login_from("198.51.100.99", "alice", PASSWORD).await;
        assert!(is_throttled(&claimed));
        let addresses = app
            .texts("SELECT DISTINCT address FROM events WHERE address IS NOT NULL")
            .await;
        assert_eq!(addresses, [address_key(PROXY)]);
        let keys = app.texts("SELECT key FROM attempts").await;
        assert!(!keys.iter().any(|key| key.contains("198.51.100.")));
    });
}

#[test]
fn admin_and_api_logins_share_one_budget() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let admin_login = async |password: &str| {
            let fields = [("username", "root"), ("password", password)];
            app.submit("/admin/login", "", &fields).await
        };
        for _ in 0..5 {
            assert_eq!(admin_login("wrong").await.status, Status::BadRequest);
        }
        guess(&app, "root", 5).await;
        let refused = admin_login(PASSWORD).await;
        assert!(is_throttled(&refused));
        assert!(refused.text.contains("Try again in 5 minutes"));
        assert_eq!(refused.cookie(), "");
        assert!(is_throttled(
            &app.try_login("root", PASSWORD, "laptop").await
        ));
    });
}

#[test]
fn wrong_current_passwords_are_throttled_and_tokens_keep_working() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        let change = async |current: &str| {
            let body = json!({"current_password": current, "new_password": "a brand new one"});
            app.post("/auth/password/", &token, body).await
        };
        for _ in 0..10 {
            assert_eq!(change("wrong").await.status, Status::BadRequest);
        }
        assert!(is_throttled(&change(PASSWORD).await));
        assert!(app.works(&token).await, "issued tokens keep working");
    });
}

#[test]
fn counts_end_with_their_window_and_their_rows_are_pruned() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        guess(&app, "alice", 10).await;
        for number in 0..20 {
            guess(&app, &format!("name {number}"), 1).await;
        }
        assert_eq!(app.number(ROWS).await, 22);
        background_tasks::prune_attempts(app.auth().pool())
            .await
            .unwrap();
        assert_eq!(app.number(ROWS).await, 22, "not before the window is over");
        app.execute("UPDATE attempts SET ends_at = ends_at - 400")
            .await;
        guess(&app, "alice", 10).await;
        let refused = app.try_login("alice", "wrong", "laptop").await;
        assert_eq!(refused.status, Status::TooManyRequests);
        background_tasks::prune_attempts(app.auth().pool())
            .await
            .unwrap();
        // Names are kept for 30 days because of their failures in a row.
        assert_eq!(app.number(ROWS).await, 22);
        app.execute(
            "UPDATE attempts SET kept_until = kept_until - 2592400 WHERE key LIKE 'name:%'",
        )
        .await;
        background_tasks::prune_attempts(app.auth().pool())
            .await
            .unwrap();
        assert_eq!(app.number(ROWS).await, 2);
    });
}

#[test]
fn unknown_usernames_are_not_stored() {
    on_both(async |app| {
        guess(&app, "my-actual-password", 2).await;
        let keys = app.texts("SELECT key FROM attempts ORDER BY key").await;
        assert!(keys[1].starts_with("name:"), "{keys:?}");
        assert!(!keys.concat().contains("actual"), "{keys:?}");
    });
}

#[test]
fn counts_survive_a_restart_and_are_shared_by_processes() {
    on_each_url(async |url| restart_and_share(&url).await);
}

async fn restart_and_share(url: &str) {
    let first = Server::start(url).await;
    first.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
    let second = Server::start(url).await;
    for name in ["alice", "nobody"] {
        for number in 0..10 {
            let server = [&first, &second][number % 2];
            assert_eq!(server.try_login(name, "wrong").await, 400);
        }
        assert_eq!(first.try_login(name, PASSWORD).await, 429);
        assert_eq!(second.try_login(name, PASSWORD).await, 429);
    }
    assert_eq!(first.terminate(), Some(0));
    assert_eq!(second.terminate(), Some(0));
    let third = Server::start(url).await;
    for name in ["alice", "nobody"] {
        assert_eq!(third.try_login(name, PASSWORD).await, 429, "{name}");
    }
    assert_eq!(third.terminate(), Some(0));
}
