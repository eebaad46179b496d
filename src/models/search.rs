//! Rows of a large table that several conditions let through, in order, a part at a time: in a time that
//! depends neither on how long the table is nor on how deep in the list the part lies.
//!
//! A condition that finds few rows leads to them, and they are put in order. Where each finds many, the
//! index of the order is walked from the part's start on: what they let through comes soon, unless they
//! rarely hold together, or hold at the far end alone. That is noticed after some rows, and then the
//! condition that finds fewest leads after all.
//!
//! Which conditions find few is counted, up to that many rows; PostgreSQL's own expectation spares it the
//! count of those that find far more.

use std::collections::HashMap;

use sqlx::FromRow;
use sqlx::any::AnyRow;

use super::condition::{Condition, Value};
use super::place::{Count, Key, Order, Part, Place, Start};
use crate::db::{Conn, Engine};

/// Numbers of rows that decide which way is taken, so that what they cost together stays near 50 ms with a
/// million rows (benches/README.md has what it comes to), unless a condition that finds more than `many` alone
/// holds at the far end of the order only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Where each condition finds more than this, they are not put in order at once.
    pub few: i64,
    /// So many of an index are walked in the hope to fill a part.
    pub walked: i64,
    /// More than this are not put in order, if there is a choice; PostgreSQL makes that by itself.
    pub many: i64,
}

impl Limits {
    const USUAL: Self = Self {
        few: 20_000,
        walked: 20_000,
        many: 300_000,
    };
}

/// The table that is searched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    /// Its name, with the alias `t`.
    pub name: &'static str,
    /// The columns that conditions and orders ask for.
    pub columns: &'static str,
}

/// A condition, and how it gets along with indexes.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    condition: Condition,
    /// An index leads to the rows that it lets through.
    pub(super) leads: bool,
    pub(super) along: Option<&'static str>,
    /// What all that it lets through begins with, if that is what it asks for.
    prefix: Option<String>,
    /// What the number that it asks for lies between, if that is so.
    pub(super) range: Option<Range>,
}

/// Bounds of a column: from the first on, before the second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    column: &'static str,
    from: Option<i64>,
    until: Option<i64>,
}

impl Range {
    fn condition(self) -> Condition {
        let mut condition = Condition::default();
        if let Some(from) = self.from {
            condition.and(&format!("{} >= ?", self.column), [from.into()]);
        }
        if let Some(until) = self.until {
            condition.and(&format!("{} < ?", self.column), [until.into()]);
        }
        condition
    }

    /// The same without the bound that `key` implies, where it is read from there on: SQLite begins at
    /// either, and may take the one that lies farther off.
    fn beyond(self, key: i64, descending: bool) -> Self {
        let (from, until) = (self.from, self.until);
        Self {
            from: from.filter(|from| descending || key < *from),
            until: until.filter(|until| !descending || key >= *until),
            ..self
        }
    }
}

impl Clause {
    /// One that is only looked at.
    pub(super) fn new(sql: &str, value: impl Into<Value>) -> Self {
        let mut condition = Condition::default();
        condition.and(sql, [value.into()]);
        condition.into()
    }

    /// One for what begins with `prefix`, as [`Condition::and_beginning`] takes it.
    pub(super) fn beginning(sql: &str, prefix: &str) -> Self {
        let mut condition = Condition::default();
        condition.and_beginning(sql, prefix);
        Self {
            prefix: Some(prefix.to_owned()),
            ..condition.into()
        }
    }

    /// One for a number from `from` on, before `until`.
    pub(super) fn between(column: &'static str, from: Option<i64>, until: Option<i64>) -> Self {
        let range = Range {
            column,
            from,
            until,
        };
        Self {
            range: Some(range),
            ..range.condition().into()
        }
    }

    /// One for a number up to `last`, that too.
    pub(super) fn up_to(column: &'static str, last: i64) -> Self {
        Self::between(column, None, Some(last.saturating_add(1)))
    }

    /// One for a number greater than `last`.
    pub(super) fn past(column: &'static str, last: i64) -> Self {
        Self::between(column, Some(last.saturating_add(1)), None)
    }

