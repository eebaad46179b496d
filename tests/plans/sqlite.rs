//! Plans as SQLite explains them. It does not say how many rows a step visits: what counts is how it comes
//! to them.
//!
//! * `SEARCH` finds them by an index. Without a value that something has to be equal to, it reads from
//!   there to the end: that has to be cut short by a `LIMIT`.
//! * `SCAN … USING INDEX` walks an index from one end. That is how a list has an order, and a `LIMIT` ends
//!   it, if what is left out on the way is rare. An index that holds few rows alone may be walked.
//! * `SCAN` without an index, and an `AUTOMATIC` one, which is made for the moment, read it all.

use std::collections::HashSet;
use std::sync::Mutex;

use sqlx::any::{AnyConnectOptions, AnyRow};
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions, Row};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::plan::{Fault, Sent, one_line};
use super::{LARGE, tour};

/// What nearly every row meets.
const COMMON: [&str; 3] = ["1 = 1", "disabled_at IS NULL", "role = 'user'"];

static SENT: Mutex<Vec<String>> = Mutex::new(vec![]);

/// Begins to note every statement that this process sends.
pub fn listen() {
    tracing_subscriber::registry().with(Listener).init();
}

/// The statements so far, each once.
pub fn sent() -> Vec<Sent> {
    let (mut step, mut seen) = (String::new(), HashSet::new());
    let mut sent = vec![];
    for statement in std::mem::take(&mut *SENT.lock().unwrap()) {
        if let Some(begun) = tour::step(&statement) {
            begun.clone_into(&mut step);
        } else if seen.insert(statement.clone()) {
            let step = step.clone();
            sent.push(Sent { statement, step });
        }
    }
    sent
}

struct Listener;

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            let mut statement = Statement::default();
            event.record(&mut statement);
            SENT.lock().unwrap().push(statement.text());
        }
    }
}

/// A statement as sqlx tells of it.
#[derive(Default)]
struct Statement {
    /// Its first words.
    summary: String,
    /// All of it; nothing if that is no more.
    whole: String,
}

impl Statement {
    fn text(&self) -> String {
        let whole = one_line(&self.whole);
        if whole.is_empty() {
            return one_line(&self.summary);
        }
        whole
    }
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// Those of the statements that read too much.
pub async fn faults(url: &str, sent: &[Sent]) -> Vec<Fault> {
    let options: AnyConnectOptions = url.parse().unwrap();
    let mut db = options.disable_statement_logging().connect().await.unwrap();
    let few = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'";
    let few: Vec<String> = sqlx::query_scalar(few).fetch_all(&mut db).await.unwrap();
    let mut faults = vec![];
    for sent in sent.iter().filter(|sent| reads(&sent.statement)) {
        let plan = Plan::of(&mut db, &sent.statement).await;
        if let Some(why) = plan.fault(&few) {
            let (sent, plan) = (sent.clone(), plan.text());
            faults.push(Fault { sent, why, plan });
        }
    }
    faults
}

/// Whether a statement is one that has a plan.
fn reads(statement: &str) -> bool {
    let word = statement.split(' ').next();
    word.is_some_and(|word| ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&word))
}

/// A line of a plan.
struct Line {
    id: i64,
    /// The line that it is a part of.
    parent: i64,
    /// `SCAN t USING …` and the like.
    detail: String,
}

struct Plan {
    lines: Vec<Line>,
    /// Where the statement names large tables.
    uses: Vec<Use>,
}

impl Plan {
    /// Values are not bound: a plan for any.
    async fn of(db: &mut AnyConnection, statement: &str) -> Self {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::query(explain).persistent(false).fetch_all(db).await;
        let line = |row: &AnyRow| Line {
            id: row.get(0),
            parent: row.get(1),
            detail: row.get(3),
        };
        let rows = rows.unwrap_or_else(|error| panic!("{error}: {statement}"));
        Self {
            lines: rows.iter().map(line).collect(),
            uses: uses(statement),
        }
    }

    /// Why it is at fault, if it is.
    fn fault(&self, few: &[String]) -> Option<String> {
        let mut lines = self.lines.iter();
        let line = lines.find(|line| self.reads_too_much(line, few))?;
        Some(line.detail.clone())
    }

