//! PgBouncer in front of PostgreSQL: session pooling works, and other settings are reported when the server starts.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rocket::tokio::time::sleep;
use tempfile::TempDir;

use crate::doc_page::{blocks, page};
use crate::support::PASSWORD;
use crate::support::needs;
use crate::support::postgres::Postgres;
use crate::support::server::{Server, command, free_port, run, stderr, stdout};

/// A PgBouncer process. It ends when dropped.
struct Pooler {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Pooler {
    /// Starts a PgBouncer with these settings for the database at `url`.
    async fn start(url: &str, settings: &str) -> Option<Self> {
        let folders = ["/usr/sbin".into()];
        let Some(program) = needs::executable("pgbouncer", &folders) else {
            needs::missing("PgBouncer", "pgbouncer");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (port, file) = (free_port(), folder.path().join("pgbouncer.ini"));
        let (server, name) = url.split_once('@').unwrap().1.split_once('/').unwrap();
        let (host, server_port) = server.split_once(':').unwrap();
        let lines = format!(
            "[databases]\n{name} = host={host} port={server_port} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n{settings}\n"
        );
        fs::write(&file, lines).unwrap();
        let mut command = Command::new(program);
        if needs::root() {
            // PgBouncer refuses to run as root.
            command.args(["-u", "postgres"]);
            make_readable(&folder);
        }
        let process = command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "PgBouncer does not listen"
            );
            sleep(Duration::from_millis(20)).await;
        }
        Some(Self {
            process,
            url: format!("postgres://postgres@127.0.0.1:{port}/{name}"),
            _folder: folder,
        })
    }
}

#[cfg(unix)]
fn make_readable(folder: &TempDir) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(not(unix))]
fn make_readable(_: &TempDir) {}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn session_pooling_works() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        // The settings that the page recommends.
        let settings = blocks(&page("deploying.md"), "Behind PgBouncer", "ini").remove(0);
        let settings = settings.replace("[pgbouncer]\n", "");
        let url = postgres.database().await;
        let Some(pooler) = Pooler::start(&url, &settings).await else {
            return;
        };
        let server = Server::start(&pooler.url).await;
        let made = server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        assert!(made.status.success(), "{}", stderr(&made));
        let (laptop, phone) = (
            server.login("alice", "laptop").await,
            server.login("alice", "phone").await,
        );
        assert_eq!(
            (server.me(&laptop).await, server.me(&phone).await),
            (200, 200)
        );
        let list = stdout(&server.run(&["token", "list", "--client", "laptop"], ""));
        let id = list.lines().nth(1).unwrap().split(' ').next().unwrap();
        assert!(server.run(&["token", "revoke", id], "").status.success());
        assert_eq!(
            (server.me(&laptop).await, server.me(&phone).await),
            (401, 200)
        );
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn an_unsupported_pooler_is_reported_at_the_start_before_any_change() {
    let Some(postgres) = Postgres::get() else {
        return;
    };
    rocket::async_test(async {
        for settings in [
            "pool_mode = transaction\nignore_startup_parameters = extra_float_digits",
            "pool_mode = statement\nignore_startup_parameters = extra_float_digits",
            "pool_mode = session",
        ] {
            let url = postgres.database().await;
            let Some(pooler) = Pooler::start(&url, settings).await else {
                return;
            };
            // At the second start, the pooler reuses sessions.
            for args in [&["serve"][..], &["serve"], &["user", "list"]] {
                let mut command = command(&pooler.url, args);
                command.env("ROCKET_PORT", free_port().to_string());
                let output = command.output().unwrap();
                let printed = stderr(&output);
                assert_eq!(output.status.code(), Some(1), "{settings}: {printed}");
                for word in ["PgBouncer", "pool_mode = session", "docs/deploying.md"] {
                    assert!(printed.contains(word), "{settings}: {printed}");
                }
            }
            // The server gave up before it ran a migration.
            let status = stdout(&run(&url, &["migrate", "--status"], ""));
            assert!(!status.contains("applied"), "{status}");
        }
    });
}
