//! Caddy as `deploy/Caddyfile` has it, on ports of its own, in front of the real binary.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rocket::tokio::time::sleep;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{Answer, CLIENT, connect, exchange, request, secure};
use crate::support::server::{Server, collect, sqlite};
use crate::support::{PASSWORD, needs};

/// The two of them; they are ended when dropped.
pub struct Site {
    process: Child,
    pub https: u16,
    pub http: u16,
    app_port: u16,
    log: Arc<Mutex<String>>,
    settings: String,
    /// None while it is away.
    pub app: Option<Server>,
    folder: TempDir,
}

/// Runs `test` on a fresh one for each Caddy that is installed. Variables are Caddy's.
pub fn on_site(variables: &[(&str, &str)], test: impl AsyncFn(Site)) {
    rocket::async_test(async {
        for caddy in installed() {
            eprintln!("with {}", caddy.display());
            test(Site::start(&caddy, variables).await).await;
        }
    });
}

/// Debian's Caddy, and the version that `deploy/compose.yaml` starts.
fn installed() -> Vec<PathBuf> {
    let debian = needs::executable("caddy", &[]);
    if debian.is_none() {
        needs::missing("Caddy", "caddy");
    }
    let compose = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proxy/.venv/bin/caddy");
    let compose = compose.is_file().then_some(compose);
    if compose.is_none() {
        needs::lacks(
            "the Caddy of deploy/compose.yaml is not installed (python3 -m venv tests/proxy/.venv && \
             tests/proxy/.venv/bin/pip install -r tests/proxy/requirements.txt)",
        );
    }
    debian.into_iter().chain(compose).collect()
}

/// What a version that is newer than Debian's needs.
fn buffers(caddy: &Path) -> Option<(&'static str, &'static str)> {
    let output = Command::new(caddy).arg("version").output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    let is_debians = version.trim_start_matches('v').starts_with("2.6.");
    (!is_debians).then_some(("BUFFERS", "buffers_2_7"))
}

/// A port that nobody else comes by meanwhile: Caddy takes a moment until it listens, and would share it
/// with another Caddy. The system hands out others (on Linux from 32768 up) to those who don't choose.
fn port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(process::id() % 400).unwrap() * 50;
    loop {
        let port = 10_000 + own + TAKEN.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

impl Site {
    async fn start(caddy: &Path, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (https, http, app_port) = (port(), port(), port());
        let settings = format!(
            "{{public_url=\"https://localhost:{https}\",trusted_proxies=[\"127.0.0.1\"],\
             hash_memory_kib=8,hash_iterations=1}}"
        );
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut process = Command::new(caddy)
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(root.join("deploy/Caddyfile"))
            .env("HOME", folder.path())
            .env("XDG_DATA_HOME", folder.path().join("share"))
            .env("XDG_CONFIG_HOME", folder.path().join("config"))
            .env("DOMAIN", format!("localhost:{https}"))
            .env("HTTP_PORT", http.to_string())
            .env("APP", format!("127.0.0.1:{app_port}"))
            .envs(buffers(caddy))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = collect(process.stderr.take().unwrap());
        let mut site = Self {
            process,
            https,
            http,
            app_port,
            log,
            settings,
            app: None,
            folder,
        };
        site.start_app().await;
        site.wait_until_it_answers().await;
        site
    }

    /// Starts the application, which was not started or is away.
    pub async fn start_app(&mut self) {
        let variables = [("ROCKET_APP", self.settings.as_str())];
        let url = sqlite(self.folder.path());
        self.app = Some(Server::start_on(self.app_port, &url, &variables).await);
    }

    async fn wait_until_it_answers(&mut self) {
        let start = Instant::now();
        // It may listen before it has its certificate.
        let certified = "certificate obtained successfully";
        while TcpStream::connect(("127.0.0.1", self.https)).is_err()
            || !self.log().contains(certified)
        {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "Caddy ended: {}", self.log());
            assert!(start.elapsed() < Duration::from_secs(30), "{}", self.log());
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.get("/readyz", &[]).await.status, 200, "{}", self.log());
    }

    /// The certificate of the authority that Caddy has made for itself.
    pub fn authority(&self) -> PathBuf {
        let folder = self.folder.path().join("share");
        folder.join("caddy/pki/authorities/local/root.crt")
    }

    /// Where the application's data is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// From its next start on the application takes about a second for a password.
    pub fn slow_down(&mut self) {
        let fast = "hash_memory_kib=8,hash_iterations=1";
        let slow = "hash_memory_kib=19456,hash_iterations=60";
        self.settings = self.settings.replace(fast, slow);
    }

    /// Waits until Caddy has logged that many requests, and gives its log.
    pub async fn log_of(&self, requests: usize) -> String {
        let start = Instant::now();
        loop {
            // It writes a line when the response is out.
            let log = self.log();
            if log.matches("handled request").count() >= requests {
                return log;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{log}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What Caddy wrote so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends bytes over https, from an address.
    pub async fn send_from(&self, address: &str, bytes: &[u8]) -> Answer {
        let stream = connect(address, self.https).await;
        exchange(&mut secure(stream, &self.authority()), bytes)
    }

    pub async fn send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let request = request(line, headers, body);
        self.send_from(CLIENT, request.as_bytes()).await
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(&format!("GET {path}"), headers, "").await
    }

    /// Asks by plain http.
    pub async fn send_plainly(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = connect(CLIENT, self.http).await;
        exchange(&mut stream, request(line, headers, body).as_bytes())
    }

    /// Makes a user.
    pub fn user(&self, name: &str, more: &[&str]) {
        let create = [&["user", "create", name, "--password-stdin"], more].concat();
        let made = self.app.as_ref().unwrap().run(&create, PASSWORD);
        assert!(made.status.success());
    }

    /// Signs in over JSON, with these headers too.
    pub async fn login(&self, name: &str, headers: &[(&str, &str)]) -> Answer {
        let body = json!({"username": name, "password": PASSWORD, "client": "laptop"});
        let headers = [&[("Content-Type", "application/json")], headers].concat();
        self.send("POST /auth/login/", &headers, &body.to_string())
            .await
    }

    /// What the application tells whoever has the token of itself.
    pub async fn tokens(&self, token: &str) -> Value {
        let bearer = format!("Bearer {token}");
        let answer = self
            .get("/auth/tokens/", &[("Authorization", &bearer)])
            .await;
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{}", answer.body))
    }
}

/// The token that a login was answered with.
pub fn token_of(login: &Answer) -> String {
    let body: Value = serde_json::from_str(&login.body).unwrap_or_default();
    let token = body["auth_token"].as_str();
    token
        .unwrap_or_else(|| panic!("{} {}", login.status, login.body))
        .to_owned()
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
