//! Parts of lists: where a page begins, after or before a row that is known, however far that lies from the
//! list's first; and how many rows there are in all.

use super::condition::{Condition, Value};

/// What a list is sorted by, for one row: a text (compared by bytes) or a number.
pub use super::condition::Value as Key;

/// A row's place in a list's order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What the list is sorted by.
    pub key: Key,
    /// Tells rows apart that have the same key.
    pub id: String,
}

/// From where on a list is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// So many rows from its first.
    Row(i64),
    /// The rows that follow one.
    After(Place),
    /// The rows that lead up to one.
    Before(Place),
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its first row; or the row after its last, where that is what is known.
    pub start: Start,
    /// How many rows.
    pub limit: i64,
}

impl Part {
    /// The first rows of a list.
    pub fn first(limit: i64) -> Self {
        let start = Start::Row(0);
        Self { start, limit }
    }

    /// The row that it lies after or before, if it is known by one.
    pub(super) fn place(&self) -> Option<&Place> {
        match &self.start {
            Start::Row(_) => None,
            Start::After(place) | Start::Before(place) => Some(place),
        }
    }

    /// Rows that are left out at the beginning.
    pub(super) fn offset(&self) -> i64 {
        match self.start {
            Start::Row(row) => row,
            Start::After(_) | Start::Before(_) => 0,
        }
    }

    /// The same with what is left out at its beginning.
    pub(super) fn whole(&self) -> Self {
        let limit = self.limit.saturating_add(self.offset());
        let start = match &self.start {
            Start::Row(_) => Start::Row(0),
            known => known.clone(),
        };
        Self { start, limit }
    }

    /// This part of all rows.
    pub(super) fn cut<T>(&self, rows: Vec<T>) -> Vec<T> {
        let number = |rows: i64| usize::try_from(rows).unwrap_or_default();
        let (left_out, kept) = (number(self.offset()), number(self.limit));
        rows.into_iter().skip(left_out).take(kept).collect()
    }

    /// Whether it is read from its end.
    pub(super) fn is_backward(&self) -> bool {
        matches!(self.start, Start::Before(_))
    }
}

/// How many rows there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// As far as they were counted.
    pub rows: i64,
    /// Whether there may be more.
    pub more: bool,
}

impl Count {
    /// As many as that, or `most` and more.
    pub(super) fn up_to(self, most: i64) -> Self {
        let more = self.more || self.rows > most;
        let rows = self.rows.min(most);
        Self { rows, more }
    }

    /// This and another.
    pub(super) fn and(self, other: Self) -> Self {
        let rows = self.rows.saturating_add(other.rows);
        let more = self.more || other.more;
        Self { rows, more }
    }
}

/// An order that a list can be put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    /// What it is sorted by: an SQL expression.
    pub key: &'static str,
    /// And then by this, another.
    pub id: &'static str,
    /// Whether it falls.
    pub descending: bool,
}

impl Order {
    /// The order in which a part is read.
    pub(super) fn of(self, part: &Part) -> Self {
        Self {
            descending: self.descending ^ part.is_backward(),
            ..self
        }
    }

    /// As `ORDER BY` has it.
    pub(super) fn sql(self) -> String {
        let way = if self.descending { "DESC" } else { "ASC" };
        format!("{} {way}, {} {way}", self.key, self.id)
    }

    /// Leaves out what this order, in which `part` is read, has before it.
    pub(super) fn begin(self, part: &Part, condition: &mut Condition) {
        if let Some(place) = part.place() {
            let sign = if self.descending { "<" } else { ">" };
            let (key, id) = (self.key, self.id);
            // The first follows from the second; SQLite does not see that where the key is an expression.
            let beyond = format!("{key} {sign}= ? AND ({key}, {id}) {sign} (?, ?)");
            let Place { key, id } = place.clone();
            condition.and(&beyond, [key.clone(), key, Value::Text(id)]);
        }
    }
}
