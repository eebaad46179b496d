//! Bounded counts of a list's rows.

use sqlx::FromRow;
use sqlx::any::AnyRow;

use super::{List, Page, PagePosition};
use crate::db::Conn;

/// Number of rows at which counting stops.
pub const COUNT_LIMIT: i64 = 1000;

/// The number of a list's rows, as far as they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The number, at most [`COUNT_LIMIT`].
    pub rows: i64,
    /// Whether there are more, or may be.
    pub more: bool,
}

impl List {
    /// A page, and the number of rows in the list. If counting would read up to [`SCAN_LIMIT`](super::SCAN_LIMIT) rows
    /// again, only the first page has a count.
    pub async fn page_and_count<T>(
        &self,
        db: &mut Conn,
        position: PagePosition,
        size: usize,
    ) -> sqlx::Result<(Page<T>, Option<Count>)>
    where
        T: Send + Unpin + for<'r> FromRow<'r, AnyRow>,
    {
        let page = self.page(db, position, size).await?;
        let is_first = page.previous.is_none();
        let count = if is_first && (page.next.is_none() || page.is_cut) {
            // The page holds all matches among the rows that were read.
            Some(Count {
                rows: i64::try_from(page.rows.len()).unwrap_or(COUNT_LIMIT),
                more: page.is_cut,
            })
        } else if is_first || self.filters.is_empty() {
            Some(self.count(db).await?)
        } else {
            None
        };
        Ok((page, count))
    }

    /// Counts up to [`COUNT_LIMIT`] matches among the first [`SCAN_LIMIT`](super::SCAN_LIMIT) rows.
    pub async fn count(&self, db: &mut Conn) -> sqlx::Result<Count> {
        let (mut matches, mut is_cut) = (0, false);
        let descending = self.order.descending;
        for span in self.spans_after(None, descending) {
            // If many rows match, reading the first of them is enough.
            let mut statement = self.select(db.engine(), "1", &span, descending, COUNT_LIMIT + 1);
            statement.sql = format!("SELECT COUNT(*) FROM ({}) AS met", statement.sql);
            let counts: Vec<(i64,)> = statement.fetch(db).await?;
            matches += counts.first().map_or(0, |(count,)| *count);
            if matches <= COUNT_LIMIT && !self.filters.is_empty() {
                let end = self.scan_end(db, &span, descending).await?;
                is_cut = end.is_some();
            }
            if is_cut || matches > COUNT_LIMIT {
                break;
            }
        }
        Ok(Count {
            rows: matches.min(COUNT_LIMIT),
            more: is_cut || matches > COUNT_LIMIT,
        })
    }
}
