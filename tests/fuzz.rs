//! Random requests over raw sockets, well-formed or not: the server never panics and sends no 5xx except 503.
//!
//! The default is 5,000 requests, or 100,000 with `CI=true`. `FUZZ_REQUESTS` sets another number, and `FUZZ_SEED`
//! repeats a run, except for ids and tokens.

use std::collections::BTreeMap;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::support::PASSWORD;
use crate::support::app::form;
use crate::support::server::{Server, sqlite};

mod malformed;
mod requests;
mod wire;

use requests::{Generator, KnownState, Request};
use wire::{Response, TIMEOUT, connect, excerpt, read_response, statuses};

/// Logins are unlimited, so that most of them reach the hash. Every setting that makes the server read more headers
/// is on.
const SETTINGS: &str = r#"{hash_memory_kib=8, hash_iterations=1,
    login_failures_per_account=4294967295, login_failures_per_address=4294967295,
    logins_per_account=4294967295, sign_up="open",
    cors_origins=["https://app.example.com"], trusted_proxies=["127.0.0.0/8"]}"#;
const WORKERS: u64 = 4;
/// How long a client keeps a server waiting for the rest of a request.
const PAUSE: Duration = Duration::from_millis(20);
const LAST_REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[test]
#[ignore = "slow"]
fn no_request_causes_a_panic_or_a_5xx_except_503() {
    let all = std::env::var("CI").as_deref() == Ok("true");
    let requests = env_number("FUZZ_REQUESTS").unwrap_or(if all { 100_000 } else { 5_000 });
    let seed = env_number("FUZZ_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    eprintln!("{requests} requests; FUZZ_SEED={seed} repeats them");
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    rocket::async_test(async {
        let server = Server::start_with(&url, &[("ROCKET_APP", SETTINGS)]).await;
        let started = Instant::now();
        let answers = fuzz(&server, seed, requests);
        eprintln!("answers after {:?}: {answers:?}", started.elapsed());
        for status in [200, 303, 400, 401, 404] {
            assert!(
                answers.contains_key(&status),
                "no response had the status {status}"
            );
        }

        let log = server.log_up_to_now().await;
        let bad = |line: &&str| line.contains("panicked") || line.contains("internal error");
        assert_eq!(log.lines().find(bad), None);
        assert_eq!(server.terminate(), Some(0));
    });
}

fn env_number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// Sends the requests and counts the statuses of the responses.
fn fuzz(server: &Server, seed: u64, requests: u64) -> BTreeMap<u16, u64> {
    thread::scope(|scope| {
        let work = |number| move || Worker::new(server, seed, number).run(requests / WORKERS);
        let workers: Vec<_> = (0..WORKERS).map(|n| scope.spawn(work(n))).collect();
        let mut all = BTreeMap::new();
        for (status, times) in workers.into_iter().flat_map(|w| w.join().unwrap()) {
            *all.entry(status).or_default() += times;
        }
        all
    })
}

/// A hostile client with its own user and admin to sign in as. Other clients may delete both at any time.
struct Worker<'s> {
    server: &'s Server,
    number: u64,
    generator: Generator,
    connection: Option<BufReader<TcpStream>>,
    answers: BTreeMap<u16, u64>,
}

impl<'s> Worker<'s> {
    fn new(server: &'s Server, seed: u64, number: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed ^ number << 32);
        Self {
            server,
            number,
            generator: Generator {
                rng,
                known: KnownState::default(),
            },
            connection: None,
            answers: BTreeMap::new(),
        }
    }

    fn run(mut self, requests: u64) -> BTreeMap<u16, u64> {
        let (mut sent, mut bursts) = (0, 0);
        while sent < requests {
            if bursts % 40 == 0 {
                self.sign_in();
            }
            bursts += 1;
            sent += if self.generator.rng.random_ratio(4, 5) {
                self.send_well_formed()
            } else {
                self.send_malformed()
            };
        }
        self.answers
    }

    /// Sends well-formed requests and returns their number.
    fn send_well_formed(&mut self) -> u64 {
        let many = self.generator.rng.random_range(1..=6);
        let burst: Vec<_> = (0..many).map(|_| self.generator.well_formed()).collect();
        self.exchange(&burst);
        many
    }

    /// Sends malformed requests among well-formed ones and returns their number.
    fn send_malformed(&mut self) -> u64 {
        let rng = &mut self.generator.rng;
        let (before, after) = (rng.random_range(0..3), rng.random_range(0..4));
        let mut bytes = vec![];
        for number in 0..=before + after {
            if number < before || number > before && self.generator.rng.random() {
                bytes.extend(self.generator.well_formed().bytes);
            } else {
                bytes.extend(self.generator.malformed());
            }
        }
        if self.generator.rng.random() {
            bytes.extend(LAST_REQUEST);
        }
        for status in self.send_raw(&bytes) {
            self.record(status, &bytes);
        }
        before + after + 1
    }

