//! A PostgreSQL of our own, whose data stays from one time to the next.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use multitoken::db::Engine;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::Outcome;
use crate::needs;
use crate::server::free_port;

const PATIENCE: Duration = Duration::from_mins(1);

/// A running server, with the settings that `initdb` gives it; it is ended when dropped.
pub struct Postgres {
    process: Child,
    port: u16,
}

/// What the server's binaries call themselves; none where they are not installed.
pub fn version() -> Option<String> {
    let output = Command::new(needs::postgres()?.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

impl Postgres {
    /// Starts one on the data in `folder`, which it makes if need be; none where its binaries are not
    /// installed.
    pub async fn start(folder: &Path) -> Outcome<Option<Self>> {
        let Some(binaries) = needs::postgres() else {
            return Ok(None);
        };
        let place = Place::prepare(folder, binaries)?;
        let port = free_port()?;
        // Connections are by TCP, and the folder for sockets may be another user's.
        let process = place
            .command("postgres")?
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .spawn()?;
        let mut server = Self { process, port };
        server.wait_until_it_answers(&place.log).await?;
        Ok(Some(server))
    }

    async fn wait_until_it_answers(&mut self, log: &Path) -> Outcome {
        let start = Instant::now();
        loop {
            match AnyConnection::connect(&self.url("postgres")).await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(error) => {
                    if self.process.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                        let log = log.display();
                        return Err(format!("no PostgreSQL: {error}; see {log}").into());
                    }
                }
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// The URL of a database of that name.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Makes an empty database of that name, in place of the one that there is.
    pub async fn create(&self, name: &str) -> Outcome {
        let mut connection = AnyConnection::connect(&self.url("postgres")).await?;
        for sql in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            // In the order of a language, as most installations have it.
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
        // "Fast": it writes down what it has and ends, whoever is connected.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        let _ = self.process.wait();
    }
}

/// Where the data is, and who owns it.
struct Place {
    binaries: PathBuf,
    data: PathBuf,
    log: PathBuf,
    /// The user that root starts it as, as whom it refuses to start.
    owner: Option<(u32, u32)>,
}

impl Place {
    fn prepare(folder: &Path, binaries: PathBuf) -> Outcome<Self> {
        let place = Self {
            binaries,
            data: folder.join(Engine::Postgres.name().to_lowercase()),
            log: folder.join("postgresql.log"),
            owner: if needs::root() {
                Some((id("-u")?, id("-g")?))
            } else {
                None
            },
        };
        if !place.data.join("PG_VERSION").exists() {
            fs::create_dir_all(&place.data)?;
            if let Some((user, group)) = place.owner {
                chown(&place.data, Some(user), Some(group))?;
            }
            let mut initdb = place.command("initdb")?;
            let done = initdb
                .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
                .arg("--locale=C.UTF-8")
                .status()?;
            if !done.success() {
                let log = place.log.display();
                return Err(format!("initdb failed: see {log}").into());
            }
        }
        Ok(place)
    }

    /// One of the binaries, on the data; what it says goes to the log.
    fn command(&self, name: &str) -> Outcome<Command> {
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

/// The user or the group that Debian's package makes for it.
fn id(which: &str) -> Outcome<u32> {
    let output = Command::new("id").args([which, "postgres"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let id = text.trim().parse();
    id.map_err(|_| "root needs a user called postgres to start PostgreSQL as".into())
}
