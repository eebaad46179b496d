//! A PostgreSQL of our own, shared by the tests that run at the same time, a database each.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use pgtemp::PgTempDB;
use rocket::tokio::time::sleep;
use sqlx::{AnyConnection, Connection, Error};

use super::needs;

/// A server; it ends with the last test that holds it.
#[derive(Clone)]
pub struct Postgres(Arc<PgTempDB>);

static RUNNING: Mutex<Weak<PgTempDB>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

impl Postgres {
    /// The running server, or a new one; none where its binaries are not installed.
    pub fn get() -> Option<Self> {
        let Some(binaries) = needs::postgres() else {
            needs::missing("PostgreSQL's server", "postgresql");
            return None;
        };
        if needs::root() && needs::executable("sudo", &[]).is_none() {
            needs::missing("sudo, which root starts PostgreSQL with,", "sudo");
            return None;
        }
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let server = running
            .upgrade()
            .unwrap_or_else(|| Arc::new(PgTempDB::builder().with_bin_path(binaries).start()));
        *running = Arc::downgrade(&server);
        Some(Self(server))
    }

    /// The URL of a new, empty database.
    pub async fn database(&self) -> String {
        sqlx::any::install_default_drivers();
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut admin = connect(&self.0.connection_uri()).await;
        // In the order of a language, as most installations have it.
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

/// Connects to a server that may have been started this moment and take nobody yet.
async fn connect(uri: &str) -> AnyConnection {
    let start = Instant::now();
    loop {
        match AnyConnection::connect(uri).await {
            // cannot_connect_now
            Err(Error::Database(error))
                if error.code().as_deref() == Some("57P03")
                    && start.elapsed() < Duration::from_secs(30) =>
            {
                sleep(Duration::from_millis(50)).await;
            }
            connected => return connected.unwrap(),
        }
    }
}
