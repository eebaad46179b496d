//! More guesses than can be hashed, from many addresses: known users can still sign in.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rocket::futures::future::{join, join_all};
use rocket::http::{Method, Status};
use rocket::tokio::time::sleep;
use rocket_multitoken::models::user::Role;
use serde_json::json;

use super::behind_a_proxy;
use crate::support::{PASSWORD, on_both_with};

#[test]
#[ignore = "slow"]
fn guesses_from_hundreds_of_addresses_do_not_keep_a_known_user_out() {
    flood("198.51.100.1", |number| {
        format!("192.0.{}.{}", number / 100, number % 100)
    });
}

#[test]
#[ignore = "slow"]
fn guesses_from_an_ipv6_network_do_not_keep_a_known_user_of_it_out() {
    flood("2001:db8:1:ffff::1", |number| {
        format!("2001:db8:1:{number:x}::1")
    });
}

fn flood(home: &str, address: impl Fn(usize) -> String) {
    let settings = json!({
        "hash_threads": 1, "hash_memory_kib": 19_456, "hash_iterations": 2,
        "login_failures_per_account": 20,
    });
    on_both_with(behind_a_proxy(settings), async |app| {
        app.user("alice", Role::User).await;
        let first = app.try_login_from(home, "alice", PASSWORD).await;
        assert_eq!(first.status, Status::Ok);
        let token = first.json()["auth_token"].as_str().unwrap().to_owned();
        let (is_over, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (is_over, refused) = (&is_over, &refused);
        let guesses = (0..350).map(|number| {
            let (address, app) = (address(number), &app);
            async move {
                sleep(Duration::from_millis(10) * u32::try_from(number).unwrap()).await;
                while !is_over.load(Ordering::Relaxed) {
                    // One in fifty guesses is at an existing account.
                    let name = if number % 50 == 0 { "alice" } else { &address };
                    let response = app.try_login_from(&address, name, "wrong").await;
                    let is_full = response.status == Status::ServiceUnavailable;
                    refused.fetch_add(usize::from(is_full), Ordering::Relaxed);
                    sleep(Duration::from_secs(4)).await;
                }
            }
        });
        let known = async {
            while refused.load(Ordering::Relaxed) < 50 {
                sleep(Duration::from_millis(20)).await;
            }
            for number in 0..6 {
                let start = Instant::now();
                let response = app.try_login_from(home, "alice", PASSWORD).await;
                assert_eq!(response.status, Status::Ok, "{number}: {}", response.text);
                assert!(
                    start.elapsed() < Duration::from_secs(12),
                    "{:?}",
                    start.elapsed()
                );
                // A request with a live token from any address.
                let start = Instant::now();
                let body = json!({"current_password": "wrong", "new_password": "a brand new one"});
                let token = response.json()["auth_token"].as_str().unwrap().to_owned();
                let bearer = format!("Bearer {token}");
                let headers = [
                    ("Authorization", bearer.as_str()),
                    ("Content-Type", "application/json"),
                    ("X-Forwarded-For", "203.0.113.200"),
                ];
                let response = app
                    .send(Method::Post, "/auth/password/", &headers, body.to_string())
                    .await;
                assert_eq!(
                    response.status,
                    Status::BadRequest,
                    "{number}: {:?} {}",
                    start.elapsed(),
                    response.text
                );
            }
            is_over.store(true, Ordering::Relaxed);
        };
        join(join_all(guesses), known).await;
        assert!(!app.works(&token).await, "it was replaced by a later login");
    });
}