    fn reads_too_much(&self, line: &Line, few: &[String]) -> bool {
        let words: Vec<&str> = line.detail.split(' ').collect();
        let ["SCAN" | "SEARCH", name, way @ ..] = &words[..] else {
            return false;
        };
        let uses = self.uses_in(line, name);
        let is_cut_short = uses.iter().all(|one| one.is_cut_short);
        let takes_all = uses.iter().all(|one| one.takes_all);
        if uses.is_empty() || few.iter().any(|index| way.contains(&index.as_str())) {
            return false;
        }
        match words[0] {
            _ if way.contains(&"AUTOMATIC") => true,
            "SEARCH" => !line.detail.contains("=?") && !is_cut_short,
            _ => way.is_empty() || !is_cut_short || !takes_all,
        }
    }

    /// The places in the statement that a line may be about: none if it is about what another part of the
    /// plan has made. What stands alone is not in brackets.
    fn uses_in(&self, line: &Line, name: &str) -> Vec<&Use> {
        let made = [format!("CO-ROUTINE {name}"), format!("MATERIALIZE {name}")];
        let mut beside = self
            .lines
            .iter()
            .filter(|other| other.parent == line.parent);
        if beside.any(|other| made.contains(&other.detail)) {
            return vec![];
        }
        let of_name = self.uses.iter().filter(|one| one.name == name);
        let (outer, inner): (Vec<_>, Vec<_>) = of_name.partition(|one| one.depth == 0);
        match (line.parent, outer.is_empty(), inner.is_empty()) {
            (0, false, _) | (_, _, true) => outer,
            _ => inner,
        }
    }

    fn text(&self) -> String {
        let text = |line: &Line| format!("  {} {} {}", line.id, line.parent, line.detail);
        self.lines.iter().map(text).collect::<Vec<_>>().join("\n")
    }
}

/// A place in a statement that names a large table.
struct Use {
    /// What it goes by there.
    name: String,
    /// How many brackets are around it.
    depth: usize,
    /// Whether a `LIMIT` stands with it.
    is_cut_short: bool,
    /// Whether nothing is left out there, or little.
    takes_all: bool,
}

fn uses(statement: &str) -> Vec<Use> {
    let of = |(depth, text): (usize, String)| uses_in_brackets(depth, &text);
    brackets(statement).into_iter().flat_map(of).collect()
}

/// The statement, and what stands in brackets in it, each without the brackets in it.
fn brackets(statement: &str) -> Vec<(usize, String)> {
    let (mut done, mut open) = (vec![], vec![String::new()]);
    for char in statement.chars() {
        match char {
            '(' => open.push(String::new()),
            ')' => {
                let text = open.pop().unwrap();
                done.push((open.len(), text));
            }
            other => open.last_mut().unwrap().push(other),
        }
    }
    done.extend(open.pop().map(|text| (0, text)));
    done
}

fn uses_in_brackets(depth: usize, text: &str) -> Vec<Use> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_cut_short = words.contains(&"LIMIT");
    let filter = text
        .split_once(" WHERE ")
        .map_or(COMMON[0], |(_, rest)| rest);
    let end = [" ORDER BY ", " LIMIT ", " GROUP BY "];
    let end = end.iter().filter_map(|word| filter.find(word)).min();
    let filter = filter
        .get(..end.unwrap_or(filter.len()))
        .unwrap_or_default();
    let takes_all = filter
        .split(" AND ")
        .all(|part| COMMON.contains(&part.trim()));
    let mut uses = vec![];
    for (place, table) in words.iter().enumerate() {
        let table = table.trim_end_matches(',');
        let begins = |word: &&str| ["FROM", "JOIN", "UPDATE", "INTO"].contains(word);
        if !LARGE.contains(&table) || !words[..place].last().is_some_and(begins) {
            continue;
        }
        let name = match words.get(place + 1..).unwrap_or_default() {
            ["AS", name, ..] => name,
            [name, ..] if name.chars().all(|char| char.is_ascii_lowercase()) => name,
            _ => table,
        };
        uses.push(Use {
            name: name.to_owned(),
            depth,
            is_cut_short,
            takes_all,
        });
    }
    uses
}
