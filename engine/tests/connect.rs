//! Starts and commands whose database is unreachable, locked or unreadable. Each ends within 15 seconds, exits with 1
//! and names the location and the cause.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rocket::tokio::time::sleep;
use sqlx::migrate::Migrate;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::support::PASSWORD;
use crate::support::postgres::Postgres;
use crate::support::relay::Relay;
use crate::support::server::{
    Server, command, free_port, on_each_url, run, sqlite, stderr, stdout,
};

/// The time limit of a command that cannot reach or lock its database.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// Commands of each kind.
const COMMANDS: [&[&str]; 8] = [
    &["serve"],
    &["migrate"],
    &["migrate", "--status"],
    &["user", "list"],
    &["user", "create", "alice", "--generate-password"],
    &["token", "prune"],
    &[
        "seed",
        "--users",
        "1",
        "--tokens-per-user",
        "1",
        "--password",
        "correct horse battery",
    ],
    &["check"],
];
/// One second to connect.
const SHORT_TIMEOUT: (&str, &str) = ("ROCKET_DATABASES", "{multitoken={connect_timeout=1}}");

/// A running command.
struct RunningCommand {
    child: Child,
    args: Vec<String>,
    start: Instant,
}

impl RunningCommand {
    fn start(mut command: Command) -> Self {
        let args = command
            .get_args()
            .map(|arg| arg.to_str().unwrap().to_owned());
        let args = args.collect();
        command
            .env("ROCKET_PORT", free_port().to_string())
            .env("ROCKET_LOG_LEVEL", "normal")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            child: command.spawn().unwrap(),
            args,
            start: Instant::now(),
        }
    }

    /// Waits for the exit and returns the output. Panics after the time limit.
    fn wait(mut self) -> Output {
        while self.child.try_wait().unwrap().is_none() {
            if self.start.elapsed() > TIME_LIMIT {
                self.child.kill().unwrap();
                panic!("{:?} still runs", self.args);
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.child.wait_with_output().unwrap()
    }

    /// Asserts that the command failed and printed these words. Returns its output.
    fn assert_refused(self, words: &[&str]) -> String {
        let args = self.args.clone();
        let output = self.wait();
        // `check` prints findings to stdout.
        let printed = format!("{}{}", stdout(&output), stderr(&output));
        assert_eq!(output.status.code(), Some(1), "{args:?}: {printed}");
        for word in words {
            assert!(
                printed.contains(word),
                "{args:?} does not print {word}: {printed}"
            );
        }
        printed
    }
}

/// Starts every command on the database, all at once.
fn start_all(url: &str) -> Vec<RunningCommand> {
    let start = |args: &&[&str]| {
        let mut command = command(url, args);
        command.env(SHORT_TIMEOUT.0, SHORT_TIMEOUT.1);
        RunningCommand::start(command)
    };
    COMMANDS.iter().map(start).collect()
}

fn assert_all_refused(url: &str, words: &[&str]) {
    for running in start_all(url) {
        running.assert_refused(words);
    }
}

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

async fn execute(url: &str, sql: String) {
    let mut db = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut db)
        .await
        .unwrap();
    db.close().await.unwrap();
}

/// The URL with another user.
fn with_user(url: &str, user: &str) -> String {
    let (_, rest) = url.split_once('@').unwrap();
    format!("postgres://{user}:canary@{rest}")
}

fn database_of(url: &str) -> &str {
    url.rsplit_once('/').unwrap().1
}

/// A server on a free port that handles each connection with `serve`. Returns its URL.
fn fake_server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    format!("postgres://user:canary@{address}/db")
}

#[test]
fn a_silent_port_is_given_up_after_the_connect_timeout() {
    let url = fake_server(|stream| {
        thread::sleep(2 * TIME_LIMIT);
        drop(stream);
    });
    let location = url.split_once('@').unwrap().1;
    let location = format!("cannot connect to PostgreSQL at {location}: ");
    let by_default = RunningCommand::start(command(&url, &["user", "list"]));
    for running in start_all(&url) {
        let printed = running.assert_refused(&[&location, "no response within 1 s"]);
        assert!(!printed.contains("canary"), "{printed}");
    }
    by_default.assert_refused(&["no response within 5 s"]);
}

