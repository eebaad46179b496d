//! Readiness and load of the pool.

use std::path::Path;

use super::Pool;
use crate::db::Engine;
use crate::db::migrator::MIGRATOR;

impl Pool {
    /// Whether the database has exactly the migrations of this version.
    ///
    /// # Errors
    /// The database does not respond, or the SQLite file was replaced.
    pub async fn has_current_schema(&self) -> sqlx::Result<bool> {
        if let Some((path, opened)) = &self.file
            && file_id(path) != *opened
        {
            // No other process sees what this one writes to the old file, and it would be lost.
            let why = format!(
                "{} was replaced since it was opened; restart the server",
                path.display()
            );
            return Err(sqlx::Error::Protocol(why));
        }
        let mut connection = self.read().await?;
        let applied: Vec<i64> =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version")
                .fetch_all(&mut connection)
                .await?;
        Ok(applied.into_iter().eq(MIGRATOR.iter().map(|m| m.version)))
    }

    pub(crate) fn connection_counts(&self) -> [(&'static str, u64); 3] {
        let (mut used, mut idle, mut limit) = (0, 0, 0);
        for pool in self.pools() {
            let [size, unused, max] = pool.connection_counts().map(|number| number as u64);
            used += size.saturating_sub(unused);
            idle += unused;
            limit += max;
        }
        [("used", used), ("idle", idle), ("limit", limit)]
    }

    /// Whether the connection to the server is encrypted. Always true for SQLite.
    pub(crate) async fn is_encrypted(&self) -> sqlx::Result<bool> {
        if self.engine() == Engine::Sqlite {
            return Ok(true);
        }
        let mut connection = self.read().await?;
        let encrypted: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl",
        )
        .fetch_one(&mut connection)
        .await?;
        Ok(encrypted > 0)
    }
}

/// Device and inode.
pub(super) type FileId = (u64, u64);

/// None if the file is missing or the platform has no such id.
pub(super) fn file_id(path: &Path) -> Option<FileId> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