    /// What is left to ask of rows that are read from that place on, in the order of what it asks for.
    fn beyond(&self, place: Option<&Place>, descending: bool) -> Condition {
        match (self.range, place.map(|place| &place.key)) {
            (Some(range), Some(Key::Number(key))) => range.beyond(*key, descending).condition(),
            _ => self.condition.clone(),
        }
    }

    /// That index leads to the rows that it lets through, which stand together there.
    pub(super) fn leading(self, index: &'static str) -> Self {
        Self {
            leads: true,
            ..self.along(index)
        }
    }

    /// How many rows it finds, counted up to `most`.
    pub(super) async fn count(&self, db: &mut Conn, table: Table, most: i64) -> sqlx::Result<i64> {
        self.condition.clone().count(db, table.name, most).await
    }

    /// Whether PostgreSQL expects it to find far more rows than that, which spares counting so many of them.
    /// Where that is wrong another way leads to the same rows, some milliseconds longer.
    pub(super) async fn finds_many(
        &self,
        db: &mut Conn,
        table: Table,
        few: i64,
    ) -> sqlx::Result<bool> {
        let expected = self.condition.clone().expected(db, table.name).await?;
        Ok(expected.is_some_and(|rows| rows / 2 > few))
    }

    /// Whether all that it lets through comes after that key.
    fn comes_after(&self, key: &Key, descending: bool) -> bool {
        let (Some(prefix), Key::Text(key)) = (&self.prefix, key) else {
            return false;
        };
        !key.starts_with(prefix) && (key > prefix) == descending
    }

    /// What it lets through stands together in that index.
    pub(super) fn along(self, index: &'static str) -> Self {
        Self {
            along: Some(index),
            ..self
        }
    }
}

impl From<Condition> for Clause {
    fn from(condition: Condition) -> Self {
        Self {
            condition,
            leads: false,
            along: None,
            prefix: None,
            range: None,
        }
    }
}

/// An order, and the index that has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Indexed {
    /// The order, of the alias `t`.
    pub order: Order,
    /// Whether its key is a number.
    pub numeric: bool,
    /// The index.
    pub index: &'static str,
}

/// Conditions that all have to hold.
#[derive(Debug)]
pub(super) struct Search {
    engine: Engine,
    table: Table,
    clauses: Vec<Clause>,
    pub(super) limits: Limits,
    /// The condition that finds fewest rows, if those are few.
    pub(super) leader: Option<usize>,
}

impl Search {
    /// Looks for conditions that find few rows.
    pub(super) async fn begin(
        db: &mut Conn,
        engine: Engine,
        table: Table,
        clauses: Vec<Clause>,
    ) -> sqlx::Result<Self> {
        let limits = Limits::USUAL;
        let mut counted = vec![];
        for (place, clause) in leading(&clauses) {
            if engine == Engine::Sqlite || !clause.finds_many(db, table, limits.few).await? {
                counted.push((place, clause));
            }
        }
        let leader = fewest(db, table, counted, limits.few).await?;
        Ok(Self {
            engine,
            table,
            clauses,
            limits,
            leader,
        })
    }

    /// How many rows it finds that meet `further` conditions, counted up to `most`: of all, or of the first
    /// few that some condition finds.
    pub(super) async fn count(
        &self,
        db: &mut Conn,
        further: &Condition,
        most: i64,
        all: bool,
    ) -> sqlx::Result<Count> {
        let leader = (self.leader).or_else(|| self.clauses.iter().position(|clause| clause.leads));
        let looked_at = if all { i64::MAX } else { self.limits.few };
        let mut condition = Condition::default();
        let mut others = self.others(|place, _| Some(place) != leader);
        others.and_all(further.clone());
        let from = match leader {
            Some(leader) => {
                let asked = |column: &str| others.speaks_of(column);
                let leads = |place| place == leader;
                self.led_by(leads, looked_at, asked, &mut condition)
            }
            None => self.table.name.to_owned(),
        };
        condition.and_all(others);
        let rows = condition.count(db, &from, most + 1).await?;
        let more = leader.is_some() && self.leader.is_none() && !all;
        Ok(Count { rows, more }.up_to(most))
    }

