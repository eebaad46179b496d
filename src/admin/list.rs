//! What lists have in common: what they were asked for, their order, their pages.

use std::collections::BTreeMap;

use serde::Serialize;

use super::page::plain_query;
use crate::models::list::{Count, List, Page, Start};
use crate::web::templates::grouped;

/// Rows on a page of a list: what one looks through before narrowing the list is faster.
pub const PER_PAGE: usize = 50;

/// What a list was asked for and is valid, as links and forms repeat it. The page is not part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Query(Vec<(&'static str, String)>);

/// What of a query is no filter.
const NO_FILTERS: [&str; 2] = ["sort", "tz"];

/// A filter that is set.
#[derive(Serialize)]
pub struct Chip {
    /// The parameter.
    name: &'static str,
    value: String,
    /// The query without it.
    without: String,
}

impl Query {
    /// Notes a parameter, if it has a value.
    pub fn note(&mut self, name: &'static str, value: Option<impl Into<String>>) {
        let value = value
            .map(Into::into)
            .filter(|value: &String| !value.is_empty());
        self.0.extend(value.map(|value| (name, value)));
    }

    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it leaves anything out.
    pub fn narrows(&self) -> bool {
        self.filters().next().is_some()
    }

    fn filters(&self) -> impl Iterator<Item = &(&'static str, String)> {
        self.0.iter().filter(|(name, _)| !NO_FILTERS.contains(name))
    }

    /// The filters that are set.
    pub fn chips(&self) -> Vec<Chip> {
        let chip = |(name, value): &(&'static str, String)| Chip {
            name,
            value: value.clone(),
            without: self.without(name),
        };
        self.filters().map(chip).collect()
    }

    /// The filters in words, for the audit log: "client=web status=live".
    pub fn described(&self) -> String {
        let words: Vec<_> = self
            .filters()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if words.is_empty() {
            "all".into()
        } else {
            words.join(" ")
        }
    }

    /// The parameters as a link's query, with `name` set to `value`.
    pub fn with(&self, name: &str, value: &str) -> String {
        let others = self.0.iter().filter(|(other, _)| *other != name);
        let others = others.map(|(name, value)| (*name, value.as_str()));
        encoded(others.chain([(name, value)]))
    }

    /// The parameters as a link's query, with a preset in place of dates.
    pub fn with_preset(&self, preset: &str) -> String {
        let others = self
            .0
            .iter()
            .filter(|(name, _)| !["from", "to"].contains(name));
        Self(others.cloned().collect()).with("last", preset)
    }

    /// The parameters as a link's query, without `name`. A version is one of the device.
    fn without(&self, name: &str) -> String {
        let goes = |other: &str| other == name || name == "device" && other == "older";
        let others = self.0.iter().filter(|(other, _)| !goes(other));
        encoded(others.map(|(name, value)| (*name, value.as_str())))
    }