#[test]
fn a_servers_refusal_is_shown_with_a_remedy() {
    for (code, message, remedy) in [
        ("57P03", "the database system is starting up", "try again"),
        (
            "53300",
            "too many connections for role \"user\"",
            "CONNECTION LIMIT",
        ),
        (
            "53300",
            "sorry, too many clients already",
            "max_connections",
        ),
        (
            "28P01",
            "password authentication failed for user \"user\"",
            "check the user and password",
        ),
        ("3D000", "database \"db\" does not exist", "createdb"),
        (
            "08P01",
            "unsupported startup parameter: extra_float_digits",
            "PgBouncer",
        ),
    ] {
        let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
        let url = fake_server(move |mut stream| {
            let mut read = [0; 1024];
            // Reads the TLS request, rejects it, and reads the startup message.
            let _ = stream.read(&mut read);
            let _ = stream.write_all(b"N");
            let _ = stream.read(&mut read);
            let length = u32::try_from(fields.len() + 4).unwrap();
            let error = [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat();
            let _ = stream.write_all(&error);
        });
        let location = url.split_once('@').unwrap().1;
        for args in [&["serve"][..], &["migrate", "--status"], &["user", "list"]] {
            RunningCommand::start(command(&url, args)).assert_refused(&[location, message, remedy]);
        }
    }
}

#[test]
fn unknown_hosts_and_closed_ports_are_named() {
    let nobody = format!("postgres://u:canary@127.0.0.1:{}/db", free_port());
    assert_all_refused(
        &nobody,
        &["cannot connect to PostgreSQL at 127.0.0.1", "refused"],
    );
    assert_all_refused(
        "postgres://u@nothing.invalid/db",
        &["nothing.invalid:5432/db"],
    );
    let socket = tempfile::tempdir().unwrap();
    let socket = socket.path().to_str().unwrap();
    let url = format!("postgres://u@/db?host={socket}");
    assert_all_refused(&url, &[&format!("{socket}/.s.PGSQL.5432, database db")]);
}

#[test]
fn a_role_at_its_connection_limit_is_reported() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let role = format!("limited_{}", database_of(&url));
        let database = database_of(&url);
        execute(&url, format!(
            "CREATE ROLE {role} LOGIN CONNECTION LIMIT 0; ALTER DATABASE {database} OWNER TO {role}"
        )).await;
        let limited = with_user(&url, &role);
        let words = [
            "too many connections for role",
            database,
            "CONNECTION LIMIT",
        ];
        assert_all_refused(&limited, &words);

        // A command needs one connection. It fails while another client has the only one.
        execute(&url, format!("ALTER ROLE {role} CONNECTION LIMIT 1")).await;
        let listed = run(&limited, &["user", "list"], "");
        assert!(listed.status.success(), "{}", stderr(&listed));
        let lock = connect(&limited).await;
        assert_all_refused(&limited, &words);
        lock.close().await.unwrap();
    });
}

#[test]
#[ignore = "slow"]
fn commands_wait_for_a_migrating_process_and_say_so() {
    on_each_url(async |url| {
        if url.starts_with("sqlite:") {
            assert!(run(&url, &["migrate"], "").status.success());
        }
        let lock = MigrationLock::take(&url).await;
        let mut waiting = start_all(&url);
        // `check` and `migrate --status` take no lock.
        waiting.retain(|running| running.args != ["check"] && running.args[1..] != ["--status"]);
        for running in waiting {
            running.assert_refused(&[
                "waiting for another process",
                "migrating this database",
                "more than 5 s",
            ]);
        }

        let waiting = RunningCommand::start(command(&url, &["user", "list"]));
        sleep(Duration::from_secs(1)).await;
        lock.release().await;
        let output = waiting.wait();
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stderr(&output).contains("waiting for another process"));
        let output = run(&url, &["user", "list"], "");
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            stderr(&output)
        );
    });
}

#[test]
fn without_pending_migrations_no_lock_and_no_create_privilege_is_needed() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        assert!(run(&url, &["migrate"], "").status.success());
        let role = format!("plain_{}", database_of(&url));
        let all = "ON ALL TABLES IN SCHEMA public TO";
        execute(
            &url,
            format!("CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE {all} {role}"),
        )
        .await;
        let lock = MigrationLock::take(&url).await;
        let plain = with_user(&url, &role);
        let create = ["user", "create", "alice", "--password-stdin"];
        let created = run(&plain, &create, PASSWORD);
        assert!(created.status.success(), "{}", stderr(&created));
        assert!(
            !stderr(&created).contains("waiting"),
            "{}",
            stderr(&created)
        );

        // A changed migration is detected all the same.
        let changed = "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1";
        execute(&url, changed.to_owned()).await;
        lock.release().await;
        RunningCommand::start(command(&url, &["user", "list"])).assert_refused(&["migration 1"]);
    });
}

/// The lock for migrations, held like by a migrating process.
enum MigrationLock {
    File(fs::File),
    Connection(AnyConnection),
}

