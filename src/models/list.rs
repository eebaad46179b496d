//! Pages of a list: keyset pagination over `(key, id)`, for users, tokens, events and a fork's own rows.
//!
//! The filter that leads determines the order: its rows stand together in an index on `(key, id)`, as a
//! [`Span`]. The other filters are applied to at most [`READ`] rows of it; where that ends a page, the page
//! says so and the next goes on from there. So every page has a predictable cost, however many rows the table
//! has and however deep the page lies, and needs no plan of ours: for a span that is written as a range, that
//! index is the only one whose order either database can use.

use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::condition::{Condition, Statement, Value};
use crate::db::{Conn, Engine};

/// Rows that a page reads at most.
pub const READ: i64 = 5000;
/// Rows at which counting stops.
pub const COUNTED: i64 = 1000;

/// Where a row is in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// What the list is ordered by; none where that is the id alone.
    pub key: Option<Value>,
    /// The row's id.
    pub id: String,
}

/// The rows between two places, both excluded.
#[derive(Debug, Clone)]
pub struct Span {
    from: Cursor,
    to: Cursor,
}

/// What sorts before every id, and after.
const FIRST: &str = "";
const LAST: &str = "g";

impl Span {
    /// All rows.
    pub fn all() -> Self {
        Self::of_ids(FIRST, LAST)
    }

    /// The rows whose ids lie between these, in the order of their ids.
    pub fn of_ids(from: impl Into<String>, to: impl Into<String>) -> Self {
        let place = |id| Cursor { key: None, id };
        Self {
            from: place(from.into()),
            to: place(to.into()),
        }
    }

    /// The rows with that key.
    pub fn of(key: impl Into<Value>) -> Self {
        let key = key.into();
        Self::between(key.clone(), key)
    }

    /// The rows with keys from the first to the last, both included.
    pub fn between(first: impl Into<Value>, last: impl Into<Value>) -> Self {
        let place = |key, id: &str| Cursor {
            key: Some(key),
            id: id.to_owned(),
        };
        Self {
            from: place(first.into(), FIRST),
            to: place(last.into(), LAST),
        }
    }

    /// The rows with keys from the first on, before the second.
    pub fn before(first: impl Into<Value>, end: impl Into<Value>) -> Self {
        let mut span = Self::between(first, end);
        FIRST.clone_into(&mut span.to.id);
        span
    }

    /// Of the rows with one key, those whose ids lie between these.
    #[must_use]
    pub fn with_ids(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.from.id = from.into();
        self.to.id = to.into();
        self
    }
}

/// The table that a list reads.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name, with the alias `t`.
    pub from: &'static str,
    /// The id of a row.
    pub id: &'static str,
    /// What is read of it, the id among it, for columns and filters.
    pub rows: &'static str,
}

impl Table {
    /// One with an `id`, of which everything is read.
    pub fn of(from: &'static str) -> Self {
        Self {
            from,
            id: "t.id",
            rows: "t.*",
        }
    }
}

/// A list: which rows, in which order, and what is read of them.
#[derive(Debug, Clone)]
pub struct List {
    /// The table.
    pub table: Table,
    /// What is selected of `t`; other tables by scalar subqueries, which leave the order alone.
    pub columns: String,
    /// The column that leads, of an index on it and the id; none for the id alone.
    pub key: Option<&'static str>,
    /// The rows, in rising order and apart.
    pub spans: Vec<Span>,
    /// Whether the list falls.
    pub descending: bool,
    /// The filters that don't lead.
    pub filters: Condition,
}

/// Where a page begins.
#[derive(Debug, Clone, Default)]
pub enum Start {
    /// At the list's beginning.
    #[default]
    First,
    /// After a place.
    After(Cursor),
    /// So that it ends before a place.
    Before(Cursor),
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// Its rows.
    pub rows: Vec<T>,
    /// Where the page before it ends, if there is one.
    pub previous: Option<Cursor>,
    /// Where the page after it begins, if there is one.
    pub next: Option<Cursor>,
    /// Whether it ends because [`READ`] rows were read.
    pub is_cut: bool,
    /// Whether it was read backward.
    pub is_backward: bool,
}

