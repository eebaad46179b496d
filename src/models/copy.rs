//! The whole database at once.

use crate::db::Conn;

/// Writes a copy of an SQLite database into `file`, which has to be empty: everything as it was at one
/// moment, without the log, the free pages and what was deleted. Others write to the database meanwhile.
///
/// # Errors
/// The database failed, or the file can't be written; what is in it then is no copy.
pub async fn write_into(db: &mut Conn, file: &str) -> sqlx::Result<()> {
    sqlx::query("VACUUM INTO $1").bind(file).execute(db).await?;
    Ok(())
}
