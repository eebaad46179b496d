//! Backups and restores, by the commands of `docs/backups.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use rocket::tokio;
use rocket::tokio::task::spawn_blocking;
use rocket::tokio::time::sleep;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection};
use url::Url;

use crate::doc_page::{blocks, page, shell, stdout_of};
use crate::support::PASSWORD;
use crate::support::needs;
use crate::support::postgres::Postgres;
use crate::support::server::{Server, command, free_port, run, stderr, stdout};

/// The database that the page's commands use.
fn database_url(folder: &Path) -> String {
    format!("sqlite:{}/data/multitoken.db", folder.display())
}

fn database_file(folder: &Path) -> PathBuf {
    folder.join("data/multitoken.db")
}

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

async fn count(db: &mut AnyConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

fn create_user(url: &str, name: &str) {
    let made = run(url, &["user", "create", name, "--password-stdin"], PASSWORD);
    assert!(made.status.success(), "{}", stderr(&made));
}

/// Used before and after a restore. With the default limit, logging in this often would evict the oldest tokens.
const SETTINGS: (&str, &str) = (
    "ROCKET_APP",
    "{hash_memory_kib=8,hash_iterations=1,tokens_per_user=100000}",
);

/// A server on which several clients sign in continuously.
struct BusyServer {
    server: Server,
    /// The tokens of completed logins, in order.
    answered: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl BusyServer {
    async fn start(url: &str) -> Self {
        let server = Server::start_with(url, &[SETTINGS]).await;
        let (answered, stop) = (Arc::default(), Arc::default());
        let clients = (0..4).map(|number| {
            let name = format!("user{number}");
            create_user(url, &name);
            let origin = server.origin.clone();
            tokio::spawn(sign_in_repeatedly(
                origin,
                name,
                Arc::clone(&answered),
                Arc::clone(&stop),
            ))
        });
        Self {
            clients: clients.collect(),
            server,
            answered,
            stop,
        }
    }

    fn tokens(&self) -> Vec<String> {
        self.answered.lock().unwrap().clone()
    }

    /// Waits for this many more logins.
    async fn wait_for_logins(&self, more: usize) {
        let (start, before) = (Instant::now(), self.tokens().len());
        while self.tokens().len() < before + more {
            assert!(start.elapsed() < Duration::from_secs(30), "no logins");
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn stop(self) -> Server {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        self.server
    }
}

async fn sign_in_repeatedly(
    origin: String,
    name: String,
    answered: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
) {
    let http = reqwest::Client::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let body = json!({"username": name, "password": PASSWORD, "client": format!("c{number}")});
        let post = http.post(format!("{origin}/auth/login/")).json(&body);
        let answer = post.send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        let token = answer["auth_token"].as_str();
        let token = token.unwrap_or_else(|| panic!("{status}: {body}"));
        answered.lock().unwrap().push(token.to_owned());
    }
}

/// Backs up with the page's command while clients sign in, restores with its other command and starts a server on the
/// result. Every login that completed before the backup must be in it.
async fn back_up_and_restore(
    url: &str,
    backup: Command,
    restore: impl FnOnce(),
    restored: impl FnOnce() -> String,
) {
    let busy = BusyServer::start(url).await;
    busy.wait_for_logins(20).await;
    let before = busy.tokens();
    let mut backup = backup;
    // Each client always has a login in progress, so the backup runs beside logins even if none completes meanwhile.
    spawn_blocking(move || stdout_of(&mut backup))
        .await
        .unwrap();
    busy.wait_for_logins(20).await;
    let all = busy.tokens();
    let server = busy.stop().await;
    // A restore brings revoked tokens back, as the page warns.
    let revoked = server.run(&["token", "revoke", "--user", "user0"], "");
    assert!(revoked.status.success(), "{}", stderr(&revoked));
    assert_eq!(server.terminate(), Some(0));

    restore();
    let restored = restored();
    let mut db = connect(&restored).await;
    assert_consistent(&mut db).await;
    let kept = count(&mut db, "SELECT COUNT(*) FROM tokens").await;
    let kept = usize::try_from(kept).unwrap();
    assert!((before.len()..all.len()).contains(&kept), "{kept} tokens");
    db.close().await.unwrap();
    let server = Server::start_with(&restored, &[SETTINGS]).await;
    for (number, token) in all.iter().enumerate() {
        let status = server.me(token).await;
        let may_be_lost = number >= before.len() && status == 401;
        assert!(status == 200 || may_be_lost, "login {number}: {status}");
    }
    assert_eq!(server.try_login("user0", PASSWORD).await, 200);
    assert_eq!(server.terminate(), Some(0));
    revoke_every_token(&restored, &before).await;
}

/// A row and its audit event are written in one transaction, so neither exists without the other.
async fn assert_consistent(db: &mut AnyConnection) {
    for sql in [
        "SELECT COUNT(*) FROM tokens WHERE NOT EXISTS (
             SELECT 1 FROM events WHERE action = 'token.issued' AND token_id = tokens.id)",
        "SELECT COUNT(*) FROM events WHERE action = 'token.issued' AND NOT EXISTS (
             SELECT 1 FROM tokens WHERE id = events.token_id)",
        "SELECT COUNT(*) FROM tokens WHERE NOT EXISTS (
             SELECT 1 FROM users WHERE id = tokens.user_id)",
    ] {
        assert_eq!(count(db, sql).await, 0, "{sql}");
    }
}

