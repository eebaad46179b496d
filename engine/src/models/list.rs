//! Keyset pagination over `(key, id)`, for users, tokens, events and a fork's own rows.
//!
//! The key is a row's value in an indexed column. The leading filter determines that column and so the order: its rows
//! are adjacent in an index on the column and the id, as a [`Span`]. The other filters are applied to at most
//! [`SCAN_LIMIT`] of its rows. If that limit ends a page, the page says so and the next one continues there. So every
//! page has a predictable cost, however large the table and however deep the page.
//!
//! For a span written as a range, that index is the only one whose order either database can use. A span of a single
//! key needs `= ANY (ARRAY[…])` on PostgreSQL, whose planner would otherwise choose the primary key (see `select`).

mod condition;
mod count;
mod cursor;
mod page;
mod select;

use self::condition::Condition;
pub use self::condition::Value;
pub use self::count::{COUNT_LIMIT, Count};
pub use self::cursor::{Cursor, Span};
pub use self::page::{Page, PagePosition, SCAN_LIMIT};

/// The table that a list reads.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name, with the alias `t`.
    pub from: &'static str,
    /// The expression of a row's id.
    pub id: &'static str,
    /// The columns that the list's columns and filters use, including the id.
    pub columns: &'static str,
}

impl Table {
    /// A table with an `id`, all of whose columns are read.
    pub fn new(from: &'static str) -> Self {
        Self {
            from,
            id: "t.id",
            columns: "t.*",
        }
    }
}

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// By creation, which is the order of ids.
    Created,
    /// By name, in canonical form.
    Name,
    /// By when users were last seen. Those never seen sort lowest.
    LastSeen,
    /// By when tokens were last used. Those never used sort lowest.
    LastUsed,
    /// By expiry.
    Expires,
    /// By a column that the application chooses.
    Custom(&'static str),
}

/// A column to sort by, with a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// What rows are sorted by.
    pub by: SortBy,
    /// Whether the highest key comes first.
    pub descending: bool,
}

impl Sort {
    /// Lowest key first.
    pub const fn ascending(by: SortBy) -> Self {
        Self {
            by,
            descending: false,
        }
    }

    /// Highest key first.
    pub const fn descending(by: SortBy) -> Self {
        Self {
            by,
            descending: true,
        }
    }
}

/// Newest first.
pub const NEWEST_FIRST: Sort = Sort::descending(SortBy::Created);

/// Rows to read from an index on a column and the id, and their order.
#[derive(Debug, Clone)]
struct IndexOrder {
    /// The column as users choose it, if they can.
    sort_by: Option<SortBy>,
    /// The indexed column. None if rows are ordered by id alone.
    column: Option<&'static str>,
    /// The rows, in ascending order and disjoint.
    spans: Vec<Span>,
    descending: bool,
}

/// A list: its rows, their order and the selected columns. Add filters in the order of their precedence: the first one
/// with an index leads, and the others are applied to its rows.
#[derive(Debug, Clone)]
pub struct List {
    table: Table,
    /// The columns to select, separated by commas.
    selected: String,
    order: IndexOrder,
    /// Other orders that the list offers.
    other_orders: Vec<IndexOrder>,
    has_leading_filter: bool,
    /// Bounds of the rows' ids, both excluded.
    ids: Option<[String; 2]>,
    /// The filters that do not lead.
    filters: Condition,
}

impl List {
    /// All rows of a table, newest first. `columns` are selected from `t`. Read other tables with scalar subqueries,
    /// which leave the order alone.
    pub fn new(table: Table, columns: impl Into<String>) -> Self {
        Self {
            table,
            selected: columns.into(),
            order: IndexOrder {
                sort_by: Some(SortBy::Created),
                column: None,
                spans: vec![Span::all()],
                descending: true,
            },
            other_orders: vec![],
            has_leading_filter: false,
            ids: None,
            filters: Condition::default(),
        }
    }

    /// Restricts the list to rows with ids between these. Call this before adding filters.
    #[must_use]
    pub fn with_ids(mut self, from: String, to: String) -> Self {
        self.order.spans = vec![Span::for_ids(from.as_str(), to.as_str())];
        self.ids = Some([from, to]);
        self
    }

    /// Offers an order by an indexed column, for when no filter leads.
    #[must_use]
    pub fn offer(mut self, sort_by: SortBy, column: &'static str, span: Span) -> Self {
        self.other_orders.push(IndexOrder {
            sort_by: Some(sort_by),
            column: Some(column),
            spans: vec![span],
            descending: true,
        });
        self
    }

    /// Adds a filter by an indexed column: rows with this key in it, newest first.
    pub fn filter_by_key(&mut self, column: &'static str, key: impl Into<Value>) {
        self.filter_by_spans(column, Span::for_key(key), Some(NEWEST_FIRST));
    }

    /// Adds a filter by an indexed column: rows with keys in these spans, in the order of the keys. `sort` names that
    /// order.
    pub fn filter_by_spans(
        &mut self,
        column: &'static str,
        spans: impl Into<Vec<Span>>,
        sort: Option<Sort>,
    ) {
        let mut spans = spans.into();
        if self.has_leading_filter {
            let spans = spans.iter().map(|span| span.condition(column));
            let (sql, values): (Vec<_>, Vec<_>) = spans.unzip();
            let any = format!("({})", sql.join(" OR "));
            return self.filters.and(any, values.concat());
        }
        if let Some([from, to]) = &self.ids {
            if let [span] = &mut spans[..]
                && span.has_single_key()
            {
                *span = span.clone().with_ids(from, to);
            } else {
                let ids = [from.as_str().into(), to.as_str().into()];
                self.filters.and("t.id > ? AND t.id < ?", ids);
            }
        }
        self.has_leading_filter = true;
        self.other_orders.clear();
        self.order = IndexOrder {
            sort_by: sort.map(|sort| sort.by),
            column: Some(column),
            spans,
            descending: sort.is_none_or(|sort| sort.descending),
        };
    }

    /// Adds a filter without an index. Each `?` stands for the next of `values`.
    pub fn filter_unindexed(&mut self, sql: &'static str, values: impl IntoIterator<Item = Value>) {
        self.filters.and(sql, values);
    }

    /// Sorts the list as requested, provided that it offers the order. Call this after adding filters.
    #[must_use]
    pub fn sorted(mut self, requested: Option<Sort>) -> Self {
        let Some(sort) = requested else {
            return self;
        };
        let mut other_orders = self.other_orders.iter_mut();
        if let Some(other) = other_orders.find(|other| other.sort_by == Some(sort.by)) {
            std::mem::swap(&mut self.order, other);
        }
        if self.order.sort_by == Some(sort.by) {
            self.order.descending = sort.descending;
        }
        self
    }

    /// The current order, if it has a name.
    pub fn sort(&self) -> Option<Sort> {
        let descending = self.order.descending;
        let sort_by = self.order.sort_by;
        sort_by.map(|by| Sort { by, descending })
    }

    /// Whether the list can be sorted by this.
    pub fn offers(&self, sort_by: SortBy) -> bool {
        let mut orders = self.other_orders.iter().chain([&self.order]);
        orders.any(|order| order.sort_by == Some(sort_by))
    }
}
