//! The `readiness` table, which is written only to learn whether the database accepts writes.

use rand::distr::{Alphanumeric, SampleString};

use crate::db::{Conn, Engine};

/// Bytes that a write takes on SQLite: about as many as a login. With less, a small write would still
/// fit where a login does not.
const ON_SQLITE: usize = 128 * 1024;
/// Bytes that a write takes on PostgreSQL: more than fit into the pages that the table has, so that the
/// disk must have room for others.
const ON_POSTGRES: usize = 16 * 1024;

/// Writes as much as a login does.
///
/// # Errors
/// The database failed, or accepts no writes.
pub async fn write(db: &mut Conn, engine: Engine, now: i64) -> sqlx::Result<()> {
    let filler = match engine {
        Engine::Sqlite => "-".repeat(ON_SQLITE),
        // What repeats would be compressed.
        Engine::Postgres => Alphanumeric.sample_string(&mut rand::rng(), ON_POSTGRES),
    };
    sqlx::query(
        "INSERT INTO readiness (id, at, filler) VALUES (1, $1, $2)
         ON CONFLICT (id) DO UPDATE SET at = excluded.at, filler = excluded.filler",
    )
    .bind(now)
    .bind(filler)
    .execute(&mut *db)
    .await?;
    if engine == Engine::Postgres {
        // With no row left, VACUUM gives the table's pages back, and the next write needs new ones. SQLite
        // would not write a page at all whose row is gone.
        sqlx::query("DELETE FROM readiness").execute(db).await?;
    }
    Ok(())
}
