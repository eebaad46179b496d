//! Collation of text columns on PostgreSQL.

use sqlx::{AnyConnection, AssertSqlSafe};

use crate::db::migrator::MIGRATOR;

fn tables() -> impl Iterator<Item = &'static str> {
    let lines = MIGRATOR
        .iter()
        .flat_map(|migration| migration.sql.as_str().lines());
    lines.filter_map(|line| {
        let rest = line.strip_prefix("CREATE TABLE ")?;
        let name = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
        name.split([' ', '(']).next()
    })
}

/// Makes PostgreSQL compare texts byte by byte, as SQLite does. Key ranges depend on it, and the default is the order
/// of a language. Repeating it is harmless, so two processes may both do it.
pub(super) async fn set_byte_collation(connection: &mut AnyConnection) -> sqlx::Result<()> {
    for (table, columns) in columns_to_convert(connection).await? {
        let changes: Vec<_> = columns
            .iter()
            .map(|column| format!("ALTER COLUMN {column} TYPE TEXT COLLATE \"C\""))
            .collect();
        let sql = format!("ALTER TABLE {table} {}", changes.join(", "));
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The text columns with another collation, by table.
pub(super) async fn columns_to_convert(
    connection: &mut AnyConnection,
) -> sqlx::Result<Vec<(&'static str, Vec<String>)>> {
    let mut tables_to_convert = vec![];
    for table in tables() {
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT CAST(a.attname AS TEXT) FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
             WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
               AND a.atttypid = CAST('text' AS regtype) AND c.collname <> 'C'",
        )
        .bind(table)
        .fetch_all(&mut *connection)
        .await?;
        if !columns.is_empty() {
            tables_to_convert.push((table, columns));
        }
    }
    Ok(tables_to_convert)
}
