//! Secrets appear neither in the log, nor in responses, nor in the database's files.

use std::fs;
use std::path::Path;

use reqwest::{Client, Method, RequestBuilder};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::support::PASSWORD;
use crate::support::postgres::Postgres;
use crate::support::server::{Server, command, sqlite, stderr};

const WRONG_PASSWORD: &str = "canary-wrong-password";
const NEW_PASSWORD: &str = "canary-new-password";
const NEWER_PASSWORD: &str = "canary-newer-password";
const STRAY_TEXT: &str = "canary-stray-text";

/// A server that receives secrets, and everything that it responded.
struct Probe {
    server: Server,
    client: Client,
    /// All responses, headers and bodies, except where a secret is delivered.
    responses: String,
    secrets: Vec<String>,
}

impl Probe {
    async fn start(url: &str) -> Self {
        let server = Server::start(url).await;
        let key = between(&server.log(), "/admin/setup?key=");
        let no_redirects = reqwest::redirect::Policy::none();
        let builder = Client::builder().redirect(no_redirects);
        Self {
            server,
            client: builder.build().unwrap(),
            responses: String::new(),
            secrets: [
                PASSWORD,
                WRONG_PASSWORD,
                NEW_PASSWORD,
                NEWER_PASSWORD,
                STRAY_TEXT,
                &key,
            ]
            .map(str::to_owned)
            .to_vec(),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.server.origin);
        let request = self.client.request(method, url);
        request.header("Sec-Fetch-Site", "same-origin")
    }

    async fn send(&mut self, request: RequestBuilder) {
        let response = request.send().await.unwrap();
        let headers = format!("{:?}", response.headers());
        self.responses += &headers;
        self.responses += &response.text().await.unwrap();
    }

    async fn login(&mut self, password: &str) -> String {
        let fields = [
            ("username", "alice"),
            ("password", password),
            ("client", "laptop"),
        ];
        let login = self.request(Method::POST, "/auth/login/").form(&fields);
        let text = login.send().await.unwrap().text().await.unwrap();
        let token = between(&text, "\"auth_token\":\"");
        self.secrets.push(token.clone());
        token
    }

    async fn admin_login(&mut self) -> String {
        let fields = [("username", "alice"), ("password", NEW_PASSWORD)];
        let login = self.request(Method::POST, "/admin/login").form(&fields);
        let response = login.send().await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        self.secrets
            .push(cookie.split_once('=').unwrap().1.to_owned());
        cookie
    }

    /// Sends valid and invalid secrets in every way that a client can.
    async fn send_everything(&mut self) {
        let post = Method::POST;
        let create = ["user", "create", "alice", "--admin", "--password-stdin"];
        self.server.run(&create, PASSWORD);
        let first = self.login(PASSWORD).await;
        let change =
            format!("{{\"current_password\":\"{PASSWORD}\",\"new_password\":\"{NEW_PASSWORD}\"}}");
        let wrong = change.replace(PASSWORD, WRONG_PASSWORD);
        let refused = change.replace(NEW_PASSWORD, "alice-canary-stray-text");
        for body in [wrong, refused, change] {
            let request = self.request(post.clone(), "/auth/password/");
            let json = request
                .header("Content-Type", "application/json")
                .body(body);
            self.send(json.bearer_auth(&first)).await;
        }
        let token = self.login(NEW_PASSWORD).await;
        for path in [
            "/auth/me/",
            "/auth/tokens/",
            &format!("/auth/me/?t={STRAY_TEXT}"),
        ] {
            let get = self.request(Method::GET, path).bearer_auth(&token);
            self.send(get).await;
        }
        self.send_to_admin().await;
        for credential in [&first, &format!("{token}x"), STRAY_TEXT] {
            let get = self.request(Method::GET, "/auth/me/");
            self.send(get.bearer_auth(credential)).await;
        }
        self.send_malformed().await;
    }

