//! Timing test: `cargo xtask timing` measures whether response times reveal if a user or an address exists.
//!
//! It sends requests over one connection to a release build on a fresh SQLite database with the default parameters of
//! Argon2. For two kinds of requests, the AUC is the probability that a request of the first kind takes longer than one
//! of the second. An AUC of 0.5 means that the time reveals nothing. The test fails if the AUC differs from 0.5:
//!
//! - by more than 0.02 for logins with a wrong password against logins of unknown users
//! - by more than 0.03 for resets or sign-ups with a known address against those with an unknown one
//!
//! The other kinds are printed for information.
//!
//! Names and passwords of all kinds have the same length. The kinds come in random order. This way, the machine's load,
//! the growth of the tables and the effects of the previous request are the same for all kinds.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use rand::RngExt;
use rand::distr::{Alphanumeric, SampleString};
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery";
/// The maximum difference of an AUC from 0.5, for logins.
const MAX_LOGIN_DEVIATION: f64 = 0.02;
/// The maximum difference of an AUC from 0.5, for requests that send mail.
const MAX_MAIL_DEVIATION: f64 = 0.03;
/// Requests of each kind before the measurement.
const WARM_UP_REQUESTS: usize = 30;
/// The maximum time to wait for the server, a response or a mail.
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// An email address that a user has verified.
const KNOWN_EMAIL: &str = "margaret@example.com";

/// A kind of request whose time must not reveal what the server found.
#[derive(Clone, Copy, PartialEq)]
enum RequestKind {
    WrongPassword,
    /// A new unknown name each time.
    UnknownName,
    /// An unknown name that was tried before.
    RepeatedUnknownName,
    /// The right password of a disabled user.
    Disabled,
    /// A wrong password of a user whose hash has weaker parameters than today's.
    OutdatedHash,
    /// A password reset with an address that a user has verified.
    ResetKnown,
    /// A password reset with a new unknown address.
    ResetUnknown,
    /// A sign-up with an address that another user has verified.
    SignUpKnown,
    /// A sign-up with a new unknown address.
    SignUpUnknown,
}

const LOGIN_KINDS: [RequestKind; 5] = [
    RequestKind::WrongPassword,
    RequestKind::UnknownName,
    RequestKind::RepeatedUnknownName,
    RequestKind::Disabled,
    RequestKind::OutdatedHash,
];

#[derive(Args)]
pub struct TimingOptions {
    /// Number of logins of each kind
    #[arg(long, default_value_t = 2_000)]
    tries: usize,
    /// Number of pairs of password resets, one for a known and one for an unknown address
    #[arg(long, default_value_t = 5_000)]
    resets: usize,
    /// Number of pairs of sign-ups, one with a known and one with an unknown address
    #[arg(long, default_value_t = 500)]
    sign_ups: usize,
}

/// Runs the test. False if the times reveal something.
pub fn run(options: &TimingOptions) -> bool {
    let server = TimingServer::start();
    let mut connection = server.connect();
    verify_known_email(&mut connection, server.folder.path());
    let resets = compare_resets(&mut connection, options.resets);
    let sign_ups = compare_sign_ups(&mut connection, options.sign_ups);
    let logins = compare_logins(&mut connection, options.tries);
    resets && sign_ups && logins
}

fn compare_resets(connection: &mut BufReader<TcpStream>, pairs: usize) -> bool {
    let timings = Timings::measure(
        connection,
        &[RequestKind::ResetKnown, RequestKind::ResetUnknown],
        pairs,
    );
    let (known, unknown) = (
        timings.sorted(&[RequestKind::ResetKnown]),
        timings.sorted(&[RequestKind::ResetUnknown]),
    );
    compare(
        "reset, known address",
        &known,
        "unknown",
        &unknown,
        MAX_MAIL_DEVIATION,
    )
}

fn compare_sign_ups(connection: &mut BufReader<TcpStream>, pairs: usize) -> bool {
    let timings = Timings::measure(
        connection,
        &[RequestKind::SignUpKnown, RequestKind::SignUpUnknown],
        pairs,
    );
    let (known, unknown) = (
        timings.sorted(&[RequestKind::SignUpKnown]),
        timings.sorted(&[RequestKind::SignUpUnknown]),
    );
    compare(
        "sign-up, known address",
        &known,
        "unknown",
        &unknown,
        MAX_MAIL_DEVIATION,
    )
}

