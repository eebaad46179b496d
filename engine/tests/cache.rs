//! The token cache: several processes share a database and are flooded with requests while tokens end in every way.
//! No request may succeed after the time that the engine guarantees.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rocket::futures::future::join_all;
use rocket::tokio::{join, time};
use serde_json::{Value, json};

use crate::support::PASSWORD;
use crate::support::app::FOLLOW_TIME;
use crate::support::server::{Server, on_each_url};

/// Concurrent requests per process.
const CONCURRENCY: usize = 4;
/// The time between two revocations, during which tokens are used.
const STEP: Duration = Duration::from_millis(60);

/// A guarded request: the index of its token and server, its start and the status of the response.
struct Request {
    token: usize,
    server: usize,
    at: Instant,
    status: u16,
}

/// The end of a token: the server that answered the revocation, or `None` for a command, and the time.
struct Revocation {
    server: Option<usize>,
    at: Instant,
}

struct Round<'a> {
    servers: &'a [Server],
    http: reqwest::Client,
    tokens: Vec<String>,
    revocations: Mutex<HashMap<usize, Revocation>>,
    requests: Mutex<Vec<Request>>,
    is_over: AtomicBool,
}

impl Round<'_> {
    async fn send(&self, server: usize, method: &str, path: &str, token: &str, body: Value) -> u16 {
        let method = method.parse().unwrap();
        let url = format!("{}{path}", self.servers[server].origin);
        let request = self.http.request(method, url).bearer_auth(token);
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        request.send().await.unwrap().status().as_u16()
    }

    /// Sends requests to one server with each token in turn.
    async fn send_requests(&self, server: usize, first: usize) {
        for token in (0..self.tokens.len()).cycle().skip(first) {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let at = Instant::now();
            let status = self
                .send(server, "GET", "/auth/me/", &self.tokens[token], Value::Null)
                .await;
            self.requests.lock().unwrap().push(Request {
                token,
                server,
                at,
                status,
            });
        }
    }

    fn record(&self, tokens: impl IntoIterator<Item = usize>, server: Option<usize>) {
        let at = Instant::now();
        let mut revocations = self.revocations.lock().unwrap();
        for token in tokens {
            revocations
                .entry(token)
                .or_insert(Revocation { server, at });
        }
    }

    /// Ends tokens of all users but the last, each in a different way.
    async fn end_all_but_the_last(&self, users: &[&str], clients: usize) {
        let of = |user: usize| user * clients..(user + 1) * clients;
        let first = |user: usize| self.tokens[user * clients].as_str();
        let nothing = || Value::Null;
        // Each request goes to another process and uses the user's first token.
        assert_eq!(
            self.send(0, "POST", "/auth/logout/", first(0), nothing())
                .await,
            200
        );
        self.record([0], Some(0));
        time::sleep(STEP).await;
        assert_eq!(
            self.send(1, "POST", "/auth/logout/others/", first(1), nothing())
                .await,
            200
        );
        self.record(of(1).skip(1), Some(1));
        time::sleep(STEP).await;
        assert_eq!(
            self.send(0, "POST", "/auth/logout/all/", first(2), nothing())
                .await,
            200
        );
        self.record(of(2), Some(0));
        time::sleep(STEP).await;
        let change = json!({"current_password": PASSWORD, "new_password": format!("{PASSWORD}!")});
        assert_eq!(
            self.send(1, "POST", "/auth/password/", first(3), change)
                .await,
            200
        );
        self.record(of(3).skip(1), Some(1));
        time::sleep(STEP).await;
        self.servers[0].login(users[4], "client 1").await;
        self.record([4 * clients + 1], Some(0));
        time::sleep(STEP).await;
        let disable = self.servers[0].run(&["user", "disable", users[5]], "");
        assert!(disable.status.success());
        self.record(of(5), None);
        let delete = self.servers[0].run(&["user", "delete", users[6], "--yes"], "");
        assert!(delete.status.success(), "{delete:?}");
        self.record(of(6), None);
    }

    /// Asserts that no token was accepted too late or rejected too early. Returns the number of accepted requests.
    fn assert_in_time(self) -> usize {
        let (requests, revocations) = (
            self.requests.into_inner().unwrap(),
            self.revocations.into_inner().unwrap(),
        );
        let mut late = vec![];
        for Request {
            token,
            server,
            at,
            status,
        } in &requests
        {
            let grace = match revocations.get(token) {
                None => {
                    assert_eq!(*status, 200, "token {token} has not ended");
                    continue;
                }
                // A command returns when every process has followed.
                Some(end) if end.server.is_none_or(|by| by == *server) => Duration::ZERO,
                Some(_) => FOLLOW_TIME,
            };
            let end = &revocations[token];
            if *status == 200 && *at >= end.at + grace {
                late.push(format!(
                    "token {token} at {server}, {:?} after its revocation",
                    *at - end.at
                ));
            }
            assert!([200, 401].contains(status), "{status}");
        }
        assert!(late.is_empty(), "{late:#?}");
        requests
            .iter()
            .filter(|request| request.status == 200)
            .count()
    }
}

