//! Plans as SQLite explains them. SQLite does not report how many rows a node visits, so what counts is how the node
//! finds them.
//!
//! * `SEARCH` uses an index. Without an equality, it reads from one value to the end of the index and needs a
//!   `LIMIT`.
//! * `SCAN … USING INDEX` reads an index from one end, which gives a list its order. A `LIMIT` ends the scan, if the
//!   filter leaves out few rows. A partial index with few rows may be scanned.
//! * `SCAN` without an index, and `AUTOMATIC`, an index built for one statement, read everything.

use std::collections::HashSet;
use std::sync::Mutex;

use sqlx::any::{AnyConnectOptions, AnyRow};
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions, Row};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::plan::{Fault, SentStatement, one_line};
use super::{LARGE_TABLES, tour};

/// Conditions that almost every row satisfies.
const COMMON: [&str; 3] = ["1 = 1", "disabled_at IS NULL", "role = 'user'"];

static RECORDED: Mutex<Vec<String>> = Mutex::new(vec![]);

/// Starts to record every statement of this process.
pub fn record_statements() {
    tracing_subscriber::registry().with(Recorder).init();
}

/// The distinct statements so far.
pub fn sent() -> Vec<SentStatement> {
    let (mut step, mut seen) = (String::new(), HashSet::new());
    let mut sent = vec![];
    for statement in std::mem::take(&mut *RECORDED.lock().unwrap()) {
        if let Some(begun) = tour::step(&statement) {
            begun.clone_into(&mut step);
        } else if seen.insert(statement.clone()) {
            let step = step.clone();
            sent.push(SentStatement { statement, step });
        }
    }
    sent
}

struct Recorder;

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            let mut statement = Statement::default();
            event.record(&mut statement);
            RECORDED.lock().unwrap().push(statement.text());
        }
    }
}

/// The fields that sqlx logs of a statement.
#[derive(Default)]
struct Statement {
    /// The first words of the SQL.
    summary: String,
    /// All of the SQL, or empty if the summary is complete.
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

/// The statements that read too much.
pub async fn faults(url: &str, sent: &[SentStatement]) -> Vec<Fault> {
    let options: AnyConnectOptions = url.parse().unwrap();
    let mut db = options.disable_statement_logging().connect().await.unwrap();
    let few = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'";
    let few: Vec<String> = sqlx::query_scalar(few).fetch_all(&mut db).await.unwrap();
    let mut faults = vec![];
    for sent in sent.iter().filter(|sent| has_plan(&sent.statement)) {
        let plan = Plan::of(&mut db, &sent.statement).await;
        if let Some(why) = plan.fault(&few) {
            let (sent, plan) = (sent.clone(), plan.text());
            faults.push(Fault { sent, why, plan });
        }
    }
    faults
}

/// Whether the statement has a plan.
fn has_plan(statement: &str) -> bool {
    let word = statement.split(' ').next();
    word.is_some_and(|word| ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&word))
}

/// A line of a plan.
struct PlanLine {
    id: i64,
    /// The id of the parent line.
    parent: i64,
    /// Such as `SCAN t USING …`.
    detail: String,
}

struct Plan {
    lines: Vec<PlanLine>,
    /// The references to large tables in the statement.
    references: Vec<TableReference>,
}

impl Plan {
    /// Explains the statement with unbound parameters, so the plan holds for any value.
    async fn of(db: &mut AnyConnection, statement: &str) -> Self {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::query(explain).persistent(false).fetch_all(db).await;
        let line = |row: &AnyRow| PlanLine {
            id: row.get(0),
            parent: row.get(1),
            detail: row.get(3),
        };
        let rows = rows.unwrap_or_else(|error| panic!("{error}: {statement}"));
        Self {
            lines: rows.iter().map(line).collect(),
            references: references(statement),
        }
    }

    /// Why the plan is at fault, if it is.
    fn fault(&self, few: &[String]) -> Option<String> {
        let mut lines = self.lines.iter();
        let line = lines.find(|line| self.reads_too_much(line, few))?;
        Some(line.detail.clone())
    }