    /// Sends the bytes over a new connection and returns the statuses of the responses.
    fn send_raw(&mut self, bytes: &[u8]) -> Vec<u16> {
        let mut stream = connect(self.server).into_inner();
        let (start, end) = bytes.split_at(self.generator.rng.random_range(0..=bytes.len()));
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(start).and_then(|()| stream.write_all(end));
        let mut heard = vec![];
        match self.generator.rng.random_range(0..8) {
            0 => return vec![],
            1 => {}
            _ => {
                stream.set_read_timeout(Some(PAUSE)).unwrap();
                let _ = stream.read_to_end(&mut heard);
                stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
        if let Err(error) = stream.read_to_end(&mut heard) {
            let forgotten = error.kind() == ErrorKind::WouldBlock;
            assert!(
                !forgotten,
                "neither answered nor closed: {}",
                excerpt(bytes)
            );
        }
        statuses(&heard)
    }

    /// Sends well-formed requests in one write and returns the last response. Each must get one.
    fn exchange(&mut self, burst: &[Request]) -> Response {
        let mut answers = vec![];
        while answers.len() < burst.len() {
            let is_new = self.connection.is_none();
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => connect(self.server),
            };
            let left = &burst[answers.len()..];
            let bytes: Vec<u8> = left.iter().flat_map(|r| &r.bytes).copied().collect();
            let _ = connection.get_mut().write_all(&bytes);
            let answered = answers.len();
            answers.extend(left.iter().map_while(|r| read_response(&mut connection, r)));
            // The server may close the connection after a response to a request that it did not read to its end. The
            // remaining requests are sent over another connection.
            let heard = !is_new || answers.len() > answered;
            assert!(heard, "no answer to {}", excerpt(&left[0].bytes));
            if answers.len() == burst.len() {
                self.connection = Some(connection);
            }
        }
        for (answer, request) in answers.iter().zip(burst) {
            self.record(answer.status, &request.bytes);
        }
        answers.pop().unwrap()
    }

    fn record(&mut self, status: u16, request: &[u8]) {
        *self.answers.entry(status).or_default() += 1;
        let fits = status < 500 || status == 503;
        assert!(fits, "{status} to {}", excerpt(request));
    }

    /// Gets a valid token, a valid cookie and existing ids.
    fn sign_in(&mut self) {
        let (user, admin) = (
            format!("user{}", self.number),
            format!("admin{}", self.number),
        );
        let client = ["laptop", "phone"][self.generator.rng.random_range(0..2)];
        let body = json!({"username": user, "password": PASSWORD, "client": client});
        let login = requests::post("/auth/login/", "application/json", &body.to_string());
        let (_, body) = self.sign_in_or_create(&login, "auth_token", &["user", "create", &user]);
        let token = body.split("auth_token\":\"").nth(1).unwrap();
        let token = token.split('"').next().unwrap().to_owned();

        let body = form(&[("username", &admin), ("password", PASSWORD)]);
        let login = requests::post("/admin/login", "application/x-www-form-urlencoded", &body);
        let create = ["user", "create", &admin, "--admin"];
        let (head, _) = self.sign_in_or_create(&login, "multitoken_admin_", &create);
        let cookie = head.split("multitoken_admin_").nth(1).unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();

        self.generator.known = KnownState {
            token,
            cookie,
            user,
            ids: vec![],
        };
        let mut ids = vec![];
        for path in ["/auth/tokens/", "/admin/users"] {
            let get = self.generator.known.get(path);
            let listed = self.exchange(&[get]).body;
            let words = listed.split(|char: char| !char.is_ascii_hexdigit() && char != '-');
            ids.extend(words.filter(|word| word.len() == 36).map(str::to_owned));
        }
        self.generator.known.ids = ids;
    }

    /// Signs in, and creates the user again if that fails.
    fn sign_in_or_create(
        &mut self,
        login: &Request,
        wanted: &str,
        create: &[&str],
    ) -> (String, String) {
        for _ in 0..5 {
            let Response { head, body, .. } = self.exchange(std::slice::from_ref(login));
            if head.contains(wanted) || body.contains(wanted) {
                return (head, body);
            }
            self.server.run(&["user", "delete", create[2], "--yes"], "");
            let create = [create, &["--password-stdin"]].concat();
            self.server.run(&create, PASSWORD);
        }
        panic!("no sign-in: {}", excerpt(&login.bytes));
    }
}
