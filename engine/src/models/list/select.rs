//! SQL that reads the rows of a span.

use super::condition::{Statement, Value};
use super::{List, SCAN_LIMIT, Span, Table};
use crate::db::Engine;

impl List {
    /// Selects up to `limit` matches in a span, among the rows that a page may read.
    pub(super) fn select(
        &self,
        engine: Engine,
        columns: &str,
        span: &Span,
        descending: bool,
        limit: i64,
    ) -> Statement {
        let read = if self.filters.is_empty() {
            limit
        } else {
            SCAN_LIMIT
        };
        let mut statement = Statement::default();
        statement.push(&format!("SELECT {columns} FROM ("), []);
        let all = self.table.columns;
        self.push_scan(&mut statement, engine, all, span, descending, read);
        statement.push(") AS t WHERE ", []);
        statement.push_all(&self.filters);
        statement.push(" LIMIT ?", [limit.into()]);
        statement
    }

    /// Appends a query for up to `limit` rows of a span.
    pub(super) fn push_scan(
        &self,
        statement: &mut Statement,
        engine: Engine,
        columns: &str,
        span: &Span,
        descending: bool,
        limit: i64,
    ) {
        let dir = if descending { "DESC" } else { "ASC" };
        let (
            Table { from, id, .. },
            Span {
                from: first,
                to: last,
            },
        ) = (self.table, span);
        let ids = [first, last].map(|cursor| Value::from(cursor.id.as_str()));
        if let (Some(column), Some(low), Some(high)) = (self.order.column, &first.key, &last.key) {
            if engine == Engine::Postgres && low == high {
                // `ANY (ARRAY[…])` steers the planner. For a row comparison, PostgreSQL would read to the end of the
                // key, whatever the id. For `=`, it would take the order to be that of the ids and walk the primary
                // key.
                let sql = format!(
                    "SELECT {column} AS list_key, {columns} FROM {from}
                     WHERE {column} = ANY (ARRAY[?]) AND {id} > ? AND {id} < ?
                     ORDER BY {column} {dir}, {id} {dir} LIMIT ?"
                );
                let [first_id, last_id] = ids;
                return statement.push(&sql, [low.clone(), first_id, last_id, limit.into()]);
            }
            let sql = format!(
                "SELECT {column} AS list_key, {columns} FROM {from}
                 WHERE ({column}, {id}) > (?, ?) AND ({column}, {id}) < (?, ?)
                 ORDER BY {column} {dir}, {id} {dir} LIMIT ?"
            );
            let [first_id, last_id] = ids;
            statement.push(
                &sql,
                [low.clone(), first_id, high.clone(), last_id, limit.into()],
            );
        } else {
            let sql = format!(
                "SELECT {id} AS list_key, {columns} FROM {from} WHERE {id} > ? AND {id} < ? ORDER BY {id} {dir} LIMIT ?"
            );
            statement.push(&sql, ids.into_iter().chain([limit.into()]));
        }
    }

    /// Columns of a row's cursor, each of one type.
    pub(super) fn cursor_columns(&self) -> String {
        let (text, number) = match self.is_numeric() {
            None => ("CAST(NULL AS TEXT)", "CAST(NULL AS BIGINT)"),
            Some(true) => ("CAST(NULL AS TEXT)", "t.list_key"),
            Some(false) => ("t.list_key", "CAST(NULL AS BIGINT)"),
        };
        format!("{text} AS list_text, {number} AS list_number, t.id AS list_id")
    }
}
