//! A PostgreSQL server for the load test, which keeps its data between runs.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rocket_multitoken::db::Engine;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::load::Result;
use crate::load::command::free_port;
use crate::needs;

const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A running server with the settings of `initdb`. Dropping it stops the server.
pub struct Postgres {
    process: Child,
    port: u16,
}

/// The version of the server. None if it is not installed.
pub fn version() -> Option<String> {
    let output = Command::new(needs::postgres()?.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

impl Postgres {
    /// Starts a server on the data in `folder`, which is created if missing. None if PostgreSQL is not installed.
    pub async fn start(folder: &Path) -> Result<Option<Self>> {
        let Some(binaries) = needs::postgres() else {
            return Ok(None);
        };
        let directory = DataDirectory::prepare(folder, binaries)?;
        let port = free_port()?;
        // Clients connect over TCP. The default folder for sockets may belong to another user.
        let process = directory
            .command("postgres")?
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .spawn()?;
        let mut server = Self { process, port };
        server.wait_until_ready(&directory.log).await?;
        Ok(Some(server))
    }

    async fn wait_until_ready(&mut self, log: &Path) -> Result {
        let start = Instant::now();
        loop {
            match AnyConnection::connect(&self.url("postgres")).await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(error) => {
                    if self.process.try_wait()?.is_some() || start.elapsed() > START_TIMEOUT {
                        let log = log.display();
                        return Err(format!("cannot start PostgreSQL: {error}; see {log}").into());
                    }
                }
            }
            sleep(Duration::from_millis(50));
        }
    }

    pub fn url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Creates an empty database, replacing an existing one.
    pub async fn create_database(&self, name: &str) -> Result {
        let mut connection = AnyConnection::connect(&self.url("postgres")).await?;
        for sql in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            // With the collation of a language, as in most installations.
            format!(
                "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'
                 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'"
            ),
        ] {
            let query = sqlx::query(AssertSqlSafe(sql));
            query.execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT is a fast shutdown: it disconnects clients and writes everything to disk.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        let _ = self.process.wait();
    }
}

/// The data directory and its owner.
struct DataDirectory {
    binaries: PathBuf,
    data: PathBuf,
    log: PathBuf,
    /// PostgreSQL refuses to run as root, so root starts it as this user and group.
    owner: Option<(u32, u32)>,
}

impl DataDirectory {
    fn prepare(folder: &Path, binaries: PathBuf) -> Result<Self> {
        let directory = Self {
            binaries,
            data: folder.join(Engine::Postgres.name().to_lowercase()),
            log: folder.join("postgresql.log"),
            owner: if needs::root() {
                Some((postgres_id("-u")?, postgres_id("-g")?))
            } else {
                None
            },
        };
        if !directory.data.join("PG_VERSION").exists() {
            fs::create_dir_all(&directory.data)?;
            if let Some((user, group)) = directory.owner {
                chown(&directory.data, Some(user), Some(group))?;
            }
            let mut initdb = directory.command("initdb")?;
            let status = initdb
                .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
                .arg("--locale=C.UTF-8")
                .status()?;
            if !status.success() {
                let log = directory.log.display();
                return Err(format!("initdb failed: see {log}").into());
            }
        }
        Ok(directory)
    }

    /// A command of PostgreSQL on the data directory. Its output goes to the log.
    fn command(&self, name: &str) -> Result<Command> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(self.binaries.join(name));
        command
            .arg("-D")
            .arg(&self.data)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        Ok(command)
    }
}

/// The id of the user or group that Debian's package creates.
fn postgres_id(flag: &str) -> Result<u32> {
    let output = Command::new("id").args([flag, "postgres"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let id = text.trim().parse();
    id.map_err(|_| "PostgreSQL refuses to run as root: create a user called postgres".into())
}