/// Follows the page's last resort on a restored database: revoking every token.
async fn revoke_every_token(url: &str, tokens: &[String]) {
    if needs::executable("jq", &[]).is_none() {
        return needs::missing("jq", "jq");
    }
    let server = Server::start(url).await;
    assert_eq!(server.me(&tokens[0]).await, 200);
    let script = &blocks(&page("backups.md"), "What a restore undoes", "sh")[2];
    stdout_of(shell(Path::new("."), script).env("DATABASE_URL", url));
    for token in tokens {
        assert_eq!(server.me(token).await, 401);
    }
}

/// Serves the database that a restore has moved aside, by the page's command. It still has what happened since.
async fn serve_old_database(folder: &Path) {
    let script = &blocks(&page("backups.md"), "What a restore undoes", "sh")[0];
    let port = free_port();
    let script = script
        .replace("8001", &port.to_string())
        .replace("multitoken serve", "exec multitoken serve");
    let server = Server::start_command(shell(folder, &script), port, "").await;
    assert_eq!(server.try_login("user0", PASSWORD).await, 200);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_backup_on_sqlite_contains_every_login_completed_before_it() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let (url, page) = (database_url(folder.path()), page("backups.md"));
        let backup = shell(folder.path(), &blocks(&page, "Back up SQLite", "sh")[0]);
        let restore = || {
            // The write-ahead log of the old database must not be replayed into the restored one.
            fs::write(folder.path().join("data/multitoken.db-wal"), "of another").unwrap();
            let script = &blocks(&page, "Restore SQLite", "sh")[0];
            stdout_of(&mut shell(folder.path(), script));
            assert!(!folder.path().join("data/multitoken.db-wal").exists());
        };
        back_up_and_restore(&url, backup, restore, || url.clone()).await;
        serve_old_database(folder.path()).await;

        let script = &blocks(&page, "Test your backups", "sh")[0];
        let printed = stdout_of(&mut shell(folder.path(), script));
        assert!(
            printed.contains("applied") && printed.contains("user3"),
            "{printed}"
        );
        assert!(!folder.path().join("trial").exists());

        let old = folder.path().join("backups/old.db");
        fs::write(&old, "").unwrap();
        let age = Duration::from_hours(31 * 24);
        let opened = fs::File::options().write(true).open(&old).unwrap();
        opened.set_modified(SystemTime::now() - age).unwrap();
        let [delete, alert] = &blocks(&page, "Delete old backups", "sh")[..] else {
            panic!("the page has other blocks");
        };
        stdout_of(&mut shell(folder.path(), delete));
        let left = file_names(old.parent().unwrap());
        assert!(!old.exists() && left.len() == 1, "{left:?}");
        stdout_of(&mut shell(folder.path(), alert));
        fs::remove_file(old.with_file_name(&left[0])).unwrap();
        let status = shell(folder.path(), alert).status().unwrap();
        assert_eq!(status.code(), Some(1), "there is no recent backup");
    });
}

