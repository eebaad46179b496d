//! Backups, and the way back from one, as `docs/backups.md` says it.

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

use crate::support::PASSWORD;
use crate::support::needs;
use crate::support::page::{blocks, done, page, shell};
use crate::support::postgres::Postgres;
use crate::support::server::{Server, command, run, stderr, stdout};

/// Where the page's commands look for the database.
fn database(folder: &Path) -> String {
    format!("sqlite:{}/data/multitoken.db", folder.display())
}

/// Its file.
fn file(folder: &Path) -> PathBuf {
    folder.join("data/multitoken.db")
}

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

async fn number(db: &mut AnyConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

fn create(url: &str, name: &str) {
    let made = run(url, &["user", "create", name, "--password-stdin"], PASSWORD);
    assert!(made.status.success(), "{}", stderr(&made));
}

/// Before a restore and after it: by default a login of a user with so many tokens would end the oldest.
const SETTINGS: (&str, &str) = (
    "ROCKET_APP",
    "{hash_memory_kib=8,hash_iterations=1,tokens_per_user=100000}",
);

/// A server on which several clients sign in, one after the other.
struct Busy {
    server: Server,
    /// The tokens of logins that were answered, in that order.
    answered: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Busy {
    async fn start(url: &str) -> Self {
        let server = Server::start_with(url, &[SETTINGS]).await;
        let (answered, stop) = (Arc::default(), Arc::default());
        let clients = (0..4).map(|number| {
            let name = format!("user{number}");
            create(url, &name);
            let origin = server.origin.clone();
            tokio::spawn(sign_in(
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

    fn answered(&self) -> Vec<String> {
        self.answered.lock().unwrap().clone()
    }

    /// Waits until that many more logins are answered.
    async fn wait_for(&self, more: usize) {
        let (start, before) = (Instant::now(), self.answered().len());
        while self.answered().len() < before + more {
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

async fn sign_in(
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

/// Runs the page's `backup` while clients sign in, goes on for a while, restores by the page's `restore` and
/// starts a server on what comes of it: every login that was answered before is in it.
async fn back_and_forth(
    url: &str,
    backup: Command,
    restore: impl FnOnce(),
    restored: impl FnOnce() -> String,
) {
    let busy = Busy::start(url).await;
    busy.wait_for(20).await;
    let before = busy.answered();
    let mut backup = backup;
    // Each client always has a login under way, also where none is answered before the backup is made.
    spawn_blocking(move || done(&mut backup)).await.unwrap();
    busy.wait_for(20).await;
    let all = busy.answered();
    let server = busy.stop().await;
    // What a restore brings back, as the page warns.
    let revoked = server.run(&["token", "revoke", "--user", "user0"], "");
    assert!(revoked.status.success(), "{}", stderr(&revoked));
    assert_eq!(server.terminate(), Some(0));

    restore();
    let restored = restored();
    let mut db = connect(&restored).await;
    assert_whole(&mut db).await;
    let kept = number(&mut db, "SELECT COUNT(*) FROM tokens").await;
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
    end_every_token(&restored, &before).await;
}

/// A row and its line in the trail were written in one transaction: neither is there alone.
async fn assert_whole(db: &mut AnyConnection) {
    for sql in [
        "SELECT COUNT(*) FROM tokens WHERE NOT EXISTS (
             SELECT 1 FROM events WHERE action = 'token.issued' AND token_id = tokens.id)",
        "SELECT COUNT(*) FROM events WHERE action = 'token.issued' AND NOT EXISTS (
             SELECT 1 FROM tokens WHERE id = events.token_id)",
        "SELECT COUNT(*) FROM tokens WHERE NOT EXISTS (
             SELECT 1 FROM users WHERE id = tokens.user_id)",
    ] {
        assert_eq!(number(db, sql).await, 0, "{sql}");
    }
}

/// The page's last resort, on a restored database.
async fn end_every_token(url: &str, tokens: &[String]) {
    if needs::executable("jq", &[]).is_none() {
        return needs::missing("jq", "jq");
    }
    let server = Server::start(url).await;
    assert_eq!(server.me(&tokens[0]).await, 200);
    let script = &blocks(&page("backups.md"), "What comes back", "sh")[1];
    done(shell(Path::new("."), script).env("DATABASE_URL", url));
    for token in tokens {
        assert_eq!(server.me(token).await, 401);
    }
}

#[test]
fn every_login_answered_before_a_backup_is_in_it_on_sqlite() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let (url, page) = (database(folder.path()), page("backups.md"));
        let backup = shell(folder.path(), &blocks(&page, "Back up SQLite", "sh")[0]);
        let restore = || {
            // The other servers' log of what is not written to the file yet must not come back.
            fs::write(folder.path().join("data/multitoken.db-wal"), "of another").unwrap();
            let script = &blocks(&page, "Restore SQLite", "sh")[0];
            done(&mut shell(folder.path(), script));
            assert!(!folder.path().join("data/multitoken.db-wal").exists());
        };
        back_and_forth(&url, backup, restore, || url.clone()).await;

        let script = &blocks(&page, "Try it", "sh")[0];
        let said = done(&mut shell(folder.path(), script));
        assert!(said.contains("applied") && said.contains("user3"), "{said}");
        assert!(!folder.path().join("trial").exists());

        let old = folder.path().join("backups/old.db");
        fs::write(&old, "").unwrap();
        let age = Duration::from_hours(31 * 24);
        let opened = fs::File::options().write(true).open(&old).unwrap();
        opened.set_modified(SystemTime::now() - age).unwrap();
        let script = &blocks(&page, "For how long", "sh")[0];
        done(&mut shell(folder.path(), script));
        let left: Vec<_> = fs::read_dir(old.parent().unwrap()).unwrap().collect();
        assert!(!old.exists() && left.len() == 1, "{left:?}");
    });
}

#[test]
fn every_login_answered_before_a_backup_is_in_it_on_postgresql() {
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
        // Other tests share the server, and may have a database of the page's name.
        let name = format!("restored_{}", parsed.path().trim_start_matches('/'));
        let restore = || {
            let script = &blocks(&page, "Restore PostgreSQL", "sh")[0];
            assert!(script.contains("multitoken_restored"));
            done(&mut shell(&script.replace("multitoken_restored", &name)));
        };
        let restored = || format!("{}/{name}", url.rsplit_once('/').unwrap().0);
        back_and_forth(&url, backup, restore, restored).await;

        // And the command that `backup` names works as it is printed.
        let asked = run(&url, &["backup", "it's here.dump"], "");
        assert_eq!(asked.status.code(), Some(1));
        let said = stderr(&asked);
        let line = said.lines().find(|line| line.contains("pg_dump --"));
        let line = line.unwrap_or_else(|| panic!("{said}")).trim();
        done(&mut shell(line));
        let dump = fs::read(folder.path().join("it's here.dump")).unwrap();
        assert!(dump.starts_with(b"PGDMP"));
    });
}

#[test]
fn the_crontabs_line_makes_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    create(&database(folder.path()), "alice");
    fs::create_dir(folder.path().join("backups")).unwrap();
    let line = &blocks(&page("backups.md"), "Back up SQLite", "cron")[0];
    let (_, script) = line.split_once("* * * * ").unwrap();
    assert!(!script.replace("\\%", "").contains('%'), "cron ends there");
    let here = folder.path().to_str().unwrap();
    let script = script.replace("\\%", "%").replace("/srv/multitoken", here);
    done(&mut shell(folder.path(), &script));
    let made: Vec<_> = fs::read_dir(folder.path().join("backups"))
        .unwrap()
        .collect();
    assert_eq!(made.len(), 1);
}

#[test]
fn what_has_changed_since_a_backup_is_done_again_by_the_pages_words() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = database(folder.path());
        for name in ["alice", "bob", "carol", "dave", "erin"] {
            create(&url, name);
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
        let script = &blocks(&page("backups.md"), "What comes back", "sh")[0];
        done(shell(folder.path(), script).env("DATABASE_URL", &url));
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
fn a_copy_is_private_and_whole_and_opens_by_itself() {
    use std::os::unix::fs::PermissionsExt;
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = database(folder.path());
        let server = Server::start(&url).await;
        create(&url, "alice");
        let token = server.login("alice", "laptop").await;
        assert!(folder.path().join("data/multitoken.db-wal").exists());
        let said = done(&mut shell(
            folder.path(),
            "umask 000; multitoken backup copy.db",
        ));
        let copy = folder.path().join("copy.db");
        let metadata = copy.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        let bytes: String = said.chars().filter(char::is_ascii_digit).collect();
        assert!(said.contains("copy.db") && bytes == metadata.len().to_string());
        assert_eq!(names(folder.path()), ["copy.db", "data"]);

        // Alone, and where nothing can be put beside it.
        let content = fs::read(&copy).unwrap();
        assert_eq!(content[18..20], [1, 1], "it demands no -wal");
        assert!(!content.windows(token.len()).any(|w| w == token.as_bytes()));
        let mut db = connect(&format!("sqlite://{}?mode=ro", copy.display())).await;
        let state: String = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_one(&mut db)
            .await
            .unwrap();
        assert_eq!(state, "ok");
        assert_whole(&mut db).await;
        assert_eq!(number(&mut db, "SELECT COUNT(*) FROM tokens").await, 1);
        db.close().await.unwrap();
        let other = Server::start(&format!("sqlite:{}", copy.display())).await;
        assert_eq!(other.me(&token).await, 200);
        assert_eq!(other.terminate(), Some(0));
    });
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Tries a backup that is to be refused, with nothing written anywhere in `folder`.
fn refused(folder: &Path, url: &str, file: &str) -> String {
    let all = |folder: &Path| {
        let data = folder.join("data");
        let inner = if data.exists() { names(&data) } else { vec![] };
        (names(folder), inner)
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
fn a_place_that_does_not_do_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let url = database(folder.path());
    // So that nothing is beside the database now that could be in the way.
    create(&url, "alice");
    let content = fs::read(file(folder.path())).unwrap();
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
        ("data/multitoken.db-shm", "part of it"),
        ("data/multitoken.db-journal", "part of it"),
        ("data/multitoken.db.lock", "part of it"),
        (whole.to_str().unwrap(), "part of it"),
        #[cfg(unix)]
        ("link", "already"),
        #[cfg(unix)]
        ("other/multitoken.db-wal", "part of it"),
    ] {
        let said = refused(folder.path(), &url, name);
        assert!(said.contains(why), "{name}: {said}");
    }
    assert_eq!(fs::read(file(folder.path())).unwrap(), content);
    assert_eq!(fs::read(folder.path().join("there")).unwrap(), b"mine");
    assert!(!folder.path().join("nowhere").exists());
    let usage = run(&url, &["backup"], "");
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn a_database_is_neither_made_nor_migrated() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = database(folder.path());
        let said = refused(folder.path(), &url, "copy.db");
        assert!(said.contains("no database"), "{said}");
        assert!(names(folder.path()).is_empty());

        fs::create_dir(folder.path().join("data")).unwrap();
        for other in ["", "some other file, and a rather long one at that"] {
            fs::write(file(folder.path()), other).unwrap();
            let said = refused(folder.path(), &url, "copy.db");
            assert!(said.contains("multitoken.db"), "{said}");
            assert_eq!(fs::read(file(folder.path())).unwrap(), other.as_bytes());
        }

        // One of an earlier version stays one.
        fs::remove_file(file(folder.path())).unwrap();
        assert!(run(&url, &["migrate"], "").status.success());
        let mut db = connect(&url).await;
        sqlx::query("DELETE FROM _sqlx_migrations WHERE version = 5")
            .execute(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        done(&mut shell(folder.path(), "multitoken backup copy.db"));
        let copied = format!("sqlite:{}/copy.db", folder.path().display());
        for url in [&url, &copied] {
            let status = stdout(&run(url, &["migrate", "--status"], ""));
            assert!(status.contains("pending"), "{url}: {status}");
        }
    });
}

#[test]
fn on_postgresql_its_own_tool_is_named_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing listens there, and nothing has to.
    let said = refused(
        folder.path(),
        "postgres://app:canary@127.0.0.1:1/db?ssl-mode=require&password=canary&statement-cache-capacity=9",
        "it's.dump",
    );
    assert!(!said.contains("canary"), "{said}");
    let named = r"pg_dump --format=custom --file='it'\''s.dump' --dbname='postgres://app@127.0.0.1:1/db?sslmode=require'";
    assert!(said.contains(named), "{said}");
}

