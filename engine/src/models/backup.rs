//! Copy of the whole database.

use crate::db::Conn;

/// Writes a consistent copy of an SQLite database into the empty `file`, without the log, free pages and deleted data.
/// Others can write to the database meanwhile. After an error, `file` is not a copy.
pub async fn write_into(db: &mut Conn, file: &str) -> sqlx::Result<()> {
    sqlx::query("VACUUM INTO $1").bind(file).execute(db).await?;
    Ok(())
}
