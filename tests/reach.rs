//! Starts and commands whose database can't be reached, locked or read: each ends within 15 seconds, exits with 1 and
//! names the place and the cause.

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

/// What a command may take that can't reach or lock its database.
const LONGEST: Duration = Duration::from_secs(15);
/// One of each kind of command.
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
/// A second to connect.
const SOON: (&str, &str) = ("ROCKET_DATABASES", "{multitoken={connect_timeout=1}}");

/// A command that runs.
struct Running {
    child: Child,
    args: Vec<String>,
    start: Instant,
}

impl Running {
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

    /// What it printed, if it ended in time.
    fn end(mut self) -> Output {
        while self.child.try_wait().unwrap().is_none() {
            if self.start.elapsed() > LONGEST {
                self.child.kill().unwrap();
                panic!("{:?} still runs", self.args);
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.child.wait_with_output().unwrap()
    }

    /// What it said of its refusal, which has to hold these words.
    fn refused(self, words: &[&str]) -> String {
        let args = self.args.clone();
        let output = self.end();
        // `check` prints what it finds.
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{args:?} says no {word}: {said}");
        }
        said
    }
}

/// Every command on that database, all at once.
fn all(url: &str) -> Vec<Running> {
    let start = |args: &&[&str]| {
        let mut command = command(url, args);
        command.env(SOON.0, SOON.1);
        Running::start(command)
    };
    COMMANDS.iter().map(start).collect()
}

fn all_are_refused(url: &str, words: &[&str]) {
    for running in all(url) {
        running.refused(words);
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

/// A server that takes connections and does with each what it is told.
fn fake(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
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
fn a_port_that_says_nothing_is_not_waited_for() {
    let url = fake(|stream| {
        thread::sleep(2 * LONGEST);
        drop(stream);
    });
    let place = url.split_once('@').unwrap().1;
    let place = format!("cannot connect to PostgreSQL at {place}: ");
    let by_default = Running::start(command(&url, &["user", "list"]));
    for running in all(&url) {
        let said = running.refused(&[&place, "no answer within 1 s"]);
        assert!(!said.contains("canary"), "{said}");
    }
    by_default.refused(&["no answer within 5 s"]);
}

#[test]
fn what_a_server_says_as_it_refuses_is_passed_on_with_a_remedy() {
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
            "right?",
        ),
        ("3D000", "database \"db\" does not exist", "createdb"),
        (
            "08P01",
            "unsupported startup parameter: extra_float_digits",
            "PgBouncer",
        ),
    ] {
        let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
        let url = fake(move |mut stream| {
            let mut read = [0; 1024];
            // It asks for TLS, gets none, and introduces itself.
            let _ = stream.read(&mut read);
            let _ = stream.write_all(b"N");
            let _ = stream.read(&mut read);
            let length = u32::try_from(fields.len() + 4).unwrap();
            let error = [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat();
            let _ = stream.write_all(&error);
        });
        let place = url.split_once('@').unwrap().1;
        for args in [&["serve"][..], &["migrate", "--status"], &["user", "list"]] {
            Running::start(command(&url, args)).refused(&[place, message, remedy]);
        }
    }
}

#[test]
fn a_host_that_is_none_and_a_port_where_nobody_listens_are_named() {
    let nobody = format!("postgres://u:canary@127.0.0.1:{}/db", free_port());
    all_are_refused(
        &nobody,
        &["cannot connect to PostgreSQL at 127.0.0.1", "refused"],
    );
    all_are_refused(
        "postgres://u@nothing.invalid/db",
        &["nothing.invalid:5432/db"],
    );
    let socket = tempfile::tempdir().unwrap();
    let socket = socket.path().to_str().unwrap();
    let url = format!("postgres://u@/db?host={socket}");
    all_are_refused(&url, &[&format!("{socket}/.s.PGSQL.5432, database db")]);
}

#[test]
fn a_role_at_its_limit_is_named_as_such() {
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
        all_are_refused(&limited, &words);

        // One connection is enough for a command, and taken by another it is none.
        execute(&url, format!("ALTER ROLE {role} CONNECTION LIMIT 1")).await;
        let listed = run(&limited, &["user", "list"], "");
        assert!(listed.status.success(), "{}", stderr(&listed));
        let held = connect(&limited).await;
        all_are_refused(&limited, &words);
        held.close().await.unwrap();
    });
}

#[test]
fn another_process_that_migrates_is_waited_for_and_said_so() {
    on_each_url(async |url| {
        if url.starts_with("sqlite:") {
            assert!(run(&url, &["migrate"], "").status.success());
        }
        let held = Held::take(&url).await;
        let mut waiting = all(&url);
        // It only looks.
        waiting.retain(|running| running.args != ["check"] && running.args[1..] != ["--status"]);
        for running in waiting {
            running.refused(&["waiting for another process", "migrating it", "within 5 s"]);
        }

        let waiting = Running::start(command(&url, &["user", "list"]));
        sleep(Duration::from_secs(1)).await;
        held.release().await;
        let output = waiting.end();
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
fn where_no_migration_is_pending_no_lock_and_no_right_to_create_is_needed() {
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
        let held = Held::take(&url).await;
        let plain = with_user(&url, &role);
        let create = ["user", "create", "alice", "--password-stdin"];
        let created = run(&plain, &create, PASSWORD);
        assert!(created.status.success(), "{}", stderr(&created));
        assert!(
            !stderr(&created).contains("waiting"),
            "{}",
            stderr(&created)
        );

        // One that has changed since it was applied is noticed all the same.
        let changed = "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1";
        execute(&url, changed.to_owned()).await;
        held.release().await;
        Running::start(command(&url, &["user", "list"])).refused(&["migration 1"]);
    });
}

/// The lock for migrations, as a process that migrates has it.
enum Held {
    File(fs::File),
    Connection(AnyConnection),
}

impl Held {
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
fn a_server_that_falls_silent_is_given_up() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        // As it is asked for the lock, as it migrates, as it is asked what is applied.
        let mut running = vec![];
        for (word, args) in [
            ("pg_advisory_lock", &["migrate"][..]),
            ("CREATE TABLE users", &["migrate"]),
            ("CREATE TABLE users", &["serve"]),
            ("SELECT version", &["migrate", "--status"]),
        ] {
            let url = postgres.database().await;
            if args.contains(&"--status") {
                assert!(run(&url, &["migrate"], "").status.success());
            }
            let relay = relayed(&url, word);
            let mut command = command(&relay, args);
            command.env(SOON.0, SOON.1);
            running.push(Running::start(command));
        }
        for running in running {
            running.refused(&["PostgreSQL at 127.0.0.1:", "answer"]);
        }
    });
}

