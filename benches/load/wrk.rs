//! The load generator: [wrk](https://github.com/wg/wrk), with one thread and a script.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;

use crate::options::Options;
use crate::server::Server;
use crate::{Outcome, needs};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load/wrk.lua");
/// Seconds that an answer may take: behind 64 logins more than wrk's own two.
const PATIENCE: u32 = 30;
/// Guarded requests a second that a machine answers at least, where each asks the database.
const SLOWEST: u32 = 2_000;

/// Stops where wrk is not installed.
pub fn demand() -> Outcome {
    if needs::executable("wrk", &[]).is_none() {
        return Err("wrk is not installed; on Debian: apt-get install wrk".into());
    }
    Ok(())
}

/// What wrk calls itself.
pub fn version() -> Outcome<String> {
    // It prints that and how to use it, and exits with 1.
    let output = Command::new("wrk").arg("-v").output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split(" [").next().unwrap_or_default().to_owned())
}

/// Requests in a file, which goes when this is dropped.
pub struct Requests {
    file: PathBuf,
    number: u32,
    once: bool,
}

static FILES: AtomicU32 = AtomicU32::new(0);

impl Requests {
    /// Requests, each as it goes over the wire, that are sent in their order and over again.
    pub fn write(folder: &Path, requests: &[String]) -> Outcome<Self> {
        let file = FILES.fetch_add(1, Ordering::Relaxed);
        let file = folder.join(format!("requests-{file}"));
        fs::write(&file, requests.join("\0"))?;
        Ok(Self {
            file,
            number: u32::try_from(requests.len())?,
            once: false,
        })
    }

    /// Has each sent once; a run ends with the last, or when its time is up.
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// A GET with those headers.
pub fn get(path: &str, headers: &[(&str, &str)]) -> String {
    request("GET", path, headers, "")
}

/// A POST with those headers and that body.
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

/// What came of a run. Times are microseconds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Run {
    /// Answers.
    pub requests: f64,
    duration: f64,
    p50: f64,
    p99: f64,
    refused: f64,
    broken: f64,
}

impl Run {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.requests / self.duration * 1e6
    }

    /// Milliseconds that half of the answers take at most.
    pub fn p50(&self) -> f64 {
        self.p50 / 1e3
    }

    /// Milliseconds that 99 of 100 answers take at most.
    pub fn p99(&self) -> f64 {
        self.p99 / 1e3
    }
}

/// One kind of load on one server.
pub struct Load<'a> {
    /// What it is, for people.
    pub what: String,
    /// Who is asked.
    pub server: &'a Server,
    /// What.
    pub requests: Requests,
    /// Requests under way at a time.
    pub connections: u32,
}

impl Load<'_> {
    /// A run, after a shorter one to warm up: long enough for each request to be sent once, or it would in part
    /// be measured how what the server keeps comes in.
    ///
    /// # Errors
    /// An answer is no success: the figures of errors are worthless.
    pub fn run(&self, options: &Options) -> Outcome<Run> {
        let warm_up = options.warm_up().max(self.requests.number / SLOWEST);
        self.start(warm_up)?.wait()?;
        let run = self.start(options.seconds())?.wait()?;
        if run.requests == 0.0 {
            return Err(format!("{}: no answer in {} s", self.what, options.seconds()).into());
        }
        Ok(run)
    }

    /// Starts a run that takes so many seconds.
    pub fn start(&self, seconds: u32) -> Outcome<Running> {
        let process = Command::new("wrk")
            .args(["--threads", "1", "--connections"])
            .arg(self.connections.to_string())
            .args(["--duration", &format!("{seconds}s")])
            .args(["--timeout", &format!("{PATIENCE}s"), "--script", SCRIPT])
            .arg(&self.server.origin)
            .arg("--")
            .arg(&self.requests.file)
            .args(self.requests.once.then_some("once"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Running {
            process: Some(process),
            what: self.what.clone(),
        })
    }
}

/// wrk at work; it is ended when dropped.
pub struct Running {
    process: Option<Child>,
    what: String,
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// As [`Load::run`].
    pub fn wait(mut self) -> Outcome<Run> {
        let what = &self.what;
        let Some(process) = self.process.take() else {
            return Err("wrk has ended already".into());
        };
        let output = process.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let result = text.lines().find_map(|line| line.strip_prefix("RESULT "));
        let Some(result) = result else {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{what}: wrk says {text}{why}").into());
        };
        let run: Run = serde_json::from_str(result)?;
        if run.refused > 0.0 || run.broken > 0.0 {
            return Err(format!(
                "{what}: of {} answers {} are no success, and {} requests broke off",
                run.requests, run.refused, run.broken
            )
            .into());
        }
        Ok(run)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