#[test]
fn a_backup_on_postgresql_contains_every_login_completed_before_it() {
    let (Some(postgres), Some(binaries)) = (Postgres::get(), needs::postgres()) else {
        return;
    };
    for tool in ["pg_dump", "pg_restore", "createdb"] {
        if needs::executable(tool, std::slice::from_ref(&binaries)).is_none() {
            return needs::missing(tool, "postgresql-client");
        }
    }
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = postgres.database().await;
        let parsed = Url::parse(&url).unwrap();
        let password = parsed.password().unwrap_or_default();
        let path = std::env::var("PATH").unwrap_or_default();
        let shell = |script: &str| {
            let mut command = shell(folder.path(), script);
            let binary = Path::new(env!("CARGO_BIN_EXE_multitoken"))
                .parent()
                .unwrap();
            let path = format!("{}:{}:{path}", binary.display(), binaries.display());
            command
                .env("PATH", path)
                .env("PGHOST", parsed.host_str().unwrap())
                .env("PGPORT", parsed.port().unwrap().to_string())
                .env("PGUSER", parsed.username())
                .env("PGDATABASE", parsed.path().trim_start_matches('/'))
                .env("PGPASSWORD", password);
            command
        };
        let page = page("backups.md");
        let backup = shell(&blocks(&page, "Back up PostgreSQL", "sh")[0]);
        // Other tests share the server and may use the page's database name.
        let name = format!("restored_{}", parsed.path().trim_start_matches('/'));
        let restore = || {
            let script = &blocks(&page, "Restore PostgreSQL", "sh")[0];
            assert!(script.contains("multitoken_restored"));
            stdout_of(&mut shell(&script.replace("multitoken_restored", &name)));
        };
        let restored = || format!("{}/{name}", url.rsplit_once('/').unwrap().0);
        back_up_and_restore(&url, backup, restore, restored).await;

        // The command that `backup` prints for PostgreSQL works as printed.
        let output = run(&url, &["backup", "it's here.dump"], "");
        assert_eq!(output.status.code(), Some(1));
        let printed = stderr(&output);
        let line = printed.lines().find(|line| line.contains("pg_dump --"));
        let line = line.unwrap_or_else(|| panic!("{printed}")).trim();
        stdout_of(&mut shell(line));
        let dump = fs::read(folder.path().join("it's here.dump")).unwrap();
        assert!(dump.starts_with(b"PGDMP"));
    });
}

#[test]
fn the_crontab_line_makes_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    create_user(&database_url(folder.path()), "alice");
    fs::create_dir(folder.path().join("backups")).unwrap();
    let line = &blocks(&page("backups.md"), "Back up SQLite", "cron")[0];
    let (_, script) = line.split_once("* * * * ").unwrap();
    assert!(
        !script.replace("\\%", "").contains('%'),
        "cron ends the command at an unescaped %"
    );
    let here = folder.path().to_str().unwrap();
    let script = script.replace("\\%", "%").replace("/srv/multitoken", here);
    let script = script.replace("/usr/local/bin/", "");
    stdout_of(&mut shell(folder.path(), &script));
    let made: Vec<_> = fs::read_dir(folder.path().join("backups"))
        .unwrap()
        .collect();
    assert_eq!(made.len(), 1);
}

#[test]
fn the_pages_commands_repeat_the_changes_since_a_backup() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = database_url(folder.path());
        for name in ["alice", "bob", "carol", "dave", "erin"] {
            create_user(&url, name);
        }
        let admin = ["user", "create", "root", "--admin", "--generate-password"];
        assert!(run(&url, &admin, "").status.success());
        assert!(
            run(&url, &["user", "promote", "carol"], "")
                .status
                .success()
        );
        let server = Server::start(&url).await;
        let laptop = server.login("alice", "laptop").await;
        let (phone, dave) = (
            server.login("alice", "phone").await,
            server.login("dave", "x").await,
        );
        let script = &blocks(&page("backups.md"), "What a restore undoes", "sh")[1];
        stdout_of(shell(folder.path(), script).env("DATABASE_URL", &url));
        assert_eq!(
            (
                server.me(&laptop).await,
                server.me(&phone).await,
                server.me(&dave).await
            ),
            (401, 200, 401)
        );
        for name in ["bob", "dave", "erin"] {
            assert_eq!(server.try_login(name, PASSWORD).await, 400, "{name}");
        }
        let carol = stdout(&server.run(&["user", "show", "carol", "--json"], ""));
        assert!(carol.contains("\"role\": \"user\""), "{carol}");
    });
}

#[test]
#[cfg(unix)]
fn a_backup_is_private_complete_and_opens_by_itself() {
    use std::os::unix::fs::PermissionsExt;
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = database_url(folder.path());
        let server = Server::start(&url).await;
        create_user(&url, "alice");
        let token = server.login("alice", "laptop").await;
        assert!(folder.path().join("data/multitoken.db-wal").exists());
        let printed = stdout_of(&mut shell(
            folder.path(),
            "umask 000; multitoken backup copy.db",
        ));
        let copy = folder.path().join("copy.db");
        let metadata = copy.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        let bytes: String = printed.chars().filter(char::is_ascii_digit).collect();
        assert!(printed.contains("copy.db") && bytes == metadata.len().to_string());
        assert_eq!(file_names(folder.path()), ["copy.db", "data"]);

        // It opens by itself and read-only, where SQLite can create no file beside it.
        let content = fs::read(&copy).unwrap();
        assert_eq!(content[18..20], [1, 1], "the copy is not in WAL mode");
        assert!(!content.windows(token.len()).any(|w| w == token.as_bytes()));
        let mut db = connect(&format!("sqlite://{}?mode=ro", copy.display())).await;
        let state: String = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_one(&mut db)
            .await
            .unwrap();
        assert_eq!(state, "ok");
        assert_consistent(&mut db).await;
        assert_eq!(count(&mut db, "SELECT COUNT(*) FROM tokens").await, 1);
        db.close().await.unwrap();
        let other = Server::start(&format!("sqlite:{}", copy.display())).await;
        assert_eq!(other.me(&token).await, 200);
        assert_eq!(other.terminate(), Some(0));
    });
}

