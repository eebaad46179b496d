//! Pagination links, and the count above a list.

use serde::Serialize;

use super::ListParams;
use crate::models::list::{Count, Page};
use crate::web::templates::grouped;

/// Links to the previous and next page.
#[derive(Serialize)]
pub struct Pager {
    previous: Option<String>,
    next: Option<String>,
    /// The link that continues the search if the page was cut.
    further: Option<String>,
    /// Whether the bound on rows read ended the page.
    is_cut: bool,
    /// Whether this is not the first page.
    is_further: bool,
}

impl Pager {
    /// The links of `page`.
    pub fn new<T>(page: &Page<T>, query: &ListParams) -> Self {
        let link = |parameter, cursor: &Option<_>| {
            let cursor: Option<String> = cursor.as_ref().map(ToString::to_string);
            cursor.map(|cursor| query.link_with(parameter, &cursor))
        };
        let (previous, next) = (link("before", &page.previous), link("after", &page.next));
        let further = if page.is_backward { &previous } else { &next };
        Self {
            further: further.clone().filter(|_| page.is_cut),
            previous,
            next,
            is_cut: page.is_cut,
            is_further: page.previous.is_some(),
        }
    }
}

/// A number of rows. Counting stops at a limit.
#[derive(Serialize)]
pub struct CountView {
    count: i64,
    more: bool,
    /// As in "1,234" or "1,000+".
    text: String,
}

impl From<Count> for CountView {
    fn from(count: Count) -> Self {
        let plus = if count.more { "+" } else { "" };
        Self {
            count: count.rows,
            more: count.more,
            text: grouped(count.rows) + plus,
        }
    }
}
