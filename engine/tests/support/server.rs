//! The application as a server process on a socket.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Response;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use super::PASSWORD;
use super::app::{FOLLOW_TIME, FORGET_ALL_TOKENS};
use super::postgres::Postgres;

/// A server process, killed on drop.
pub struct Server {
    process: Child,
    pub origin: String,
    url: String,
    stderr: Arc<Mutex<String>>,
}

/// A command on the database at `url`. Hashing takes almost no time.
pub fn command(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(crate::program());
    command
        .args(args)
        .current_dir(crate::ROOT)
        .env("DATABASE_URL", url)
        .env("ROCKET_APP", "{hash_memory_kib=8,hash_iterations=1}")
        .env("ROCKET_LOG_LEVEL", "debug");
    command
}

/// Runs a command to completion with `input` on stdin.
pub fn run(url: &str, args: &[&str], input: &str) -> Output {
    let mut child = command(url, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read stdin may have exited already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A free port. No port is returned twice: two servers started on the same port would both take the faster one for
/// their own.
pub fn free_port() -> u16 {
    static USED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if USED.lock().unwrap().insert(port) {
            return port;
        }
    }
}

impl Server {
    pub async fn start(url: &str) -> Self {
        Self::start_with(url, &[]).await
    }

    /// Starts a server with additional environment variables.
    pub async fn start_with(url: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_on(free_port(), url, variables).await
    }

    pub async fn start_on(port: u16, url: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = command(url, &[]);
        command
            .env("ROCKET_PORT", port.to_string())
            .envs(variables.iter().copied());
        Self::start_command(command, port, url).await
    }

    /// Starts a server with `command`, which must make it listen on `port`.
    pub async fn start_command(mut command: Command, port: u16, url: &str) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = collect(process.stderr.take().unwrap());
        let origin = format!("http://127.0.0.1:{port}");
        let mut server = Self {
            process,
            origin,
            url: url.to_owned(),
            stderr,
        };
        server.wait_until_ready().await;
        server
    }

    async fn wait_until_ready(&mut self) {
        let start = Instant::now();
        while reqwest::get(format!("{}/readyz", self.origin))
            .await
            .is_err()
        {
            let exit = self.process.try_wait().unwrap();
            assert!(exit.is_none(), "the server exited: {}", self.log());
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "no answer: {}",
                self.log()
            );
            rocket::tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Signs in over JSON and returns the token.
    pub async fn login(&self, name: &str, client: &str) -> String {
        self.login_from(name, client, None).await
    }

    pub async fn login_from(&self, name: &str, client: &str, agent: Option<&str>) -> String {
        let body = json!({"username": name, "password": PASSWORD, "client": client});
        let post = reqwest::Client::new().post(format!("{}/auth/login/", self.origin));
        let post = match agent {
            Some(agent) => post.header("User-Agent", agent),
            None => post,
        };
        let response: Value = post.json(&body).send().await.unwrap().json().await.unwrap();
        let token = response["auth_token"].as_str();
        token.unwrap_or_else(|| panic!("{response}")).to_owned()
    }

    /// Sends a guarded request with the token and returns the status.
    pub async fn me(&self, token: &str) -> u16 {
        let get = reqwest::Client::new().get(format!("{}/auth/me/", self.origin));
        let response = get.bearer_auth(token).send().await.unwrap();
        response.status().as_u16()
    }

    /// Tries to sign in over JSON and returns the status.
    pub async fn try_login(&self, name: &str, password: &str) -> u16 {
        let body = json!({"username": name, "password": password, "client": "laptop"});
        let post = reqwest::Client::new().post(format!("{}/auth/login/", self.origin));
        let response = post.json(&body).send().await.unwrap();
        response.status().as_u16()
    }

    /// Opens a page like a browser.
    pub async fn get(&self, path: &str, cookie: &str) -> Response {
        let get = without_redirects().get(format!("{}{path}", self.origin));
        let get = get.header("Accept", "text/html");
        get.header("Cookie", cookie).send().await.unwrap()
    }

    /// Submits a form like a browser on the same origin.
    pub async fn submit(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Response {
        let post = without_redirects().post(format!("{}{path}", self.origin));
        let post = post.header("Cookie", cookie).form(fields);
        let post = post.header("Sec-Fetch-Site", "same-origin");
        post.send().await.unwrap()
    }

    /// Submits a form like a page of another site.
    pub async fn submit_cross_site(&self, path: &str) -> Response {
        let post = without_redirects().post(format!("{}{path}", self.origin));
        let post = post.header("Sec-Fetch-Site", "cross-site");
        post.send().await.unwrap()
    }

    /// Signs in to the admin and returns the `Cookie` header.
    pub async fn admin_cookie(&self, name: &str) -> String {
        let fields = [("username", name), ("password", PASSWORD)];
        let response = self.submit("/admin/login", "", &fields).await;
        assert_eq!(response.status(), 303);
        cookies_of(&response)
    }

    /// Signs a user in on the account pages and returns the `Cookie` header.
    pub async fn account_cookie(&self, name: &str) -> String {
        let fields = [("username", name), ("password", PASSWORD)];
        let response = self.submit("/account/login", "", &fields).await;
        assert_eq!(response.status(), 303);
        cookies_of(&response)
    }

    /// Everything written to stderr so far.
    pub fn log(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// The log, after it contains the line of a request sent now.
    pub async fn log_up_to_now(&self) -> String {
        let client = reqwest::Client::new();
        let get = client.get(format!("{}/healthz", self.origin));
        let response = get.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let last = response.headers()["X-Request-Id"]
            .to_str()
            .unwrap()
            .to_owned();
        let start = Instant::now();
        while !self.log().contains(&last) {
            let is_in_time = start.elapsed() < Duration::from_mins(1);
            assert!(is_in_time, "the request is not in the log");
            rocket::tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.log()
    }

    /// Runs a command on the server's database.
    pub fn run(&self, args: &[&str], input: &str) -> Output {
        run(&self.url, args, input)
    }

    /// Runs a statement on the server's database and waits until the server has dropped its cached tokens.
    pub async fn execute(&self, sql: &'static str) {
        self.execute_quietly(sql).await;
        self.execute_quietly(FORGET_ALL_TOKENS).await;
        rocket::tokio::time::sleep(FOLLOW_TIME).await;
    }

    /// Runs a statement on the server's database. The server keeps its cached tokens.
    pub async fn execute_quietly(&self, sql: &'static str) {
        sqlx::any::install_default_drivers();
        let mut db = AnyConnection::connect(&self.url).await.unwrap();
        sqlx::query(sql).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    /// Drops the server's database, which must be on PostgreSQL.
    pub async fn drop_database(&self) {
        sqlx::any::install_default_drivers();
        let (server, name) = self.url.rsplit_once('/').unwrap();
        let other = format!("{server}/postgres");
        let mut db = AnyConnection::connect(&other).await.unwrap();
        let drop = AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
        sqlx::query(drop).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    /// Sends SIGTERM, like a service manager, and returns the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        self.request_shutdown();
        self.process.wait().unwrap().code()
    }

    /// Sends SIGTERM and does not wait for the exit.
    pub fn request_shutdown(&self) {
        let id = self.process.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Collects lines in the background.
pub fn collect(stderr: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let collected = text.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            collected.lock().unwrap().push_str(&(line + "\n"));
        }
    });
    text
}

/// The URL of a database in this folder.
pub fn sqlite(folder: &Path) -> String {
    // For tests that connect to it themselves.
    sqlx::any::install_default_drivers();
    format!("sqlite:{}/data/test.db", folder.display())
}

/// The cookies that a response sets, as a `Cookie` header.
pub fn cookies_of(response: &Response) -> String {
    let set = response.headers().get_all("Set-Cookie").iter();
    let pairs = set.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
    pairs.collect::<Vec<_>>().join("; ")
}

/// A client that follows no redirects.
fn without_redirects() -> reqwest::Client {
    let client = reqwest::Client::builder().redirect(Policy::none());
    client.build().unwrap()
}

/// Runs `test` with the URL of a fresh SQLite database, then of a fresh PostgreSQL database.
pub fn on_each_url(test: impl AsyncFn(String)) {
    let postgres = Postgres::get();
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        test(sqlite(folder.path())).await;
        if let Some(postgres) = postgres {
            test(postgres.database().await).await;
        }
    });
}
