//! Whether the time that a refused login takes tells if there is such a user.
//!
//! `cargo bench --bench login_timing`: an optimised server on a fresh SQLite, with the default
//! parameters of Argon2, is asked again and again over one connection. Of two kinds of logins the
//! AUC is the chance that one of the first takes longer than one of the second: 0.5 where the time
//! tells nothing. It fails where that of wrong passwords against unknown users is further than 0.02
//! from 0.5; the other kinds are for information. `TRIES` of each kind are made, 2,000 if not set.
//!
//! So that only what differs in the server differs in the time: names and passwords of all kinds
//! are of one length, and the kinds come in random order, so that what else the machine does, the
//! tables' growth and what the login before left behind fall on all alike.

// A bench may stop where something is not as it must be.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::distr::{Alphanumeric, SampleString};
use rand::seq::SliceRandom;
use serde_json::json;
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery";
const BOUND: f64 = 0.02;
const WARM_UP: usize = 30;

/// A login that is refused.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    WrongPassword,
    /// Nobody, by a name that was never heard before.
    UnknownName,
    /// Nobody, by a name that was tried before.
    UnknownAgain,
    /// The right password of a user who is disabled.
    Disabled,
    /// A wrong password, where the hash is of weaker parameters than today's.
    OutdatedHash,
}

const KINDS: [Kind; 5] = [
    Kind::WrongPassword,
    Kind::UnknownName,
    Kind::UnknownAgain,
    Kind::Disabled,
    Kind::OutdatedHash,
];

