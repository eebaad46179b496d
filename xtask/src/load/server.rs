//! A server process of the release binary, and its memory.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;

use crate::load::Result;
use crate::load::command::{ServerSettings, app_command, free_port};
use crate::load::database::SeededDatabase;
use crate::load::fill::{ADMIN, PASSWORD};

const TIMEOUT: Duration = Duration::from_mins(1);
/// The interval between health checks during start-up. Far shorter than the start-up times to measure.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// A running server. Dropping it stops the process.
pub struct ServerProcess {
    process: Child,
    pub origin: String,
    /// The time from starting the process to its first response.
    pub startup_time: Duration,
}

impl ServerProcess {
    /// Starts a server and waits for its first response. Its log is discarded.
    pub fn start(database: &SeededDatabase, settings: ServerSettings) -> Result<Self> {
        let port = free_port()?;
        let mut command = app_command(&database.url, settings);
        command.env("ROCKET_PORT", port.to_string());
        Self::spawn(command, port, &format!("the server on {}", database.url))
    }

    fn spawn(mut command: Command, port: u16, label: &str) -> Result<Self> {
        let start = Instant::now();
        let process = command.stderr(Stdio::null()).spawn()?;
        let mut server = Self {
            process,
            origin: format!("http://127.0.0.1:{port}"),
            startup_time: Duration::ZERO,
        };
        while !is_healthy(port) {
            if let Some(code) = server.process.try_wait()? {
                return Err(format!("{label} stopped: {code}").into());
            }
            if start.elapsed() > TIMEOUT {
                return Err(format!("{label} does not respond").into());
            }
            sleep(POLL_INTERVAL);
        }
        server.startup_time = start.elapsed();
        Ok(server)
    }

    /// Starts the bare application ([`crate::load::bare`]).
    pub fn bare() -> Result<Self> {
        let port = free_port()?;
        // Optimised like the application that it is compared with.
        let mut command = Command::new(crate::release_xtask());
        command.args(["load", "--bare", &port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self::spawn(command, port, "the bare application")
    }

    /// Resident memory in MB (a million bytes).
    pub fn resident_memory(&self) -> Result<f64> {
        self.memory("VmRSS:")
    }

    /// Peak resident memory in MB.
    pub fn peak_memory(&self) -> Result<f64> {
        self.memory("VmHWM:")
    }

    /// A value of `/proc/<id>/status`.
    fn memory(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: f64 = kib
            .ok_or("/proc does not show the memory of the process")?
            .parse()?;
        Ok(kib * 1024.0 / 1e6)
    }

    /// Signs in to the admin and returns the cookie.
    pub async fn admin_cookie(&self) -> Result<String> {
        let response = http_client()?
            .post(format!("{}/admin/login", self.origin))
            .header("Sec-Fetch-Site", "same-origin")
            .form(&[("username", ADMIN), ("password", PASSWORD)])
            .send()
            .await?;
        let cookies = response.headers().get_all(SET_COOKIE).iter();
        let pairs: Vec<&str> = cookies
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
            .collect();
        if response.status() != 303 || pairs.is_empty() {
            return Err(format!("cannot sign in to the admin pages: {}", response.status()).into());
        }
        Ok(pairs.join("; "))
    }

    /// An admin page, and the time from the request to its last byte.
    ///
    /// # Errors
    /// The response is not the page. wrk would count the redirect to sign-in as a success.
    pub async fn page(
        &self,
        client: &reqwest::Client,
        path: &str,
        cookie: &str,
    ) -> Result<(String, Duration)> {
        let get = client.get(format!("{}{path}", self.origin));
        let start = Instant::now();
        let response = get.header(COOKIE, cookie).send().await?;
        let status = response.status();
        let page = response.text().await?;
        if status == 200 {
            Ok((page, start.elapsed()))
        } else {
            Err(format!("{path}: {status}").into())
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // SIGTERM is a graceful shutdown. Interrupted logins would count as pending for half a minute.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let start = Instant::now();
        while start.elapsed() < TIMEOUT && matches!(self.process.try_wait(), Ok(None)) {
            sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client that follows no redirects.
pub fn http_client() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .redirect(Policy::none())
        .timeout(TIMEOUT);
    Ok(client.build()?)
}

fn is_healthy(port: u16) -> bool {
    let request = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status == *b"HTTP/1.1 200")
    };
    request().unwrap_or(false)
}
