//! A temporary PostgreSQL server. Tests that run at the same time share it; each has its own database.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use pgtemp::{PgTempDB, PgTempDBBuilder};
use rocket::tokio::time::sleep;
use sqlx::{AnyConnection, Connection, Error};

use super::needs;

/// A PostgreSQL server, stopped when the last test drops it.
#[derive(Clone)]
pub struct Postgres(Arc<PgTempDB>);

static RUNNING: Mutex<Weak<PgTempDB>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

impl Postgres {
    /// The running server, or else a new one. `None` if PostgreSQL is not installed.
    pub fn get() -> Option<Self> {
        let binaries = binaries()?;
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let server = running
            .upgrade()
            .unwrap_or_else(|| Arc::new(PgTempDB::builder().with_bin_path(binaries).start()));
        *running = Arc::downgrade(&server);
        Some(Self(server))
    }

    /// A separate server with these settings. `None` if PostgreSQL is not installed.
    pub fn with_settings(settings: &[(&str, &str)]) -> Option<Self> {
        let builder = PgTempDB::builder().with_bin_path(binaries()?);
        let set = |builder: PgTempDBBuilder, (name, value): &(&str, &str)| {
            builder.with_config_param(name, value)
        };
        let server = settings.iter().fold(builder, set).start();
        Some(Self(Arc::new(server)))
    }

    /// The data directory, which also holds the log file, if any.
    pub fn folder(&self) -> PathBuf {
        self.0.data_dir()
    }

    /// Creates an empty database and returns its URL.
    pub async fn database(&self) -> String {
        sqlx::any::install_default_drivers();
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut admin = connect(&self.0.connection_uri()).await;
        // A linguistic collation, like that of most installations.
        let create = sqlx::AssertSqlSafe(format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'
             LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'"
        ));
        sqlx::query(create).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        let uri = self.0.connection_uri();
        format!("{}/{name}", uri.rsplit_once('/').unwrap().0)
    }
}

/// The folder with PostgreSQL's binaries. Reports what is missing.
fn binaries() -> Option<PathBuf> {
    let Some(binaries) = needs::postgres() else {
        needs::missing("PostgreSQL's server", "postgresql");
        return None;
    };
    if needs::root() && needs::executable("sudo", &[]).is_none() {
        needs::missing("sudo, which root starts PostgreSQL with,", "sudo");
        return None;
    }
    Some(binaries)
}

/// Connects to the server, and retries while it is starting.
async fn connect(uri: &str) -> AnyConnection {
    let start = Instant::now();
    loop {
        match AnyConnection::connect(uri).await {
            Err(error) if is_starting(&error) && start.elapsed() < Duration::from_secs(30) => {
                sleep(Duration::from_millis(50)).await;
            }
            connected => return connected.unwrap(),
        }
    }
}

fn is_starting(error: &Error) -> bool {
    match error {
        Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        // cannot_connect_now
        Error::Database(error) => error.code().as_deref() == Some("57P03"),
        _ => false,
    }
}
