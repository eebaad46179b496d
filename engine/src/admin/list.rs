//! List queries: filters, sort order and cursor, read from the request's parameters.

mod pager;
mod sorting;

use std::collections::BTreeMap;
use std::fmt::Display;

use rocket::form::{self, DataField, Options, ValueField};
use serde::Serialize;

pub use self::pager::{CountView, Pager};
pub use self::sorting::{SortColumn, SortMenu, SortOption};
use crate::identity::{ClientName, canonical, is_control};
use crate::models::list::{List, PagePosition, Sort};
use crate::web::body::Fields;

/// Rows per page. To find a row among more, filtering is faster than paging.
pub const PER_PAGE: usize = 50;

/// Parameters that are not filters.
const NON_FILTERS: [&str; 2] = ["sort", "tz"];
const CURSOR_PARAMETERS: [&str; 2] = ["after", "before"];

/// The parameters of a list request. Add `query: ListParams` to a handler for `?<query..>` and read each parameter by
/// name. An invalid value counts as absent. Links, chips and forms repeat the parameters in the order in which the
/// handler read them, without the cursor.
#[derive(Debug, Clone, Default)]
pub struct ListParams {
    /// The parameters of the request. Of a repeated one, the first counts.
    parameters: Vec<(String, String)>,
    /// The parameters that were read. Absent and invalid ones are empty.
    read: Vec<(&'static str, String)>,
    /// Whether a filter was invalid or repeated. A list may ignore that. Bulk revocation must not, because it would
    /// revoke more than the admin intended.
    pub has_invalid: bool,
}

#[rocket::async_trait]
impl<'r> form::FromForm<'r> for ListParams {
    type Context = Self;

    fn init(_: Options) -> Self {
        <Self as Default>::default()
    }

    fn push_value(query: &mut Self, field: ValueField<'r>) {
        let name = field.name.key_lossy().as_str();
        query
            .parameters
            .push((name.to_owned(), field.value.to_owned()));
    }

    async fn push_data(_: &mut Self, _: DataField<'r, '_>) {}

    fn finalize(query: Self) -> form::Result<'r, Self> {
        Ok(query)
    }
}

/// A filter in use, with a link that removes it.
#[derive(Serialize)]
pub struct Chip<'a> {
    name: &'a str,
    value: &'a str,
    /// The query without it.
    without: String,
}

impl ListParams {
    /// The query that a form repeats in its fields, apart from the fields named in `others`.
    pub fn from_fields(fields: &Fields, others: &[&str]) -> Self {
        let mut query = Self::default();
        for name in fields.names().filter(|name| !others.contains(name)) {
            let values = fields.all(name).into_iter();
            let pairs = values.map(|value| (name.to_owned(), value.to_owned()));
            query.parameters.extend(pairs);
            query.has_invalid |= !fields.is_single(name);
        }
        query
    }

    /// Reads a parameter with `parse`, which returns the value and the text to repeat.
    fn read_with<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<(T, String)>,
    ) -> Option<T> {
        let values = self.parameters.iter().filter(|(other, _)| other == name);
        let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
        let parsed = values.first().and_then(|value| parse(value));
        let is_given = values.iter().any(|value| !value.is_empty());
        self.has_invalid |= values.len() > 1 || is_given && parsed.is_none();
        let (value, text) = parsed.unzip();
        self.read.retain(|(other, _)| *other != name);
        self.read.push((name, text.unwrap_or_default()));
        value
    }

    /// Reads a parameter. Links repeat it as its value's `Display`.
    pub fn value<T: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.read_with(name, |text| {
            let value = parse(text)?;
            let text = value.to_string();
            Some((value, text))
        })
    }

    /// Reads a parameter that is a keyword.
    pub fn keyword<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.read_with(name, |word| Some((parse(word)?, word.to_owned())))
    }

    /// Reads a parameter that is a name or part of one.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.value(name, |text| name_text(text).map(str::to_owned))
    }

    /// Reads the sort order.
    pub fn sort(&mut self, options: &[SortOption]) -> Option<Sort> {
        self.keyword("sort", |value| SortOption::parse(options, value))
    }

    /// The position of the page, from `after` or `before`. An invalid cursor counts as absent.
    pub fn position(&self, list: &List) -> PagePosition {
        let cursor = |name: &str| {
            let (_, text) = self.parameters.iter().find(|(other, _)| other == name)?;
            list.cursor(text)
        };
        match (cursor(CURSOR_PARAMETERS[0]), cursor(CURSOR_PARAMETERS[1])) {
            (Some(cursor), _) => PagePosition::After(cursor),
            (None, Some(cursor)) => PagePosition::Before(cursor),
            (None, None) => PagePosition::First,
        }
    }

    /// Whether the request has a parameter that was not read and is not in `others`, such as a misspelt filter.
    pub fn has_unknown(&self, others: &[&str]) -> bool {
        let is_known = |name: &str| {
            let mut read = self.read.iter();
            let is_other = [&NON_FILTERS, &CURSOR_PARAMETERS, others]
                .concat()
                .contains(&name);
            is_other || read.any(|(other, _)| *other == name)
        };
        self.parameters.iter().any(|(name, _)| !is_known(name))
    }

    /// The parameters that have a value.
    pub fn non_empty(&self) -> impl Iterator<Item = (&str, &str)> {
        let read = self
            .read
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        read.filter(|(_, value)| !value.is_empty())
    }

    fn filters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.non_empty()
            .filter(|(name, _)| !NON_FILTERS.contains(name))
    }

    /// Whether any filter is set.
    pub fn has_filters(&self) -> bool {
        self.filters().next().is_some()
    }

    /// The filters in use.
    pub fn chips(&self) -> Vec<Chip<'_>> {
        let chip = |(name, value)| Chip {
            name,
            value,
            // `older` is a version of the device, so both go.
            without: match name {
                "device" => self.link_without(&["device", "older"], None),
                _ => self.link_without(&[name], None),
            },
        };
        self.filters().map(chip).collect()
    }

    /// The filters as text for the audit log, such as "client=web status=live".
    pub fn description(&self) -> String {
        let words = self
            .filters()
            .map(|(name, value)| format!("{name}={value}"));
        let words: Vec<_> = words.collect();
        if words.is_empty() {
            "all".into()
        } else {
            words.join(" ")
        }
    }

    /// The parameters by name, for a form's fields. Unset ones are empty.
    pub fn values(&self) -> BTreeMap<&'static str, &str> {
        let read = self.read.iter();
        read.map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// The query string of a link to the same list.
    pub fn link(&self) -> String {
        self.link_without(&[], None)
    }

    /// The same query string, with `name` set to `value`.
    pub fn link_with(&self, name: &str, value: &str) -> String {
        self.link_without(&[name], Some((name, value)))
    }

    /// The same query string, without the parameters `removed` and with `added`.
    pub fn link_without(&self, removed: &[&str], added: Option<(&str, &str)>) -> String {
        let rest = self.non_empty().filter(|(name, _)| !removed.contains(name));
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(rest.chain(added))
            .finish()
    }
}

/// The trimmed text, if it can be part of a name.
pub(super) fn name_text(text: &str) -> Option<&str> {
    let text = text.trim();
    let fits = text.chars().count() <= ClientName::MAX && !text.chars().any(is_control);
    Some(text).filter(|text| fits && !canonical(text).is_empty())
}
