//! Nothing waits forever and nothing stays broken, whatever the database does.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rocket::futures::future::join_all;
use rocket::tokio::time::{sleep, timeout};
use serde_json::json;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tempfile::TempDir;
use url::Url;

use crate::support::needs;
use crate::support::postgres::Postgres;
use crate::support::relay::Relay;
use crate::support::server::{Server, on_each_url, run, sqlite, stderr};
use crate::support::{PASSWORD, on_both};

/// Within this much every request is answered.
const ANSWERED: Duration = Duration::from_secs(12);
/// Within this much a command ends that cannot reach or lock the database.
const ENDED: Duration = Duration::from_secs(15);
/// Within this much readiness follows the database.
const NOTICED: Duration = Duration::from_secs(15);

/// A file system of a few megabytes; gone when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where this process may not mount one.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]);
        if mount.arg(folder.path()).status().ok()?.success() {
            return Some(Self(folder));
        }
        needs::lacks("a file system can't be mounted here (it takes root)");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut filler = File::create(&path).unwrap();
        for size in [64 * 1024, 512] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_of_postgresql_shows_before_anybody_signs_in() {
    let (Some(disk), Some(postgres)) = (SmallDisk::mount(), Postgres::get()) else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let (server, name) = url.rsplit_once('/').unwrap();
        let folder = disk.path().join("space");
        fs::create_dir(&folder).unwrap();
        let owner = Command::new("chown").arg("postgres").arg(&folder).status();
        assert!(owner.unwrap().success());
        fs::set_permissions(disk.path(), Permissions::from_mode(0o755)).unwrap();
        let mut admin = AnyConnection::connect(&format!("{server}/postgres"))
            .await
            .unwrap();
        let path = folder.display();
        for sql in [
            format!("CREATE TABLESPACE {name}_small LOCATION '{path}'"),
            format!("ALTER DATABASE {name} SET TABLESPACE {name}_small"),
        ] {
            let sql = AssertSqlSafe(sql);
            sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
        }
        let server = Server::start(&url).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let token = server.login("alice", "laptop").await;
        is_soon(&server, 200).await;
        let filler = disk.fill();
        is_soon(&server, 503).await;
        assert_eq!(server.me(&token).await, 200, "reading goes on");
        fs::remove_file(filler).unwrap();
        is_soon(&server, 200).await;
        assert_eq!(login(&server, "alice", "phone").await, 200);
        assert_eq!(server.terminate(), Some(0));
        // The server keeps its files where the disk is.
        let sql = AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
        let sql = AssertSqlSafe(format!("DROP TABLESPACE {name}_small"));
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
    });
}

/// The status of a login.
async fn login(server: &Server, name: &str, client: &str) -> u16 {
    let body = json!({"username": name, "password": PASSWORD, "client": client});
    let post = reqwest::Client::new().post(format!("{}/auth/login/", server.origin));
    let answer = timeout(ANSWERED, post.json(&body).send()).await;
    answer.expect("an answer in time").unwrap().status().into()
}

async fn readyz(server: &Server) -> u16 {
    let asking = reqwest::get(format!("{}/readyz", server.origin));
    let answer = timeout(Duration::from_secs(2), asking).await;
    answer.expect("an answer in time").unwrap().status().into()
}

async fn is_soon(server: &Server, status: u16) {
    let start = Instant::now();
    while readyz(server).await != status {
        assert!(start.elapsed() < NOTICED, "not {status}: {}", server.log());
        sleep(Duration::from_millis(200)).await;
    }
}