fn file_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Runs a backup that must fail without writing anything in `folder`. Returns its stderr.
fn assert_backup_refused(folder: &Path, url: &str, file: &str) -> String {
    let all = |folder: &Path| {
        let data = folder.join("data");
        let inner = if data.exists() {
            file_names(&data)
        } else {
            vec![]
        };
        (file_names(folder), inner)
    };
    let before = all(folder);
    let output = command(url, &["backup", file])
        .current_dir(folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{file}: {}", stderr(&output));
    assert_eq!(all(folder), before, "{file}");
    assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    stderr(&output)
}

#[test]
fn an_unsuitable_destination_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let url = database_url(folder.path());
    // The command has ended, so no file beside the database can get in the way.
    create_user(&url, "alice");
    let content = fs::read(database_file(folder.path())).unwrap();
    fs::write(folder.path().join("there"), "mine").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("data", folder.path().join("other")).unwrap();
    }
    let whole = folder.path().join("data/multitoken.db-wal");
    for (name, why) in [
        ("there", "already"),
        ("folder", "already"),
        ("folder/", "folder"),
        ("new/", "folder"),
        ("..", "folder"),
        ("nowhere/copy.db", "nowhere"),
        ("there/copy.db", "folder"),
        ("data/multitoken.db", "itself"),
        ("./data/../data/multitoken.db", "itself"),
        ("data/multitoken.db-shm", "one of its files"),
        ("data/multitoken.db-journal", "one of its files"),
        ("data/multitoken.db.lock", "one of its files"),
        (whole.to_str().unwrap(), "one of its files"),
        #[cfg(unix)]
        ("link", "already"),
        #[cfg(unix)]
        ("other/multitoken.db-wal", "one of its files"),
    ] {
        let printed = assert_backup_refused(folder.path(), &url, name);
        assert!(printed.contains(why), "{name}: {printed}");
    }
    assert_eq!(fs::read(database_file(folder.path())).unwrap(), content);
    assert_eq!(fs::read(folder.path().join("there")).unwrap(), b"mine");
    assert!(!folder.path().join("nowhere").exists());
    let usage = run(&url, &["backup"], "");
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn a_backup_neither_creates_nor_migrates_a_database() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = database_url(folder.path());
        let printed = assert_backup_refused(folder.path(), &url, "copy.db");
        assert!(printed.contains("no database"), "{printed}");
        assert!(file_names(folder.path()).is_empty());

        fs::create_dir(folder.path().join("data")).unwrap();
        for other in ["", "some other file, and a rather long one at that"] {
            fs::write(database_file(folder.path()), other).unwrap();
            let printed = assert_backup_refused(folder.path(), &url, "copy.db");
            assert!(printed.contains("multitoken.db"), "{printed}");
            assert_eq!(
                fs::read(database_file(folder.path())).unwrap(),
                other.as_bytes()
            );
        }

        // A database of an earlier version is copied and not migrated.
        fs::remove_file(database_file(folder.path())).unwrap();
        assert!(run(&url, &["migrate"], "").status.success());
        let mut db = connect(&url).await;
        sqlx::query("DELETE FROM _sqlx_migrations WHERE version = 5")
            .execute(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        stdout_of(&mut shell(folder.path(), "multitoken backup copy.db"));
        let copied = format!("sqlite:{}/copy.db", folder.path().display());
        for url in [&url, &copied] {
            let status = stdout(&run(url, &["migrate", "--status"], ""));
            assert!(status.contains("pending"), "{url}: {status}");
        }
    });
}

#[test]
fn on_postgresql_the_message_names_pg_dump_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing listens on this port: the command must not connect.
    let printed = assert_backup_refused(
        folder.path(),
        "postgres://app:canary@127.0.0.1:1/db?ssl-mode=require&password=canary&statement-cache-capacity=9",
        "it's.dump",
    );
    assert!(!printed.contains("canary"), "{printed}");
    let named = r"pg_dump --format=custom --file='it'\''s.dump' --dbname='postgres://app@127.0.0.1:1/db?sslmode=require'";
    assert!(printed.contains(named), "{printed}");
}

