//! What a list is narrowed by: a `WHERE` clause put together from the filters that are set, so that
//! an index serves each, and its values.

use sqlx::any::AnyArguments;
use sqlx::query::QueryAs;
use sqlx::{Any, AssertSqlSafe};

use crate::db::Conn;

/// A value of a condition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Compared by bytes.
    Text(String),
    /// A number, or a time.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// Conditions that all have to hold. Placeholders are numbered when the SQL is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    /// With `?` for the values' places, in their order.
    clauses: Vec<String>,
    /// Of the clauses.
    wanted: Vec<Value>,
    /// Of what stands in the statement already, `$1` and so on.
    bound: Vec<Value>,
}

impl Condition {
    /// Adds a condition. Each `?` in it stands for the next of `values`; `sql` itself is ours, never
    /// what somebody typed.
    pub(super) fn and(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.clauses.push(sql.to_owned());
        self.wanted.extend(values);
    }

    /// Adds one for what begins with `prefix`, in columns that are compared byte by byte. Each `*` in
    /// `sql` stands for the lower and each `^` for the upper end.
    pub(super) fn and_beginning(&mut self, sql: &str, prefix: &str) {
        let mut clause = String::new();
        for char in sql.chars() {
            match char {
                '*' => self.wanted.push(prefix.into()),
                '^' => self.wanted.push(after(prefix).into()),
                other => {
                    clause.push(other);
                    continue;
                }
            }
            clause.push('?');
        }
        self.clauses.push(clause);
    }

    /// Adds all conditions of another.
    pub(super) fn and_all(&mut self, other: Self) {
        self.clauses.extend(other.clauses);
        self.wanted.extend(other.wanted);
    }

    /// Whether one of them, not yet asked for, has that text in it.
    pub(super) fn speaks_of(&self, text: &str) -> bool {
        self.clauses.iter().any(|clause| clause.contains(text))
    }

    /// One more value, to be bound: its placeholder.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.bound.push(value.into());
        format!("${}", self.bound.len())
    }

    /// The conditions as SQL; true where there is none. Their values are bound, and what is added from
    /// here on is for another part of the statement.
    pub(super) fn sql(&mut self) -> String {
        if self.clauses.is_empty() {
            return "1 = 1".into();
        }
        let clauses = std::mem::take(&mut self.clauses).join(" AND ");
        let mut sql = String::new();
        let mut wanted = std::mem::take(&mut self.wanted).into_iter();
        for char in clauses.chars() {
            match (char, wanted.len()) {
                ('?', 1..) => {
                    let place = wanted.next().map(|value| self.bind(value));
                    sql.extend(place);
                }
                _ => sql.push(char),
            }
        }
        sql
    }

    /// The rows of a statement that these values go with.
    pub(super) async fn fetch<T>(self, db: &mut Conn, sql: String) -> sqlx::Result<Vec<T>>
    where
        T: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::any::AnyRow>,
    {
        let mut query: QueryAs<'_, Any, T, AnyArguments> = sqlx::query_as(AssertSqlSafe(sql));
        // Planned for these very values: PostgreSQL would else, after some runs, take a plan for any,
        // which walks the whole table where a filter finds few rows.
        query = query.persistent(false);
        for value in self.bound {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        query.fetch_all(db).await
    }

    /// How many rows of `from` meet the conditions, counted up to `most`.
    pub(super) async fn count(mut self, db: &mut Conn, from: &str, most: i64) -> sqlx::Result<i64> {
        let clauses = self.sql();
        let most = self.bind(most);
        let sql = format!(
            "SELECT COUNT(*) FROM (SELECT 1 AS one FROM {from} WHERE {clauses} LIMIT {most}) AS met"
        );
        let rows: Vec<(i64,)> = self.fetch(db, sql).await?;
        Ok(rows.first().map_or(0, |(count,)| *count))
    }

    /// How many rows of `from` PostgreSQL expects to meet the conditions, by what it knows of their columns;
    /// none where it does not say.
    pub(super) async fn expected(mut self, db: &mut Conn, from: &str) -> sqlx::Result<Option<i64>> {
        let clauses = self.sql();
        let sql = format!("EXPLAIN (FORMAT YAML) SELECT 1 FROM {from} WHERE {clauses}");
        let plan: Vec<(String,)> = self.fetch(db, sql).await?;
        let mut lines = plan.iter().flat_map(|(text,)| text.lines());
        // The first is that of the whole.
        Ok(lines.find_map(|line| line.trim().strip_prefix("Plan Rows: ")?.parse().ok()))
    }
}

/// What no text that begins with `prefix` reaches, compared byte by byte: UTF-8 sorts by code point,
/// and this is the last one.
fn after(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}
