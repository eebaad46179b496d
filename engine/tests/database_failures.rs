//! Database failures: no request waits without bound, and the server recovers.

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

/// The time limit of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(12);
/// The time limit of a command that cannot reach or lock the database.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(15);
/// The time until readiness reflects the database's state.
const READINESS_TIMEOUT: Duration = Duration::from_secs(15);

/// A file system of 24 MiB, unmounted on drop.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` if this process may not mount a file system.
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
#[ignore = "slow"]
fn readiness_reports_a_full_postgresql_disk_before_any_login() {
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
        wait_for_readyz(&server, 200).await;
        let filler = disk.fill();
        wait_for_readyz(&server, 503).await;
        assert_eq!(server.me(&token).await, 200, "reads keep working");
        fs::remove_file(filler).unwrap();
        wait_for_readyz(&server, 200).await;
        assert_eq!(login(&server, "alice", "phone").await, 200);
        assert_eq!(server.terminate(), Some(0));
        // Drop the database before the disk, which has its files.
        let sql = AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"));
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
        let sql = AssertSqlSafe(format!("DROP TABLESPACE {name}_small"));
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
    });
}

/// Signs in and returns the status.
async fn login(server: &Server, name: &str, client: &str) -> u16 {
    let body = json!({"username": name, "password": PASSWORD, "client": client});
    let post = reqwest::Client::new().post(format!("{}/auth/login/", server.origin));
    let response = timeout(REQUEST_TIMEOUT, post.json(&body).send()).await;
    response
        .expect("an answer in time")
        .unwrap()
        .status()
        .into()
}

async fn readyz(server: &Server) -> u16 {
    let request = reqwest::get(format!("{}/readyz", server.origin));
    let response = timeout(Duration::from_secs(2), request).await;
    response
        .expect("an answer in time")
        .unwrap()
        .status()
        .into()
}

async fn wait_for_readyz(server: &Server, status: u16) {
    let start = Instant::now();
    while readyz(server).await != status {
        assert!(
            start.elapsed() < READINESS_TIMEOUT,
            "not {status}: {}",
            server.log()
        );
        sleep(Duration::from_millis(200)).await;
    }
}

#[test]
#[ignore = "slow"]
fn a_full_disk_stops_writes_but_not_reads_and_only_while_it_is_full() {
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
        // The database's files may have free pages, so the first writes may succeed.
        let mut refused = 0;
        for _ in 0..200 {
            refused += u32::from(login(&server, "alice", "laptop").await == 503);
            if refused == 3 {
                break;
            }
        }
        assert_eq!(refused, 3);
        wait_for_readyz(&server, 503).await;
        assert_eq!(server.me(&token).await, 200, "reads keep working");

        fs::remove_file(filler).unwrap();
        for attempt in 0..30 {
            assert_eq!(login(&server, "alice", "laptop").await, 200, "{attempt}");
        }
        wait_for_readyz(&server, 200).await;
        assert_eq!(server.me(&token).await, 200);
        let revoked = server.run(&["token", "revoke", "--user", "alice"], "");
        assert!(revoked.status.success(), "{}", stderr(&revoked));
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn a_held_lock_delays_responses_only_for_a_bounded_time() {
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
        assert!(start.elapsed() < COMMAND_TIMEOUT, "{:?}", start.elapsed());
        assert!(stderr(&revoke).contains("lock"), "{}", stderr(&revoke));

        sqlx::raw_sql("ROLLBACK").execute(&mut db).await.unwrap();
        assert_eq!(server.me(&token).await, 200, "it was not revoked");
        assert_eq!(login(&server, "alice", "phone").await, 200);
    });
}

/// A server behind a relay, and the URL of the database through the relay.
async fn behind_a_relay(url: &str, settings: &[(&str, &str)]) -> (Server, Relay, String) {
    let mut through = Url::parse(url).unwrap();
    let relay = Relay::to(through.socket_addrs(|| Some(5432)).unwrap()[0]);
    through.set_host(Some("127.0.0.1")).unwrap();
    through.set_port(Some(relay.port)).unwrap();
    let server = Server::start_with(through.as_str(), settings).await;
    (server, relay, through.into())
}

#[test]
fn a_silent_database_server_is_not_waited_for() {
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
            timeout(REQUEST_TIMEOUT, async {
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
            "the cache is not trusted"
        );
        assert_eq!(ready, 503);
        let command = command.unwrap();
        assert_eq!(command.status.code(), Some(1), "{}", stderr(&command));
        assert!(start.elapsed() < COMMAND_TIMEOUT, "{:?}", start.elapsed());

        relay.resume();
        wait_for_readyz(&server, 200).await;
        assert_eq!(login(&server, "alice", "phone").await, 200);
        assert_eq!(server.me(&token).await, 200);
    });
}

