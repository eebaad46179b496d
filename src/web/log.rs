//! Where log lines go, which, and how they are written.

use std::io::{self, BufWriter, IsTerminal, Stderr, Write};
use std::thread;
use std::time::Duration;

use rocket::config::LogLevel;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that wait to be written, at most; each has some 200 bytes.
const LINES: usize = 50_000;
/// Bytes that are written at once, at most: Linux's `PIPE_BUF`, up to which no other process that
/// writes to the same pipe can come in between (pipe(7)).
const AT_ONCE: usize = 4096;
/// Between two looks for lines.
const PAUSE: Duration = Duration::from_millis(1);

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
        .finish(Gathering(BufWriter::with_capacity(AT_ONCE, io::stderr())));
    let which = Targets::new()
        .with_default(LevelFilter::OFF)
        .with_target(env!("CARGO_CRATE_NAME"), own)
        .with_target("sqlx::pool", others);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_target(false);
    let lines = if io::stderr().is_terminal() {
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
    guard
}

/// Writes many lines in one go. The thread that writes calls `flush` when no more are waiting, and waits for the
/// next; to wake it costs the request that logs one a system call and a change of threads, a sixth of
/// what a guarded request takes. While it pauses they gather instead.
struct Gathering(BufWriter<Stderr>);

impl Write for Gathering {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.0.flush();
        thread::sleep(PAUSE);
        flushed
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