fn main() -> ExitCode {
    let tries = std::env::var("TRIES").map_or(2_000, |tries| tries.parse().unwrap());
    let server = Server::start();
    let mut connection = server.connect();
    for kind in KINDS.repeat(WARM_UP) {
        time(&mut connection, kind);
    }
    let mut order = KINDS.repeat(tries);
    order.shuffle(&mut rand::rng());
    let times: Vec<(Kind, Duration)> = order
        .into_iter()
        .map(|kind| (kind, time(&mut connection, kind)))
        .collect();
    let of = |kinds: &[Kind]| {
        let chosen = times.iter().filter(|(kind, _)| kinds.contains(kind));
        let mut times: Vec<Duration> = chosen.map(|(_, time)| *time).collect();
        times.sort();
        times
    };

    let unknown = of(&[Kind::UnknownName, Kind::UnknownAgain]);
    let wrong = of(&[Kind::WrongPassword]);
    let equal = compare("wrong password", &wrong, "unknown user", &unknown);
    println!("for information:");
    let (new, again) = (of(&[Kind::UnknownName]), of(&[Kind::UnknownAgain]));
    compare("wrong password", &wrong, "unknown user, new name", &new);
    compare("wrong password", &wrong, "unknown user, same name", &again);
    let disabled = of(&[Kind::Disabled]);
    compare("disabled user", &disabled, "wrong password", &wrong);
    let outdated = of(&[Kind::OutdatedHash]);
    compare("outdated hash", &outdated, "unknown user", &unknown);
    if equal {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints how the times of two kinds differ, and gives whether they are as good as equal. Both are
/// sorted.
fn compare(one: &str, ones: &[Duration], other: &str, others: &[Duration]) -> bool {
    let milliseconds = |times: &[Duration]| times[times.len() / 2].as_secs_f64() * 1e3;
    let (this, that) = (milliseconds(ones), milliseconds(others));
    let auc = auc(ones, others);
    let (n, m) = (count(ones.len()), count(others.len()));
    let error = ((n + m + 1.0) / (12.0 * n * m)).sqrt();
    let equal = (auc - 0.5).abs() <= BOUND;
    let verdict = if equal { "equal" } else { "NOT EQUAL" };
    println!(
        "{one} ({n} tries, median {this:.3} ms) against {other} ({m}, {that:.3} ms): \
         {:+.3} ms, AUC {auc:.4} ± {error:.4}: {verdict}",
        this - that
    );
    equal
}

/// The chance that one of `ones` is more than one of `others`, where equals count half: the
/// statistic of Mann and Whitney over the number of pairs.
fn auc(ones: &[Duration], others: &[Duration]) -> f64 {
    let wins = ones.iter().map(|time| {
        let below = others.partition_point(|other| other < time);
        let up_to = others.partition_point(|other| other <= time);
        f64::midpoint(count(below), count(up_to))
    });
    wins.sum::<f64>() / (count(ones.len()) * count(others.len()))
}

fn count(number: usize) -> f64 {
    u32::try_from(number).unwrap().into()
}

/// How long a login of that kind takes, from sending it to the whole answer.
fn time(connection: &mut BufReader<TcpStream>, kind: Kind) -> Duration {
    let random = |length| Alphanumeric.sample_string(&mut rand::rng(), length);
    let name = match kind {
        Kind::WrongPassword => "margaret".into(),
        Kind::UnknownName => random_name(),
        Kind::UnknownAgain => "theodore".into(),
        Kind::Disabled => "humphrey".into(),
        Kind::OutdatedHash => "rosalind".into(),
    };
    let password = if kind == Kind::Disabled {
        PASSWORD.into()
    } else {
        random(PASSWORD.len())
    };
    let body = json!({"username": name, "password": password, "client": "laptop"}).to_string();
    let length = body.len();
    let request = format!(
        "POST /auth/login/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let start = Instant::now();
    connection.get_mut().write_all(request.as_bytes()).unwrap();
    let answer = read_answer(connection);
    let time = start.elapsed();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("Unable to log in"), "{answer}");
    time
}

fn random_name() -> String {
    let mut rng = rand::rng();
    (0..8).map(|_| rng.random_range('a'..='z')).collect()
}

fn read_answer(connection: &mut BufReader<TcpStream>) -> String {
    let (mut text, mut length) = (String::new(), 0);
    while !text.ends_with("\r\n\r\n") {
        let start = text.len();
        assert_ne!(connection.read_line(&mut text).unwrap(), 0, "{text}");
        let line = text[start..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    text + &String::from_utf8(body).unwrap()
}

/// A server with a user of each kind; it is ended when dropped.
struct Server {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, settings) in [
            ("margaret", "{}"),
            ("humphrey", "{}"),
            ("rosalind", "{hash_memory_kib=4096}"),
        ] {
            let create = ["user", "create", name, "--password-stdin"];
            run(command(folder.path(), settings).args(create));
        }
        run(command(folder.path(), "{}").args(["user", "disable", "humphrey"]));

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let limits = "{login_failures_per_account=4294967295,\
                      login_failures_per_address=4294967295}";
        let process = command(folder.path(), limits)
            .env("ROCKET_PORT", port.to_string())
            .spawn()
            .unwrap();
        Self {
            process,
            port,
            _folder: folder,
        }
    }

    /// A connection, once it answers.
    fn connect(&self) -> BufReader<TcpStream> {
        let start = Instant::now();
        loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                stream.set_nodelay(true).unwrap();
                let patience = Some(Duration::from_secs(30));
                stream.set_read_timeout(patience).unwrap();
                return BufReader::new(stream);
            }
            assert!(start.elapsed() < Duration::from_secs(30), "no server");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The optimised executable on the database in `folder`, with a key that a release build asks for.
fn command(folder: &Path, settings: &str) -> Command {
    let key = rand::random::<[u128; 2]>().map(|half| format!("{half:032x}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_multitoken"));
    command
        .env(
            "DATABASE_URL",
            format!("sqlite:{}/data/bench.db", folder.display()),
        )
        .env("ROCKET_SECRET_KEY", key.concat())
        .env("ROCKET_APP", settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn run(command: &mut Command) {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Who asks for none may be gone already.
    let _ = stdin.write_all(PASSWORD.as_bytes());
    drop(stdin);
    assert!(child.wait().unwrap().success(), "{command:?}");
}
