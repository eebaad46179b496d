//! What lists have in common: what they were asked for, their order, their pages.

use serde::Serialize;
use uuid::Uuid;

use super::page::plain_query;
use crate::models::place::{Count, Key, Part, Place, Start};
use crate::web::templates::grouped;

/// Rows on a page of a list: what one looks through before narrowing the list is faster.
pub const PER_PAGE: i64 = 50;
/// The last page that is shown: by its number a page is found by passing over all rows before it.
pub const LAST_PAGE: i64 = 500;
/// Rows at which counting stops: with a million, an exact number would take longer than the page.
pub const COUNTED: i64 = 10_000;

/// What a list was asked for and makes sense, as links and forms repeat it. The page is not among it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Notes a parameter, if it has a value.
    pub fn note(&mut self, name: &'static str, value: Option<impl Into<String>>) {
        if let Some(value) = value
            .map(Into::into)
            .filter(|value: &String| !value.is_empty())
        {
            self.0.push((name, value));
        }
    }

    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it leaves anything out.
    pub fn narrows(&self) -> bool {
        self.0.iter().any(|(name, _)| *name != "sort")
    }

    /// The parameters as a link's query, with `name` set to `value`.
    pub fn with(&self, name: &str, value: &str) -> String {
        let others = self.0.iter().filter(|(other, _)| *other != name);
        let others = others.map(|(name, value)| (*name, value.as_str()));
        encoded(others.chain([(name, value)]))
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

/// The order that is asked for, if it makes sense: which, whether it falls, and what was asked.
pub fn order<'a, S: Copy>(
    orders: &[Order<S>],
    asked: Option<&'a str>,
) -> Option<((S, bool), &'a str)> {
    let asked = asked?;
    let (name, descending) = match asked.strip_prefix('-') {
        Some(name) => (name, true),
        None => (asked, false),
    };
    let order = orders.iter().find(|order| order.name == name)?;
    Some(((order.by, descending), asked))
}

/// A choice in a field of a form.
#[derive(Serialize)]
pub struct Choice {
    pub value: String,
    label: &'static str,
}

/// The orders as choices.
pub fn choices<S>(orders: &[Order<S>]) -> Vec<Choice> {
    let both = |order: &Order<S>| {
        let [rising, falling] = order.words;
        [
            Choice {
                value: order.name.into(),
                label: rising,
            },
            Choice {
                value: format!("-{}", order.name),
                label: falling,
            },
        ]
    };
    orders.iter().flat_map(both).collect()
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
    /// Whether it goes without saying to those who see it.
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

    /// One that only those hear who don't see the table.
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

    /// One that a click sorts by: `first` is the order to begin with, the other way comes with the
    /// next click.
    pub fn sorted_by(label: &'static str, first: &str, query: &Query, now: &str) -> Self {
        let reversed = match first.strip_prefix('-') {
            Some(name) => name.to_owned(),
            None => format!("-{first}"),
        };
        let next = if now == first {
            reversed.as_str()
        } else {
            first
        };
        let sorted = [first, reversed.as_str()].contains(&now).then(|| {
            if now.starts_with('-') {
                "descending"
            } else {
                "ascending"
            }
        });
        Self {
            sort: Some(query.with("sort", next)),
            sorted,
            ..Self::plain(label)
        }
    }

    /// The same without the next click.
    pub fn without_reverse(self) -> Self {
        let sort = self.sort.filter(|_| self.sorted.is_none());
        Self { sort, ..self }
    }
}

/// One page of a list: which, and what is around it.
#[derive(Serialize)]
pub struct Pages {
    number: i64,
    /// How many there are; none where they are not counted to the end.
    of: Option<i64>,
    previous: Option<String>,
    next: Option<String>,
}

