//! No request reads a large table from end to end. The databases explain every statement that the application sends
//! while all of its routes are used.
//!
//! PostgreSQL's `auto_explain` logs the plan of each statement as it ran, with the rows that each node visited. More
//! than half of a large table is a fault. SQLite explains plans without row counts, so the way to a table counts
//! there: see [`sqlite`].
//!
//! The tables are so large that a planner prefers indexes, and that a list, which stops after 5,000 rows, stops
//! before half of the table. Requests and background tasks are covered, the command line is not. `cargo xtask load`
//! measures the lists with a million tokens.

mod plan;
mod postgres;
mod sqlite;
mod tour;

use std::collections::BTreeMap;
use std::process::Command;

use rocket::http::Status;
use rocket_multitoken::auth::background_tasks;
use serde_json::json;
use tempfile::tempdir;

use self::plan::{Fault, SentStatement};
use self::tour::{Fixtures, TOKENS_PER_USER, Tour};
use crate::resources::RESOURCES;
use crate::support::postgres::Postgres;
use crate::support::server::{run, sqlite as url_in, stderr};
use crate::support::{App, PASSWORD};

/// Tables that grow with users, with logins or with the attempts of strangers. The tables of resources are large,
/// too.
const LARGE_TABLES: &[&str] = &[
    "users",
    "tokens",
    "events",
    "attempts",
    "logins",
    "known_addresses",
    "known_devices",
    "links",
    "outbox",
];
const SMALL_TABLES: &[&str] = &["endings", "readiness"];
/// Set in a child process that records its own statements, apart from those of concurrent tests.
const CHILD_PROCESS: &str = "MULTITOKEN_TEST_LISTENS";

/// The number of faults that are printed in full.
const MAX_SHOWN: usize = 8;

/// The beginnings of statements that may read a whole table: the dashboard's charts, which are cached, and two
/// background tasks. One checks every minute for over 100,000 counts of failed logins, the other looks every hour for
/// tokens that expire within a week.
const EXCEPTIONS: [&str; 5] = [
    "SELECT kept_until FROM attempts WHERE key LIKE 'name:%' ORDER BY kept_until",
    "SELECT (SELECT COUNT(*) FROM events WHERE action = 'token.issued'",
    "SELECT (SELECT MIN(t.client) FROM tokens AS t WHERE t.client_key = most.client_key)",
    "SELECT COUNT(*) FROM tokens",
    "SELECT t.id, t.user_id, t.client, t.expires_at FROM tokens AS t",
];

#[test]
#[ignore = "slow"]
fn no_request_reads_a_large_table_from_end_to_end_on_sqlite() {
    if std::env::var_os(CHILD_PROCESS).is_none() {
        let name = "plans::no_request_reads_a_large_table_from_end_to_end_on_sqlite";
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let alone = alone
            .args(["--exact", name, "--nocapture", "--ignored"])
            .env(CHILD_PROCESS, "1");
        let output = alone.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        return;
    }
    rocket::async_test(async {
        let folder = tempdir().unwrap();
        let url = url_in(folder.path());
        let fixtures = populate(&url).await;
        sqlite::record_statements();
        use_every_route(&url, None, fixtures).await;
        let sent = sqlite::sent();
        assert_no_faults(&sent, sqlite::faults(&url, &sent).await);
    });
}

#[test]
#[ignore = "slow"]
fn no_request_reads_a_large_table_from_end_to_end_on_postgresql() {
    let Some(server) = Postgres::with_settings(&postgres::SETTINGS) else {
        return;
    };
    rocket::async_test(async {
        let url = server.database().await;
        let fixtures = populate(&url).await;
        postgres::enable_auto_explain(&url).await;
        use_every_route(&url, Some(server.clone()), fixtures).await;
        let log = postgres::Log::read(&server.folder()).await;
        assert_no_faults(&log.sent(), log.faults(&url).await);
    });
}

async fn populate(url: &str) -> Fixtures {
    let args = ["seed", "--users", "24000", "--tokens-per-user", "3"];
    let seeded = run(url, &[&args[..], &["--password", PASSWORD]].concat(), "");
    assert!(seeded.status.success(), "{}", stderr(&seeded));
    tour::resources::populate(url).await;
    tour::account::populate(url).await;
    Fixtures::select(url).await
}

/// Starts the application, deletes expired rows as the background tasks do, and uses every route. Then repeats one request
/// without the token cache.
async fn use_every_route(url: &str, server: Option<Postgres>, mut fixtures: Fixtures) {
    let settings =
        json!({ "tokens_per_user": TOKENS_PER_USER, "events_ttl": "350d", "sign_up": "open" });
    let app = App::start(url, &settings, tempdir().unwrap(), server.clone()).await;
    assert_every_table_listed(&app).await;
    background_tasks::delete_expired(app.auth()).await.unwrap();
    background_tasks::prune_attempts(app.auth().pool())
        .await
        .unwrap();
    Tour::run(&app, &mut fixtures).await;
    app.auth().last_uses.flush().await.unwrap();
    let settings = json!({ "token_cache": false });
    let app = App::start(url, &settings, tempdir().unwrap(), server).await;
    let token = app.login("demo-admin", "laptop").await;
    tour::announce(&app, "GET /auth/me/ without a cache").await;
    assert_eq!(app.get("/auth/me/", &token).await.status, Status::Ok);
    tour::announce(&app, tour::LAST_STEP).await;
}

/// Whether no request may read the table from end to end.
fn is_large(table: &str) -> bool {
    LARGE_TABLES.contains(&table) || RESOURCES.iter().any(|resource| resource.name == table)
}

/// A table that is not listed would never be checked.
async fn assert_every_table_listed(app: &App) {
    for table in app.tables().await.keys() {
        let is_large = is_large(table);
        let is_known = is_large || SMALL_TABLES.contains(&table.as_str());
        assert!(
            is_known,
            "add {table} to LARGE_TABLES or SMALL_TABLES in tests/plans.rs"
        );
    }
}

/// Rows of users are small, so PostgreSQL may read more of them at the same cost as an index scan.
const SMALL_ROWS: &str = "t.* FROM users AS t WHERE (";

/// Fails with each faulty statement once, or if an exception is no longer needed.
fn assert_no_faults(sent: &[SentStatement], faults: Vec<Fault>) {
    for begin in EXCEPTIONS {
        let is_sent = sent.iter().any(|sent| sent.statement.starts_with(begin));
        assert!(is_sent, "no statement starts with this exception: {begin}");
    }
    let mut report = BTreeMap::new();
    for fault in faults {
        let is_allowed = |begin: &&str| fault.sent.statement.starts_with(*begin);
        // A bulk action reads everything that it revokes, and on PostgreSQL once more what it has revoked.
        let is_bulk = fault
            .sent
            .step
            .starts_with("POST /admin/tokens/revoke all=1");
        let is_small = is_bulk || fault.sent.statement.contains(SMALL_ROWS);
        if !is_small && !EXCEPTIONS.iter().any(is_allowed) {
            report.insert(fault.sent.statement.clone(), fault.to_string());
        }
    }
    let (count, some) = (report.len(), report.into_values().take(MAX_SHOWN));
    let some: Vec<_> = some.collect();
    assert!(
        count == 0,
        "{count} statements read too much:\n\n{}",
        some.join("\n\n")
    );
}
