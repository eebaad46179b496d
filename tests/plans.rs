//! No request reads a large table from one end to the other: the databases explain every statement that
//! the application sends while all of its routes are used.
//!
//! PostgreSQL's `auto_explain` logs the plan of each statement as it ran, with the number of rows that
//! each step of it visited: more than half of a large table is too much. SQLite has plans alone; there it
//! is the way to a table that counts, see [`sqlite`].
//!
//! The tables are large enough for a planner to prefer indexes, and for a list, which stops after 5,000 rows, to stop
//! before the half. All that a request or the upkeep does is covered; the command line is not. `benches/load` times
//! the lists on a million tokens.

mod plan;
mod postgres;
mod sqlite;
mod tour;

use std::collections::BTreeMap;
use std::process::Command;

use rocket::http::Status;
use serde_json::json;
use tempfile::tempdir;

use self::plan::{Fault, Sent};
use self::tour::{Cast, TOKENS_PER_USER, Tour};
use crate::support::postgres::Postgres;
use crate::support::server::{run, sqlite as url_in, stderr};
use crate::support::{App, PASSWORD};

/// The tables that grow with users, with logins, or with what strangers try.
const LARGE: &[&str] = &[
    // A line each: a resource that is added or deleted is one.
    "users",
    "tokens",
    "events",
    "attempts",
    "logins",
    "known_addresses",
    "notes", // example: notes
];
/// The others.
const SMALL: &[&str] = &["endings", "readiness"];
/// Set in the process that listens to its own statements: others, of tests beside, must not be among them.
const ALONE: &str = "MULTITOKEN_TEST_LISTENS";

/// Statements at fault whose plans are shown.
const SHOWN: usize = 8;

/// How statements begin that may read as much as they like: the dashboard's charts, which are made once in a while
/// and not for each request; and the upkeep's look, once a minute, whether there are over a hundred thousand
/// counts of failed logins.
const EXCEPTIONS: [&str; 4] = [
    "SELECT kept_until FROM attempts WHERE key LIKE 'name:%' ORDER BY kept_until",
    "SELECT (SELECT COUNT(*) FROM events WHERE action = 'token.issued'",
    "SELECT (SELECT MIN(t.client) FROM tokens AS t WHERE t.client_key = most.client_key)",
    "SELECT COUNT(*) FROM tokens",
];

#[test]
fn no_request_reads_a_large_table_from_end_to_end_on_sqlite() {
    if std::env::var_os(ALONE).is_none() {
        let name = "plans::no_request_reads_a_large_table_from_end_to_end_on_sqlite";
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let alone = alone.args(["--exact", name, "--nocapture"]).env(ALONE, "1");
        let output = alone.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        return;
    }
    rocket::async_test(async {
        let folder = tempdir().unwrap();
        let url = url_in(folder.path());
        let cast = populate(&url).await;
        sqlite::listen();
        use_everything(&url, None, cast).await;
        let sent = sqlite::sent();
        judge(&sent, sqlite::faults(&url, &sent).await);
    });
}

#[test]
fn no_request_reads_a_large_table_from_end_to_end_on_postgresql() {
    let Some(server) = Postgres::with_settings(&postgres::SETTINGS) else {
        return;
    };
    rocket::async_test(async {
        let url = server.database().await;
        let cast = populate(&url).await;
        postgres::begin_to_explain(&url).await;
        use_everything(&url, Some(server.clone()), cast).await;
        let log = postgres::Log::read(&server.folder()).await;
        judge(&log.sent(), log.faults(&url).await);
    });
}

async fn populate(url: &str) -> Cast {
    let args = ["seed", "--users", "22000", "--tokens-per-user", "3"];
    let seeded = run(url, &[&args[..], &["--password", PASSWORD]].concat(), "");
    assert!(seeded.status.success(), "{}", stderr(&seeded));
    tour::notes::populate(url).await; // example: notes
    Cast::of(url).await
}

/// Starts the application, looks for what has had its time as the upkeep does after a while, and uses all of
/// it; then once more with tokens that are looked up each time.
async fn use_everything(url: &str, server: Option<Postgres>, mut cast: Cast) {
    let settings = json!({ "tokens_per_user": TOKENS_PER_USER, "events_ttl": "350d" });
    let app = App::start(url, &settings, tempdir().unwrap(), server.clone()).await;
    every_table_is_known(&app).await;
    app.auth().delete_expired().await.unwrap();
    app.auth().prune_attempts().await.unwrap();
    Tour::of(&app, &mut cast).await;
    app.auth().flush_usage().await.unwrap();
    let settings = json!({ "token_cache": false });
    let app = App::start(url, &settings, tempdir().unwrap(), server).await;
    let token = app.login("demo-admin", "laptop").await;
    tour::announce(&app, "GET /auth/me/ without a cache").await;
    assert_eq!(app.get("/auth/me/", &token).await.status, Status::Ok);
    tour::announce(&app, tour::END).await;
}

/// A table that is not looked at would pass.
async fn every_table_is_known(app: &App) {
    for table in app.tables().await.keys() {
        let is_large = LARGE.contains(&table.as_str());
        let is_known = is_large || SMALL.contains(&table.as_str());
        assert!(
            is_known,
            "put {table} into LARGE or SMALL of tests/plans.rs"
        );
    }
}

/// For PostgreSQL, to read so many users by an index is as dear as to read all of a table several times as large:
/// their rows are small.
const SMALL_ROWS: &str = "t.* FROM users AS t WHERE (";

/// Fails with each statement that is at fault, once; and with each exception that is for nothing.
fn judge(sent: &[Sent], faults: Vec<Fault>) {
    for begin in EXCEPTIONS {
        let is_sent = sent.iter().any(|sent| sent.statement.starts_with(begin));
        assert!(is_sent, "nothing begins like this any more: {begin}");
    }
    let mut report = BTreeMap::new();
    for fault in faults {
        let is_allowed = |begin: &&str| fault.sent.statement.starts_with(*begin);
        // A bulk action reads all that it ends, and on PostgreSQL what it has ended once more.
        let is_bulk = fault
            .sent
            .step
            .starts_with("POST /admin/tokens/revoke all=1");
        let is_small = is_bulk || fault.sent.statement.contains(SMALL_ROWS);
        if !is_small && !EXCEPTIONS.iter().any(is_allowed) {
            report.insert(fault.sent.statement.clone(), fault.to_string());
        }
    }
    let (count, some) = (report.len(), report.into_values().take(SHOWN));
    let some: Vec<_> = some.collect();
    assert!(
        count == 0,
        "{count} read too much:\n\n{}",
        some.join("\n\n")
    );
}