#[test]
fn a_full_disk_stops_writes_while_it_is_full_and_no_longer() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    rocket::async_test(async {
        let url = format!("sqlite:{}/test.db", disk.path().display());
        let many = "{hash_memory_kib=8,hash_iterations=1,logins_per_account=1000}";
        let server = Server::start_with(&url, &[("ROCKET_APP", many)]).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let token = server.login("alice", "kept").await;
        let filler = disk.fill();
        // What room there is in files that exist is used up at some time.
        let mut refused = 0;
        for _ in 0..200 {
            refused += u32::from(login(&server, "alice", "laptop").await == 503);
            if refused == 3 {
                break;
            }
        }
        assert_eq!(refused, 3);
        is_soon(&server, 503).await;
        assert_eq!(server.me(&token).await, 200, "reading goes on");

        fs::remove_file(filler).unwrap();
        for attempt in 0..30 {
            assert_eq!(login(&server, "alice", "laptop").await, 200, "{attempt}");
        }
        is_soon(&server, 200).await;
        assert_eq!(server.me(&token).await, 200);
        let revoked = server.run(&["token", "revoke", "--user", "alice"], "");
        assert!(revoked.status.success(), "{}", stderr(&revoked));
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn a_lock_that_somebody_holds_delays_answers_by_a_bounded_time() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let token = server.login("alice", "laptop").await;
        let mut db = AnyConnection::connect(&url).await.unwrap();
        let begin = if url.starts_with("sqlite:") {
            "BEGIN IMMEDIATE"
        } else {
            "BEGIN; LOCK TABLE attempts, tokens IN EXCLUSIVE MODE"
        };
        sqlx::raw_sql(begin).execute(&mut db).await.unwrap();

        let logins = (0..20).map(|_| login(&server, "alice", "phone"));
        for status in join_all(logins).await {
            assert_eq!(status, 503);
        }
        assert_eq!(server.me(&token).await, 200);
        let start = Instant::now();
        let revoke = server.run(&["token", "revoke", "--user", "alice"], "");
        assert_eq!(revoke.status.code(), Some(1), "{}", stderr(&revoke));
        assert!(start.elapsed() < ENDED, "{:?}", start.elapsed());
        assert!(stderr(&revoke).contains("lock"), "{}", stderr(&revoke));

        sqlx::raw_sql("ROLLBACK").execute(&mut db).await.unwrap();
        assert_eq!(server.me(&token).await, 200, "it was not revoked");
        assert_eq!(login(&server, "alice", "phone").await, 200);
    });
}

/// A server behind a relay, and the URL by which it is reached without.
async fn behind_a_relay(url: &str, settings: &[(&str, &str)]) -> (Server, Relay, String) {
    let mut through = Url::parse(url).unwrap();
    let relay = Relay::to(through.socket_addrs(|| Some(5432)).unwrap()[0]);
    through.set_host(Some("127.0.0.1")).unwrap();
    through.set_port(Some(relay.port)).unwrap();
    let server = Server::start_with(through.as_str(), settings).await;
    (server, relay, through.into())
}

#[test]
fn a_server_that_goes_silent_is_not_waited_for() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let (server, relay, through) = behind_a_relay(&url, &[]).await;
        run(
            &url,
            &["user", "create", "alice", "--password-stdin"],
            PASSWORD,
        );
        let token = server.login("alice", "laptop").await;
        relay.go_silent();

        let start = Instant::now();
        let (logins, me, ready, command) = rocket::tokio::join!(
            join_all((0..20).map(|_| login(&server, "alice", "phone"))),
            timeout(ANSWERED, async {
                sleep(Duration::from_millis(300)).await;
                server.me(&token).await
            }),
            readyz(&server),
            rocket::tokio::task::spawn_blocking(move || { run(&through, &["token", "list"], "") }),
        );
        assert_eq!(logins, [503; 20]);
        assert_eq!(
            me.expect("an answer in time"),
            503,
            "what is remembered is not trusted"
        );
        assert_eq!(ready, 503);
        let command = command.unwrap();
        assert_eq!(command.status.code(), Some(1), "{}", stderr(&command));
        assert!(start.elapsed() < ENDED, "{:?}", start.elapsed());

        relay.speak();
        is_soon(&server, 200).await;
        assert_eq!(login(&server, "alice", "phone").await, 200);
        assert_eq!(server.me(&token).await, 200);
    });
}