/// A database of about 60 MB, so that copying it takes a while.
async fn large_database(url: &str) {
    create_user(url, "alice");
    let mut db = connect(url).await;
    let fill = "CREATE TABLE filler AS
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
        SELECT randomblob(1000) AS bytes FROM n";
    sqlx::query(fill).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

/// A backup process that is stopped halfway through copying.
struct PausedBackup {
    process: Child,
    /// The incomplete copy.
    partial: PathBuf,
}

impl PausedBackup {
    async fn start(folder: &Path, url: &str) -> Self {
        let process = command(url, &["backup", "copy.db"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let partial = loop {
            if let Some(partial) = partial_copy(folder) {
                break partial;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "the backup did not start"
            );
            sleep(Duration::from_millis(1)).await;
        };
        let mut paused = Self { process, partial };
        paused.signal("STOP");
        assert!(
            paused.process.try_wait().unwrap().is_none(),
            "the backup is already complete"
        );
        paused
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let signal = format!("-{signal}");
        let sent = Command::new("kill").args([&signal, &id]).status();
        assert!(sent.unwrap().success());
    }

    fn wait(self) -> Output {
        self.process.wait_with_output().unwrap()
    }
}

/// The backup's temporary file, once it has 1 MB.
fn partial_copy(folder: &Path) -> Option<PathBuf> {
    let hidden = file_names(folder)
        .into_iter()
        .find(|name| name.starts_with(".backup-"))?;
    let entries = fs::read_dir(folder.join(hidden)).ok()?;
    let files = entries.flatten().map(|entry| entry.path());
    let large = |path: &PathBuf| path.metadata().is_ok_and(|m| m.len() > 1_000_000);
    files.into_iter().find(large)
}

#[test]
#[cfg(target_os = "linux")]
fn a_backup_does_not_block_writes_and_appears_only_when_complete() {
    use std::os::unix::fs::PermissionsExt;
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = database_url(folder.path());
        large_database(&url).await;
        let server = Server::start(&url).await;
        let paused = PausedBackup::start(folder.path(), &url).await;
        // The stopped process keeps its locks. They must not block writers.
        let token = server.login("alice", "laptop").await;
        create_user(&url, "bob");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&paused.partial), 0o600);
        assert_eq!(mode(paused.partial.parent().unwrap()), 0o700);
        let copy = folder.path().join("copy.db");
        assert!(!copy.exists());
        paused.signal("CONT");
        let ended = paused.wait();
        assert!(ended.status.success(), "{}", stderr(&ended));
        assert_eq!(file_names(folder.path()), ["copy.db", "data"]);
        let mut db = connect(&format!("sqlite:{}", copy.display())).await;
        assert_eq!(count(&mut db, "SELECT COUNT(*) FROM users").await, 1);
        assert_eq!(count(&mut db, "SELECT COUNT(*) FROM tokens").await, 0);
        assert_eq!(server.me(&token).await, 200);

        fs::remove_file(&copy).unwrap();
        let paused = PausedBackup::start(folder.path(), &url).await;
        fs::write(&copy, "mine").unwrap();
        paused.signal("CONT");
        assert_eq!(paused.wait().status.code(), Some(1));
        assert_eq!(fs::read(&copy).unwrap(), b"mine");
        assert_eq!(file_names(folder.path()), ["copy.db", "data"]);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupted_backup_leaves_no_files() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = database_url(folder.path());
        large_database(&url).await;
        for signal in ["TERM", "INT"] {
            let paused = PausedBackup::start(folder.path(), &url).await;
            paused.signal(signal);
            paused.signal("CONT");
            let ended = paused.wait();
            assert_eq!(ended.status.code(), Some(1), "{}", stderr(&ended));
            assert!(stderr(&ended).contains("interrupted") && stdout(&ended).is_empty());
            assert_eq!(file_names(folder.path()), ["data"], "{signal}");
        }
        // A full disk, simulated by a limit on the size of files.
        let script = "trap '' XFSZ; ulimit -f 2000; multitoken backup copy.db";
        let output = shell(folder.path(), script).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains("nothing was written"));
        assert_eq!(file_names(folder.path()), ["data"]);
        let mut db = connect(&url).await;
        let rows = count(&mut db, "SELECT COUNT(*) FROM filler").await;
        assert_eq!(rows, 60_000);
    });
}