    fn reads_too_much(&self, line: &PlanLine, few: &[String]) -> bool {
        let words: Vec<&str> = line.detail.split(' ').collect();
        let ["SCAN" | "SEARCH", name, way @ ..] = &words[..] else {
            return false;
        };
        let references = self.references_in(line, name);
        let has_limit = references.iter().all(|one| one.has_limit);
        let filters_little = references.iter().all(|one| one.filters_little);
        if references.is_empty() || few.iter().any(|index| way.contains(&index.as_str())) {
            return false;
        }
        match words[0] {
            _ if way.contains(&"AUTOMATIC") => true,
            "SEARCH" => !line.detail.contains("=?") && !has_limit,
            _ => way.is_empty() || !has_limit || !filters_little,
        }
    }

    /// The references that a line may be about. Empty if the line reads the result of another part of the plan. A
    /// top-level line matches references outside of parentheses.
    fn references_in(&self, line: &PlanLine, name: &str) -> Vec<&TableReference> {
        let made = [format!("CO-ROUTINE {name}"), format!("MATERIALIZE {name}")];
        let mut beside = self
            .lines
            .iter()
            .filter(|other| other.parent == line.parent);
        if beside.any(|other| made.contains(&other.detail)) {
            return vec![];
        }
        let of_name = self.references.iter().filter(|one| one.name == name);
        let (outer, inner): (Vec<_>, Vec<_>) = of_name.partition(|one| one.depth == 0);
        match (line.parent, outer.is_empty(), inner.is_empty()) {
            (0, false, _) | (_, _, true) => outer,
            _ => inner,
        }
    }

    fn text(&self) -> String {
        let text = |line: &PlanLine| format!("  {} {} {}", line.id, line.parent, line.detail);
        self.lines.iter().map(text).collect::<Vec<_>>().join("\n")
    }
}

/// A reference to a large table in a statement.
struct TableReference {
    /// The table's alias, or its name.
    name: String,
    /// The number of parentheses around it.
    depth: usize,
    /// Whether its query has a `LIMIT`.
    has_limit: bool,
    /// Whether its filter leaves out few rows or none.
    filters_little: bool,
}

fn references(statement: &str) -> Vec<TableReference> {
    let of = |(depth, text): (usize, String)| references_in_text(depth, &text);
    split_parentheses(statement)
        .into_iter()
        .flat_map(of)
        .collect()
}

/// The statement and each text in parentheses, without nested parentheses, with their depth.
fn split_parentheses(statement: &str) -> Vec<(usize, String)> {
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

fn references_in_text(depth: usize, text: &str) -> Vec<TableReference> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let has_limit = words.contains(&"LIMIT");
    let filter = text
        .split_once(" WHERE ")
        .map_or(COMMON[0], |(_, rest)| rest);
    let end = [" ORDER BY ", " LIMIT ", " GROUP BY "];
    let end = end.iter().filter_map(|word| filter.find(word)).min();
    let filter = filter
        .get(..end.unwrap_or(filter.len()))
        .unwrap_or_default();
    let filters_little = filter
        .split(" AND ")
        .all(|part| COMMON.contains(&part.trim()));
    let mut references = vec![];
    for (place, table) in words.iter().enumerate() {
        let table = table.trim_end_matches(',');
        let begins = |word: &&str| ["FROM", "JOIN", "UPDATE", "INTO"].contains(word);
        if !LARGE_TABLES.contains(&table) || !words[..place].last().is_some_and(begins) {
            continue;
        }
        let name = match words.get(place + 1..).unwrap_or_default() {
            ["AS", name, ..] => name,
            [name, ..] if name.chars().all(|char| char.is_ascii_lowercase()) => name,
            _ => table,
        };
        references.push(TableReference {
            name: name.to_owned(),
            depth,
            has_limit,
            filters_little,
        });
    }
    references
}