    /// The places of a part's rows, in the order in which it is read.
    pub(super) async fn places(
        &self,
        db: &mut Conn,
        order: Indexed,
        part: &Part,
    ) -> sqlx::Result<Vec<Place>> {
        // What lies together in the order's index needs not be put in order.
        let along = |clause: &Clause| clause.along == Some(order.index);
        let leads_along = |leader: usize| self.clauses.get(leader).is_some_and(along);
        if self.clauses.iter().all(along) || self.leader.is_some_and(leads_along) {
            return self.walked(db, order, part, None).await;
        }
        if let Some(leader) = self.leader {
            return self.sorted(db, order, part, leader).await;
        }
        let found = self.walked_in_steps(db, order, part).await?;
        if i64::try_from(found.len()) == Ok(part.limit) {
            return Ok(found);
        }
        let leading: Vec<_> = leading(&self.clauses).collect();
        let leader = match leading[..] {
            // PostgreSQL chooses by itself, for less than counting costs.
            [_, _, ..] if self.engine == Engine::Sqlite => {
                fewest(db, self.table, leading, self.limits.many).await?
            }
            _ => leading.first().map(|(place, _)| *place),
        };
        match leader {
            Some(leader) => self.sorted(db, order, part, leader).await,
            None => self.walked(db, order, part, None).await,
        }
    }

    /// Walks as many rows as is worth the hope, and as many again where those had half of the part or more: the
    /// rest is near then, and putting what a condition finds in order costs more.
    async fn walked_in_steps(
        &self,
        db: &mut Conn,
        order: Indexed,
        part: &Part,
    ) -> sqlx::Result<Vec<Place>> {
        let most = self.limits.walked + part.offset().saturating_mul(50);
        let mut found = self.walked(db, order, part, Some(most)).await?;
        let missing = part.limit - i64::try_from(found.len()).unwrap_or(part.limit);
        let Some(last) = found
            .last()
            .filter(|_| (1..=part.limit / 2).contains(&missing))
        else {
            return Ok(found);
        };
        let rest = Part {
            start: Start::After(last.clone()),
            limit: missing,
        };
        found.extend(self.walked(db, order, &rest, Some(most)).await?);
        Ok(found)
    }

    /// Reads what one condition finds, or on PostgreSQL what all do, and puts it in order.
    ///
    /// SQLite is told the index, and so holds rows against the other conditions as it reads them; out of a table
    /// of its own it would copy each first, which takes twice as long. PostgreSQL knows best which index to take,
    /// and looks at all conditions there.
    async fn sorted(
        &self,
        db: &mut Conn,
        order: Indexed,
        part: &Part,
        leader: usize,
    ) -> sqlx::Result<Vec<Place>> {
        let mut condition = Condition::default();
        let index = self.clauses.get(leader).and_then(|clause| clause.along);
        let from = if let (Engine::Sqlite, Some(index)) = (self.engine, index) {
            condition.and_all(self.others(|_, _| true));
            format!("{} INDEXED BY {index}", self.table.name)
        } else {
            let Order { key, id, .. } = order.order;
            let asked = |column: &str| key.contains(column) || id.contains(column);
            self.led_by(|_| true, i64::MAX, asked, &mut condition)
        };
        order.order.begin(part, &mut condition);
        let (clauses, way) = (condition.sql(), order.order.sql());
        let from = format!("{from} WHERE {clauses} ORDER BY {way}");
        fetch(db, order, part, condition, &from).await
    }

