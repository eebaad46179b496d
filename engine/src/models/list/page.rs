//! Pages of a list, with the cursors of the pages around them.

use sqlx::FromRow;
use sqlx::any::AnyRow;

use super::condition::Statement;
use super::{Cursor, List, Span};
use crate::db::Conn;

/// Maximum number of rows that a page reads.
pub const SCAN_LIMIT: i64 = 5000;

/// Where a page is, relative to a cursor.
#[derive(Debug, Clone, Default)]
pub enum PagePosition {
    /// The beginning of the list.
    #[default]
    First,
    /// After the cursor.
    After(Cursor),
    /// Before the cursor.
    Before(Cursor),
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// The page's rows.
    pub rows: Vec<T>,
    /// Where the previous page ends, if there is one.
    pub previous: Option<Cursor>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// Whether [`SCAN_LIMIT`] rows were read, which ended the page.
    pub is_cut: bool,
    /// Whether it was read backward.
    pub is_backward: bool,
}

/// A row and its cursor.
struct RowWithCursor<T>(Cursor, T);

impl<'r, T: FromRow<'r, AnyRow>> FromRow<'r, AnyRow> for RowWithCursor<T> {
    fn from_row(row: &'r AnyRow) -> sqlx::Result<Self> {
        Ok(Self(Cursor::from_row(row)?, T::from_row(row)?))
    }
}

impl List {
    /// A page of at most `size` rows.
    pub async fn page<T>(
        &self,
        db: &mut Conn,
        position: PagePosition,
        size: usize,
    ) -> sqlx::Result<Page<T>>
    where
        T: Send + Unpin + for<'r> FromRow<'r, AnyRow>,
    {
        let (backward, cursor) = match position {
            PagePosition::First => (false, None),
            PagePosition::After(cursor) => (false, Some(cursor)),
            PagePosition::Before(cursor) => (true, Some(cursor)),
        };
        let (mut rows, end) = self.read(db, cursor.as_ref(), backward, size).await?;
        if backward && end.is_none() && rows.len() < size {
            // Fewer rows than a page precede the cursor, so this is the beginning of the list.
            return Box::pin(self.page(db, PagePosition::First, size)).await;
        }
        let is_cut = rows.len() <= size && end.is_some();
        let rest = end.filter(|_| is_cut).or_else(|| {
            let has_more = rows.len() > size;
            rows.truncate(size);
            rows.last()
                .filter(|_| has_more)
                .map(|RowWithCursor(cursor, _)| cursor.clone())
        });
        if backward {
            rows.reverse();
        }
        let (first, last) = (rows.first(), rows.last());
        let cursor_of =
            |row: Option<&RowWithCursor<T>>| row.map(|RowWithCursor(cursor, _)| cursor.clone());
        // If the scan limit was reached before any match, the scan's ends are the page's cursors.
        let (previous, next) = if backward {
            (rest.clone(), cursor_of(last).or(rest).or(cursor))
        } else {
            (
                cursor.map(|cursor| cursor_of(first).or(rest.clone()).unwrap_or(cursor)),
                rest,
            )
        };
        Ok(Page {
            rows: rows.into_iter().map(|RowWithCursor(_, row)| row).collect(),
            previous,
            next,
            is_cut,
            is_backward: backward,
        })
    }

    /// Reads one row more than `size` from a cursor on. Also returns where reading ended, if [`SCAN_LIMIT`] rows were
    /// read.
    async fn read<T>(
        &self,
        db: &mut Conn,
        cursor: Option<&Cursor>,
        backward: bool,
        size: usize,
    ) -> sqlx::Result<(Vec<RowWithCursor<T>>, Option<Cursor>)>
    where
        T: Send + Unpin + for<'r> FromRow<'r, AnyRow>,
    {
        // Two statements find the matches and where reading ends. Without a common snapshot, rows that are added in
        // between could push others out of the page.
        let needs_transaction = !self.filters.is_empty() && !db.is_in_transaction();
        if needs_transaction {
            db.begin_read_only().await?;
        }
        let read = self.read_spans(db, cursor, backward, size).await?;
        if needs_transaction {
            db.commit().await?;
        }
        Ok(read)
    }

    async fn read_spans<T>(
        &self,
        db: &mut Conn,
        cursor: Option<&Cursor>,
        backward: bool,
        size: usize,
    ) -> sqlx::Result<(Vec<RowWithCursor<T>>, Option<Cursor>)>
    where
        T: Send + Unpin + for<'r> FromRow<'r, AnyRow>,
    {
        let descending = self.order.descending != backward;
        let mut rows: Vec<RowWithCursor<T>> = vec![];
        for span in self.spans_after(cursor, descending) {
            let limit = i64::try_from(size + 1 - rows.len()).unwrap_or(SCAN_LIMIT);
            let columns = format!("{}, {}", self.cursor_columns(), self.selected);
            let statement = self.select(db.engine(), &columns, &span, descending, limit);
            rows.extend(statement.fetch(db).await?);
            if rows.len() > size {
                return Ok((rows, None));
            }
            if !self.filters.is_empty() {
                let end = self.scan_end(db, &span, descending).await?;
                if end.is_some() {
                    return Ok((rows, end));
                }
            }
        }
        Ok((rows, None))
    }

    /// The last of [`SCAN_LIMIT`] rows of a span, if it has more.
    pub(super) async fn scan_end(
        &self,
        db: &mut Conn,
        span: &Span,
        descending: bool,
    ) -> sqlx::Result<Option<Cursor>> {
        let mut statement = Statement::default();
        statement.push(&format!("SELECT {} FROM (", self.cursor_columns()), []);
        // From the index alone: fetching the rows takes ten times as long.
        let id = format!("{} AS id", self.table.id);
        self.push_scan(
            &mut statement,
            db.engine(),
            &id,
            span,
            descending,
            SCAN_LIMIT + 1,
        );
        statement.push(") AS t LIMIT 2 OFFSET ?", [(SCAN_LIMIT - 1).into()]);
        let mut ends: Vec<Cursor> = statement.fetch(db).await?;
        Ok((ends.len() == 2).then(|| ends.swap_remove(0)))
    }
}