#[test]
fn connections_that_die_without_a_word_are_not_missed_for_long() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let settings = [
            (
                "ROCKET_APP",
                "{hash_memory_kib=8,hash_iterations=1,token_cache=false}",
            ),
            (
                "ROCKET_DATABASES",
                "{multitoken={max_connections=2,statement_timeout=1,lock_timeout=1,connect_timeout=2}}",
            ),
        ];
        let (server, relay, _) = behind_a_relay(&url, &settings).await;
        run(
            &url,
            &["user", "create", "alice", "--password-stdin"],
            PASSWORD,
        );
        let token = server.login("alice", "laptop").await;
        for _ in 0..3 {
            // Some of them are on their way back to the pool as it happens.
            let requests = join_all((0..200).map(|_| server.me(&token)));
            let breaking = async {
                sleep(Duration::from_millis(30)).await;
                relay.go_silent();
                relay.forget();
            };
            let (statuses, ()) = rocket::tokio::join!(requests, breaking);
            assert_eq!(statuses.len(), 200, "each is answered");
            sleep(Duration::from_secs(3)).await;
            assert_eq!(server.me(&token).await, 200);
        }
    });
}

#[test]
fn a_server_that_goes_silent_does_not_hold_up_the_end() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let short = [("ROCKET_SHUTDOWN", "{grace=2,mercy=2}")];
        let (server, relay, _) = behind_a_relay(&url, &short).await;
        run(
            &url,
            &["user", "create", "alice", "--password-stdin"],
            PASSWORD,
        );
        let token = server.login("alice", "laptop").await;
        assert_eq!(server.me(&token).await, 200);
        relay.go_silent();
        let post = reqwest::Client::new().post(format!("{}/auth/logout/", server.origin));
        let asking = rocket::tokio::spawn(post.bearer_auth(&token).send());
        sleep(Duration::from_millis(200)).await;
        let start = Instant::now();
        assert_eq!(server.terminate(), Some(0));
        let (bound, slack) = (Duration::from_secs(2 + 2), Duration::from_secs(1));
        assert!(start.elapsed() < bound + slack, "{:?}", start.elapsed());
        assert!(!matches!(asking.await.unwrap(), Ok(answer) if answer.status() == 200));
    });
}

/// Changes a default of the database of `url`. Sessions that are open keep what they began with.
async fn reconfigure(url: &str, change: &str) {
    let name = url.rsplit_once('/').unwrap().1;
    let mut db = AnyConnection::connect(url).await.unwrap();
    for sql in [
        "SET default_transaction_read_only = off".into(),
        format!("ALTER DATABASE {name} {change}"),
    ] {
        let sql = AssertSqlSafe(sql);
        sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
    }
    db.close().await.unwrap();
}

/// Ends all sessions of the database of `url`.
async fn terminate(url: &str) {
    let mut db = AnyConnection::connect(url).await.unwrap();
    let sessions = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::raw_sql(sessions).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[test]
fn a_database_that_accepts_no_writes_is_not_ready() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let server = Server::start(&url).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let token = server.login("alice", "laptop").await;
        assert_eq!(readyz(&server).await, 200);
        reconfigure(&url, "SET default_transaction_read_only = on").await;
        terminate(&url).await;
        is_soon(&server, 503).await;
        assert_eq!(login(&server, "alice", "phone").await, 503);
        assert_eq!(server.me(&token).await, 200, "reading goes on");
        // The sessions that began meanwhile are not used for ever.
        reconfigure(&url, "RESET default_transaction_read_only").await;
        is_soon(&server, 200).await;
        let status = login(&server, "alice", "phone").await;
        assert_eq!(status, 200, "{}", server.log());
    });
}

#[test]
fn a_connection_that_ended_a_moment_ago_is_not_missed() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let app = "{token_cache=false,hash_memory_kib=8,hash_iterations=1}";
        let server = Server::start_with(&url, &[("ROCKET_APP", app)]).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let token = server.login("alice", "laptop").await;
        for _ in 0..5 {
            // Used just now, so that nobody asks them whether they still work.
            let used = join_all((0..6).map(|_| server.me(&token))).await;
            assert_eq!(used, [200; 6]);
            terminate(&url).await;
            assert_eq!(server.me(&token).await, 200, "{}", server.log());
            terminate(&url).await;
            let status = login(&server, "alice", "phone").await;
            assert_eq!(status, 200, "{}", server.log());
            terminate(&url).await;
            assert_eq!(readyz(&server).await, 200, "{}", server.log());
        }
    });
}