    async fn send_to_admin(&mut self) {
        let cookie = self.admin_login().await;
        for path in ["/admin/", "/admin/users", "/admin/users?q=alice"] {
            let get = self.request(Method::GET, path).header("Cookie", &cookie);
            self.send(get).await;
        }
        let shown = self.server.run(&["user", "show", "alice", "--json"], "");
        let shown = String::from_utf8(shown.stdout).unwrap();
        let id = between(&shown, "\"id\": \"");
        for (path, password) in [
            ("password", NEWER_PASSWORD),
            ("delete", WRONG_PASSWORD),
            ("enable", WRONG_PASSWORD),
        ] {
            let path = format!("/admin/users/{id}/{path}");
            let fields = [("password", password), ("current_password", STRAY_TEXT)];
            let post = self.request(Method::POST, &path).form(&fields);
            self.send(post.header("Cookie", &cookie)).await;
            let get = self.request(Method::GET, &path).header("Cookie", &cookie);
            self.send(get).await;
        }
    }

    /// Malformed requests contain secrets, too.
    async fn send_malformed(&mut self) {
        let json = "application/json";
        let form = "application/x-www-form-urlencoded";
        let long = format!(
            "{{\"password\":\"{STRAY_TEXT}\",\"x\":\"{}\"}}",
            "y".repeat(9000)
        );
        for (kind, body) in [
            (json, format!("{{\"password\":\"{STRAY_TEXT}\"")),
            (json, format!("[\"{STRAY_TEXT}\"]")),
            (
                json,
                format!("{{\"{STRAY_TEXT}\":1,\"username\":[\"{STRAY_TEXT}\"]}}"),
            ),
            (json, STRAY_TEXT.to_owned()),
            (json, long),
            (
                form,
                format!("password=%ff{STRAY_TEXT}&username={STRAY_TEXT}&client=x"),
            ),
            (
                form,
                format!("username={STRAY_TEXT}&password={STRAY_TEXT}&client={STRAY_TEXT}"),
            ),
            ("text/plain", STRAY_TEXT.to_owned()),
        ] {
            for path in ["/auth/login/", "/auth/password", "/admin/login?next=/admin"] {
                let post = self.request(Method::POST, path);
                let post = post.header("Content-Type", kind).body(body.clone());
                self.send(post).await;
            }
        }
        let brew = Method::from_bytes(b"BREW").unwrap();
        for (method, path) in [
            (Method::GET, format!("/admin/setup?key={STRAY_TEXT}")),
            (Method::POST, format!("/auth/{STRAY_TEXT}?x={STRAY_TEXT}")),
            (Method::PUT, format!("/auth/login?password={STRAY_TEXT}")),
            (brew, format!("/{STRAY_TEXT}")),
        ] {
            let request = self.request(method, &path);
            self.send(request.header("Cookie", format!("multitoken_admin={STRAY_TEXT}")))
                .await;
        }
    }
}

fn between(text: &str, before: &str) -> String {
    let rest = text
        .split(before)
        .nth(1)
        .unwrap_or_else(|| panic!("{text}"));
    let end = rest.find(|c: char| c == '"' || c.is_whitespace());
    rest[..end.unwrap_or(rest.len())].to_owned()
}

fn assert_absent(secrets: &[String], location: &str, content: &[u8]) {
    for secret in secrets {
        let found = content
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is in {location}");
    }
}

#[test]
fn secrets_do_not_appear_in_the_log_the_responses_or_the_sqlite_files() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite(folder.path());
        let mut probe = Probe::start(&url).await;
        let printed = probe.server.log().len();
        probe.send_everything().await;
        // Check the files with a full WAL now, and after it was removed on shutdown.
        assert_absent_in_folder(&probe.secrets, folder.path());
        let log = probe.server.log();
        let lines = &log[printed..];
        assert!(
            lines.contains("\"route\":\"/auth/login\",\"status\":400"),
            "{lines}"
        );
        assert_absent(&probe.secrets, "the log", lines.as_bytes());
        assert_absent_in_responses(&probe);
        let secrets = probe.secrets.clone();
        assert_eq!(probe.server.terminate(), Some(0));
        assert_absent_in_folder(&secrets, folder.path());
    });
}