    /// These parameters, for the fields of a form; empty where they are not set.
    pub fn values(&self, names: &[&'static str]) -> BTreeMap<&'static str, &str> {
        let value = |name: &&str| self.0.iter().find(|(set, _)| set == name);
        let values = names
            .iter()
            .map(|name| (*name, value(name).map_or("", |(_, value)| value.as_str())));
        values.collect()
    }

    /// The parameters as a link's query.
    pub fn text(&self) -> String {
        encoded(self.0.iter().map(|(name, value)| (*name, value.as_str())))
    }
}

fn encoded<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// An order that a list can be put in.
pub struct Order<S: 'static> {
    /// What it goes by in the query.
    pub name: &'static str,
    /// What it is.
    pub by: S,
    /// What it is called, rising and falling.
    pub words: [&'static str; 2],
}

/// The order that is asked for, if there is one like that: which, and whether it falls.
pub fn order<S: Copy>(orders: &[Order<S>], asked: Option<&str>) -> Option<(S, bool)> {
    let asked = asked?;
    let (name, descending) = match asked.strip_prefix('-') {
        Some(name) => (name, true),
        None => (asked, false),
    };
    let order = orders.iter().find(|order| order.name == name)?;
    Some((order.by, descending))
}

/// The orders that a list offers, and the one that it is in.
#[derive(Serialize)]
pub struct Sorting {
    choices: Vec<Choice>,
    /// Empty where it has no name.
    now: String,
    #[serde(skip)]
    query: Query,
}

#[derive(Serialize)]
struct Choice {
    value: String,
    label: &'static str,
}

impl Sorting {
    /// Of those orders, the ones that are offered.
    pub fn of<S: Copy + PartialEq>(
        orders: &[Order<S>],
        offered: &[S],
        sorted: Option<(S, bool)>,
        query: &Query,
    ) -> Self {
        let value = |order: &Order<S>, falls| {
            if falls {
                format!("-{}", order.name)
            } else {
                order.name.to_owned()
            }
        };
        let offered = orders.iter().filter(|order| offered.contains(&order.by));
        let choices = offered.flat_map(|order| {
            [false, true].map(|falls| Choice {
                value: value(order, falls),
                label: order.words[usize::from(falls)],
            })
        });
        let order = |(by, falls)| orders.iter().find(|o| o.by == by).map(|o| value(o, falls));
        Self {
            choices: choices.collect(),
            now: sorted.and_then(order).unwrap_or_default(),
            query: query.clone(),
        }
    }

    /// The heading of a column that `first` sorts by, where that is offered; the other way comes with the next
    /// click.
    pub fn column(&self, label: &'static str, first: &str) -> Column {
        let reversed = match first.strip_prefix('-') {
            Some(name) => name.to_owned(),
            None => format!("-{first}"),
        };
        let is_offered = self.choices.iter().any(|choice| choice.value == first);
        let next = if self.now == first { &reversed } else { first };
        let is_sorted = is_offered && [first, &reversed].contains(&self.now.as_str());
        let way = if self.now.starts_with('-') {
            "descending"
        } else {
            "ascending"
        };
        Column {
            sort: is_offered.then(|| self.query.with("sort", next)),
            sorted: is_sorted.then_some(way),
            ..Column::plain(label)
        }
    }
}

/// The heading of a column.
#[derive(Serialize)]
pub struct Column {
    label: &'static str,
    /// The query that sorts by it; none if nothing does.
    sort: Option<String>,
    /// `ascending` or `descending` if the list is sorted by it.
    sorted: Option<&'static str>,
    /// Whether its cells are numbers.
    number: bool,
    /// Whether it is visually hidden, for screen readers.
    hidden: bool,
}

impl Column {
    /// One that the list can't be sorted by.
    pub fn plain(label: &'static str) -> Self {
        Self {
            label,
            sort: None,
            sorted: None,
            number: false,
            hidden: false,
        }
    }

    /// One that is visually hidden, for screen readers.
    pub fn hidden(label: &'static str) -> Self {
        Self {
            hidden: true,
            ..Self::plain(label)
        }
    }

    /// One of numbers.
    pub fn number(label: &'static str) -> Self {
        Self {
            number: true,
            ..Self::plain(label)
        }
    }
}

/// The links to the pages around one.
#[derive(Serialize)]
pub struct Pager {
    previous: Option<String>,
    next: Option<String>,
    /// Where the search goes on, if the page was cut.
    further: Option<String>,
    /// Whether the page ends because so many rows were searched.
    is_cut: bool,
    /// Whether this is not the first page.
    is_further: bool,
}

impl Pager {
    /// Those of a page.
    pub fn of<T>(page: &Page<T>, query: &Query) -> Self {
        let to = |way, place: &Option<_>| {
            let place: Option<String> = place.as_ref().map(ToString::to_string);
            place.map(|place| query.with(way, &place))
        };
        let (previous, next) = (to("before", &page.previous), to("after", &page.next));
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

/// Where a page begins, as `after` and `before` ask for it; an invalid place counts as absent.
pub fn start(list: &List, after: Option<&str>, before: Option<&str>) -> Start {
    let place = |asked: Option<&str>| asked.and_then(|text| list.cursor(text));
    match (place(after), place(before)) {
        (Some(place), _) => Start::After(place),
        (None, Some(place)) => Start::Before(place),
        (None, None) => Start::First,
    }
}

/// How many rows there are, as far as they are counted.
#[derive(Serialize)]
pub struct Counted {
    count: i64,
    more: bool,
    /// In words: "1,234", "1,000+".
    text: String,
}

impl From<Count> for Counted {
    fn from(count: Count) -> Self {
        let plus = if count.more { "+" } else { "" };
        Self {
            count: count.rows,
            more: count.more,
            text: grouped(count.rows) + plus,
        }
    }
}

/// A filter's text, none if it is empty or can't be part of any name.
pub fn text(asked: Option<&str>) -> Option<&str> {
    Some(plain_query(asked)).filter(|text| !text.is_empty())
}
