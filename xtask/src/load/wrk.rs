//! The load generator: [wrk](https://github.com/wg/wrk), with one thread and a script.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;

use crate::load::Result;
use crate::load::options::LoadOptions;
use crate::load::server::ServerProcess;
use crate::needs;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/load/wrk.lua");
/// The timeout of a response. wrk's default of two seconds is too short while 64 clients sign in.
const RESPONSE_TIMEOUT_SECONDS: u32 = 30;
/// A lower bound of guarded requests per second without the cache, for the length of the warm-up.
const MIN_REQUESTS_PER_SECOND: u32 = 2_000;

/// Fails if wrk is not installed.
pub fn require_installed() -> Result {
    if needs::executable("wrk", &[]).is_none() {
        return Err("wrk is not installed; on Debian: apt-get install wrk".into());
    }
    Ok(())
}

pub fn version() -> Result<String> {
    // `wrk -v` prints the version and its usage, and exits with 1.
    let output = Command::new("wrk").arg("-v").output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split(" [").next().unwrap_or_default().to_owned())
}

/// Requests in a temporary file.
pub struct RequestFile {
    file: PathBuf,
    count: u32,
    once: bool,
}

static NEXT_FILE_NUMBER: AtomicU32 = AtomicU32::new(0);

impl RequestFile {
    /// Writes raw requests. They are sent in order, over and over.
    pub fn write(folder: &Path, requests: &[String]) -> Result<Self> {
        let number = NEXT_FILE_NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = folder.join(format!("requests-{number}"));
        fs::write(&file, requests.join("\0"))?;
        Ok(Self {
            file,
            count: u32::try_from(requests.len())?,
            once: false,
        })
    }

    /// Sends each request once. The run ends with the last one, or when its time is up.
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }
}

impl Drop for RequestFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

pub fn get(path: &str, headers: &[(&str, &str)]) -> String {
    request("GET", path, headers, "")
}

pub fn post(path: &str, headers: &[(&str, &str)], body: &str) -> String {
    request("POST", path, headers, body)
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    if method != "GET" {
        let _ = write!(text, "Content-Length: {}\r\n", body.len());
    }
    text + "\r\n" + body
}

/// The result of a run. Times are in microseconds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct RunResult {
    pub requests: f64,
    duration: f64,
    p50: f64,
    p99: f64,
    error_responses: f64,
    socket_errors: f64,
}

impl RunResult {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.requests / self.duration * 1e6
    }

    /// The median latency in milliseconds.
    pub fn p50(&self) -> f64 {
        self.p50 / 1e3
    }

    /// The 99th percentile of the latency in milliseconds.
    pub fn p99(&self) -> f64 {
        self.p99 / 1e3
    }
}

/// One kind of load on one server.
pub struct Workload<'a> {
    /// Its name in the report.
    pub label: String,
    pub server: &'a ServerProcess,
    pub requests: RequestFile,
    /// Concurrent requests.
    pub connections: u32,
}

impl Workload<'_> {
    /// Runs after a warm-up that sends each request at least once. Otherwise the run would include filling the cache.
    ///
    /// # Errors
    /// A response is an error, because measurements of errors are worthless.
    pub fn run(&self, options: &LoadOptions) -> Result<RunResult> {
        let warm_up = options
            .warm_up()
            .max(self.requests.count / MIN_REQUESTS_PER_SECOND);
        self.start(warm_up)?.wait()?;
        let run = self.start(options.seconds())?.wait()?;
        if run.requests == 0.0 {
            return Err(format!("{}: no response in {} s", self.label, options.seconds()).into());
        }
        Ok(run)
    }

    pub fn start(&self, seconds: u32) -> Result<WrkProcess> {
        let process = Command::new("wrk")
            .args(["--threads", "1", "--connections"])
            .arg(self.connections.to_string())
            .args(["--duration", &format!("{seconds}s")])
            .args([
                "--timeout",
                &format!("{RESPONSE_TIMEOUT_SECONDS}s"),
                "--script",
                SCRIPT,
            ])
            .arg(&self.server.origin)
            .arg("--")
            .arg(&self.requests.file)
            .args(self.requests.once.then_some("once"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(WrkProcess {
            process: Some(process),
            label: self.label.clone(),
        })
    }
}

/// A running wrk. Dropping it stops the process.
pub struct WrkProcess {
    process: Option<Child>,
    label: String,
}

impl WrkProcess {
    /// Waits for the end of the run.
    ///
    /// # Errors
    /// As [`Workload::run`].
    pub fn wait(mut self) -> Result<RunResult> {
        let label = &self.label;
        let Some(process) = self.process.take() else {
            return Err("wrk has already stopped".into());
        };
        let output = process.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let result = text.lines().find_map(|line| line.strip_prefix("RESULT "));
        let Some(result) = result else {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{label}: wrk says {text}{stderr}").into());
        };
        let run: RunResult = serde_json::from_str(result)?;
        if run.error_responses > 0.0 || run.socket_errors > 0.0 {
            return Err(format!(
                "{label}: of {} responses, {} are errors, and {} requests failed",
                run.requests, run.error_responses, run.socket_errors
            )
            .into());
        }
        Ok(run)
    }
}

impl Drop for WrkProcess {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
