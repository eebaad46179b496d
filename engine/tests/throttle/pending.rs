//! Pending attempts of a process that died.

use std::process::Command;
use std::time::{Duration, Instant};

use rocket::futures::future::join_all;
use rocket::http::Status;
use rocket::tokio::spawn;
use rocket::tokio::time::sleep;
use rocket_multitoken::models::user::Role;
use serde_json::json;
use sqlx::{AnyConnection, Connection};

use super::retry_after;
use crate::support::postgres::Postgres;
use crate::support::server::{Server, sqlite};
use crate::support::{PASSWORD, on_both};

#[test]
#[ignore = "slow"]
fn lapsed_attempts_free_their_slots_and_pending_ones_delay_others_for_five_seconds() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        super::guess(&app, "alice", 1).await;
        app.execute(
            "UPDATE attempts SET failures = 0, pending = 10, pending_before = 10,
                 generation = generation - 2",
        )
        .await;
        let start = Instant::now();
        super::guess(&app, "alice", 1).await;
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "{:?}",
            start.elapsed()
        );

        app.execute("UPDATE attempts SET failures = 0, pending = 10 WHERE key LIKE 'user:%'")
            .await;
        let start = Instant::now();
        let refused = app.try_login("alice", PASSWORD, "laptop").await;
        assert_eq!(refused.status, Status::ServiceUnavailable);
        assert!(retry_after(&refused) > 0);
        let waited = start.elapsed();
        assert!(
            waited > Duration::from_secs(4) && waited < Duration::from_secs(8),
            "{waited:?}"
        );
    });
}

#[test]
#[ignore = "slow"]
fn pending_attempts_of_a_killed_process_lapse_within_thirty_seconds() {
    let postgres = Postgres::get();
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let mut urls = vec![sqlite(folder.path())];
        if let Some(postgres) = &postgres {
            urls.push(postgres.database().await);
        }
        join_all(urls.iter().map(|url| kill_and_wait(url))).await;
    });
}

async fn kill_and_wait(url: &str) {
    // More concurrent hashes than may fail. Each takes until the process is killed.
    let slow = "{hash_threads=12,hash_memory_kib=19456,hash_iterations=20000}";
    let server = Server::start_with(url, &[("ROCKET_APP", slow)]).await;
    server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
    let guesses: Vec<_> = (0..12)
        .map(|_| {
            let body = json!({"username": "alice", "password": "wrong", "client": "laptop"});
            let post = reqwest::Client::new().post(format!("{}/auth/login/", server.origin));
            spawn(post.json(&body).send())
        })
        .collect();
    let mut db = AnyConnection::connect(url).await.unwrap();
    let start = Instant::now();
    let pending = "SELECT COALESCE(SUM(pending + pending_before), 0) = 10 FROM attempts
                   WHERE key LIKE 'user:%'";
    let pending = format!("SELECT CASE WHEN ({pending}) THEN 1 ELSE 0 END");
    loop {
        let all: i32 = sqlx::query_scalar(sqlx::AssertSqlSafe(pending.clone()))
            .fetch_one(&mut db)
            .await
            .unwrap();
        if all == 1 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10));
        sleep(Duration::from_millis(50)).await;
    }
    db.close().await.unwrap();
    let kill = Command::new("kill")
        .args(["-9", &server.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let killed = Instant::now();
    for guess in guesses {
        assert!(guess.await.unwrap().is_err());
    }
    drop(server);

    let server = Server::start(url).await;
    assert_eq!(
        server.try_login("alice", PASSWORD).await,
        503,
        "they still count"
    );
    assert!(
        killed.elapsed() < Duration::from_secs(14),
        "{:?}",
        killed.elapsed()
    );
    // Further attempts do not extend them.
    loop {
        let status = server.try_login("alice", PASSWORD).await;
        let passed = killed.elapsed();
        // An attempt that starts within 30 seconds waits up to 5 more.
        assert!(
            passed < Duration::from_secs(36),
            "{status} after {passed:?}"
        );
        if status == 200 {
            break;
        }
        assert_eq!(status, 503);
    }
    assert_eq!(server.terminate(), Some(0));
}
