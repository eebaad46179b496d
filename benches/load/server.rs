//! The release binary on a database: a server, and what can be seen of its process.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;

use crate::Outcome;
use crate::database::{ADMIN, Database, PASSWORD};

const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is asked whether it is there: far shorter than what is measured.
const PAUSE: Duration = Duration::from_millis(1);

/// The settings that a server starts with.
#[derive(Clone, Copy)]
pub enum Settings {
    /// What everybody gets.
    Default,
    /// Every token is looked up in the database each time.
    WithoutCache,
}

/// A server that answers; it is ended when dropped.
pub struct Server {
    process: Child,
    /// Without a path.
    pub origin: String,
    /// From starting the process to its first answer.
    pub start_up: Duration,
}

/// A command on a database, with a key that a release build asks for.
pub fn command(url: &str, settings: Settings) -> Command {
    let key = rand::random::<[u128; 2]>().map(|half| format!("{half:032x}"));
    let app = match settings {
        // One address signs in more users at once than it may have failures, and again and again.
        Settings::Default => {
            "{logins_per_account=4294967295,login_failures_per_address=4294967295}"
        }
        Settings::WithoutCache => {
            "{logins_per_account=4294967295,login_failures_per_address=4294967295,token_cache=false}"
        }
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_multitoken"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("DATABASE_URL", url)
        .env("ROCKET_SECRET_KEY", key.concat())
        .env("ROCKET_APP", app)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

impl Server {
    /// Starts one and waits for its first answer. Its log, a line a request, goes nowhere.
    pub fn start(database: &Database, settings: Settings) -> Outcome<Self> {
        let port = free_port()?;
        let mut command = command(&database.url, settings);
        command.env("ROCKET_PORT", port.to_string());
        Self::started(command, port, &format!("the server on {}", database.url))
    }

    fn started(mut command: Command, port: u16, what: &str) -> Outcome<Self> {
        let start = Instant::now();
        let process = command.stderr(Stdio::null()).spawn()?;
        let mut server = Self {
            process,
            origin: format!("http://127.0.0.1:{port}"),
            start_up: Duration::ZERO,
        };
        while !is_healthy(port) {
            if let Some(code) = server.process.try_wait()? {
                return Err(format!("{what} ended: {code}").into());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("{what} does not answer").into());
            }
            sleep(PAUSE);
        }
        server.start_up = start.elapsed();
        Ok(server)
    }

    /// Starts the bare application ([`crate::bare`]).
    pub fn bare() -> Outcome<Self> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--bare", &port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self::started(command, port, "the bare application")
    }

    /// Memory that it holds now, in MB (a million bytes).
    pub fn resident(&self) -> Outcome<f64> {
        self.memory("VmRSS:")
    }

    /// The most memory that it has held so far, in MB.
    pub fn peak(&self) -> Outcome<f64> {
        self.memory("VmHWM:")
    }

    /// A line of what Linux tells of a process's memory.
    fn memory(&self, name: &str) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: f64 = kib.ok_or("the process's memory is not told")?.parse()?;
        Ok(kib * 1024.0 / 1e6)
    }

    /// Signs in to the admin and gives the cookie.
    pub async fn admin_cookie(&self) -> Outcome<String> {
        let answer = no_browser()?
            .post(format!("{}/admin/login", self.origin))
            .header("Sec-Fetch-Site", "same-origin")
            .form(&[("username", ADMIN), ("password", PASSWORD)])
            .send()
            .await?;
        let cookies = answer.headers().get_all(SET_COOKIE).iter();
        let pairs: Vec<&str> = cookies
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
            .collect();
        if answer.status() != 303 || pairs.is_empty() {
            return Err(format!("no sign-in to the admin: {}", answer.status()).into());
        }
        Ok(pairs.join("; "))
    }

    /// A page of the admin, and how long it takes from asking for it to its last byte.
    ///
    /// # Errors
    /// It is not shown; wrk would take the way to the sign-in page for a success.
    pub async fn page(
        &self,
        client: &reqwest::Client,
        path: &str,
        cookie: &str,
    ) -> Outcome<(String, Duration)> {
        let get = client.get(format!("{}{path}", self.origin));
        let start = Instant::now();
        let answer = get.header(COOKIE, cookie).send().await?;
        let status = answer.status();
        let page = answer.text().await?;
        if status == 200 {
            Ok((page, start.elapsed()))
        } else {
            Err(format!("{path}: {status}").into())
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends what it has begun: logins that are broken off count as pending for half a minute.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let start = Instant::now();
        while start.elapsed() < PATIENCE && matches!(self.process.try_wait(), Ok(None)) {
            sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client that goes nowhere by itself.
pub fn no_browser() -> Outcome<reqwest::Client> {
    let client = reqwest::Client::builder()
        .redirect(Policy::none())
        .timeout(PATIENCE);
    Ok(client.build()?)
}

/// A port that was free a moment ago.
pub fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn is_healthy(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
