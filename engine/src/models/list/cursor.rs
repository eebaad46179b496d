//! Cursors, which are positions in a list, and spans of rows between two of them.

use std::fmt;

use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::List;
use super::condition::Value;

/// The position of a row in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The row's key. None if the list is ordered by id alone.
    pub key: Option<Value>,
    /// The row's id.
    pub id: String,
}

impl<'r> FromRow<'r, AnyRow> for Cursor {
    fn from_row(row: &'r AnyRow) -> sqlx::Result<Self> {
        let text = row.try_get::<Option<String>, _>("list_text")?;
        let number = row.try_get::<Option<i64>, _>("list_number")?;
        Ok(Self {
            key: text.map(Value::Text).or(number.map(Value::Number)),
            id: row.try_get("list_id")?,
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            None => f.write_str(&self.id),
            Some(Value::Text(key)) => write!(f, "{}.{key}", self.id),
            Some(Value::Number(key)) => write!(f, "{}.{key}", self.id),
        }
    }
}

/// The rows between two cursors, both excluded.
#[derive(Debug, Clone)]
pub struct Span {
    pub(super) from: Cursor,
    pub(super) to: Cursor,
}

/// Sorts before every id.
const FIRST: &str = "";
/// Sorts after every id, because ids are hexadecimal.
const LAST: &str = "g";

impl Span {
    /// All rows.
    pub fn all() -> Self {
        Self::for_ids(FIRST, LAST)
    }

    /// Rows with ids between these, in the order of their ids.
    pub fn for_ids(from: impl Into<String>, to: impl Into<String>) -> Self {
        let cursor = |id| Cursor { key: None, id };
        Self {
            from: cursor(from.into()),
            to: cursor(to.into()),
        }
    }

    /// Rows with this key.
    pub fn for_key(key: impl Into<Value>) -> Self {
        let key = key.into();
        Self::between(key.clone(), key)
    }

    /// Rows with keys from `first` to `last`, both included.
    pub fn between(first: impl Into<Value>, last: impl Into<Value>) -> Self {
        let cursor = |key, id: &str| Cursor {
            key: Some(key),
            id: id.to_owned(),
        };
        Self {
            from: cursor(first.into(), FIRST),
            to: cursor(last.into(), LAST),
        }
    }

    /// Rows with keys from `first` on and before `end`.
    pub fn half_open(first: impl Into<Value>, end: impl Into<Value>) -> Self {
        let mut span = Self::between(first, end);
        FIRST.clone_into(&mut span.to.id);
        span
    }

    /// Restricts a span of one key to ids between these.
    #[must_use]
    pub fn with_ids(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.from.id = from.into();
        self.to.id = to.into();
        self
    }

    pub(super) fn has_single_key(&self) -> bool {
        self.from.key == self.to.key
    }

    /// The span as a condition on the column, for a filter that does not lead.
    pub(super) fn condition(&self, column: &str) -> (String, Vec<Value>) {
        let (from, to) = (&self.from, &self.to);
        let (mut sql, mut values) = (vec![], vec![]);
        let mut bound = |column: &str, operator: &str, value: Value| {
            sql.push(format!("{column} {operator} ?"));
            values.push(value);
        };
        match (&from.key, &to.key) {
            (Some(first), Some(last)) if first != last => {
                bound(column, ">=", first.clone());
                let operator = if to.id == FIRST { "<" } else { "<=" };
                bound(column, operator, last.clone());
            }
            (key, _) => {
                if let Some(key) = key {
                    bound(column, "=", key.clone());
                }
                if from.id != FIRST {
                    bound("t.id", ">", from.id.as_str().into());
                }
                if to.id != LAST {
                    bound("t.id", "<", to.id.as_str().into());
                }
            }
        }
        (sql.join(" AND "), values)
    }
}

impl From<Span> for Vec<Span> {
    fn from(span: Span) -> Self {
        vec![span]
    }
}

impl List {
    /// The parts of the spans beyond a cursor, in reading order.
    pub(super) fn spans_after(&self, cursor: Option<&Cursor>, descending: bool) -> Vec<Span> {
        let mut spans = self.order.spans.clone();
        if descending {
            spans.reverse();
        }
        if let Some(cursor) = cursor {
            for span in &mut spans {
                if descending && *cursor < span.to {
                    span.to = cursor.clone();
                } else if !descending && *cursor > span.from {
                    span.from = cursor.clone();
                }
            }
            spans.retain(|span| span.from < span.to);
        }
        spans
    }

    /// Parses a displayed cursor. None if it does not belong to this list.
    pub fn cursor(&self, text: &str) -> Option<Cursor> {
        let (id, key) = text
            .split_once('.')
            .map_or((text, None), |(id, key)| (id, Some(key)));
        let is_id = Uuid::try_parse(id).is_ok_and(|uuid| uuid.hyphenated().to_string() == id);
        let key = match (self.is_numeric(), key) {
            (None, None) => None,
            (Some(true), Some(key)) => Some(Value::Number(key.parse().ok()?)),
            (Some(false), Some(key)) if !key.contains('\0') => Some(Value::Text(key.to_owned())),
            _ => return None,
        };
        let cursor = is_id.then(|| Cursor {
            key,
            id: id.to_owned(),
        })?;
        // A text outside the spans comes from another list. (A time may lie beyond a bound that moves.)
        let contains = |span: &Span| span.from < cursor && cursor < span.to;
        let is_text = matches!(cursor.key, Some(Value::Text(_)));
        (!is_text || self.order.spans.iter().any(contains)).then_some(cursor)
    }

    /// Whether the key is a number. None if there is no key.
    pub(super) fn is_numeric(&self) -> Option<bool> {
        let key = self.order.spans.first()?.from.key.as_ref()?;
        Some(matches!(key, Value::Number(_)))
    }
}