/// How many rows there are, as far as they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many, at most [`COUNTED`].
    pub rows: i64,
    /// Whether there are more, or may be.
    pub more: bool,
}

/// A row and its place.
struct Placed<T>(Cursor, T);

impl<'r, T: FromRow<'r, AnyRow>> FromRow<'r, AnyRow> for Placed<T> {
    fn from_row(row: &'r AnyRow) -> sqlx::Result<Self> {
        Ok(Self(Cursor::from_row(row)?, T::from_row(row)?))
    }
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

impl List {
    /// A page of at most `size` rows.
    ///
    /// # Errors
    /// The database failed.
    pub async fn page<T>(&self, db: &mut Conn, start: Start, size: usize) -> sqlx::Result<Page<T>>
    where
        T: Send + Unpin + for<'r> FromRow<'r, AnyRow>,
    {
        let (backward, place) = match start {
            Start::First => (false, None),
            Start::After(place) => (false, Some(place)),
            Start::Before(place) => (true, Some(place)),
        };
        let (mut rows, end) = self.read(db, place.as_ref(), backward, size).await?;
        if backward && end.is_none() && rows.len() < size {
            // So few lie before it that this is the list's beginning.
            return Box::pin(self.page(db, Start::First, size)).await;
        }
        let is_cut = rows.len() <= size && end.is_some();
        let rest = end.filter(|_| is_cut).or_else(|| {
            let has_more = rows.len() > size;
            rows.truncate(size);
            rows.last()
                .filter(|_| has_more)
                .map(|Placed(place, _)| place.clone())
        });
        if backward {
            rows.reverse();
        }
        let (first, last) = (rows.first(), rows.last());
        let of = |row: Option<&Placed<T>>| row.map(|Placed(place, _)| place.clone());
        // A page that was cut before any row matched ends where reading did, both ways.
        let (previous, next) = if backward {
            (rest.clone(), of(last).or(rest).or(place))
        } else {
            (
                place.map(|place| of(first).or(rest.clone()).unwrap_or(place)),
                rest,
            )
        };
        Ok(Page {
            rows: rows.into_iter().map(|Placed(_, row)| row).collect(),
            previous,
            next,
            is_cut,
            is_backward: backward,
        })
    }

    /// Reads one row more than `size` from a place on; and where reading ended, if that was for having read
    /// [`READ`] rows.
    async fn read<T>(
        &self,
        db: &mut Conn,
        place: Option<&Cursor>,
        backward: bool,
        size: usize,
    ) -> sqlx::Result<(Vec<Placed<T>>, Option<Cursor>)>
    where
        T: Send + Unpin + for<'r> FromRow<'r, AnyRow>,
    {
        // What matches and where reading ends are two statements: rows that come in between must not push out others
        // that stay.
        let is_apart = !self.filters.is_empty() && !db.is_in_transaction();
        if is_apart {
            db.begin_reading().await?;
        }
        let read = self.read_spans(db, place, backward, size).await?;
        if is_apart {
            db.commit().await?;
        }
        Ok(read)
    }

