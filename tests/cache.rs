//! Remembered tokens: several processes on one database, each hammered with tokens while they are ended in
//! every way, keep what is promised of revocation.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rocket::futures::future::join_all;
use rocket::tokio::{join, time};
use serde_json::{Value, json};

use crate::support::PASSWORD;
use crate::support::app::FOLLOWED;
use crate::support::server::{Server, on_each_url};

/// Requests under way at each process.
const AT_ONCE: usize = 4;
/// Time that a round's tokens are used before, between and after their ends.
const STEP: Duration = Duration::from_millis(60);

/// A guarded request: with which token, at which process, when it began and what came of it.
struct Asked {
    token: usize,
    server: usize,
    at: Instant,
    status: u16,
}

/// The end of a token: by which process it was answered, and when. None: by a command beside them.
struct Ended {
    server: Option<usize>,
    at: Instant,
}

struct Round<'a> {
    servers: &'a [Server],
    http: reqwest::Client,
    tokens: Vec<String>,
    ended: Mutex<HashMap<usize, Ended>>,
    asked: Mutex<Vec<Asked>>,
    over: AtomicBool,
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

    /// Uses one token after the other at one process.
    async fn hammer(&self, server: usize, first: usize) {
        for token in (0..self.tokens.len()).cycle().skip(first) {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let at = Instant::now();
            let status = self
                .send(server, "GET", "/auth/me/", &self.tokens[token], Value::Null)
                .await;
            self.asked.lock().unwrap().push(Asked {
                token,
                server,
                at,
                status,
            });
        }
    }

    fn note(&self, tokens: impl IntoIterator<Item = usize>, server: Option<usize>) {
        let at = Instant::now();
        let mut ended = self.ended.lock().unwrap();
        for token in tokens {
            ended.entry(token).or_insert(Ended { server, at });
        }
    }

    /// Ends the tokens of all users but the last in some way or other.
    async fn end_most(&self, users: &[&str], clients: usize) {
        let of = |user: usize| user * clients..(user + 1) * clients;
        let first = |user: usize| self.tokens[user * clients].as_str();
        let nothing = || Value::Null;
        // Each end at another process; the first token of a user asks.
        assert_eq!(
            self.send(0, "POST", "/auth/logout/", first(0), nothing())
                .await,
            200
        );
        self.note([0], Some(0));
        time::sleep(STEP).await;
        assert_eq!(
            self.send(1, "POST", "/auth/logout/others/", first(1), nothing())
                .await,
            200
        );
        self.note(of(1).skip(1), Some(1));
        time::sleep(STEP).await;
        assert_eq!(
            self.send(0, "POST", "/auth/logout/all/", first(2), nothing())
                .await,
            200
        );
        self.note(of(2), Some(0));
        time::sleep(STEP).await;
        let change = json!({"current_password": PASSWORD, "new_password": format!("{PASSWORD}!")});
        assert_eq!(
            self.send(1, "POST", "/auth/password/", first(3), change)
                .await,
            200
        );
        self.note(of(3).skip(1), Some(1));
        time::sleep(STEP).await;
        self.servers[0].login(users[4], "client 1").await;
        self.note([4 * clients + 1], Some(0));
        time::sleep(STEP).await;
        let disable = self.servers[0].run(&["user", "disable", users[5]], "");
        assert!(disable.status.success());
        self.note(of(5), None);
        let delete = self.servers[0].run(&["user", "delete", users[6], "--yes"], "");
        assert!(delete.status.success(), "{delete:?}");
        self.note(of(6), None);
    }

    /// That none was let in too late, and none refused too early; and how many were let in.
    fn judge(self) -> usize {
        let (asked, ended) = (
            self.asked.into_inner().unwrap(),
            self.ended.into_inner().unwrap(),
        );
        let mut late = vec![];
        for Asked {
            token,
            server,
            at,
            status,
        } in &asked
        {
            let grace = match ended.get(token) {
                None => {
                    assert_eq!(*status, 200, "token {token} has not ended");
                    continue;
                }
                // A command is done when it is done everywhere.
                Some(end) if end.server.is_none_or(|by| by == *server) => Duration::ZERO,
                Some(_) => FOLLOWED,
            };
            let end = &ended[token];
            if *status == 200 && *at >= end.at + grace {
                late.push(format!(
                    "token {token} at {server}, {:?} after its end",
                    *at - end.at
                ));
            }
            assert!([200, 401].contains(status), "{status}");
        }
        assert!(late.is_empty(), "{late:#?}");
        asked.iter().filter(|asked| asked.status == 200).count()
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
        ended: Mutex::default(),
        asked: Mutex::default(),
        over: AtomicBool::new(false),
    };
    let hammers = (0..servers.len() * AT_ONCE).map(|n| round.hammer(n % servers.len(), n));
    join!(join_all(hammers), async {
        time::sleep(2 * STEP).await;
        round.end_most(&USERS, CLIENTS).await;
        time::sleep(2 * FOLLOWED).await;
        round.over.store(true, Ordering::SeqCst);
    });
    round.judge()
}