const USERS: [&str; 8] = ["ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal"];
const CLIENTS: usize = 3;

async fn round(servers: &[Server]) -> usize {
    let mut tokens = vec![];
    for user in USERS {
        for client in 0..CLIENTS {
            tokens.push(servers[0].login(user, &format!("client {client}")).await);
        }
    }
    let round = Round {
        servers,
        http: reqwest::Client::new(),
        tokens,
        revocations: Mutex::default(),
        requests: Mutex::default(),
        is_over: AtomicBool::new(false),
    };
    let clients =
        (0..servers.len() * CONCURRENCY).map(|n| round.send_requests(n % servers.len(), n));
    join!(join_all(clients), async {
        time::sleep(2 * STEP).await;
        round.end_all_but_the_last(&USERS, CLIENTS).await;
        time::sleep(2 * FOLLOW_TIME).await;
        round.is_over.store(true, Ordering::SeqCst);
    });
    round.assert_in_time()
}

#[test]
#[ignore = "slow"]
fn no_process_accepts_a_revoked_token_after_the_guaranteed_time() {
    on_each_url(async |url| {
        let servers = [Server::start(&url).await, Server::start(&url).await];
        for user in USERS {
            servers[0].run(&["user", "create", user, "--password-stdin"], PASSWORD);
        }
        let mut accepted = 0;
        for _ in 0..3 {
            accepted += round(&servers).await;
            servers[0].run(&["user", "enable", USERS[5]], "");
            servers[0].run(
                &["user", "set-password", USERS[3], "--password-stdin"],
                PASSWORD,
            );
            servers[0].run(&["user", "create", USERS[6], "--password-stdin"], PASSWORD);
        }
        assert!(accepted > 300, "{accepted}");
        for server in servers {
            assert_eq!(server.terminate(), Some(0));
        }
    });
}

#[test]
fn a_changed_role_is_not_served_from_the_cache() {
    on_each_url(async |url| {
        let (one, other) = (Server::start(&url).await, Server::start(&url).await);
        one.run(&["user", "create", "ann", "--password-stdin"], PASSWORD);
        let token = one.login("ann", "laptop").await;
        let http = reqwest::Client::new();
        let role = async |server: &Server| {
            let get = http
                .get(format!("{}/auth/me/", server.origin))
                .bearer_auth(&token);
            let me: Value = get.send().await.unwrap().json().await.unwrap();
            me["role"].as_str().unwrap().to_owned()
        };
        for (command, after) in [("promote", "admin"), ("demote", "user")] {
            for server in [&one, &other] {
                assert_ne!(role(server).await, after);
            }
            // The last admin cannot be demoted.
            one.run(
                &["user", "create", "root", "--admin", "--password-stdin"],
                PASSWORD,
            );
            assert!(one.run(&["user", command, "ann"], "").status.success());
            time::sleep(FOLLOW_TIME).await;
            for server in [&one, &other] {
                assert_eq!(role(server).await, after);
            }
        }
    });
}

#[test]
fn a_process_that_lost_its_database_does_not_trust_its_cache() {
    on_each_url(async |url| {
        if url.starts_with("sqlite:") {
            return;
        }
        let server = Server::start(&url).await;
        server.run(&["user", "create", "ann", "--password-stdin"], PASSWORD);
        let token = server.login("ann", "laptop").await;
        for _ in 0..5 {
            assert_eq!(server.me(&token).await, 200);
            time::sleep(STEP).await;
        }
        server.drop_database().await;
        time::sleep(FOLLOW_TIME).await;
        assert_eq!(server.me(&token).await, 503);
    });
}

/// Uses a token until the process has cached it and confirmed the entry.
async fn warm(server: &Server, token: &str) {
    for _ in 0..6 {
        assert_eq!(server.me(token).await, 200);
        time::sleep(STEP).await;
    }
}