/// A database of some 60 MB, which takes a moment to copy.
async fn large_database(url: &str) {
    create(url, "alice");
    let mut db = connect(url).await;
    let fill = "CREATE TABLE filler AS
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
        SELECT randomblob(1000) AS bytes FROM n";
    sqlx::query(fill).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

/// A backup that is stopped in the middle of copying.
struct Halfway {
    process: Child,
    /// What it has written so far.
    partial: PathBuf,
}

impl Halfway {
    async fn of(folder: &Path, url: &str) -> Self {
        let process = command(url, &["backup", "copy.db"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let partial = loop {
            if let Some(partial) = growing(folder) {
                break partial;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "it never began");
            sleep(Duration::from_millis(1)).await;
        };
        let mut halfway = Self { process, partial };
        halfway.signal("STOP");
        assert!(halfway.process.try_wait().unwrap().is_none(), "it is done");
        halfway
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let signal = format!("-{signal}");
        let sent = Command::new("kill").args([&signal, &id]).status();
        assert!(sent.unwrap().success());
    }

    fn end(self) -> Output {
        self.process.wait_with_output().unwrap()
    }
}

/// The file in a folder of its own that has grown to a megabyte.
fn growing(folder: &Path) -> Option<PathBuf> {
    let hidden = names(folder)
        .into_iter()
        .find(|name| name.starts_with(".backup-"))?;
    let entries = fs::read_dir(folder.join(hidden)).ok()?;
    let files = entries.flatten().map(|entry| entry.path());
    let large = |path: &PathBuf| path.metadata().is_ok_and(|m| m.len() > 1_000_000);
    files.into_iter().find(large)
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_writes_while_a_backup_is_made_which_has_its_name_when_it_is_whole() {
    use std::os::unix::fs::PermissionsExt;
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = database(folder.path());
        large_database(&url).await;
        let server = Server::start(&url).await;
        let halfway = Halfway::of(folder.path(), &url).await;
        // It stands still with what it holds, and nobody waits for it.
        let token = server.login("alice", "laptop").await;
        create(&url, "bob");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&halfway.partial), 0o600);
        assert_eq!(mode(halfway.partial.parent().unwrap()), 0o700);
        let copy = folder.path().join("copy.db");
        assert!(!copy.exists());
        // What comes there meanwhile is not overwritten; here, goes again.
        halfway.signal("CONT");
        let ended = halfway.end();
        assert!(ended.status.success(), "{}", stderr(&ended));
        assert_eq!(names(folder.path()), ["copy.db", "data"]);
        let mut db = connect(&format!("sqlite:{}", copy.display())).await;
        assert_eq!(number(&mut db, "SELECT COUNT(*) FROM users").await, 1);
        assert_eq!(number(&mut db, "SELECT COUNT(*) FROM tokens").await, 0);
        assert_eq!(server.me(&token).await, 200);

        fs::remove_file(&copy).unwrap();
        let halfway = Halfway::of(folder.path(), &url).await;
        fs::write(&copy, "mine").unwrap();
        halfway.signal("CONT");
        assert_eq!(halfway.end().status.code(), Some(1));
        assert_eq!(fs::read(&copy).unwrap(), b"mine");
        assert_eq!(names(folder.path()), ["copy.db", "data"]);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_backup_that_is_broken_off_leaves_nothing() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = database(folder.path());
        large_database(&url).await;
        for signal in ["TERM", "INT"] {
            let halfway = Halfway::of(folder.path(), &url).await;
            halfway.signal(signal);
            halfway.signal("CONT");
            let ended = halfway.end();
            assert_eq!(ended.status.code(), Some(1), "{}", stderr(&ended));
            assert!(stderr(&ended).contains("interrupted") && stdout(&ended).is_empty());
            assert_eq!(names(folder.path()), ["data"], "{signal}");
        }
        // No room: the system takes no file of more than a megabyte or two from it.
        let script = "trap '' XFSZ; ulimit -f 2000; multitoken backup copy.db";
        let output = shell(folder.path(), script).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains("nothing was written"));
        assert_eq!(names(folder.path()), ["data"]);
        let mut db = connect(&url).await;
        let rows = number(&mut db, "SELECT COUNT(*) FROM filler").await;
        assert_eq!(rows, 60_000);
    });
}
