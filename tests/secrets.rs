//! What must stay secret turns up nowhere: not in the log, in answers, in the database's files.

use std::fs;
use std::path::Path;

use reqwest::{Client, Method, RequestBuilder};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::support::PASSWORD;
use crate::support::postgres::Postgres;
use crate::support::server::{Server, command, sqlite, stderr};

const WRONG: &str = "canary-wrong-password";
const NEW: &str = "canary-new-password";
const NEWER: &str = "canary-newer-password";
const STRAY: &str = "canary-stray-text";

/// A server that is told secrets, and what it said to whom.
struct Confidant {
    server: Server,
    client: Client,
    /// Every answer, headers and body, but those that hand a secret over.
    answers: String,
    secrets: Vec<String>,
}

impl Confidant {
    async fn start(url: &str) -> Self {
        let server = Server::start(url).await;
        let key = between(&server.log(), "/admin/setup?key=");
        let no_redirects = reqwest::redirect::Policy::none();
        let builder = Client::builder().redirect(no_redirects);
        Self {
            server,
            client: builder.build().unwrap(),
            answers: String::new(),
            secrets: [PASSWORD, WRONG, NEW, NEWER, STRAY, &key]
                .map(str::to_owned)
                .to_vec(),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.server.origin);
        let request = self.client.request(method, url);
        request.header("Sec-Fetch-Site", "same-origin")
    }

    async fn tell(&mut self, request: RequestBuilder) {
        let answer = request.send().await.unwrap();
        let headers = format!("{:?}", answer.headers());
        self.answers += &headers;
        self.answers += &answer.text().await.unwrap();
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
        let fields = [("username", "alice"), ("password", NEW)];
        let login = self.request(Method::POST, "/admin/login").form(&fields);
        let answer = login.send().await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        self.secrets
            .push(cookie.split_once('=').unwrap().1.to_owned());
        cookie
    }

    /// Everything that a client may do with a secret, right and wrong.
    async fn tell_all(&mut self) {
        let post = Method::POST;
        let make = ["user", "create", "alice", "--admin", "--password-stdin"];
        self.server.run(&make, PASSWORD);
        let first = self.login(PASSWORD).await;
        let change = format!("{{\"current_password\":\"{PASSWORD}\",\"new_password\":\"{NEW}\"}}");
        let wrong = change.replace(PASSWORD, WRONG);
        let refused = change.replace(NEW, "alice-canary-stray-text");
        for body in [wrong, refused, change] {
            let request = self.request(post.clone(), "/auth/password/");
            let json = request
                .header("Content-Type", "application/json")
                .body(body);
            self.tell(json.bearer_auth(&first)).await;
        }
        let token = self.login(NEW).await;
        for path in [
            "/auth/me/",
            "/auth/tokens/",
            &format!("/auth/me/?t={STRAY}"),
        ] {
            let get = self.request(Method::GET, path).bearer_auth(&token);
            self.tell(get).await;
        }
        self.tell_admin().await;
        for credential in [&first, &format!("{token}x"), STRAY] {
            let get = self.request(Method::GET, "/auth/me/");
            self.tell(get.bearer_auth(credential)).await;
        }
        self.tell_nonsense().await;
    }

    async fn tell_admin(&mut self) {
        let cookie = self.admin_login().await;
        for path in ["/admin/", "/admin/users", "/admin/users?q=alice"] {
            let get = self.request(Method::GET, path).header("Cookie", &cookie);
            self.tell(get).await;
        }
        let shown = self.server.run(&["user", "show", "alice", "--json"], "");
        let shown = String::from_utf8(shown.stdout).unwrap();
        let id = between(&shown, "\"id\": \"");
        for (path, password) in [("password", NEWER), ("delete", WRONG), ("enable", WRONG)] {
            let path = format!("/admin/users/{id}/{path}");
            let fields = [("password", password), ("current_password", STRAY)];
            let post = self.request(Method::POST, &path).form(&fields);
            self.tell(post.header("Cookie", &cookie)).await;
            let get = self.request(Method::GET, &path).header("Cookie", &cookie);
            self.tell(get).await;
        }
    }