impl MigrationLock {
    async fn take(url: &str) -> Self {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let file = fs::File::open(format!("{path}.lock")).unwrap();
            file.lock().unwrap();
            return Self::File(file);
        }
        let mut db = connect(url).await;
        db.lock().await.unwrap();
        Self::Connection(db)
    }

    async fn release(self) {
        match self {
            Self::File(file) => file.unlock().unwrap(),
            Self::Connection(db) => db.close().await.unwrap(),
        }
    }
}

#[test]
#[ignore = "slow"]
fn a_server_that_stops_responding_is_given_up() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        // While it requests the lock, while it migrates, and while it reads the applied migrations.
        let mut running = vec![];
        for (word, args, message) in [
            ("pg_advisory_lock", &["migrate"][..], "stopped responding"),
            ("CREATE TABLE users", &["migrate"], "stopped responding"),
            ("CREATE TABLE users", &["serve"], "stopped responding"),
            ("SELECT version", &["migrate", "--status"], "no response"),
        ] {
            let url = postgres.database().await;
            if args.contains(&"--status") {
                assert!(run(&url, &["migrate"], "").status.success());
            }
            let relay = relay_url(&url, word);
            let mut command = command(&relay, args);
            command.env(SHORT_TIMEOUT.0, SHORT_TIMEOUT.1);
            running.push((RunningCommand::start(command), message));
        }
        for (running, message) in running {
            running.assert_refused(&["PostgreSQL at 127.0.0.1:", message]);
        }
    });
}

/// The URL of a relay to the server at `url`. It goes silent when a client sends `words`.
fn relay_url(url: &str, words: &'static str) -> String {
    let (_, rest) = url.split_once('@').unwrap();
    let (authority, database) = rest.split_once('/').unwrap();
    let server = authority
        .to_socket_addrs()
        .unwrap()
        .find(SocketAddr::is_ipv4);
    let relay = Relay::silent_after(server.unwrap(), Some(words));
    format!("postgres://postgres@127.0.0.1:{}/{database}", relay.port)
}

#[test]
fn a_migration_is_not_subject_to_the_statement_timeout() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let database = database_of(&url);
        assert!(run(&url, &["migrate"], "").status.success());
        // The command must change the collation of a locked column, and the database has a shorter statement timeout.
        execute(
            &url,
            format!(
                "ALTER DATABASE {database} SET statement_timeout = '1s';
             ALTER TABLE users ALTER COLUMN username_key TYPE TEXT COLLATE \"default\""
            ),
        )
        .await;
        let mut holder = connect(&url).await;
        sqlx::raw_sql(
            "SET statement_timeout = 0; BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE",
        )
        .execute(&mut holder)
        .await
        .unwrap();
        let migrating = RunningCommand::start(command(&url, &["migrate"]));
        sleep(Duration::from_secs(4)).await;
        holder.close().await.unwrap();
        let output = migrating.wait();
        assert!(output.status.success(), "{}", stderr(&output));
    });
}

#[test]
fn unreadable_migrations_are_an_error_and_not_reported_as_pending() {
    let status = ["migrate", "--status"];
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        assert!(run(&url, &["migrate"], "").status.success());
        let role = format!("blind_{}", database_of(&url));
        execute(&url, format!("CREATE ROLE {role} LOGIN")).await;
        let blind = with_user(&url, &role);
        for args in [&status[..], &["check"]] {
            let printed =
                RunningCommand::start(command(&blind, args)).assert_refused(&["permission denied"]);
            assert!(!printed.contains("pending"), "{printed}");
        }
        execute(&url, "REVOKE USAGE ON SCHEMA public FROM PUBLIC".into()).await;
        for args in [&status[..], &["check"]] {
            let printed = RunningCommand::start(command(&blind, args)).assert_refused(&["schema"]);
            assert!(!printed.contains("pending"), "{printed}");
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.db");
    fs::write(&file, vec![0xa5; 8192]).unwrap();
    let url = format!("sqlite:{}", file.display());
    assert_all_refused(
        &url,
        &[file.to_str().unwrap(), "not a database", "encrypted"],
    );
    assert_eq!(fs::read(&file).unwrap(), vec![0xa5; 8192]);
    let list = command("sqlite:/dev/null", &["user", "list"]);
    RunningCommand::start(list).assert_refused(&["/dev/null", "not a database"]);
    for path in [file.as_path(), "/dev/null".as_ref()] {
        let lock = format!("{}.lock", path.display());
        assert!(!fs::exists(&lock).unwrap(), "{lock}");
    }
    fs::create_dir(folder.path().join("folder")).unwrap();
    let url = format!("sqlite:{}/folder", folder.path().display());
    assert_all_refused(&url, &["folder; name a file"]);
    assert!(!folder.path().join("folder.lock").exists());
}

#[test]
fn a_database_that_is_not_utf_8_is_refused() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        for encoding in ["SQL_ASCII", "LATIN1"] {
            let name = format!("{}_{}", database_of(&url), encoding.to_lowercase());
            execute(
                &url,
                format!(
                    "CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
                ),
            )
            .await;
            let other = url.replace(database_of(&url), &name);
            assert_all_refused(&other, &[&name, encoding, "ENCODING 'UTF8'"]);
        }
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite(folder.path());
        fs::create_dir(folder.path().join("data")).unwrap();
        let new = format!("{}?mode=rwc", url.replace("sqlite:", "sqlite://"));
        execute(
            &new,
            "PRAGMA encoding = 'UTF-16'; CREATE TABLE other (id INTEGER)".into(),
        )
        .await;
        assert_all_refused(&url, &["test.db", "UTF-16", "PRAGMA encoding = 'UTF-8'"]);
    });
}