fn compare_logins(connection: &mut BufReader<TcpStream>, tries: usize) -> bool {
    let timings = Timings::measure(connection, &LOGIN_KINDS, tries);
    let sorted = |kinds: &[RequestKind]| timings.sorted(kinds);
    let unknown = sorted(&[RequestKind::UnknownName, RequestKind::RepeatedUnknownName]);
    let wrong_password = sorted(&[RequestKind::WrongPassword]);
    let equal = compare(
        "wrong password",
        &wrong_password,
        "unknown user",
        &unknown,
        MAX_LOGIN_DEVIATION,
    );
    println!("For information only:");
    let (new_name, same_name) = (
        sorted(&[RequestKind::UnknownName]),
        sorted(&[RequestKind::RepeatedUnknownName]),
    );
    compare(
        "wrong password",
        &wrong_password,
        "unknown user, new name",
        &new_name,
        MAX_LOGIN_DEVIATION,
    );
    compare(
        "wrong password",
        &wrong_password,
        "unknown user, same name",
        &same_name,
        MAX_LOGIN_DEVIATION,
    );
    let disabled = sorted(&[RequestKind::Disabled]);
    compare(
        "disabled user",
        &disabled,
        "wrong password",
        &wrong_password,
        MAX_LOGIN_DEVIATION,
    );
    let outdated = sorted(&[RequestKind::OutdatedHash]);
    compare(
        "outdated hash",
        &outdated,
        "unknown user",
        &unknown,
        MAX_LOGIN_DEVIATION,
    );
    equal
}

struct Timings(Vec<(RequestKind, Duration)>);

impl Timings {
    /// Sends `tries` requests of each kind, in random order.
    fn measure(connection: &mut BufReader<TcpStream>, kinds: &[RequestKind], tries: usize) -> Self {
        for kind in kinds.repeat(WARM_UP_REQUESTS) {
            time_request(connection, kind);
        }
        let mut order = kinds.repeat(tries);
        order.shuffle(&mut rand::rng());
        let times = order
            .into_iter()
            .map(|kind| (kind, time_request(connection, kind)));
        Self(times.collect())
    }

    /// The sorted times of these kinds.
    fn sorted(&self, kinds: &[RequestKind]) -> Vec<Duration> {
        let timings = self.0.iter().filter(|(kind, _)| kinds.contains(kind));
        let mut times: Vec<Duration> = timings.map(|(_, time)| *time).collect();
        times.sort();
        times
    }
}

/// Prints how the sorted times of two samples differ, and returns whether their AUC is within the bound.
fn compare(
    first_label: &str,
    first: &[Duration],
    second_label: &str,
    second: &[Duration],
    max_deviation: f64,
) -> bool {
    let median = |times: &[Duration]| times[times.len() / 2].as_secs_f64() * 1e3;
    let (first_median, second_median) = (median(first), median(second));
    let auc = auc(first, second);
    let (n, m) = (to_f64(first.len()), to_f64(second.len()));
    let error = ((n + m + 1.0) / (12.0 * n * m)).sqrt();
    let equal = (auc - 0.5).abs() <= max_deviation;
    let verdict = if equal { "equal" } else { "NOT EQUAL" };
    println!(
        "{first_label} ({n} tries, median {first_median:.3} ms) against {second_label} ({m}, {second_median:.3} ms): \
         {:+.3} ms, AUC {auc:.4} ± {error:.4}: {verdict}",
        first_median - second_median
    );
    equal
}

/// The probability that a time of `first` is greater than a time of `second`. Ties count half. This is the Mann–Whitney
/// statistic divided by the number of pairs.
fn auc(first: &[Duration], second: &[Duration]) -> f64 {
    let wins = first.iter().map(|time| {
        let less = second.partition_point(|other| other < time);
        let less_or_equal = second.partition_point(|other| other <= time);
        f64::midpoint(to_f64(less), to_f64(less_or_equal))
    });
    wins.sum::<f64>() / (to_f64(first.len()) * to_f64(second.len()))
}

fn to_f64(count: usize) -> f64 {
    u32::try_from(count).unwrap().into()
}

/// The time of one request, from sending it to the end of the response.
fn time_request(connection: &mut BufReader<TcpStream>, kind: RequestKind) -> Duration {
    let (path, body, expected) = match kind {
        RequestKind::ResetKnown | RequestKind::ResetUnknown => {
            let email = email_address(kind == RequestKind::ResetKnown);
            ("/auth/reset/", json!({ "email": email }), "202")
        }
        RequestKind::SignUpKnown | RequestKind::SignUpUnknown => {
            let (name, email) = (
                random_name() + &random_name(),
                email_address(kind == RequestKind::SignUpKnown),
            );
            let body = json!({ "username": name, "password": PASSWORD, "email": email });
            ("/auth/sign-up/", body, "201")
        }
        login => ("/auth/login/", credentials(login), "400"),
    };
    let start = Instant::now();
    let response = post(connection, path, &body);
    let time = start.elapsed();
    assert!(
        response.starts_with(&format!("HTTP/1.1 {expected} ")),
        "{response}"
    );
    if expected == "400" {
        assert!(response.contains("Unable to log in"), "{response}");
    }
    time
}

