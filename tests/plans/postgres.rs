//! Plans as PostgreSQL's `auto_explain` logs them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rocket::tokio::time::sleep;
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use super::plan::{Fault, SentStatement, one_line};
use super::{LARGE_TABLES, tour};

/// Logs each message as a line of JSON, and each plan with the rows that it visited. `enable_auto_explain` turns
/// this on for a database.
pub const SETTINGS: [(&str, &str); 10] = [
    // The cost on an SSD. With the default, PostgreSQL reads a table of this size whole for a list of 5,000 rows.
    ("random_page_cost", "1.1"),
    ("logging_collector", "on"),
    ("log_destination", "jsonlog"),
    ("log_directory", "log"),
    ("session_preload_libraries", "auto_explain"),
    ("auto_explain.log_format", "json"),
    ("auto_explain.log_analyze", "on"),
    ("auto_explain.log_buffers", "on"),
    ("auto_explain.log_timing", "off"),
    // Includes the statements of foreign keys.
    ("auto_explain.log_nested_statements", "on"),
];
/// Smaller tables may be read whole.
const SMALL_TABLE_ROWS: f64 = 10_000.0;
/// Enough index pages for 5,000 rows.
const MAX_PAGES: f64 = 200.0;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Explains every statement of connections that are opened from now on.
pub async fn enable_auto_explain(url: &str) {
    let (mut db, name) = (connect(url).await, url.rsplit('/').next().unwrap());
    let sql = format!("ALTER DATABASE {name} SET auto_explain.log_min_duration = 0");
    sqlx::query(AssertSqlSafe(sql))
        .execute(&mut db)
        .await
        .unwrap();
    db.close().await.unwrap();
}

async fn connect(url: &str) -> AnyConnection {
    AnyConnection::connect(url).await.unwrap()
}

/// Statements with their plans.
pub struct Log(Vec<(SentStatement, Value)>);

impl Log {
    /// Reads the log in the server's folder, up to the last step.
    pub async fn read(folder: &Path) -> Self {
        let (start, folder) = (Instant::now(), &folder.join("log"));
        while !log_text(folder).contains(tour::LAST_STEP) {
            assert!(
                start.elapsed() < TIMEOUT,
                "the log does not contain the last step"
            );
            sleep(Duration::from_millis(100)).await;
        }
        let mut step = String::new();
        let mut found = vec![];
        for (statement, plan) in log_text(folder).lines().filter_map(parse_plan) {
            match tour::step(&statement) {
                Some(tour::LAST_STEP) => break,
                Some(begun) => begun.clone_into(&mut step),
                None => {
                    let step = step.clone();
                    found.push((SentStatement { statement, step }, plan));
                }
            }
        }
        Self(found)
    }

    pub fn sent(&self) -> Vec<SentStatement> {
        self.0.iter().map(|(sent, _)| sent.clone()).collect()
    }

    /// Statements that read too much.
    pub async fn faults(&self, url: &str) -> Vec<Fault> {
        let schema = Schema::read(url).await;
        let fault = |(sent, plan): &(SentStatement, Value)| {
            let why = schema.fault(plan)?;
            let (sent, plan) = (sent.clone(), format!("{plan:#}"));
            Some(Fault { sent, why, plan })
        };
        self.0.iter().filter_map(fault).collect()
    }
}

fn log_text(folder: &Path) -> String {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .collect();
    files.sort();
    let texts = files.iter().map(|path| fs::read_to_string(path).unwrap());
    texts.collect()
}

fn parse_plan(line: &str) -> Option<(String, Value)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let (_, plan) = line["message"].as_str()?.split_once("plan:\n")?;
    let mut plan: Value = serde_json::from_str(plan).ok()?;
    let statement = one_line(plan["Query Text"].as_str()?);
    Some((statement, plan["Plan"].take()))
}

/// The sizes of tables and indexes.
struct Schema {
    /// Rows, by table.
    rows: HashMap<String, f64>,
    /// Pages, by index.
    pages: HashMap<String, f64>,
}

impl Schema {
    async fn read(url: &str) -> Self {
        let mut db = connect(url).await;
        let each = |sql: fn(&str) -> String| {
            LARGE_TABLES
                .iter()
                .map(|table| sql(table))
                .collect::<Vec<_>>()
        };
        let names = each(|table| format!("'{table}'")).join(", ");
        let counts = each(|table| format!("SELECT '{table}', COUNT(*) FROM {table}"));
        let pages = format!(
            "SELECT CAST(i.relname AS text), pg_relation_size(i.oid) / 8192
             FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
                  JOIN pg_class t ON t.oid = x.indrelid
             WHERE t.relname IN ({names})"
        );
        Self {
            rows: sizes(&mut db, counts.join(" UNION ALL ")).await,
            pages: sizes(&mut db, pages).await,
        }
    }

    /// Why the plan is at fault, if it is.
    fn fault(&self, node: &Value) -> Option<String> {
        let mut below = node["Plans"].as_array().into_iter().flatten();
        self.visits_too_many_rows(node)
            .or_else(|| self.reads_too_many_pages(node))
            .or_else(|| below.find_map(|node| self.fault(node)))
    }

    /// Whether a node visits more than half of a large table. A small table does not show what a large one would
    /// cost.
    fn visits_too_many_rows(&self, node: &Value) -> Option<String> {
        let table = node["Relation Name"].as_str()?;
        let rows = *self
            .rows
            .get(table)
            .filter(|rows| **rows > SMALL_TABLE_ROWS)?;
        let (kind, visited) = (&node["Node Type"], visited(node));
        (visited > rows / 2.0).then(|| format!("{kind}: {visited} of {rows} rows of {table}"))
    }

    /// Whether a node reads more than half of an index, or more than a list needs. PostgreSQL does not count the rows
    /// that an index condition skips, so this counts pages. The table's own pages, at most one per row, are
    /// subtracted.
    fn reads_too_many_pages(&self, node: &Value) -> Option<String> {
        let condition = &node["Index Cond"];
        // A list of values is looked up one by one, which touches the same pages repeatedly.
        let list = condition.as_str()?.split_once("= ANY (");
        let list = list.and_then(|(_, list)| list.split(')').next());
        if list.is_some_and(|list| list.contains(',') || list.starts_with('$')) {
            return None;
        }
        let index = node["Index Name"].as_str()?;
        let pages = *self
            .pages
            .get(index)
            .filter(|pages| **pages > SMALL_TABLE_ROWS / 100.0)?;
        let touched = number(node, "Shared Hit Blocks") + number(node, "Shared Read Blocks");
        let touched = (touched - visited(node)) / number(node, "Actual Loops").max(1.0);
        let what = || format!("{touched} of {pages} pages of {index} for {condition}");
        (touched > (pages / 2.0).min(MAX_PAGES)).then(what)
    }
}

/// The rows that a node visited.
fn visited(node: &Value) -> f64 {
    let each = number(node, "Actual Rows")
        + number(node, "Rows Removed by Filter")
        + number(node, "Rows Removed by Index Recheck");
    each * number(node, "Actual Loops")
}

fn number(node: &Value, name: &str) -> f64 {
    node[name].as_f64().unwrap_or(0.0)
}

async fn sizes(db: &mut AnyConnection, sql: String) -> HashMap<String, f64> {
    let query = sqlx::query_as(AssertSqlSafe(sql));
    let sizes: Vec<(String, i64)> = query.fetch_all(db).await.unwrap();
    let size = |(name, size): (String, i64)| (name, f64::from(u32::try_from(size).unwrap()));
    sizes.into_iter().map(size).collect()
}