impl Pages {
    /// Cuts what was read of `turn` to the page, and tells what is around it.
    pub fn of<T>(
        turn: &Turn,
        mut rows: Vec<(Place, T)>,
        count: Option<Count>,
        query: &Query,
    ) -> (Self, Vec<T>) {
        let (number, most) = (turn.number, usize::try_from(PER_PAGE).unwrap_or(usize::MAX));
        let comes_back = matches!(turn.part.start, Start::Before(_));
        let more = (comes_back || rows.len() > most) && number < LAST_PAGE;
        rows.truncate(most);
        let to = |page: i64, way, place: Option<&(Place, T)>| {
            let page = query.with("page", &page.to_string());
            match place {
                Some((place, _)) => format!("{page}&{}", encoded([(way, &*written(place))])),
                None => page,
            }
        };
        // The first page needs no place to end at.
        let first = rows.first().filter(|_| number > 2);
        let pages = Self {
            number,
            of: count
                .filter(|count| !count.more)
                .map(|count| ((count.rows + PER_PAGE - 1) / PER_PAGE).max(1))
                // The last may be another by now than when the link here was made.
                .filter(|of| number <= *of),
            previous: (number > 1).then(|| to(number - 1, "before", first)),
            next: more.then(|| to(number + 1, "after", rows.last())),
        };
        (pages, rows.into_iter().map(|(_, row)| row).collect())
    }
}

/// A place as links have it.
fn written(place: &Place) -> String {
    match &place.key {
        Key::Text(key) => format!("{}.{key}", place.id),
        Key::Number(key) => format!("{}.{key}", place.id),
    }
}

/// How many rows there are, as far as they are counted.
#[derive(Serialize)]
pub struct Counted {
    count: i64,
    more: bool,
    /// In words: "1,234", "10,000+".
    text: String,
}

impl Counted {
    /// As many as were counted.
    pub fn of(count: Count) -> Self {
        let plus = if count.more { "+" } else { "" };
        Self {
            count: count.rows,
            more: count.more,
            text: grouped(count.rows) + plus,
        }
    }
}

/// The page that is asked for.
pub struct Turn {
    number: i64,
    /// The rows to read: one more than fits, where it is not known whether there is another page.
    pub part: Part,
}

impl Turn {
    /// The page of that number, from 1; `after` and `before` say where it lies, wherever in the list that
    /// is by now. `key` reads the key of a place. What makes no sense counts as absent.
    pub fn to(
        number: Option<&str>,
        after: Option<&str>,
        before: Option<&str>,
        key: impl Fn(&str) -> Option<Key>,
    ) -> Self {
        let number = number
            .and_then(|page| page.parse().ok())
            .filter(|page| (1..=LAST_PAGE).contains(page))
            .unwrap_or(1);
        let place = |asked: Option<&str>| {
            let (id, text) = asked?.split_once('.')?;
            if text.contains(char::is_control) {
                return None;
            }
            let (id, key) = (Uuid::try_parse(id).ok()?.to_string(), key(text)?);
            Some(Place { key, id })
        };
        let (start, limit) = match (place(after), place(before)) {
            (Some(place), _) => (Start::After(place), PER_PAGE + 1),
            (None, Some(place)) => (Start::Before(place), PER_PAGE),
            (None, None) => (Start::Row((number - 1) * PER_PAGE), PER_PAGE + 1),
        };
        let part = Part { start, limit };
        Self { number, part }
    }

    /// The first page, where so few `rows` lie before a known one that they are the list's first.
    pub fn or_first(&self, rows: usize) -> Option<Self> {
        let read = i64::try_from(rows).unwrap_or(i64::MAX);
        let short = matches!(self.part.start, Start::Before(_)) && read < self.part.limit;
        short.then(|| Self {
            number: 1,
            part: Part::first(PER_PAGE + 1),
        })
    }

    /// `count` in the light of this page, of which `rows` were read.
    pub fn correct(&self, count: Count, rows: usize) -> Count {
        let read = i64::try_from(rows).unwrap_or(i64::MAX);
        // Only that tells how many rows come before, and only where some follow.
        let seen = match self.part.start {
            Start::Row(before) if before == 0 || read > 0 => before + read,
            _ => return count,
        };
        let is_last = read < self.part.limit;
        match count {
            Count { more: false, .. } => count,
            _ if is_last => Count {
                rows: seen,
                more: false,
            },
            Count { rows, more } => Count {
                rows: rows.max(seen),
                more,
            },
        }
    }
}

/// A filter's text, none if it is empty or can't be part of any name.
pub fn text(asked: Option<&str>) -> Option<&str> {
    Some(plain_query(asked)).filter(|text| !text.is_empty())
}
