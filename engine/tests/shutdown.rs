//! Graceful shutdown: requests in flight are answered, idle connections are closed, and the time is bounded.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rocket::tokio::spawn;
use rocket::tokio::time::sleep;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection};

use crate::support::PASSWORD;
use crate::support::server::{Server, on_each_url, run, stdout};

/// The approximate time of one hash. A login with an outdated hash takes two: longer than Rocket's default grace of two
/// seconds, and well below ours of ten.
const HASH_TIME: Duration = Duration::from_millis(2_250);
/// The server's grace period for requests.
const GRACE: Duration = Duration::from_secs(10);

/// Settings with which one hash takes `HASH_TIME` on this machine.
async fn slow_hash_settings(url: &str) -> String {
    let settings = |iterations: u128| {
        format!("{{hash_memory_kib=1024,hash_iterations={iterations},hash_threads=1}}")
    };
    let probe = 200;
    let server = Server::start_with(url, &[("ROCKET_APP", &settings(probe))]).await;
    let start = Instant::now();
    assert_eq!(server.try_login("nobody", PASSWORD).await, 400);
    let one = start.elapsed();
    assert_eq!(server.terminate(), Some(0));
    settings(1 + probe * HASH_TIME.as_micros() / one.as_micros())
}

async fn login(origin: String) -> u16 {
    let body = json!({"username": "alice", "password": PASSWORD, "client": "phone"});
    let post = reqwest::Client::new().post(format!("{origin}/auth/login/"));
    let response = post.json(&body).send().await.unwrap();
    response.status().as_u16()
}

#[test]
fn a_login_in_flight_is_answered_and_last_uses_are_written() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let laptop = server.login("alice", "laptop").await;
        assert_eq!(server.terminate(), Some(0));

        let settings = slow_hash_settings(&url).await;
        let server = Server::start_with(&url, &[("ROCKET_APP", &settings)]).await;
        let pending = spawn(login(server.origin.clone()));
        sleep(Duration::from_millis(300)).await;
        assert_eq!(server.me(&laptop).await, 200);
        server.request_shutdown();
        sleep(Duration::from_millis(300)).await;
        let late = reqwest::get(format!("{}/healthz", server.origin)).await;
        assert!(late.is_err(), "it accepts new connections");
        assert_eq!(pending.await.unwrap(), 200);
        assert_eq!(server.terminate(), Some(0));

        let list = stdout(&run(&url, &["token", "list", "--json"], ""));
        let list: Value = serde_json::from_str(&list).unwrap();
        let last_used = |client: &str| {
            let tokens = list.as_array().unwrap();
            let token = tokens.iter().find(|token| token["client"] == client);
            token.unwrap_or_else(|| panic!("no {client} in {list}"))["last_used_at"].clone()
        };
        assert!(last_used("laptop").is_string(), "{list}");
        assert!(last_used("phone").is_null(), "{list}");
    });
}

#[test]
fn idle_connections_do_not_delay_shutdown() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        let address = server.origin.trim_start_matches("http://").to_owned();
        // Half like a proxy, after a request; half like a browser, before the first request.
        let connections: Vec<_> = (0..20)
            .map(|number| {
                let mut stream = TcpStream::connect(&address).unwrap();
                if number % 2 == 0 {
                    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
                    stream.write_all(request).unwrap();
                }
                stream
            })
            .collect();
        sleep(Duration::from_millis(300)).await;
        let start = Instant::now();
        assert_eq!(server.terminate(), Some(0));
        assert!(start.elapsed() < GRACE / 2, "{:?}", start.elapsed());
        drop(connections);
    });
}

#[test]
fn stalled_clients_and_a_locked_database_delay_shutdown_only_for_a_bounded_time() {
    on_each_url(async |url| {
        let short = [("ROCKET_SHUTDOWN", "{grace=1,mercy=1}")];
        let server = Server::start_with(&url, &short).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let token = server.login("alice", "laptop").await;
        let address = server.origin.trim_start_matches("http://").to_owned();
        let mut stalled = TcpStream::connect(&address).unwrap();
        stalled
            .write_all(b"GET /healthz HTTP/1.1\r\nX-Half: ")
            .unwrap();

        sqlx::any::install_default_drivers();
        let mut db = AnyConnection::connect(&url).await.unwrap();
        let lock = if url.starts_with("sqlite:") {
            db.begin_with("BEGIN IMMEDIATE").await.unwrap()
        } else {
            let mut lock = db.begin().await.unwrap();
            let exclusively = "LOCK TABLE users, tokens IN EXCLUSIVE MODE";
            sqlx::query(exclusively).execute(&mut *lock).await.unwrap();
            lock
        };
        assert_eq!(server.me(&token).await, 200);
        let client = reqwest::Client::new();
        let body = json!({"username": "alice", "password": PASSWORD, "client": "phone"});
        let post = client.post(format!("{}/auth/login/", server.origin));
        let pending = spawn(post.json(&body).send());
        sleep(Duration::from_millis(500)).await;
        assert!(!pending.is_finished());

        let start = Instant::now();
        assert_eq!(server.terminate(), Some(0));
        // Grace, mercy and one more second of Rocket's, then the last writes and waiting threads.
        let bound = Duration::from_secs(1 + 1 + 1 + 5 + 1);
        let slack = Duration::from_secs(5);
        assert!(start.elapsed() < bound + slack, "{:?}", start.elapsed());
        assert!(!matches!(pending.await.unwrap(), Ok(response) if response.status() == 200));
        lock.rollback().await.unwrap();
        db.close().await.unwrap();
        // Only the unwritten login is lost.
        let list = stdout(&run(&url, &["token", "list", "--json"], ""));
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    });
}
