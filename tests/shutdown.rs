//! How the server ends when it is told to: what it has let in is answered, what is open and idle is not
//! waited for, and nothing holds it up for good.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rocket::tokio::spawn;
use rocket::tokio::time::sleep;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection};

use crate::support::PASSWORD;
use crate::support::server::{Server, on_each_url, run, stdout};

/// About how long one hash takes. A login with a password whose hash is out of date takes two: more than
/// the two seconds for which Rocket itself would wait, and well below our ten.
const LONG: Duration = Duration::from_millis(2_250);
/// The seconds that a server which is told to end gives its requests.
const GRACE: Duration = Duration::from_secs(10);

/// The settings with which one password takes so long here and now.
async fn slow(url: &str) -> String {
    let settings = |iterations: u128| {
        format!("{{hash_memory_kib=1024,hash_iterations={iterations},hash_threads=1}}")
    };
    let probe = 200;
    let server = Server::start_with(url, &[("ROCKET_APP", &settings(probe))]).await;
    let start = Instant::now();
    assert_eq!(server.try_login("nobody", PASSWORD).await, 400);
    let one = start.elapsed();
    assert_eq!(server.terminate(), Some(0));
    settings(1 + probe * LONG.as_micros() / one.as_micros())
}

async fn login(origin: String) -> u16 {
    let body = json!({"username": "alice", "password": PASSWORD, "client": "phone"});
    let post = reqwest::Client::new().post(format!("{origin}/auth/login/"));
    let answer = post.json(&body).send().await.unwrap();
    answer.status().as_u16()
}

#[test]
fn a_login_under_way_is_answered_and_last_uses_are_written() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let laptop = server.login("alice", "laptop").await;
        assert_eq!(server.terminate(), Some(0));

        let settings = slow(&url).await;
        let server = Server::start_with(&url, &[("ROCKET_APP", &settings)]).await;
        let asking = spawn(login(server.origin.clone()));
        sleep(Duration::from_millis(300)).await;
        assert_eq!(server.me(&laptop).await, 200);
        server.ask_to_end();
        sleep(Duration::from_millis(300)).await;
        let late = reqwest::get(format!("{}/healthz", server.origin)).await;
        assert!(late.is_err(), "it lets others in");
        assert_eq!(asking.await.unwrap(), 200);
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
fn connections_that_are_open_and_idle_are_not_waited_for() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        let address = server.origin.trim_start_matches("http://").to_owned();
        // As a proxy keeps them, after a request; as browsers open them, before any.
        let kept: Vec<_> = (0..20)
            .map(|number| {
                let mut stream = TcpStream::connect(&address).unwrap();
                if number % 2 == 0 {
                    let ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
                    stream.write_all(ask).unwrap();
                }
                stream
            })
            .collect();
        sleep(Duration::from_millis(300)).await;
        let start = Instant::now();
        assert_eq!(server.terminate(), Some(0));
        assert!(start.elapsed() < GRACE / 2, "{:?}", start.elapsed());
        drop(kept);
    });
}

#[test]
fn a_client_that_stops_halfway_and_a_database_that_hangs_hold_it_up_for_a_bounded_time() {
    on_each_url(async |url| {
        let short = [("ROCKET_SHUTDOWN", "{grace=1,mercy=1}")];
        let server = Server::start_with(&url, &short).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let token = server.login("alice", "laptop").await;
        let address = server.origin.trim_start_matches("http://").to_owned();
        let mut half = TcpStream::connect(&address).unwrap();
        half.write_all(b"GET /healthz HTTP/1.1\r\nX-Half: ")
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
        let asking = spawn(post.json(&body).send());
        sleep(Duration::from_millis(500)).await;
        assert!(!asking.is_finished());

        let start = Instant::now();
        assert_eq!(server.terminate(), Some(0));
        // Grace, mercy and another second of Rocket's; then the last things, and threads that wait.
        let bound = Duration::from_secs(1 + 1 + 1 + 5 + 1);
        let slack = Duration::from_secs(5);
        assert!(start.elapsed() < bound + slack, "{:?}", start.elapsed());
        assert!(!matches!(asking.await.unwrap(), Ok(answer) if answer.status() == 200));
        lock.rollback().await.unwrap();
        db.close().await.unwrap();
        // What was not written is lost, and nothing else.
        let list = stdout(&run(&url, &["token", "list", "--json"], ""));
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    });
}
