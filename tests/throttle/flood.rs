//! More guesses than can be hashed, from many addresses: known users go on signing in.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use multitoken::models::user::Role;
use rocket::futures::future::{join, join_all};
use rocket::http::{Method, Status};
use rocket::tokio::time::sleep;
use serde_json::json;

use super::behind_a_proxy;
use crate::support::{PASSWORD, on_both_with};

#[test]
fn guesses_from_hundreds_of_addresses_keep_no_known_user_out() {
    flood("198.51.100.1", |number| {
        format!("192.0.{}.{}", number / 100, number % 100)
    });
}

#[test]
fn guesses_from_all_over_a_network_of_ipv6_keep_no_known_user_of_it_out() {
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
                    // Some of the names have an account, and some not.
                    let name = if number % 50 == 0 { "alice" } else { &address };
                    let answer = app.try_login_from(&address, name, "wrong").await;
                    let is_full = answer.status == Status::ServiceUnavailable;
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
                let answer = app.try_login_from(home, "alice", PASSWORD).await;
                assert_eq!(answer.status, Status::Ok, "{number}: {}", answer.text);
                assert!(
                    start.elapsed() < Duration::from_secs(12),
                    "{:?}",
                    start.elapsed()
                );
                // A live session from anywhere.
                let start = Instant::now();
                let body = json!({"current_password": "wrong", "new_password": "a brand new one"});
                let token = answer.json()["auth_token"].as_str().unwrap().to_owned();
                let bearer = format!("Bearer {token}");
                let headers = [
                    ("Authorization", bearer.as_str()),
                    ("Content-Type", "application/json"),
                    ("X-Forwarded-For", "203.0.113.200"),
                ];
                let answer = app
                    .send(Method::Post, "/auth/password/", &headers, body.to_string())
                    .await;
                assert_eq!(
                    answer.status,
                    Status::BadRequest,
                    "{number}: {:?} {}",
                    start.elapsed(),
                    answer.text
                );
            }
            is_over.store(true, Ordering::Relaxed);
        };
        join(join_all(guesses), known).await;
        assert!(!app.works(&token).await, "it was replaced by a later login");
    });
}
