//! More concurrent logins than hashing threads: memory stays bounded, excess logins are refused, and other requests are
//! served.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rocket::futures::future::join_all;
use rocket::tokio::spawn;
use rocket::tokio::time::sleep;
use serde_json::json;

use crate::support::PASSWORD;
use crate::support::server::{Server, sqlite};

const LOGINS: usize = 200;
const THREADS: usize = 2;
const HASH_KIB: usize = 19_456;
/// The memory of 200 connections and their requests in an unoptimized build.
const SLACK_KIB: usize = 16_384;

#[test]
fn two_hundred_logins_at_once_use_no_more_memory_than_the_hashing_threads() {
    let folder = tempfile::tempdir().unwrap();
    rocket::async_test(async {
        // OWASP's parameters. The throttle is set too high to stop the logins.
        let settings = format!(
            "{{hash_threads={THREADS},hash_memory_kib={HASH_KIB},hash_iterations=2,\\
             login_failures_per_account=9999,login_failures_per_address=9999}}"
        );
        let settings = settings.replace("\\\n", "");
        let variables = [("ROCKET_APP", settings.as_str())];
        let server = Server::start_with(&sqlite(folder.path()), &variables).await;
        let server = Arc::new(server);
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let token = server.login("alice", "laptop").await;
        let idle = peak_kib(server.id());
        let idle_latency = median(guarded_latencies(server.clone(), token.clone()).await);

        let clients: Vec<_> = (0..LOGINS).map(|_| reqwest::Client::new()).collect();
        let logins: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(number, client)| {
                spawn(login(
                    client,
                    server.origin.clone(),
                    format!("guess-{number}"),
                ))
            })
            .collect();
        let requests = spawn(guarded_latencies(server.clone(), token));
        let responses: Vec<_> = join_all(logins)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let busy_latency = median(requests.await.unwrap());

        let refused: Vec<_> = responses
            .iter()
            .filter(|(status, _)| *status == 503)
            .collect();
        let hashed = responses
            .iter()
            .filter(|(status, _)| *status == 400)
            .count();
        assert_eq!(hashed + refused.len(), LOGINS, "{responses:?}");
        // The queue has 64 places per thread. Logins from unknown addresses get three quarters of them.
        assert!(refused.len() >= 50, "{} were refused", refused.len());
        let slowest = responses.iter().map(|(_, time)| *time).max().unwrap();
        // On a slow machine further logins are refused after some seconds in the queue.
        let mut times: Vec<_> = refused.iter().map(|(_, time)| *time).collect();
        times.sort_unstable();
        let fiftieth = times[49];
        assert!(fiftieth < slowest / 2, "{fiftieth:?} of {slowest:?}");

        let growth = peak_kib(server.id()) - idle;
        let bound = (THREADS - 1) * HASH_KIB + SLACK_KIB;
        assert!(growth <= bound, "{growth} KiB above idle, not {bound}");

        // Two threads hash on possibly two cores, beside other tests. Guarded requests may be delayed by the scheduler,
        // but not by the seconds that logins wait.
        let bound = idle_latency * 3 + Duration::from_millis(100);
        assert!(
            busy_latency < bound,
            "{busy_latency:?}, {idle_latency:?} without logins"
        );
        eprintln!(
            "{hashed} hashed, {} refused within {fiftieth:?}, {growth} KiB, guarded requests {busy_latency:?}, \
             {idle_latency:?} without logins",
            refused.len()
        );
        assert_eq!(Arc::into_inner(server).unwrap().terminate(), Some(0));
    });
}

async fn login(client: reqwest::Client, origin: String, name: String) -> (u16, Duration) {
    let body = json!({"username": name, "password": "wrong", "client": "laptop"});
    let post = client.post(format!("{origin}/auth/login/")).json(&body);
    let start = Instant::now();
    let response = post.send().await.unwrap();
    (response.status().as_u16(), start.elapsed())
}

fn median(mut latencies: Vec<Duration>) -> Duration {
    assert!(!latencies.is_empty());
    latencies.sort();
    latencies[latencies.len() / 2]
}

/// The latencies of guarded requests during one second.
async fn guarded_latencies(server: Arc<Server>, token: String) -> Vec<Duration> {
    let client = reqwest::Client::new();
    let (start, mut latencies) = (Instant::now(), vec![]);
    while start.elapsed() < Duration::from_secs(1) {
        let get = client.get(format!("{}/auth/me/", server.origin));
        let sent = Instant::now();
        let response = get.bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        latencies.push(sent.elapsed());
        sleep(Duration::from_millis(5)).await;
    }
    latencies
}

/// The peak resident memory of a process (Linux).
fn peak_kib(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}
