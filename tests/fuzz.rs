//! Whatever is sent over a socket, well-formed or not, brings out no 5xx but 503, and no panic.
//!
//! The requests are random: 5,000 of them, 100,000 with `CI=true`, or as many as `FUZZ_REQUESTS`
//! says. `FUZZ_SEED` repeats what was sent, as far as it does not depend on ids and tokens.

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

use requests::{Generator, Known, Request};
use wire::{Answer, PATIENCE, answer, connect, shown, statuses};

/// No limit on logins, so that most of them come to the hash; and all that reads headers is on.
const SETTINGS: &str = r#"{hash_memory_kib=8, hash_iterations=1,
    login_failures_per_account=4294967295, login_failures_per_address=4294967295,
    logins_per_account=4294967295,
    cors_origins=["https://app.example.com"], trusted_proxies=["127.0.0.0/8"]}"#;
const WORKERS: u64 = 4;
/// How long a server that waits for the rest of a request is left waiting.
const PAUSE: Duration = Duration::from_millis(20);
const LAST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[test]
fn nothing_that_is_sent_brings_out_a_panic_or_a_5xx_but_503() {
    let all = std::env::var("CI").as_deref() == Ok("true");
    let requests = number("FUZZ_REQUESTS").unwrap_or(if all { 100_000 } else { 5_000 });
    let seed = number("FUZZ_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    eprintln!("{requests} requests; FUZZ_SEED={seed} repeats them");
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    rocket::async_test(async {
        let server = Server::start_with(&url, &[("ROCKET_APP", SETTINGS)]).await;
        let started = Instant::now();
        let answers = fuzz(&server, seed, requests);
        eprintln!("answers after {:?}: {answers:?}", started.elapsed());
        for status in [200, 303, 400, 401, 404] {
            assert!(answers.contains_key(&status), "never came to a {status}");
        }

        let log = server.log_up_to_now().await;
        let bad = |line: &&str| line.contains("panicked") || line.contains("internal error");
        assert_eq!(log.lines().find(bad), None);
        assert_eq!(server.terminate(), Some(0));
    });
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// How often each status came back.
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

/// A client of bad manners, with a user and an admin of its own to sign in as. Others may do away
/// with both at any time.
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
                known: Known::default(),
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
                self.ask()
            } else {
                self.offend()
            };
        }
        self.answers
    }

    /// Sends well-formed requests, and says how many.
    fn ask(&mut self) -> u64 {
        let many = self.generator.rng.random_range(1..=6);
        let burst: Vec<_> = (0..many).map(|_| self.generator.well_formed()).collect();
        self.exchange(&burst);
        many
    }

    /// Sends what is no request among others that are, and says how many.
    fn offend(&mut self) -> u64 {
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
            bytes.extend(LAST);
        }
        for status in self.throw(&bytes) {
            self.note(status, &bytes);
        }
        before + after + 1
    }

    /// Sends the bytes over a connection of their own and gives the statuses that come back.
    fn throw(&mut self, bytes: &[u8]) -> Vec<u16> {
        let mut stream = connect(self.server).into_inner();
        let (start, end) = bytes.split_at(self.generator.rng.random_range(0..=bytes.len()));
        // It may be refused halfway.
        let _ = stream.write_all(start).and_then(|()| stream.write_all(end));
        let mut heard = vec![];
        match self.generator.rng.random_range(0..8) {
            0 => return vec![],
            1 => {}
            _ => {
                stream.set_read_timeout(Some(PAUSE)).unwrap();
                let _ = stream.read_to_end(&mut heard);
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
        if let Err(error) = stream.read_to_end(&mut heard) {
            let forgotten = error.kind() == ErrorKind::WouldBlock;
            assert!(!forgotten, "neither answered nor closed: {}", shown(bytes));
        }
        statuses(&heard)
    }

    /// Sends well-formed requests in one go, and gives the last answer. Each has to be answered.
    fn exchange(&mut self, burst: &[Request]) -> Answer {
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
            answers.extend(left.iter().map_while(|r| answer(&mut connection, r)));
            // The server may close after an answer, where it has not read the whole request or can't
            // read it. What came behind goes over another connection.
            let heard = !is_new || answers.len() > answered;
            assert!(heard, "no answer to {}", shown(&left[0].bytes));
            if answers.len() == burst.len() {
                self.connection = Some(connection);
            }
        }
        for (answer, request) in answers.iter().zip(burst) {
            self.note(answer.status, &request.bytes);
        }
        answers.pop().unwrap()
    }

    fn note(&mut self, status: u16, request: &[u8]) {
        *self.answers.entry(status).or_default() += 1;
        let fits = status < 500 || status == 503;
        assert!(fits, "{status} to {}", shown(request));
    }

    /// Gets a token and a cookie that work, and ids of what there is.
    fn sign_in(&mut self) {
        let (user, admin) = (
            format!("user{}", self.number),
            format!("admin{}", self.number),
        );
        let client = ["laptop", "phone"][self.generator.rng.random_range(0..2)];
        let body = json!({"username": user, "password": PASSWORD, "client": client});
        let login = requests::post("/auth/login/", "application/json", &body.to_string());
        let (_, body) = self.insist(&login, "auth_token", &["user", "create", &user]);
        let token = body.split("auth_token\":\"").nth(1).unwrap();
        let token = token.split('"').next().unwrap().to_owned();

        let body = form(&[("username", &admin), ("password", PASSWORD)]);
        let login = requests::post("/admin/login", "application/x-www-form-urlencoded", &body);
        let create = ["user", "create", &admin, "--admin"];
        let (head, _) = self.insist(&login, "multitoken_admin_", &create);
        let cookie = head.split("multitoken_admin_").nth(1).unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();

        self.generator.known = Known {
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

    /// Signs in, and makes the user anew until that succeeds.
    fn insist(&mut self, login: &Request, wanted: &str, create: &[&str]) -> (String, String) {
        for _ in 0..5 {
            let Answer { head, body, .. } = self.exchange(std::slice::from_ref(login));
            if head.contains(wanted) || body.contains(wanted) {
                return (head, body);
            }
            self.server.run(&["user", "delete", create[2], "--yes"], "");
            let create = [create, &["--password-stdin"]].concat();
            self.server.run(&create, PASSWORD);
        }
        panic!("no sign-in: {}", shown(&login.bytes));
    }
}