fn credentials(kind: RequestKind) -> Value {
    let random = |length| Alphanumeric.sample_string(&mut rand::rng(), length);
    let name = match kind {
        RequestKind::UnknownName => random_name(),
        RequestKind::RepeatedUnknownName => "theodore".into(),
        RequestKind::Disabled => "humphrey".into(),
        RequestKind::OutdatedHash => "rosalind".into(),
        _ => "margaret".into(),
    };
    let password = if kind == RequestKind::Disabled {
        PASSWORD.into()
    } else {
        random(PASSWORD.len())
    };
    json!({ "username": name, "password": password, "client": "laptop" })
}

/// The verified address, or a new unknown one of the same length.
fn email_address(known: bool) -> String {
    if known {
        KNOWN_EMAIL.into()
    } else {
        format!("{}@example.com", random_name())
    }
}

fn post(connection: &mut BufReader<TcpStream>, path: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    connection.get_mut().write_all(request.as_bytes()).unwrap();
    read_response(connection)
}

/// Signs a user up with the known address, and verifies it with the link in the mail.
fn verify_known_email(connection: &mut BufReader<TcpStream>, folder: &Path) {
    let body = json!({ "username": "winifred", "password": PASSWORD, "email": KNOWN_EMAIL });
    let response = post(connection, "/auth/sign-up/", &body);
    assert!(response.starts_with("HTTP/1.1 201 "), "{response}");
    let start = Instant::now();
    let mail = loop {
        let found = fs::read_dir(folder.join("mail"))
            .ok()
            .and_then(|mut files| files.next());
        if let Some(file) = found.filter(|file| {
            file.as_ref()
                .is_ok_and(|file| file.path().extension().is_some())
        }) {
            break fs::read_to_string(file.unwrap().path()).unwrap();
        }
        assert!(start.elapsed() < TIMEOUT, "no mail");
        thread::sleep(POLL_INTERVAL);
    };
    // The mail is quoted-printable: `=` is `=3D`, and long lines end in `=`.
    let text = mail.replace("=\r\n", "").replace("=3D", "=");
    let (_, rest) = text.split_once("key=").unwrap();
    let key = rest.split_whitespace().next().unwrap();
    let response = post(connection, "/auth/email/confirm/", &json!({ "key": key }));
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
}

fn random_name() -> String {
    let mut rng = rand::rng();
    (0..8).map(|_| rng.random_range('a'..='z')).collect()
}

fn read_response(connection: &mut BufReader<TcpStream>) -> String {
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

/// A server with a user of each kind. Dropping it stops the process.
struct TimingServer {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl TimingServer {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, settings) in [
            ("margaret", "{}"),
            ("humphrey", "{}"),
            ("rosalind", "{hash_memory_kib=4096}"),
        ] {
            let create = ["user", "create", name, "--password-stdin"];
            run_with_password(command(folder.path(), settings).args(create));
        }
        run_with_password(command(folder.path(), "{}").args(["user", "disable", "humphrey"]));

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mail = folder.path().join("mail");
        let settings = format!(
            "{{login_failures_per_account=4294967295,login_failures_per_address=4294967295,sign_up=\"open\",\
             mail_url=\"file:{}\",mail_from=\"timing@example.com\"}}",
            mail.display()
        );
        let process = command(folder.path(), &settings)
            .env("ROCKET_PORT", port.to_string())
            .spawn()
            .unwrap();
        Self {
            process,
            port,
            folder,
        }
    }

    /// Waits for the server and connects.
    fn connect(&self) -> BufReader<TcpStream> {
        let start = Instant::now();
        loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(TIMEOUT)).unwrap();
                return BufReader::new(stream);
            }
            assert!(start.elapsed() < TIMEOUT, "no server");
            thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for TimingServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The release binary on the database in `folder`, with the secret key that a release build requires.
fn command(folder: &Path, settings: &str) -> Command {
    let key = rand::random::<[u128; 2]>().map(|half| format!("{half:032x}"));
    let mut command = Command::new(crate::release_binary());
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

fn run_with_password(command: &mut Command) {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads no password may already have exited, so errors are ignored.
    let _ = stdin.write_all(PASSWORD.as_bytes());
    drop(stdin);
    assert!(child.wait().unwrap().success(), "{command:?}");
}