    /// Walks the order's index from the part's start on, at most so many rows of it.
    async fn walked(
        &self,
        db: &mut Conn,
        order: Indexed,
        part: &Part,
        most: Option<i64>,
    ) -> sqlx::Result<Vec<Place>> {
        let is_along = |clause: &Clause| clause.along == Some(order.index);
        let mut condition = Condition::default();
        for clause in self.clauses.iter().filter(|clause| is_along(clause)) {
            condition.and_all(clause.beyond(part.place(), order.order.descending));
        }
        // Given two places to begin at, PostgreSQL may take the one that lies farther off.
        let begins = part.place().is_some_and(|place| {
            let mut along = self.clauses.iter().filter(|clause| is_along(clause));
            along.any(|clause| clause.comes_after(&place.key, order.order.descending))
        });
        if !begins {
            order.order.begin(part, &mut condition);
        }
        let mut scattered = self.others(|_, clause| !is_along(clause));
        if most.is_none() {
            condition.and_all(std::mem::take(&mut scattered));
        }
        let (clauses, way, name) = (condition.sql(), order.order.sql(), self.table.name);
        // By itself SQLite takes an index of some condition, and puts all that it finds in order.
        let forced = match self.engine {
            Engine::Sqlite => format!("INDEXED BY {}", order.index),
            Engine::Postgres => String::new(),
        };
        let mut from = format!("{name} {forced} WHERE {clauses} ORDER BY {way}");
        if let Some(most) = most {
            // Rows come out of it in the order in which they went in: neither database promises that, but
            // both do so, and a test compares the ways.
            let (columns, most) = (self.table.columns, condition.bind(most));
            condition.and_all(scattered);
            let clauses = condition.sql();
            from = format!("(SELECT {columns} FROM {from} LIMIT {most}) AS t WHERE {clauses}");
        }
        fetch(db, order, part, condition, &from).await
    }

    /// What some conditions find, at most so much of it, as a table `t` of the columns that are asked for: for
    /// any that an index has not, SQLite looks up every row. Also where it is never reached, the limit keeps
    /// databases from taking the index of the order instead.
    fn led_by(
        &self,
        leads: impl Fn(usize) -> bool,
        most: i64,
        asked: impl Fn(&str) -> bool,
        condition: &mut Condition,
    ) -> String {
        condition.and_all(self.others(|place, _| leads(place)));
        let clauses = condition.sql();
        let Table { name, columns } = self.table;
        let columns: Vec<&str> = columns.split(", ").filter(|column| asked(column)).collect();
        let columns = match columns[..] {
            [] => "1 AS one".to_owned(),
            _ => columns.join(", "),
        };
        format!("(SELECT {columns} FROM {name} WHERE {clauses} LIMIT {most}) AS t")
    }

    fn others(&self, which: impl Fn(usize, &Clause) -> bool) -> Condition {
        let mut condition = Condition::default();
        for (place, clause) in self.clauses.iter().enumerate() {
            if which(place, clause) {
                condition.and_all(clause.condition.clone());
            }
        }
        condition
    }
}

/// The conditions that an index leads to, with their places.
fn leading(clauses: &[Clause]) -> impl Iterator<Item = (usize, &Clause)> {
    clauses
        .iter()
        .enumerate()
        .filter(|(_, clause)| clause.leads)
}

/// Which of these conditions finds fewest rows, if one finds fewer than `most`.
async fn fewest(
    db: &mut Conn,
    table: Table,
    clauses: Vec<(usize, &Clause)>,
    most: i64,
) -> sqlx::Result<Option<usize>> {
    let (mut fewest, mut least) = (None, most);
    for (place, clause) in clauses {
        let found = clause.count(db, table, least).await?;
        if found < least {
            (fewest, least) = (Some(place), found);
        }
    }
    Ok(fewest)
}

async fn fetch(
    db: &mut Conn,
    order: Indexed,
    part: &Part,
    mut condition: Condition,
    from: &str,
) -> sqlx::Result<Vec<Place>> {
    let Order { key, id, .. } = order.order;
    let (limit, offset) = (condition.bind(part.limit), condition.bind(part.offset()));
    let sql = format!("SELECT {key} AS key, {id} AS id FROM {from} LIMIT {limit} OFFSET {offset}");
    if order.numeric {
        return Ok(places(condition.fetch::<Numbered>(db, sql).await?));
    }
    Ok(places(condition.fetch::<Named>(db, sql).await?))
}