    /// What goes wrong on its way in holds secrets just as well.
    async fn tell_nonsense(&mut self) {
        let json = "application/json";
        let form = "application/x-www-form-urlencoded";
        let long = format!(
            "{{\"password\":\"{STRAY}\",\"x\":\"{}\"}}",
            "y".repeat(9000)
        );
        for (kind, body) in [
            (json, format!("{{\"password\":\"{STRAY}\"")),
            (json, format!("[\"{STRAY}\"]")),
            (
                json,
                format!("{{\"{STRAY}\":1,\"username\":[\"{STRAY}\"]}}"),
            ),
            (json, STRAY.to_owned()),
            (json, long),
            (
                form,
                format!("password=%ff{STRAY}&username={STRAY}&client=x"),
            ),
            (
                form,
                format!("username={STRAY}&password={STRAY}&client={STRAY}"),
            ),
            ("text/plain", STRAY.to_owned()),
        ] {
            for path in ["/auth/login/", "/auth/password", "/admin/login?next=/admin"] {
                let post = self.request(Method::POST, path);
                let post = post.header("Content-Type", kind).body(body.clone());
                self.tell(post).await;
            }
        }
        let brew = Method::from_bytes(b"BREW").unwrap();
        for (method, path) in [
            (Method::GET, format!("/admin/setup?key={STRAY}")),
            (Method::POST, format!("/auth/{STRAY}?x={STRAY}")),
            (Method::PUT, format!("/auth/login?password={STRAY}")),
            (brew, format!("/{STRAY}")),
        ] {
            let request = self.request(method, &path);
            self.tell(request.header("Cookie", format!("multitoken_admin={STRAY}")))
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

fn assert_absent(secrets: &[String], place: &str, content: &[u8]) {
    for secret in secrets {
        let found = content
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is in {place}");
    }
}

#[test]
fn passwords_tokens_and_cookies_stay_out_of_the_log_the_answers_and_the_files() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite(folder.path());
        let mut confidant = Confidant::start(&url).await;
        let printed = confidant.server.log().len();
        confidant.tell_all().await;
        // Once while the WAL is full and once when it is gone.
        assert_absent_in_folder(&confidant.secrets, folder.path());
        let log = confidant.server.log();
        let lines = &log[printed..];
        assert!(
            lines.contains("\"route\":\"/auth/login\",\"status\":400"),
            "{lines}"
        );
        assert_absent(&confidant.secrets, "the log", lines.as_bytes());
        assert_absent_in_answers(&confidant);
        let secrets = confidant.secrets.clone();
        assert_eq!(confidant.server.terminate(), Some(0));
        assert_absent_in_folder(&secrets, folder.path());
    });
}

#[test]
fn and_out_of_postgresql() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let mut confidant = Confidant::start(&url).await;
        let printed = confidant.server.log().len();
        confidant.tell_all().await;
        let log = confidant.server.log();
        assert_absent(&confidant.secrets, "the log", &log.as_bytes()[printed..]);
        assert_absent(&confidant.secrets, "the tables", &dump(&url).await);
        // The URL itself holds a password.
        for part in [url.as_str(), url.split_once("://").unwrap().1] {
            assert!(!log.contains(part), "{part} is in the log");
            assert!(!confidant.answers.contains(part));
        }
        assert_eq!(confidant.server.terminate(), Some(0));
    });
}

/// Typed a form again, the name is shown to who typed it; nothing else is.
fn assert_absent_in_answers(confidant: &Confidant) {
    let stray = confidant.secrets.iter().position(|s| s == STRAY).unwrap();
    let mut secrets = confidant.secrets.clone();
    secrets.remove(stray);
    assert_absent(&secrets, "an answer", confidant.answers.as_bytes());
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

/// Every row of every table.
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
fn the_database_is_for_the_servers_own_user_alone() {
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
fn a_start_that_fails_does_not_repeat_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let start = |url: &str, variables: &[(&str, &str)]| {
        let mut command = command(url, &["serve"]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(!said.contains("canary"), "{said}");
        said
    };
    let url = sqlite(folder.path());
    for length in [44, 64, 88] {
        let key = format!("{:!<length$}", "canary");
        let said = start(&url, &[("ROCKET_SECRET_KEY", &key)]);
        assert!(said.contains("secret_key"), "{said}");
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
        let said = start(&url, &[("ROCKET_CONFIG", toml.to_str().unwrap())]);
        assert!(said.contains("line 3"), "where it is, at least: {said}");
    }
}