#[test]
fn a_file_that_was_moved_away_shows() {
    let folder = tempfile::tempdir().unwrap();
    rocket::async_test(async {
        let server = Server::start(&sqlite(folder.path())).await;
        assert_eq!(readyz(&server).await, 200);
        let file = folder.path().join("data/test.db");
        let (away, copy) = (file.with_extension("away"), file.with_extension("copy"));
        fs::copy(&file, &copy).unwrap();
        fs::rename(&file, &away).unwrap();
        assert_eq!(readyz(&server).await, 503);
        fs::rename(&copy, &file).unwrap();
        assert_eq!(readyz(&server).await, 503, "it is another one");
        fs::rename(&away, &file).unwrap();
        assert_eq!(readyz(&server).await, 200);
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn probes_on_an_idle_database_share_their_writes() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        let probes = join_all((0..100).map(|_| readyz(&server))).await;
        assert_eq!(probes, [200; 100]);
        sqlx::any::install_default_drivers();
        let mut db = AnyConnection::connect(&url).await.unwrap();
        let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM readiness")
            .fetch_one(&mut db)
            .await
            .unwrap();
        assert!(rows <= 1, "{rows}");
    });
}

#[test]
fn another_default_isolation_fails_no_login() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let server = Server::start(&url).await;
        for name in ["ann", "bob", "carol"] {
            server.run(&["user", "create", name, "--password-stdin"], PASSWORD);
        }
        reconfigure(&url, "SET default_transaction_isolation = 'serializable'").await;
        terminate(&url).await;
        sleep(Duration::from_secs(1)).await;
        let names = ["ann", "bob", "carol"].into_iter().cycle();
        let clients: Vec<String> = (0..60).map(|number| format!("client-{number}")).collect();
        let logins = names
            .zip(&clients)
            .map(|(name, client)| login(&server, name, client));
        let statuses = join_all(logins).await;
        let refused: Vec<_> = statuses.iter().filter(|status| **status != 200).collect();
        // An account takes ten attempts at a time; the others wait for them.
        assert!(refused.is_empty(), "{refused:?}");
    });
}

#[test]
fn a_role_that_may_have_few_connections_shares_them() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        let url = postgres.database().await;
        let mut limited = Url::parse(&url).unwrap();
        let database = limited.path().trim_start_matches('/').to_owned();
        let role = format!("few_{database}");
        let mut db = AnyConnection::connect(&url).await.unwrap();
        let limit = format!(
            "CREATE ROLE {role} LOGIN CONNECTION LIMIT 5; ALTER DATABASE {database} OWNER TO {role}"
        );
        let limit = AssertSqlSafe(limit);
        sqlx::raw_sql(limit).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
        limited.set_username(&role).unwrap();
        let server = Server::start(limited.as_str()).await;
        assert!(
            server.log().contains("allows this role 5 connections"),
            "{}",
            server.log()
        );
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let clients: Vec<String> = (0..60).map(|number| format!("client-{number}")).collect();
        let logins = clients.iter().map(|client| login(&server, "alice", client));
        let refused = join_all(logins).await;
        assert!(refused.iter().all(|status| *status == 200), "{refused:?}");
    });
}

#[test]
fn what_a_failed_transaction_did_is_not_there_and_its_connection_goes_on() {
    on_both(async |app| {
        let pool = app.auth().pool();
        let write = "INSERT INTO readiness (id, at, filler) VALUES (7, 0, '')";
        for _ in 0..30 {
            // Refused, and committed all the same.
            let mut tx = pool.write().await.unwrap();
            sqlx::query(write).execute(&mut *tx).await.unwrap();
            assert!(sqlx::query(write).execute(&mut *tx).await.is_err());
            assert!(tx.commit().await.is_err());
            // Dropped, as a request that fails or is cut off does.
            let mut tx = pool.write().await.unwrap();
            sqlx::query(write).execute(&mut *tx).await.unwrap();
            drop(tx);
        }
        assert_eq!(
            app.number("SELECT COUNT(*) FROM readiness WHERE id = 7")
                .await,
            0
        );
        let mut tx = pool.write().await.unwrap();
        sqlx::query(write).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            app.number("SELECT COUNT(*) FROM readiness WHERE id = 7")
                .await,
            1
        );
    });
}