#[test]
fn a_token_is_cached_until_a_revocation_is_counted() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        server.run(&["user", "create", "ann", "--password-stdin"], PASSWORD);
        for quiet in [Duration::ZERO, Duration::from_secs(5)] {
            time::sleep(quiet).await;
            let (mut cached, mut tries) = (false, 0);
            while !cached {
                let token = server.login("ann", "laptop").await;
                warm(&server, &token).await;
                // Delete the row without notifying the process.
                server.execute_quietly("DELETE FROM tokens").await;
                cached = server.me(&token).await == 200;
                server.execute("DELETE FROM tokens").await;
                assert_eq!(server.me(&token).await, 401);
                // A process that is starved of CPU time stops trusting its cache. Try again.
                tries += 1;
                assert!(cached || tries < 20, "nothing is cached");
            }
        }
    });
}

#[test]
fn a_process_that_answered_a_logout_rejects_the_token_even_if_another_ended_it() {
    on_each_url(async |url| {
        let (one, other) = (Server::start(&url).await, Server::start(&url).await);
        one.run(&["user", "create", "ann", "--password-stdin"], PASSWORD);
        let http = reqwest::Client::new();
        let logout = async |server: &Server, token: &str| {
            let post = http.post(format!("{}/auth/logout/", server.origin));
            post.bearer_auth(token).send().await.unwrap().status()
        };
        for _ in 0..5 {
            let token = one.login("ann", "laptop").await;
            warm(&one, &token).await;
            warm(&other, &token).await;
            assert_eq!(logout(&one, &token).await, 200);
            let again = logout(&other, &token).await;
            assert!([200, 401].contains(&again.as_u16()), "{again}");
            assert_eq!(other.me(&token).await, 401);
        }
    });
}

#[test]
fn a_logout_ends_a_token_that_expired_after_the_guard_accepted_it() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        server.run(&["user", "create", "ann", "--password-stdin"], PASSWORD);
        let token = server.login("ann", "laptop").await;
        warm(&server, &token).await;
        server
            .execute_quietly("UPDATE tokens SET ends_at = 1")
            .await;
        let http = reqwest::Client::new();
        let logout = http.post(format!("{}/auth/logout/", server.origin));
        let response = logout.bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status(), 200);
        // The guard noted a use. Writing it would extend the token in the same way.
        server
            .execute_quietly("UPDATE tokens SET ends_at = 99999999999")
            .await;
        assert_eq!(server.me(&token).await, 401);
    });
}

#[test]
fn without_a_cache_each_request_queries_the_database() {
    on_each_url(async |url| {
        let app = "{hash_memory_kib=8,hash_iterations=1,token_cache=false}";
        let server = Server::start_with(&url, &[("ROCKET_APP", app)]).await;
        server.run(&["user", "create", "ann", "--password-stdin"], PASSWORD);
        let token = server.login("ann", "laptop").await;
        warm(&server, &token).await;
        server.execute_quietly("DELETE FROM tokens").await;
        assert_eq!(server.me(&token).await, 401);
    });
}

#[test]
fn revoking_one_token_evicts_few_other_users_from_the_cache() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        let create = ["user", "create", "root", "--admin", "--password-stdin"];
        server.run(&create, PASSWORD);
        let cookie = server.admin_cookie("root").await;
        let names = ["ann", "bob", "cid", "dan", "eve", "fay"];
        for name in names {
            server.run(&["user", "create", name, "--password-stdin"], PASSWORD);
        }
        // A process that is starved of CPU time stops trusting its cache. Try again.
        for tries in 0.. {
            let mut tokens = vec![];
            for name in names {
                tokens.push(server.login(name, "laptop").await);
            }
            for token in &tokens {
                warm(&server, token).await;
            }
            let listed = server.run(&["token", "list", "--user", "ann", "--json"], "");
            let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
            let path = format!("/admin/tokens/{}/revoke", listed[0]["id"].as_str().unwrap());
            let done = server.submit(&path, &cookie, &[]).await;
            assert_eq!(done.status(), 303);
            assert_eq!(server.me(&tokens[0]).await, 401);
            // Delete the rows without notifying the process.
            server
                .execute_quietly("DELETE FROM tokens WHERE kind = 'api'")
                .await;
            let mut cached = 0;
            for token in &tokens[1..] {
                cached += u32::from(server.me(token).await == 200);
            }
            server
                .execute("DELETE FROM tokens WHERE kind = 'api'")
                .await;
            if cached >= 3 {
                break;
            }
            assert!(tries < 20, "{cached} are cached");
        }
    });
}
