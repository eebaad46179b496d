//! A PostgreSQL of our own, shared by the tests that run at the same time, a database each.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use pgtemp::PgTempDB;
use sqlx::{AnyConnection, Connection};

use super::needs;

/// A server; it ends with the last test that holds it.
#[derive(Clone)]
pub struct Postgres(Arc<PgTempDB>);

static RUNNING: Mutex<Weak<PgTempDB>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

impl Postgres {
    /// The running server, or a new one; none where its binaries are not installed.
    pub fn get() -> Option<Self> {
        let Some(initdb) = needs::executable("initdb", &debian_folders()) else {
            needs::missing("PostgreSQL's server", "postgresql");
            return None;
        };
        if needs::root() && needs::executable("sudo", &[]).is_none() {
            needs::missing("sudo, which root starts PostgreSQL with,", "sudo");
            return None;
        }
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let server = running.upgrade().unwrap_or_else(|| {
            let folder = initdb.parent().unwrap_or(Path::new("/")).to_owned();
            Arc::new(PgTempDB::builder().with_bin_path(folder).start())
        });
        *running = Arc::downgrade(&server);
        Some(Self(server))
    }

    /// The URL of a new, empty database.
    pub async fn database(&self) -> String {
        sqlx::any::install_default_drivers();
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut admin = AnyConnection::connect(&self.0.connection_uri())
            .await
            .unwrap();
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

/// Debian keeps the server's binaries out of `PATH`.
fn debian_folders() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    versions.map(|version| version.path().join("bin")).collect()
}
