//! Logging to stderr: filters, formats and the line of each request.

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

use super::log_writer::{LineQueue, WriterGuard};
use super::time::rfc3339;
use crate::application::application;
use crate::identity::UserId;

/// Starts logging to stderr at Rocket's `log_level`. Call it before `rocket::build()`, which would otherwise install
/// its own logger.
///
/// Only our own events and warnings of the database pool are written. Rocket logs the query of a request, and at debug
/// level its headers and body, which include passwords and tokens. Rocket uses the `log` crate, so that gets a logger
/// that drops everything. No setting turns it on.
///
/// A terminal gets plain lines. Anything else gets JSON, one object per line with `timestamp`, `level`, `message` and
/// the fields of the event.
///
/// A separate thread writes the lines ([`LineQueue`]). Dropping the returned guard, at the end of the process, writes
/// the rest.
pub fn start(level: LogLevel) -> WriterGuard {
    let (own_level, pool_level) = match level {
        LogLevel::Off => (LevelFilter::OFF, LevelFilter::OFF),
        LogLevel::Critical => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Normal => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::WARN),
    };
    let queue = LineQueue::default();
    let writer = queue.write_to(io::stderr());
    let is_terminal = io::stderr().is_terminal();
    let targets = Targets::new()
        .with_default(LevelFilter::OFF)
        .with_target(env!("CARGO_CRATE_NAME"), own_level)
        .with_target(application().identifier(), own_level)
        .with_target("sqlx::pool", pool_level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(queue.clone())
        .with_target(false);
    let lines = if is_terminal {
        lines.boxed()
    } else {
        let json = lines.json().flatten_event(true);
        json.with_current_span(false).with_span_list(false).boxed()
    };
    // Tests start several servers in one process. The first call wins.
    let _ = log::set_logger(&NoLogger);
    log::set_max_level(log::LevelFilter::Off);
    let _ = tracing_subscriber::registry()
        .with(targets)
        .with(lines)
        .try_init();
    if own_level >= LevelFilter::INFO {
        let _ = REQUEST_LOG.set((!is_terminal).then_some(queue));
    }
    writer
}

/// Whether requests are logged, and the queue for JSON lines. With `Some(None)`, they go to `tracing`.
static REQUEST_LOG: OnceLock<Option<LineQueue>> = OnceLock::new();

/// Sends the lines of requests to `tracing`, for an existing application with its own logging.
pub fn use_tracing() {
    let _ = REQUEST_LOG.set(None);
}

pub fn logs_requests() -> bool {
    REQUEST_LOG.get().is_some()
}

/// The log entry of a request.
#[derive(Serialize)]
pub struct RequestRecord<'r> {
    pub method: &'static str,
    /// The pattern of the route.
    pub route: &'r str,
    pub status: u16,
    /// From the head of the request to the head of the response.
    pub duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The client of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<&'r str>,
    pub request_id: &'r str,
}

/// Writes the line of a request. It builds JSON itself because `tracing` takes several times as long.
pub fn write_request(record: &RequestRecord<'_>) {
    match REQUEST_LOG.get() {
        None => {}
        Some(Some(lines)) => {
            LINE_BUILDER.with_borrow_mut(|builder| lines.push(builder.json(record)));
        }
        Some(None) => tracing::info!(
            method = record.method,
            route = record.route,
            status = record.status,
            duration_ms = record.duration_ms,
            address = record.address.map(tracing::field::display),
            user_id = record.user_id.map(tracing::field::display),
            client = record.client,
            request_id = record.request_id,
            "request"
        ),
    }
}

thread_local! {
    static LINE_BUILDER: RefCell<LineBuilder> = RefCell::default();
}

#[derive(Default)]
struct LineBuilder {
    line: Vec<u8>,
    second: u64,
    /// `second` in RFC 3339, without the `Z`.
    time: String,
}

impl LineBuilder {
    fn json(&mut self, record: &RequestRecord<'_>) -> &[u8] {
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
        // Writing these values to a vector cannot fail.
        let _ = write!(
            line,
            r#"{{"timestamp":"{time}.{micros:06}Z","level":"INFO","message":"request""#
        );
        let fields = line.len();
        let _ = serde_json::to_writer(&mut *line, record);
        line[fields] = b',';
        line.push(b'\n');
        line
    }
}

/// Drops every record, in place of Rocket's logger.
struct NoLogger;

impl log::Log for NoLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        false
    }

    fn log(&self, _: &log::Record<'_>) {}

    fn flush(&self) {}
}
