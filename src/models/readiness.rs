//! The `readiness` table: one row, written to learn whether the database accepts writes.

use crate::db::{Conn, Engine};

/// Bytes that a write takes on SQLite: about as many as a login. With less, a small write would still
/// fit where a login does not.
const FILLER: usize = 128 * 1024;

/// Writes the row.
///
/// # Errors
/// The database failed, or accepts no writes.
pub async fn write(db: &mut Conn, engine: Engine, now: i64) -> sqlx::Result<()> {
    let filler = match engine {
        Engine::Sqlite => "-".repeat(FILLER),
        // A full disk stops its log first, which every change needs.
        Engine::Postgres => String::new(),
    };
    sqlx::query(
        "INSERT INTO readiness (id, at, filler) VALUES (1, $1, $2)
         ON CONFLICT (id) DO UPDATE SET at = excluded.at, filler = excluded.filler",
    )
    .bind(now)
    .bind(filler)
    .execute(db)
    .await?;
    Ok(())
}
