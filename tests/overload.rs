//! More logins at once than there are threads to hash them: the server keeps its memory, refuses
//! what it can't do, and goes on serving everybody else.

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
/// What two hundred connections and their requests take in a build without optimisation.
const SLACK_KIB: usize = 16_384;

#[test]
fn two_hundred_logins_at_once_take_no_more_memory_than_the_threads_that_hash() {
    let folder = tempfile::tempdir().unwrap();
    rocket::async_test(async {
        // OWASP's parameters, and no limit that would stop the logins sooner.
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
        let unhurried = median(ask_while_busy(server.clone(), token.clone()).await);

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
        let watch = spawn(ask_while_busy(server.clone(), token));
        let answers: Vec<_> = join_all(logins)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let hurried = median(watch.await.unwrap());

        let refused: Vec<_> = answers
            .iter()
            .filter(|(status, _)| *status == 503)
            .collect();
        let hashed = answers.iter().filter(|(status, _)| *status == 400).count();
        assert_eq!(hashed + refused.len(), LOGINS, "{answers:?}");
        // 64 places for each that runs, and three quarters of them for strangers.
        assert!(refused.len() >= 50, "{} were refused", refused.len());
        let slowest = answers.iter().map(|(_, time)| *time).max().unwrap();
        // On a slow machine others wait, and are refused after some seconds in the queue.
        let mut times: Vec<_> = refused.iter().map(|(_, time)| *time).collect();
        times.sort_unstable();
        let at_once = times[49];
        assert!(at_once < slowest / 2, "{at_once:?} of {slowest:?}");

        let risen = peak_kib(server.id()) - idle;
        let bound = (THREADS - 1) * HASH_KIB + SLACK_KIB;
        assert!(risen <= bound, "{risen} KiB above idle, not {bound}");

        // Two threads hash on what may be two cores, beside other tests: the scheduler's slices are
        // all that is added, and far from the seconds that the logins wait.
        let bound = unhurried * 3 + Duration::from_millis(100);
        assert!(hurried < bound, "{hurried:?}, {unhurried:?} without logins");
        eprintln!(
            "{hashed} hashed, {} refused within {at_once:?}, {risen} KiB, guarded requests {hurried:?}, {unhurried:?} without logins",
            refused.len()
        );
        assert_eq!(Arc::into_inner(server).unwrap().terminate(), Some(0));
    });
}

async fn login(client: reqwest::Client, origin: String, name: String) -> (u16, Duration) {
    let body = json!({"username": name, "password": "wrong", "client": "laptop"});
    let post = client.post(format!("{origin}/auth/login/")).json(&body);
    let start = Instant::now();
    let answer = post.send().await.unwrap();
    (answer.status().as_u16(), start.elapsed())
}

fn median(mut latencies: Vec<Duration>) -> Duration {
    assert!(!latencies.is_empty());
    latencies.sort();
    latencies[latencies.len() / 2]
}

/// How long guarded requests take while logins are hashed.
async fn ask_while_busy(server: Arc<Server>, token: String) -> Vec<Duration> {
    let client = reqwest::Client::new();
    let (start, mut latencies) = (Instant::now(), vec![]);
    while start.elapsed() < Duration::from_secs(1) {
        let get = client.get(format!("{}/auth/me/", server.origin));
        let asked = Instant::now();
        let answer = get.bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        latencies.push(asked.elapsed());
        sleep(Duration::from_millis(5)).await;
    }
    latencies
}

/// The most memory that a process has held so far (Linux).
fn peak_kib(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}
