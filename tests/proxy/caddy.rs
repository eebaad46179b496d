//! Caddy with `deploy/Caddyfile`, on free ports, in front of the real binary.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rocket::tokio::time::sleep;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{CLIENT, Response, connect, exchange, request, start_tls};
use crate::support::server::{Server, collect, sqlite};
use crate::support::{PASSWORD, needs};

/// Caddy and the application. Both end when dropped.
pub struct Site {
    process: Child,
    pub https: u16,
    pub http: u16,
    app_port: u16,
    log: Arc<Mutex<String>>,
    settings: String,
    /// `None` while the application is down.
    pub app: Option<Server>,
    folder: TempDir,
}

/// Runs `test` on a fresh site for each installed Caddy, with these variables of the Caddyfile.
pub fn on_site(variables: &[(&str, &str)], test: impl AsyncFn(Site)) {
    rocket::async_test(async {
        for caddy in installed() {
            eprintln!("with {}", caddy.display());
            test(Site::start(&caddy, variables).await).await;
        }
    });
}

/// Debian's Caddy, and the version in `deploy/compose.yaml`.
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

/// A variable that versions newer than Debian's need.
fn version_variable(caddy: &Path) -> Option<(&'static str, &'static str)> {
    let output = Command::new(caddy).arg("version").output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    let is_debians = version.trim_start_matches('v').starts_with("2.6.");
    (!is_debians).then_some(("BUFFERS", "buffers_2_7"))
}

/// A port that no other test gets. Caddy listens only after a moment, and would then share the port with another
/// Caddy. The system assigns other ports by itself (on Linux from 32768 up).
fn exclusive_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(process::id() % 400).unwrap() * 50;
    loop {
        let port = 10_000 + own + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

impl Site {
    async fn start(caddy: &Path, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (https, http, app_port) = (exclusive_port(), exclusive_port(), exclusive_port());
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
            .envs(version_variable(caddy))
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
        site.wait_until_ready().await;
        site
    }

    /// Starts the application.
    pub async fn start_app(&mut self) {
        let variables = [("ROCKET_APP", self.settings.as_str())];
        let url = sqlite(self.folder.path());
        self.app = Some(Server::start_on(self.app_port, &url, &variables).await);
    }

    async fn wait_until_ready(&mut self) {
        let start = Instant::now();
        // Caddy may listen before it has its certificate.
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

    /// The certificate of Caddy's own authority.
    pub fn authority(&self) -> PathBuf {
        let folder = self.folder.path().join("share");
        folder.join("caddy/pki/authorities/local/root.crt")
    }

    /// The folder with the application's database.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// From its next start, the application takes seconds to hash a password, and has metrics.
    pub fn slow_hashing(&mut self) {
        let fast = "hash_memory_kib=8,hash_iterations=1";
        let slow = "hash_memory_kib=19456,hash_iterations=60,metrics=true";
        self.settings = self.settings.replace(fast, slow);
    }

    /// Waits until Caddy has logged this many requests, and returns its log.
    pub async fn log_after_requests(&self, requests: usize) -> String {
        let start = Instant::now();
        loop {
            // Caddy logs a request after its response.
            let log = self.log();
            if log.matches("handled request").count() >= requests {
                return log;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{log}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until Caddy has logged this word, and returns its log.
    pub async fn log_containing(&self, word: &str) -> String {
        let start = Instant::now();
        loop {
            let log = self.log();
            if log.contains(word) {
                return log;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{log}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends bytes over HTTPS from this address.
    pub async fn send_from(&self, address: &str, bytes: &[u8]) -> Response {
        let stream = connect(address, self.https).await;
        exchange(&mut start_tls(stream, &self.authority()), bytes)
    }

    pub async fn send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let request = request(line, headers, body);
        self.send_from(CLIENT, request.as_bytes()).await
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.send(&format!("GET {path}"), headers, "").await
    }

    /// Sends a request over plain HTTP.
    pub async fn send_plain_http(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut stream = connect(CLIENT, self.http).await;
        exchange(&mut stream, request(line, headers, body).as_bytes())
    }

    pub fn create_user(&self, name: &str, more: &[&str]) {
        let create = [&["user", "create", name, "--password-stdin"], more].concat();
        let made = self.app.as_ref().unwrap().run(&create, PASSWORD);
        assert!(made.status.success());
    }

    /// Signs in over JSON with additional headers.
    pub async fn login(&self, name: &str, headers: &[(&str, &str)]) -> Response {
        let body = json!({"username": name, "password": PASSWORD, "client": "laptop"});
        let headers = [&[("Content-Type", "application/json")], headers].concat();
        self.send("POST /auth/login/", &headers, &body.to_string())
            .await
    }

    /// The list of tokens that a client with this token sees.
    pub async fn tokens(&self, token: &str) -> Value {
        let bearer = format!("Bearer {token}");
        let answer = self
            .get("/auth/tokens/", &[("Authorization", &bearer)])
            .await;
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{}", answer.body))
    }
}

/// The token in the response to a login.
pub fn token_of(login: &Response) -> String {
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