#[test]
fn secrets_do_not_appear_in_the_log_the_responses_or_the_postgresql_tables() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let mut probe = Probe::start(&url).await;
        let printed = probe.server.log().len();
        probe.send_everything().await;
        let log = probe.server.log();
        assert_absent(&probe.secrets, "the log", &log.as_bytes()[printed..]);
        assert_absent(&probe.secrets, "the tables", &dump(&url).await);
        // The URL of the database contains a password.
        for part in [url.as_str(), url.split_once("://").unwrap().1] {
            assert!(!log.contains(part), "{part} is in the log");
            assert!(!probe.responses.contains(part));
        }
        assert_eq!(probe.server.terminate(), Some(0));
    });
}

/// A form shows the typed username again, so this text may appear. No other secret may.
fn assert_absent_in_responses(probe: &Probe) {
    let stray = probe.secrets.iter().position(|s| s == STRAY_TEXT).unwrap();
    let mut secrets = probe.secrets.clone();
    secrets.remove(stray);
    assert_absent(&secrets, "an answer", probe.responses.as_bytes());
}

fn assert_absent_in_folder(secrets: &[String], folder: &Path) {
    let mut files = 0;
    for entry in fs::read_dir(folder.join("data")).unwrap() {
        let path = entry.unwrap().path();
        assert_absent(secrets, path.to_str().unwrap(), &fs::read(&path).unwrap());
        files += 1;
    }
    assert!(files >= 2, "{files} files");
}

/// All rows of all tables.
async fn dump(url: &str) -> Vec<u8> {
    let mut db = AnyConnection::connect(url).await.unwrap();
    let tables = "SELECT CAST(table_name AS TEXT) FROM information_schema.tables
                  WHERE table_schema = 'public'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut db).await.unwrap();
    assert!(tables.len() >= 5, "{tables:?}");
    let mut dumped = String::new();
    for table in tables {
        let rows = AssertSqlSafe(format!("SELECT t::text FROM {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut db).await.unwrap();
        dumped += &rows.join("\n");
    }
    assert!(dumped.contains("alice"));
    dumped.into_bytes()
}

#[test]
fn sqlite_files_are_accessible_to_the_servers_user_only() {
    #[cfg(unix)]
    rocket::async_test(async {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&sqlite(folder.path())).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        for entry in fs::read_dir(folder.path().join("data")).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", entry.path().display());
        }
    });
}

#[test]
fn a_failing_start_does_not_print_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let start = |url: &str, variables: &[(&str, &str)]| {
        let mut command = command(url, &["serve"]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let message = stderr(&output);
        assert!(!message.contains("canary"), "{message}");
        message
    };
    let url = sqlite(folder.path());
    for length in [44, 64, 88] {
        let key = format!("{:!<length$}", "canary");
        let message = start(&url, &[("ROCKET_SECRET_KEY", &key)]);
        assert!(message.contains("secret_key"), "{message}");
    }
    for url in [
        "postgres:alice:canary@localhost/db",
        "postgres:///alice:canary@localhost/db",
        "postgres://alice:12/canary@localhost/db",
        "postgres://alice:canary@127.0.0.1:1/db",
        "postgres://alice:canary@127.0.0.1:1/db?password=canary&sslmode=x",
        "alice:canary@localhost/db",
        "mysql://alice:canary@localhost/db",
    ] {
        start(url, &[]);
    }
    let swapped = "{multitoken={url=\"x\",connect_timeout=\"postgres://alice:canary@h/db\"}}";
    start(&url, &[("ROCKET_DATABASES", swapped)]);
    let toml = folder.path().join("Broken.toml");
    for line in [
        "secret_key = \"canary\" x",
        "databases.multitoken.url = canary",
        "secret_key = \"canary",
    ] {
        fs::write(&toml, format!("[default]\nport = 8000\n{line}\n")).unwrap();
        let message = start(&url, &[("ROCKET_CONFIG", toml.to_str().unwrap())]);
        assert!(message.contains("line 3"), "no position: {message}");
    }
}
