//! Plans as PostgreSQL's `auto_explain` logs them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rocket::tokio::time::sleep;
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use super::plan::{Fault, Sent, one_line};
use super::{LARGE, tour};

/// A line of JSON for each message of the log, and what ran is explained with what it visited. From when
/// on, each database says.
pub const SETTINGS: [(&str, &str); 10] = [
    // As for a disk without moving parts: a table of this size is else read whole for a page of 5,000 rows.
    ("random_page_cost", "1.1"),
    ("logging_collector", "on"),
    ("log_destination", "jsonlog"),
    ("log_directory", "log"),
    ("session_preload_libraries", "auto_explain"),
    ("auto_explain.log_format", "json"),
    ("auto_explain.log_analyze", "on"),
    ("auto_explain.log_buffers", "on"),
    ("auto_explain.log_timing", "off"),
    // What foreign keys do of themselves.
    ("auto_explain.log_nested_statements", "on"),
];
/// Rows of a table that may be read at once.
const SMALL: f64 = 10_000.0;
/// Pages of an index that 5,000 rows stand on, and some more.
const MOST_PAGES: f64 = 200.0;
const PATIENCE: Duration = Duration::from_secs(30);

/// Has everything explained that is sent by whoever connects from now on.
pub async fn begin_to_explain(url: &str) {
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

/// Statements and their plans.
pub struct Log(Vec<(Sent, Value)>);

impl Log {
    /// Reads the log in the server's folder, up to where the last step begins.
    pub async fn read(folder: &Path) -> Self {
        let (start, folder) = (Instant::now(), &folder.join("log"));
        while !files(folder).contains(tour::END) {
            assert!(start.elapsed() < PATIENCE, "the log has no end");
            sleep(Duration::from_millis(100)).await;
        }
        let mut step = String::new();
        let mut found = vec![];
        for (statement, plan) in files(folder).lines().filter_map(explained) {
            match tour::step(&statement) {
                Some(tour::END) => break,
                Some(begun) => begun.clone_into(&mut step),
                None => {
                    let step = step.clone();
                    found.push((Sent { statement, step }, plan));
                }
            }
        }
        Self(found)
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.0.iter().map(|(sent, _)| sent.clone()).collect()
    }

    /// Statements that visit too much.
    pub async fn faults(&self, url: &str) -> Vec<Fault> {
        let schema = Schema::read(url).await;
        let fault = |(sent, plan): &(Sent, Value)| {
            let why = schema.fault(plan)?;
            let (sent, plan) = (sent.clone(), format!("{plan:#}"));
            Some(Fault { sent, why, plan })
        };
        self.0.iter().filter_map(fault).collect()
    }
}

fn files(folder: &Path) -> String {
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

fn explained(line: &str) -> Option<(String, Value)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let (_, plan) = line["message"].as_str()?.split_once("plan:\n")?;
    let mut plan: Value = serde_json::from_str(plan).ok()?;
    let statement = one_line(plan["Query Text"].as_str()?);
    Some((statement, plan["Plan"].take()))
}

/// How large tables and indexes are.
struct Schema {
    /// Rows of a large table.
    rows: HashMap<String, f64>,
    /// Pages of an index of one.
    pages: HashMap<String, f64>,
}

impl Schema {
    async fn read(url: &str) -> Self {
        let mut db = connect(url).await;
        let each =
            |sql: fn(&str) -> String| LARGE.iter().map(|table| sql(table)).collect::<Vec<_>>();
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

    /// Why a plan is at fault, if it is.
    fn fault(&self, node: &Value) -> Option<String> {
        let mut below = node["Plans"].as_array().into_iter().flatten();
        self.visits_too_much(node)
            .or_else(|| self.skips_too_much(node))
            .or_else(|| below.find_map(|node| self.fault(node)))
    }

    /// More than half of a large table; of a small one nobody knows what would be done if it were large.
    fn visits_too_much(&self, node: &Value) -> Option<String> {
        let table = node["Relation Name"].as_str()?;
        let rows = *self.rows.get(table).filter(|rows| **rows > SMALL)?;
        let (kind, visited) = (&node["Node Type"], visited(node));
        (visited > rows / 2.0).then(|| format!("{kind}: {visited} of {rows} rows of {table}"))
    }

    /// More than half of an index, or than a list needs. Rows that it leaves out by what it holds are not counted, so
    /// its pages are; not those of the table, one for each row at most.
    fn skips_too_much(&self, node: &Value) -> Option<String> {
        let condition = &node["Index Cond"];
        // Several values are looked up one by one: many pages, and the same ones again and again.
        let list = condition.as_str()?.split_once("= ANY (");
        let list = list.and_then(|(_, list)| list.split(')').next());
        if list.is_some_and(|list| list.contains(',') || list.starts_with('$')) {
            return None;
        }
        let index = node["Index Name"].as_str()?;
        let pages = *self
            .pages
            .get(index)
            .filter(|pages| **pages > SMALL / 100.0)?;
        let touched = number(node, "Shared Hit Blocks") + number(node, "Shared Read Blocks");
        let touched = (touched - visited(node)) / number(node, "Actual Loops").max(1.0);
        let what = || format!("{touched} of {pages} pages of {index} for {condition}");
        (touched > (pages / 2.0).min(MOST_PAGES)).then(what)
    }
}

/// Rows that a step looked at.
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