    async fn read_spans<T>(
        &self,
        db: &mut Conn,
        place: Option<&Cursor>,
        backward: bool,
        size: usize,
    ) -> sqlx::Result<(Vec<Placed<T>>, Option<Cursor>)>
    where
        T: Send + Unpin + for<'r> FromRow<'r, AnyRow>,
    {
        let falling = self.descending != backward;
        let mut rows: Vec<Placed<T>> = vec![];
        for span in self.ahead(place, falling) {
            let missing = i64::try_from(size + 1 - rows.len()).unwrap_or(READ);
            let read = if self.filters.is_empty() {
                missing
            } else {
                READ
            };
            let mut statement = Statement::default();
            let (place, columns) = (self.placed(), &self.columns);
            statement.push(&format!("SELECT {place}, {columns} FROM ("), []);
            let all = self.table.rows;
            self.push_inner(&mut statement, db.engine(), all, &span, falling, read);
            statement.push(") AS t WHERE ", []);
            statement.push_all(&self.filters);
            statement.push(" LIMIT ?", [missing.into()]);
            rows.extend(statement.fetch(db).await?);
            if rows.len() > size {
                return Ok((rows, None));
            }
            if !self.filters.is_empty() {
                let end = self.end_of_reading(db, &span, falling).await?;
                if end.is_some() {
                    return Ok((rows, end));
                }
            }
        }
        Ok((rows, None))
    }

    /// Where [`READ`] rows of a span end, if it has more.
    async fn end_of_reading(
        &self,
        db: &mut Conn,
        span: &Span,
        falling: bool,
    ) -> sqlx::Result<Option<Cursor>> {
        let mut statement = Statement::default();
        statement.push(&format!("SELECT {} FROM (", self.placed()), []);
        // Of the index alone: fetching the rows takes ten times as long.
        let id = format!("{} AS id", self.table.id);
        self.push_inner(&mut statement, db.engine(), &id, span, falling, READ + 1);
        statement.push(") AS t LIMIT 2 OFFSET ?", [(READ - 1).into()]);
        let mut ends: Vec<Cursor> = statement.fetch(db).await?;
        Ok((ends.len() == 2).then(|| ends.swap_remove(0)))
    }

    /// A page, and how many rows the list has. Where counting means to read up to [`READ`] rows again, only the first
    /// page has a count.
    ///
    /// # Errors
    /// The database failed.
    pub async fn page_and_count<T>(
        &self,
        db: &mut Conn,
        start: Start,
        size: usize,
    ) -> sqlx::Result<(Page<T>, Option<Count>)>
    where
        T: Send + Unpin + for<'r> FromRow<'r, AnyRow>,
    {
        let page = self.page(db, start, size).await?;
        let is_first = page.previous.is_none();
        let count = if is_first && (page.next.is_none() || page.is_cut) {
            // Few rows match among those that are read, and all of these are on the page.
            Some(Count {
                rows: i64::try_from(page.rows.len()).unwrap_or(COUNTED),
                more: page.is_cut,
            })
        } else if is_first || self.filters.is_empty() {
            Some(self.count(db).await?)
        } else {
            None
        };
        Ok((page, count))
    }