#[derive(FromRow)]
struct Numbered {
    key: i64,
    id: String,
}

#[derive(FromRow)]
struct Named {
    key: String,
    id: String,
}

fn places<T: Into<Place>>(rows: Vec<T>) -> Vec<Place> {
    rows.into_iter().map(Into::into).collect()
}

impl From<Numbered> for Place {
    fn from(row: Numbered) -> Self {
        let key = Key::Number(row.key);
        Self { key, id: row.id }
    }
}

impl From<Named> for Place {
    fn from(row: Named) -> Self {
        let key = Key::Text(row.key);
        Self { key, id: row.id }
    }
}

/// The places of a part's rows that any of several searches finds, as the list has them.
///
/// # Errors
/// The database failed.
pub(super) async fn places_of_any(
    db: &mut Conn,
    searches: &[Search],
    order: Indexed,
    part: &Part,
) -> sqlx::Result<Vec<Place>> {
    let order = Indexed {
        order: order.order.of(part),
        ..order
    };
    let mut found = match searches {
        [search] => search.places(db, order, part).await?,
        several => {
            let (mut found, whole) = (vec![], part.whole());
            for search in several {
                found.extend(search.places(db, order, &whole).await?);
            }
            found.sort();
            found.dedup();
            if order.order.descending {
                found.reverse();
            }
            part.cut(found)
        }
    };
    if part.is_backward() {
        found.reverse();
    }
    Ok(found)
}

/// What is read at most, where rows go while they are read.
const TRIES: usize = 3;

/// A part's rows that any of several searches finds, each with its place. `select` names their columns and
/// tables, one of them `t`; `id` is a row's.
///
/// # Errors
/// The database failed.
pub(super) async fn rows_of_any<T>(
    db: &mut Conn,
    searches: &[Search],
    order: Indexed,
    part: &Part,
    (select, id): (&str, fn(&T) -> String),
) -> sqlx::Result<Vec<(Place, T)>>
where
    T: Send + Unpin + for<'r> FromRow<'r, AnyRow>,
{
    let mut rows = vec![];
    for _ in 0..TRIES {
        let places = places_of_any(db, searches, order, part).await?;
        let wanted = places.len();
        let found = rows_at(db, select, &places).await?;
        rows = in_place(places, found, id);
        // One less would look like the list's end.
        if rows.len() == wanted {
            break;
        }
    }
    Ok(rows)
}

async fn rows_at<T>(db: &mut Conn, select: &str, places: &[Place]) -> sqlx::Result<Vec<T>>
where
    T: Send + Unpin + for<'r> FromRow<'r, AnyRow>,
{
    if places.is_empty() {
        return Ok(vec![]);
    }
    let marks = vec!["?"; places.len()].join(", ");
    let ids = places.iter().map(|place| Value::from(place.id.as_str()));
    let mut condition = Condition::default();
    condition.and(&format!("t.id IN ({marks})"), ids);
    let clauses = condition.sql();
    condition
        .fetch(db, format!("{select} WHERE {clauses}"))
        .await
}

/// Rows with their places, in the places' order.
fn in_place<T>(places: Vec<Place>, rows: Vec<T>, id: fn(&T) -> String) -> Vec<(Place, T)> {
    let mut rows: HashMap<String, T> = rows.into_iter().map(|row| (id(&row), row)).collect();
    let placed = |place: Place| rows.remove(&place.id).map(|row| (place, row));
    places.into_iter().filter_map(placed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_takes_over_the_bound_that_it_implies_and_no_other() {
        let range = Range {
            column: "t.at",
            from: Some(10),
            until: Some(20),
        };
        let beyond = |key, descending| {
            let Range { from, until, .. } = range.beyond(key, descending);
            (from, until)
        };
        assert_eq!(beyond(15, true), (Some(10), None));
        assert_eq!(beyond(15, false), (None, Some(20)));
        // A place that lies outside, as somebody may type it.
        assert_eq!(beyond(20, true), (Some(10), Some(20)));
        assert_eq!(beyond(9, false), (Some(10), Some(20)));
    }
}