#[test]
fn no_process_lets_an_ended_token_in_after_the_time_that_is_promised() {
    on_each_url(async |url| {
        let servers = [Server::start(&url).await, Server::start(&url).await];
        for user in USERS {
            servers[0].run(&["user", "create", user, "--password-stdin"], PASSWORD);
        }
        let mut let_in = 0;
        for _ in 0..3 {
            let_in += round(&servers).await;
            servers[0].run(&["user", "enable", USERS[5]], "");
            servers[0].run(
                &["user", "set-password", USERS[3], "--password-stdin"],
                PASSWORD,
            );
            servers[0].run(&["user", "create", USERS[6], "--password-stdin"], PASSWORD);
        }
        assert!(let_in > 300, "{let_in}");
        for server in servers {
            assert_eq!(server.terminate(), Some(0));
        }
    });
}

#[test]
fn what_is_said_of_a_user_is_not_remembered_beyond_a_change() {
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
            // The last admin can't be demoted.
            one.run(
                &["user", "create", "root", "--admin", "--password-stdin"],
                PASSWORD,
            );
            assert!(one.run(&["user", command, "ann"], "").status.success());
            time::sleep(FOLLOWED).await;
            for server in [&one, &other] {
                assert_eq!(role(server).await, after);
            }
        }
    });
}

#[test]
fn a_process_without_its_database_stops_trusting_what_it_remembers() {
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
        server.lose_database().await;
        time::sleep(FOLLOWED).await;
        assert_eq!(server.me(&token).await, 503);
    });
}

/// Uses a token until the process has had time to remember it and to be sure of it.
async fn warm(server: &Server, token: &str) {
    for _ in 0..6 {
        assert_eq!(server.me(token).await, 200);
        time::sleep(STEP).await;
    }
}

#[test]
fn a_token_is_remembered_until_its_end_is_counted() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        server.run(&["user", "create", "ann", "--password-stdin"], PASSWORD);
        for quiet in [Duration::ZERO, Duration::from_secs(5)] {
            time::sleep(quiet).await;
            let (mut remembered, mut tries) = (false, 0);
            while !remembered {
                let token = server.login("ann", "laptop").await;
                warm(&server, &token).await;
                // By hand, and told to nobody.
                server.execute_quietly("DELETE FROM tokens").await;
                remembered = server.me(&token).await == 200;
                server.execute("DELETE FROM tokens").await;
                assert_eq!(server.me(&token).await, 401);
                // A process that is kept from its work trusts nothing that it remembers.
                tries += 1;
                assert!(remembered || tries < 20, "nothing is remembered");
            }
        }
    });
}

#[test]
fn who_answers_that_a_token_has_ended_lets_it_in_no_more_though_another_has_ended_it() {
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
fn a_logout_ends_a_token_whose_time_came_after_the_guard_let_it_in() {
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
        let answer = logout.bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        // As the use does that the guard noted, once it is written.
        server
            .execute_quietly("UPDATE tokens SET ends_at = 99999999999")
            .await;
        assert_eq!(server.me(&token).await, 401);
    });
}

#[test]
fn without_a_cache_each_request_asks_the_database() {
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
fn one_click_on_revoke_forgets_its_user_and_few_others() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        let create = ["user", "create", "root", "--admin", "--password-stdin"];
        server.run(&create, PASSWORD);
        let cookie = server.admin_cookie("root").await;
        let names = ["ann", "bob", "cid", "dan", "eve", "fay"];
        for name in names {
            server.run(&["user", "create", name, "--password-stdin"], PASSWORD);
        }
        // A process that is kept from its work trusts nothing that it remembers.
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
            // By hand, and told to nobody.
            server
                .execute_quietly("DELETE FROM tokens WHERE kind = 'api'")
                .await;
            let mut remembered = 0;
            for token in &tokens[1..] {
                remembered += u32::from(server.me(token).await == 200);
            }
            server
                .execute("DELETE FROM tokens WHERE kind = 'api'")
                .await;
            if remembered >= 3 {
                break;
            }
            assert!(tries < 20, "{remembered} are remembered");
        }
    });
}