    /// How many rows it has: up to [`COUNTED`], among the first [`READ`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn count(&self, db: &mut Conn) -> sqlx::Result<Count> {
        let (mut met, mut cut) = (0, false);
        for span in self.ahead(None, self.descending) {
            let is_filtered = !self.filters.is_empty();
            let most = if is_filtered { READ } else { COUNTED + 1 };
            let mut statement = Statement::default();
            // Where many match, the first of them do.
            statement.push("SELECT COUNT(*) FROM (SELECT 1 FROM (", []);
            let all = self.table.rows;
            let engine = db.engine();
            self.push_inner(&mut statement, engine, all, &span, self.descending, most);
            statement.push(") AS t WHERE ", []);
            statement.push_all(&self.filters);
            statement.push(" LIMIT ?) AS met", [(COUNTED + 1).into()]);
            let counts: Vec<(i64,)> = statement.fetch(db).await?;
            met += counts.first().map_or(0, |(count,)| *count);
            if met > COUNTED {
                break;
            }
            if is_filtered {
                let end = self.end_of_reading(db, &span, self.descending).await?;
                cut = end.is_some();
            }
            if cut {
                break;
            }
        }
        Ok(Count {
            rows: met.min(COUNTED),
            more: cut || met > COUNTED,
        })
    }

    /// The rows of a span that are read, and those columns of them.
    fn push_inner(
        &self,
        statement: &mut Statement,
        engine: Engine,
        columns: &str,
        span: &Span,
        falling: bool,
        limit: i64,
    ) {
        let way = if falling { "DESC" } else { "ASC" };
        let (
            Table { from, id, .. },
            Span {
                from: first,
                to: last,
            },
        ) = (self.table, span);
        let ids = [first, last].map(|place| Value::from(place.id.as_str()));
        if let (Some(key), Some(low), Some(high)) = (self.key, &first.key, &last.key) {
            if engine == Engine::Postgres && low == high {
                // It reads to the end of the key where a row of columns is compared, whatever the id. Where the key is said
                // to be equal, it takes the order for that of the ids, and walks the primary key.
                let sql = format!(
                    "SELECT {key} AS list_key, {columns} FROM {from} WHERE {key} = ANY (ARRAY[?]) AND {id} > ? AND {id} < ?
                     ORDER BY {key} {way}, {id} {way} LIMIT ?"
                );
                let [from, to] = ids;
                return statement.push(&sql, [low.clone(), from, to, limit.into()]);
            }
            let sql = format!(
                "SELECT {key} AS list_key, {columns} FROM {from} WHERE ({key}, {id}) > (?, ?) AND ({key}, {id}) < (?, ?)
                 ORDER BY {key} {way}, {id} {way} LIMIT ?"
            );
            let [from, to] = ids;
            statement.push(&sql, [low.clone(), from, high.clone(), to, limit.into()]);
        } else {
            let sql = format!(
                "SELECT {id} AS list_key, {columns} FROM {from} WHERE {id} > ? AND {id} < ? ORDER BY {id} {way} LIMIT ?"
            );
            statement.push(&sql, ids.into_iter().chain([limit.into()]));
        }
    }

    /// A row's place, in columns of one type each.
    fn placed(&self) -> String {
        let (text, number) = match self.is_numeric() {
            None => ("CAST(NULL AS TEXT)", "CAST(NULL AS BIGINT)"),
            Some(true) => ("CAST(NULL AS TEXT)", "t.list_key"),
            Some(false) => ("t.list_key", "CAST(NULL AS BIGINT)"),
        };
        format!("{text} AS list_text, {number} AS list_number, t.id AS list_id")
    }

    /// Whether the key is a number, if there is one.
    fn is_numeric(&self) -> Option<bool> {
        self.key.map(|_| {
            matches!(
                self.spans.first().and_then(|span| span.from.key.as_ref()),
                Some(Value::Number(_))
            )
        })
    }

    /// What of the spans lies beyond a place, in the order in which it is read.
    fn ahead(&self, place: Option<&Cursor>, falling: bool) -> Vec<Span> {
        let mut ahead: Vec<Span> = self.spans.clone();
        if falling {
            ahead.reverse();
        }
        if let Some(place) = place {
            for span in &mut ahead {
                if falling && *place < span.to {
                    span.to = place.clone();
                } else if !falling && *place > span.from {
                    span.from = place.clone();
                }
            }
            ahead.retain(|span| span.from < span.to);
        }
        ahead
    }

    /// Reads a cursor as it is displayed; none if it is not one of this list.
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
        let place = is_id.then(|| Cursor {
            key,
            id: id.to_owned(),
        })?;
        // Of texts, one that lies elsewhere comes from another list. (A time may lie behind a bound that moves.)
        let is_here = |span: &Span| span.from < place && place < span.to;
        let is_text = matches!(place.key, Some(Value::Text(_)));
        (!is_text || self.spans.iter().any(is_here)).then_some(place)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.key {
            None => f.write_str(&self.id),
            Some(Value::Text(key)) => write!(f, "{}.{key}", self.id),
            Some(Value::Number(key)) => write!(f, "{}.{key}", self.id),
        }
    }
}
