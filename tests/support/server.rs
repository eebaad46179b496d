//! The real binary, on a socket.

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
use super::app::{ANYTHING_ENDED, FOLLOWED};
use super::postgres::Postgres;

/// A server process; it is ended when dropped.
pub struct Server {
    process: Child,
    pub origin: String,
    url: String,
    stderr: Arc<Mutex<String>>,
}

/// A command on the database at `url`, with hashes that take no time.
pub fn command(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multitoken"));
    command
        .args(args)
        .env("DATABASE_URL", url)
        .env("ROCKET_APP", "{hash_memory_kib=8,hash_iterations=1}")
        .env("ROCKET_LOG_LEVEL", "debug");
    command
}

/// Runs a command to its end, with `input` on stdin.
pub fn run(url: &str, args: &[&str], input: &str) -> Output {
    let mut child = command(url, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A port that was free a moment ago, and that no other test was told: two that start a server each on the same one
/// would both take the faster for their own.
pub fn free_port() -> u16 {
    static TOLD: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if TOLD.lock().unwrap().insert(port) {
            return port;
        }
    }
}

impl Server {
    pub async fn start(url: &str) -> Self {
        Self::start_with(url, &[]).await
    }

    /// Starts one with these environment variables too.
    pub async fn start_with(url: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_on(free_port(), url, variables).await
    }

    /// Starts one on that port.
    pub async fn start_on(port: u16, url: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = command(url, &[]);
        command
            .env("ROCKET_PORT", port.to_string())
            .envs(variables.iter().copied());
        Self::start_as(command, port, url).await
    }

    /// Starts one by that command, which has it listen on that port.
    pub async fn start_as(mut command: Command, port: u16, url: &str) -> Self {
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
        server.wait_until_it_answers().await;
        server
    }

    async fn wait_until_it_answers(&mut self) {
        let start = Instant::now();
        while reqwest::get(format!("{}/readyz", self.origin))
            .await
            .is_err()
        {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", self.log());
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "no answer: {}",
                self.log()
            );
            rocket::tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its process's id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Signs in over JSON and gives the token.
    pub async fn login(&self, name: &str, client: &str) -> String {
        let body = json!({"username": name, "password": PASSWORD, "client": client});
        let post = reqwest::Client::new().post(format!("{}/auth/login/", self.origin));
        let answer: Value = post.json(&body).send().await.unwrap().json().await.unwrap();
        let token = answer["auth_token"].as_str();
        token.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// The status of a guarded request with that token.
    pub async fn me(&self, token: &str) -> u16 {
        let get = reqwest::Client::new().get(format!("{}/auth/me/", self.origin));
        let answer = get.bearer_auth(token).send().await.unwrap();
        answer.status().as_u16()
    }

    /// Tries to sign in over JSON, and gives the status.
    pub async fn try_login(&self, name: &str, password: &str) -> u16 {
        let body = json!({"username": name, "password": password, "client": "laptop"});
        let post = reqwest::Client::new().post(format!("{}/auth/login/", self.origin));
        let answer = post.json(&body).send().await.unwrap();
        answer.status().as_u16()
    }

    /// Opens a page of the admin.
    pub async fn get(&self, path: &str, cookie: &str) -> Response {
        let get = no_browser().get(format!("{}{path}", self.origin));
        let get = get.header("Accept", "text/html");
        get.header("Cookie", cookie).send().await.unwrap()
    }

    /// Submits a form of the admin as its own page does.
    pub async fn submit(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Response {
        let post = no_browser().post(format!("{}{path}", self.origin));
        let post = post.header("Cookie", cookie).form(fields);
        let post = post.header("Sec-Fetch-Site", "same-origin");
        post.send().await.unwrap()
    }

    /// Submits a form as a page of another site does.
    pub async fn submit_from_elsewhere(&self, path: &str) -> Response {
        let post = no_browser().post(format!("{}{path}", self.origin));
        let post = post.header("Sec-Fetch-Site", "cross-site");
        post.send().await.unwrap()
    }

    /// Signs in to the admin and gives the `Cookie` header.
    pub async fn admin_cookie(&self, name: &str) -> String {
        let fields = [("username", name), ("password", PASSWORD)];
        let answer = self.submit("/admin/login", "", &fields).await;
        assert_eq!(answer.status(), 303);
        cookies_of(&answer)
    }

    /// What it wrote to stderr so far.
    pub fn log(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// The same, once it holds the line of a request that is made now.
    pub async fn log_up_to_now(&self) -> String {
        let client = reqwest::Client::new();
        let get = client.get(format!("{}/healthz", self.origin));
        let answer = get.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let last = answer.headers()["X-Request-Id"]
            .to_str()
            .unwrap()
            .to_owned();
        let start = Instant::now();
        while !self.log().contains(&last) {
            let patient = start.elapsed() < Duration::from_mins(1);
            assert!(patient, "the log has no such line");
            rocket::tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.log()
    }

    /// Runs a subcommand beside it, on the same database.
    pub fn run(&self, args: &[&str], input: &str) -> Output {
        run(&self.url, args, input)
    }

    /// Runs a statement on its database, after which it remembers no token.
    pub async fn execute(&self, sql: &'static str) {
        self.execute_quietly(sql).await;
        self.execute_quietly(ANYTHING_ENDED).await;
        rocket::tokio::time::sleep(FOLLOWED).await;
    }

    /// Runs a statement on its database, and leaves it to what it remembers.
    pub async fn execute_quietly(&self, sql: &'static str) {
        sqlx::any::install_default_drivers();
        let mut db = AnyConnection::connect(&self.url).await.unwrap();
        sqlx::query(sql).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    /// Takes its database away, which has to be a PostgreSQL's.
    pub async fn lose_database(&self) {
        sqlx::any::install_default_drivers();
        let (server, name) = self.url.rsplit_once('/').unwrap();
        let other = format!("{server}/postgres");
        let mut db = AnyConnection::connect(&other).await.unwrap();
        let drop = AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
        sqlx::query(drop).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    /// Asks it to end, as an operator's service manager does, and gives the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        self.ask_to_end();
        self.process.wait().unwrap().code()
    }

    /// Asks it to end, and does not wait until it has.
    pub fn ask_to_end(&self) {
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

/// What is read, as it comes.
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

/// The URL of an SQLite database in `folder`.
pub fn sqlite(folder: &Path) -> String {
    format!("sqlite:{}/data/test.db", folder.display())
}

/// The cookies that an answer sets, as a browser sends them back.
pub fn cookies_of(answer: &Response) -> String {
    let set = answer.headers().get_all("Set-Cookie").iter();
    let pairs = set.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
    pairs.collect::<Vec<_>>().join("; ")
}

/// One that goes nowhere by itself.
fn no_browser() -> reqwest::Client {
    let client = reqwest::Client::builder().redirect(Policy::none());
    client.build().unwrap()
}

/// Runs `test` with the URL of a fresh SQLite and of a fresh PostgreSQL.
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
