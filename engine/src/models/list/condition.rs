//! SQL statements built from the active filters and their values.

use std::borrow::Cow;

use sqlx::any::AnyArguments;
use sqlx::query::QueryAs;
use sqlx::{Any, AssertSqlSafe};

use crate::db::Conn;

/// A value to bind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A text, compared by bytes.
    Text(String),
    /// A number or a time.
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

/// Conditions joined with `AND`.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition(Vec<(Cow<'static, str>, Vec<Value>)>);

impl Condition {
    /// Adds a condition. Each `?` stands for the next of `values`.
    pub(super) fn and(
        &mut self,
        sql: impl Into<Cow<'static, str>>,
        values: impl IntoIterator<Item = Value>,
    ) {
        self.0.push((sql.into(), values.into_iter().collect()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Default)]
pub(super) struct Statement {
    pub(super) sql: String,
    values: Vec<Value>,
}

impl Statement {
    /// Appends our own SQL, never user input. Each `?` stands for the next of `values`.
    pub(super) fn push(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        let mut values = values.into_iter();
        for char in sql.chars() {
            match (char == '?').then(|| values.next()).flatten() {
                Some(value) => {
                    self.values.push(value);
                    self.sql.push('$');
                    self.sql.push_str(&self.values.len().to_string());
                }
                None => self.sql.push(char),
            }
        }
    }

    /// Appends the conditions in parentheses, or a true one if there are none.
    pub(super) fn push_all(&mut self, condition: &Condition) {
        self.push("(1 = 1", []);
        for (sql, values) in &condition.0 {
            self.push(" AND ", []);
            self.push(sql, values.iter().cloned());
        }
        self.push(")", []);
    }

    pub(super) async fn fetch<T>(self, db: &mut Conn) -> sqlx::Result<Vec<T>>
    where
        T: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::any::AnyRow>,
    {
        let mut query: QueryAs<'_, Any, T, AnyArguments> = sqlx::query_as(AssertSqlSafe(self.sql));
        // Planned for these values: after some runs, PostgreSQL would otherwise use a generic plan.
        query = query.persistent(false);
        for value in self.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        query.fetch_all(db).await
    }
}