/// The URL of a relay to the server at `url`, which goes silent once somebody sends these words.
fn relayed(url: &str, words: &'static str) -> String {
    let (_, rest) = url.split_once('@').unwrap();
    let (authority, database) = rest.split_once('/').unwrap();
    let server = authority
        .to_socket_addrs()
        .unwrap()
        .find(SocketAddr::is_ipv4);
    let relay = Relay::until(server.unwrap(), Some(words));
    format!("postgres://postgres@127.0.0.1:{}/{database}", relay.port)
}

#[test]
fn a_migration_may_take_as_long_as_it_needs() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let database = database_of(&url);
        assert!(run(&url, &["migrate"], "").status.success());
        // It has something to do to a table that is locked, and the database's own limit would cut it short.
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
        let migrating = Running::start(command(&url, &["migrate"]));
        sleep(Duration::from_secs(4)).await;
        holder.close().await.unwrap();
        let output = migrating.end();
        assert!(output.status.success(), "{}", stderr(&output));
    });
}

#[test]
fn what_can_not_be_read_is_not_pending() {
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
            let said = Running::start(command(&blind, args)).refused(&["permission denied"]);
            assert!(!said.contains("pending"), "{said}");
        }
        execute(&url, "REVOKE USAGE ON SCHEMA public FROM PUBLIC".into()).await;
        for args in [&status[..], &["check"]] {
            let said = Running::start(command(&blind, args)).refused(&["schema"]);
            assert!(!said.contains("pending"), "{said}");
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.db");
    fs::write(&file, vec![0xa5; 8192]).unwrap();
    let url = format!("sqlite:{}", file.display());
    all_are_refused(
        &url,
        &[file.to_str().unwrap(), "not a database", "encrypted"],
    );
    assert_eq!(fs::read(&file).unwrap(), vec![0xa5; 8192]);
    let list = command("sqlite:/dev/null", &["user", "list"]);
    Running::start(list).refused(&["/dev/null", "not a database"]);
    for path in [file.as_path(), "/dev/null".as_ref()] {
        let lock = format!("{}.lock", path.display());
        assert!(!fs::exists(&lock).unwrap(), "{lock}");
    }
    fs::create_dir(folder.path().join("folder")).unwrap();
    let url = format!("sqlite:{}/folder", folder.path().display());
    all_are_refused(&url, &["folder; name a file"]);
    assert!(!folder.path().join("folder.lock").exists());
}

#[test]
fn a_database_that_is_not_in_utf_8_is_refused() {
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
            all_are_refused(&other, &[&name, encoding, "ENCODING 'UTF8'"]);
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
        all_are_refused(&url, &["test.db", "UTF-16", "PRAGMA encoding = 'UTF-8'"]);
    });
}

#[test]
fn every_url_that_psql_takes_leads_to_the_database() {
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
            let made = run(url, &["user", "create", &name, "--generate-password"], "");
            assert!(made.status.success(), "{url}: {}", stderr(&made));
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
fn a_start_warns_where_nothing_proves_whose_the_database_is() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        // Leads here, but is not the address of this machine's own network.
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
fn a_url_that_names_nothing_is_refused_with_the_reason() {
    for (url, word) in [
        ("", "is empty"),
        ("sqlite:~/x.db", "$HOME"),
        ("sqlite:$HOME/x.db", "begins with `$`"),
        ("sqlite: x.db", "white space"),
        ("sqlite:-", "is `-`"),
        ("sqlite:", "no file"),
        ("sqlite:data/", "folder"),
        ("sqlite:file:x.db", "URL in a URL"),
        ("postgres://u:canary@h1,h2/db", "several hosts"),
        ("postgres://u:canary/x@h/db", "percent-encoded"),
        ("postgres://u:canary@h/db?sslmod=require", "sslmod"),
        (
            "postgres://u:canary@h/db?sslrootcert=/nowhere.pem",
            "/nowhere.pem",
        ),
        ("mysql://u:canary@h/db", "no known kind"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for args in COMMANDS {
            let mut command = command(url, args);
            command.current_dir(folder.path());
            let said = Running::start(command).refused(&["databases.multitoken", word]);
            assert!(!said.contains("canary"), "{said}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{url}");
    }
}