#[test]
fn every_url_that_psql_accepts_connects_to_the_database() {
    let listen = [("listen_addresses", "127.0.0.1,::1")];
    let Some(postgres) = Postgres::with_settings(&listen) else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let database = database_of(&url);
        let (_, port) = url.rsplit_once('/').unwrap().0.rsplit_once(':').unwrap();
        let folder = postgres.folder();
        let folder = folder.to_str().unwrap();
        let encoded = folder.replace('/', "%2F");
        let mut urls = vec![
            format!("postgres://postgres:x@127.0.0.1:{port}/{database}"),
            format!("postgresql://postgres@127.0.0.1:{port}/{database}?connect_timeout=3"),
            format!("postgres://127.0.0.1:{port}/?user=postgres&dbname={database}"),
            format!("postgres://postgres@{encoded}:{port}/{database}"),
            format!("postgres://postgres:x@{encoded}:{port}/{database}"),
            format!("postgres://postgres@:{port}/{database}?host={folder}"),
            format!("postgres:///{database}?host={folder}&port={port}&user=postgres"),
            format!("postgres://postgres@/{database}?host={folder}&port={port}&password=x"),
        ];
        if TcpListener::bind("[::1]:0").is_ok() {
            urls.push(format!("postgres://postgres@[::1]:{port}/{database}"));
            urls.push(format!(
                "postgres:///{database}?host=::1&port={port}&user=postgres"
            ));
        }
        for (number, url) in urls.iter().enumerate() {
            let name = format!("user{number}");
            let created = run(url, &["user", "create", &name, "--generate-password"], "");
            assert!(created.status.success(), "{url}: {}", stderr(&created));
            let found = run(url, &["check"], "");
            assert!(
                !stdout(&found).contains("databases.multitoken"),
                "{url}: {}",
                stdout(&found)
            );
        }
        let users = stdout(&run(&urls[0], &["user", "list"], ""));
        assert_eq!(users.lines().count(), 1 + urls.len(), "{users}");
        let server = Server::start(urls.last().unwrap()).await;
        assert_eq!(server.me("nonsense").await, 401);
        assert!(!server.log().contains("sslmode"), "{}", server.log());
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn a_start_warns_if_the_database_server_is_not_authenticated() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        // Connects to this machine, but is not a loopback address.
        let elsewhere = url
            .replace("localhost", "0.0.0.0")
            .replace("127.0.0.1", "0.0.0.0");
        let server = Server::start_with(&elsewhere, &[("ROCKET_LOG_LEVEL", "normal")]).await;
        assert!(
            server.log().contains("sslmode=verify-full"),
            "{}",
            server.log()
        );
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn an_invalid_url_is_refused_with_the_reason_and_creates_no_file() {
    for (url, word) in [
        ("", "is empty"),
        ("sqlite:~/x.db", "$HOME"),
        ("sqlite:$HOME/x.db", "begins with `$`"),
        ("sqlite: x.db", "whitespace"),
        ("sqlite:-", "is `-`"),
        ("sqlite:", "no file"),
        ("sqlite:data/", "folder"),
        ("sqlite:file:x.db", "another URL"),
        ("postgres://u:canary@h1,h2/db", "several hosts"),
        ("postgres://u:canary/x@h/db", "percent-encoded"),
        ("postgres://u:canary@h/db?sslmod=require", "sslmod"),
        (
            "postgres://u:canary@h/db?sslrootcert=/nowhere.pem",
            "/nowhere.pem",
        ),
        ("mysql://u:canary@h/db", "unknown scheme"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for args in COMMANDS {
            let mut command = command(url, args);
            command.current_dir(folder.path());
            let printed =
                RunningCommand::start(command).assert_refused(&["databases.multitoken", word]);
            assert!(!printed.contains("canary"), "{printed}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{url}");
    }
}
