//! Where log lines go, which, and how they are written.

use std::io::IsTerminal;

use rocket::config::LogLevel;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that wait to be written, at most; each has some 200 bytes.
const LINES: usize = 50_000;

/// Starts logging to stderr, as much as Rocket's `log_level` asks for. Call it before
/// `rocket::build()`, which would else start a logger of its own.
///
/// Only our own lines are written, and warnings of the database pool. What Rocket logs of a
/// request holds its query, at debug its headers and body: passwords and tokens. It speaks through
/// the `log` crate, which is given a logger that drops everything; no setting turns it on.
///
/// A person at a terminal reads plain lines; whatever else stderr leads to is given JSON, an object a line,
/// with `timestamp`, `level`, `message` and the event's own fields.
///
/// Lines are written by a thread of their own: a request does not wait until a terminal or a disk has
/// taken them. Where those fall behind by so many lines, the ones that follow are dropped. What is left is
/// written when the guard is dropped, at the process's end.
pub fn start(level: LogLevel) -> WorkerGuard {
    let (own, others) = match level {
        LogLevel::Off => (LevelFilter::OFF, LevelFilter::OFF),
        LogLevel::Critical => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Normal => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::WARN),
    };
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES)
        .finish(std::io::stderr());
    let which = Targets::new()
        .with_default(LevelFilter::OFF)
        .with_target(env!("CARGO_CRATE_NAME"), own)
        .with_target("sqlx::pool", others);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_target(false);
    let lines = if std::io::stderr().is_terminal() {
        lines.boxed()
    } else {
        let json = lines.json().flatten_event(true);
        json.with_current_span(false).with_span_list(false).boxed()
    };
    // Tests start several servers in one process: the first call counts.
    let _ = log::set_logger(&Silence);
    let _ = tracing_subscriber::registry()
        .with(which)
        .with(lines)
        .try_init();
    guard
}

/// Takes the place that Rocket's own logger would fill.
struct Silence;

impl log::Log for Silence {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        false
    }

    fn log(&self, _: &log::Record<'_>) {}

    fn flush(&self) {}
}
