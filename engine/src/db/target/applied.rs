//! The applied migrations of a database.

use std::time::Duration;

use sqlx::AnyConnection;
use tokio::time::timeout;

use super::Target;
use super::collation::columns_to_convert;
use super::connect::{RESPONSE_TIMEOUT, close};
use crate::db::cause::response_timeout;
use crate::db::migrator::MIGRATOR;
use crate::db::{Engine, Fault};

impl Target {
    pub(in crate::db) async fn applied(&self, limit: Duration) -> Result<Vec<i64>, Fault> {
        let mut connection = self.connect("rw", limit).await?;
        let listing = list_applied(self.engine(), &mut connection);
        let listed = timeout(RESPONSE_TIMEOUT, listing).await;
        let listed = listed.unwrap_or_else(|_| Err(response_timeout(RESPONSE_TIMEOUT.as_secs())));
        close(connection).await;
        listed.map_err(|source| self.failed(source))
    }
}

/// Empty if the table of migrations does not exist. A table that can't be read is an error.
async fn list_applied(engine: Engine, connection: &mut AnyConnection) -> sqlx::Result<Vec<i64>> {
    let tables = match engine {
        Engine::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
        // NULL if the role may use no schema.
        Engine::Postgres => {
            "SELECT CASE WHEN current_schema() IS NULL THEN NULL
                         WHEN to_regclass('_sqlx_migrations') IS NULL THEN 0 ELSE 1 END"
        }
    };
    let tables: Option<i64> = sqlx::query_scalar(tables)
        .fetch_one(&mut *connection)
        .await?;
    match tables {
        None => Err(sqlx::Error::Configuration(
            "the role may not use any schema in its search_path; grant it USAGE on one".into(),
        )),
        Some(0) => Ok(vec![]),
        Some(_) => {
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version")
                .fetch_all(connection)
                .await
        }
    }
}

/// Whether the database has exactly the migrations of this version. Then no lock is needed.
pub(super) async fn is_schema_current(connection: &mut AnyConnection) -> sqlx::Result<bool> {
    let tables: Option<i64> = sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if tables != Some(1) {
        return Ok(false);
    }
    let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version",
    )
    .fetch_all(&mut *connection)
    .await?;
    let expected = MIGRATOR.iter().map(|m| (m.version, &*m.checksum));
    Ok(applied
        .iter()
        .map(|(version, sum)| (*version, &**sum))
        .eq(expected)
        && columns_to_convert(connection).await?.is_empty())
}
