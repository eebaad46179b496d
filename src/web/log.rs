//! Where log lines go, which, and how they are written.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use rocket::config::LogLevel;
use serde::Serialize;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::lines::{Lines, Writing};
use super::time::rfc3339;
use crate::identity::UserId;

/// Starts logging to stderr, as much as Rocket's `log_level` asks for. Call it before
/// `rocket::build()`, which would else start a logger of its own.
///
/// Only our own lines are written, and warnings of the database pool. What Rocket logs of a
/// request holds its query, at debug its headers and body: passwords and tokens. It speaks through
/// the `log` crate, which is given a logger that drops everything but why a page could not be rendered; no
/// setting turns it on.
///
/// A person at a terminal reads plain lines; whatever else stderr leads to is given JSON, an object a line,
/// with `timestamp`, `level`, `message` and the event's own fields.
///
/// Lines are written by a thread of their own ([`Lines`]). What is left is written when the guard is dropped, at the
/// process's end.
pub fn start(level: LogLevel) -> Writing {
    let (own, others) = match level {
        LogLevel::Off => (LevelFilter::OFF, LevelFilter::OFF),
        LogLevel::Critical => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Normal => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::WARN),
    };
    let queue = Lines::default();
    let writing = queue.write_to(io::stderr());
    let is_terminal = io::stderr().is_terminal();
    let which = Targets::new()
        .with_default(LevelFilter::OFF)
        .with_target(env!("CARGO_CRATE_NAME"), own)
        .with_target("sqlx::pool", others);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(queue.clone())
        .with_target(false);
    let lines = if is_terminal {
        lines.boxed()
    } else {
        let json = lines.json().flatten_event(true);
        json.with_current_span(false).with_span_list(false).boxed()
    };
    // Tests start several servers in one process: the first call counts.
    let _ = log::set_logger(&TemplateErrors);
    log::set_max_level(log::LevelFilter::Error);
    let _ = tracing_subscriber::registry()
        .with(which)
        .with(lines)
        .try_init();
    if own >= LevelFilter::INFO {
        let _ = REQUESTS.set((!is_terminal).then_some(queue));
    }
    writing
}

/// Whether lines about requests are wanted, and where those go that are JSON.
static REQUESTS: OnceLock<Option<Lines>> = OnceLock::new();

/// Whether requests are logged.
pub fn has_requests() -> bool {
    REQUESTS.get().is_some()
}

/// What is said of a request that was answered.
#[derive(Serialize)]
pub struct Answered<'r> {
    /// GET, POST, …
    pub method: &'static str,
    /// The route's path with its parameters' names.
    pub route: &'r str,
    /// The answer's.
    pub status: u16,
    /// From the request's head to the answer's.
    pub duration_ms: f64,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The client whose token it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<&'r str>,
    /// The one in the answer's header.
    pub request_id: &'r str,
}

/// Writes the line of a request. JSON is put together here: `tracing` takes several times as long.
pub fn request(answered: &Answered<'_>) {
    match REQUESTS.get() {
        None => {}
        Some(Some(lines)) => DRAFT.with_borrow_mut(|draft| lines.push(draft.json(answered))),
        Some(None) => tracing::info!(
            method = answered.method,
            route = answered.route,
            status = answered.status,
            duration_ms = answered.duration_ms,
            address = answered.address.map(tracing::field::display),
            user_id = answered.user_id.map(tracing::field::display),
            client = answered.client,
            request_id = answered.request_id,
            "request"
        ),
    }
}

thread_local! {
    static DRAFT: RefCell<Draft> = RefCell::default();
}

/// A thread's buffers.
#[derive(Default)]
struct Draft {
    line: Vec<u8>,
    second: u64,
    /// The time as RFC 3339, up to the second.
    time: String,
}

impl Draft {
    fn json(&mut self, answered: &Answered<'_>) -> &[u8] {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.unwrap_or_default();
        if now.as_secs() != self.second {
            self.second = now.as_secs();
            let time = i64::try_from(self.second).ok().and_then(rfc3339);
            self.time = time.unwrap_or_default();
            self.time.pop();
        }
        let Self { line, time, .. } = self;
        line.clear();
        let micros = now.subsec_micros();
        // Neither a vector nor these values can fail to be written.
        let _ = write!(
            line,
            r#"{{"timestamp":"{time}.{micros:06}Z","level":"INFO","message":"request""#
        );
        let fields = line.len();
        let _ = serde_json::to_writer(&mut *line, answered);
        line[fields] = b',';
        line.push(b'\n');
        line
    }
}

/// Takes the place that Rocket's own logger would fill, and passes on what it says of templates: the answer is a
/// 500 without a cause.
struct TemplateErrors;

impl log::Log for TemplateErrors {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let module = record.module_path().unwrap_or_default();
        if module.starts_with("rocket_dyn_templates") {
            tracing::error!(error = ?record.args().to_string(), "a page could not be rendered");
        }
    }

    fn flush(&self) {}
}
