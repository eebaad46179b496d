//! The `readiness` table, written only to check that the database accepts writes.

use rand::distr::{Alphanumeric, SampleString};

use crate::db::{Conn, Engine};

/// Bytes of a write on SQLite: about as many as a login. A smaller write might fit where a login does not.
const SQLITE_BYTES: usize = 128 * 1024;
/// Bytes of a write on PostgreSQL: more than fit into the table's pages, so that the disk must have room for new ones.
const POSTGRES_BYTES: usize = 16 * 1024;

/// Writes as much as a login does.
pub async fn write(db: &mut Conn, engine: Engine, now: i64) -> sqlx::Result<()> {
    let filler = match engine {
        Engine::Sqlite => "-".repeat(SQLITE_BYTES),
        // Repeated text would be compressed.
        Engine::Postgres => Alphanumeric.sample_string(&mut rand::rng(), POSTGRES_BYTES),
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
        // Without rows, VACUUM returns the table's pages, and the next write needs new ones. SQLite would not even
        // write the page of a deleted row.
        sqlx::query("DELETE FROM readiness").execute(db).await?;
    }
    Ok(())
}
