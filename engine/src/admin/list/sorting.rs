//! Sort orders of a list, in its menu and its column headings.

use serde::Serialize;

use super::ListParams;
use crate::models::list::{List, Sort, SortBy};

/// A sort order.
pub struct SortOption {
    /// Its value in the query.
    pub name: &'static str,
    /// What it sorts by.
    pub by: SortBy,
    /// Its labels, ascending and descending.
    pub labels: [&'static str; 2],
}

impl SortOption {
    /// Parses a value of the parameter `sort`. A `-` in front means descending.
    pub(super) fn parse(options: &[Self], value: &str) -> Option<Sort> {
        let (name, descending) = match value.strip_prefix('-') {
            Some(name) => (name, true),
            None => (value, false),
        };
        let option = options.iter().find(|option| option.name == name)?;
        Some(Sort {
            by: option.by,
            descending,
        })
    }
}

/// The orders that a list offers, and its current one.
#[derive(Serialize)]
pub struct SortMenu {
    choices: Vec<SortChoice>,
    /// Empty if the current order has no name.
    now: String,
    #[serde(skip)]
    query: ListParams,
}

#[derive(Serialize)]
struct SortChoice {
    value: String,
    label: &'static str,
}

impl SortMenu {
    /// The `options` that `list` offers.
    pub fn new(options: &[SortOption], list: &List, query: &ListParams) -> Self {
        let value = |option: &SortOption, descending| {
            if descending {
                format!("-{}", option.name)
            } else {
                option.name.to_owned()
            }
        };
        let offered = options.iter().filter(|option| list.offers(option.by));
        let choices = offered.flat_map(|option| {
            [false, true].map(|descending| SortChoice {
                value: value(option, descending),
                label: option.labels[usize::from(descending)],
            })
        });
        let current = |sort: Sort| {
            let option = options.iter().find(|option| option.by == sort.by)?;
            Some(value(option, sort.descending))
        };
        Self {
            choices: choices.collect(),
            now: list.sort().and_then(current).unwrap_or_default(),
            query: query.clone(),
        }
    }

    /// The heading of a sortable column. A click sorts by `first`, the next one reverses the order. It is plain if the
    /// list does not offer that order.
    pub fn column(&self, label: &'static str, first: &str) -> SortColumn {
        let reversed = match first.strip_prefix('-') {
            Some(name) => name.to_owned(),
            None => format!("-{first}"),
        };
        let is_offered = self.choices.iter().any(|choice| choice.value == first);
        let next = if self.now == first { &reversed } else { first };
        let is_sorted = is_offered && [first, &reversed].contains(&self.now.as_str());
        let direction = if self.now.starts_with('-') {
            "descending"
        } else {
            "ascending"
        };
        SortColumn {
            sort: is_offered.then(|| self.query.link_with("sort", next)),
            sorted: is_sorted.then_some(direction),
            ..SortColumn::plain(label)
        }
    }
}

/// A column heading.
#[derive(Serialize)]
pub struct SortColumn {
    label: &'static str,
    /// The query string that sorts by it, if any.
    sort: Option<String>,
    /// `ascending` or `descending` if the list is sorted by it.
    sorted: Option<&'static str>,
    number: bool,
    /// Visually hidden, for screen readers.
    hidden: bool,
}

impl SortColumn {
    /// A heading without sorting.
    pub fn plain(label: &'static str) -> Self {
        Self {
            label,
            sort: None,
            sorted: None,
            number: false,
            hidden: false,
        }
    }

    /// A visually hidden heading, for screen readers.
    pub fn hidden(label: &'static str) -> Self {
        Self {
            hidden: true,
            ..Self::plain(label)
        }
    }

    /// The heading of a column of numbers.
    pub fn number(label: &'static str) -> Self {
        Self {
            number: true,
            ..Self::plain(label)
        }
    }
}