#[test]
fn silently_broken_connections_are_replaced() {
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
            // Some connections are being returned to the pool when they break.
            let requests = join_all((0..200).map(|_| server.me(&token)));
            let breaking = async {
                sleep(Duration::from_millis(30)).await;
                relay.go_silent();
                relay.reset();
            };
            let (statuses, ()) = rocket::tokio::join!(requests, breaking);
            assert_eq!(statuses.len(), 200, "every request is answered");
            sleep(Duration::from_secs(3)).await;
            assert_eq!(server.me(&token).await, 200);
        }
    });
}

#[test]
fn a_silent_database_server_does_not_delay_shutdown() {
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
        let request = rocket::tokio::spawn(post.bearer_auth(&token).send());
        sleep(Duration::from_millis(200)).await;
        let start = Instant::now();
        assert_eq!(server.terminate(), Some(0));
        let (bound, slack) = (Duration::from_secs(2 + 2), Duration::from_secs(1));
        assert!(start.elapsed() < bound + slack, "{:?}", start.elapsed());
        assert!(!matches!(request.await.unwrap(), Ok(response) if response.status() == 200));
    });
}

/// Changes a default of the database. Open sessions keep the previous value.
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

/// Ends all sessions of the database.
async fn end_sessions(url: &str) {
    let mut db = AnyConnection::connect(url).await.unwrap();
    let sessions = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::raw_sql(sessions).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[test]
#[ignore = "slow"]
fn a_read_only_database_is_not_ready_but_serves_reads() {
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
        end_sessions(&url).await;
        wait_for_readyz(&server, 503).await;
        assert_eq!(login(&server, "alice", "phone").await, 503);
        assert_eq!(server.me(&token).await, 200, "reads keep working");
        // Sessions that were opened in the meantime are replaced.
        reconfigure(&url, "RESET default_transaction_read_only").await;
        wait_for_readyz(&server, 200).await;
        let status = login(&server, "alice", "phone").await;
        assert_eq!(status, 200, "{}", server.log());
    });
}

#[test]
fn connections_closed_by_the_server_are_replaced_without_an_error() {
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
            // Recently used connections are not tested before use.
            let used = join_all((0..6).map(|_| server.me(&token))).await;
            assert_eq!(used, [200; 6]);
            end_sessions(&url).await;
            assert_eq!(server.me(&token).await, 200, "{}", server.log());
            end_sessions(&url).await;
            let status = login(&server, "alice", "phone").await;
            assert_eq!(status, 200, "{}", server.log());
            end_sessions(&url).await;
            assert_eq!(readyz(&server).await, 200, "{}", server.log());
        }
    });
}

#[test]
fn a_moved_database_file_is_not_ready() {
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
        assert_eq!(readyz(&server).await, 503, "it is another file");
        fs::rename(&away, &file).unwrap();
        assert_eq!(readyz(&server).await, 200);
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn concurrent_readiness_probes_share_their_writes() {
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
fn another_default_isolation_level_fails_no_login() {
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
        end_sessions(&url).await;
        sleep(Duration::from_secs(1)).await;
        let names = ["ann", "bob", "carol"].into_iter().cycle();
        let clients: Vec<String> = (0..60).map(|number| format!("client-{number}")).collect();
        let logins = names
            .zip(&clients)
            .map(|(name, client)| login(&server, name, client));
        let statuses = join_all(logins).await;
        let refused: Vec<_> = statuses.iter().filter(|status| **status != 200).collect();
        // An account has at most ten attempts at a time. The others wait.
        assert!(refused.is_empty(), "{refused:?}");
    });
}

#[test]
fn logins_share_the_few_connections_of_a_limited_role() {
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
            server.log().contains("allows this role only 5 connections"),
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
fn a_failed_transaction_is_rolled_back_and_its_connection_stays_usable() {
    on_both(async |app| {
        let pool = app.auth().pool();
        let write = "INSERT INTO readiness (id, at, filler) VALUES (7, 0, '')";
        for _ in 0..30 {
            // A failed statement, followed by a commit.
            let mut tx = pool.write().await.unwrap();
            sqlx::query(write).execute(&mut *tx).await.unwrap();
            assert!(sqlx::query(write).execute(&mut *tx).await.is_err());
            assert!(tx.commit().await.is_err());
            // A dropped transaction, as of a cancelled request.
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
