//! Bulk inserts of demonstration data, which [`crate::auth::demo`] generates.
#![allow(missing_docs, clippy::missing_errors_doc)]

use std::collections::HashSet;

use futures::future::join;
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, raw_sql};

use crate::db::{Conn, Engine};

type Insert<'q> = Query<'q, Any, AnyArguments>;

trait Row {
    const TABLE: &'static str;
    const COLUMNS: &'static str;

    fn bind<'q>(&'q self, query: Insert<'q>) -> Insert<'q>;
}

macro_rules! row {
    ($name:ident, $table:literal, { $($column:ident: $type:ty,)* }) => {
        #[derive(Debug, Clone, Default)]
        pub struct $name { $(pub $column: $type,)* }

        impl Row for $name {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static str = stringify!($($column),*);

            fn bind<'q>(&'q self, query: Insert<'q>) -> Insert<'q> {
                query$(.bind(&self.$column))*
            }
        }
    };
}

row!(DemoUser, "users", {
    id: String, username: String, username_key: String, email: Option<String>, email_key: Option<String>,
    email_verified_at: Option<i64>, notices: i64, password_hash: Option<String>, role: &'static str, created_at: i64,
    disabled_at: Option<i64>, last_login_at: Option<i64>, last_seen_at: i64,
});

row!(DemoLink, "links", {
    id: String, purpose: &'static str, user_id: String, digest: String, ends_at: i64,
});

row!(DemoToken, "tokens", {
    id: String, user_id: String, kind: &'static str, client: String, client_key: String, digest: String,
    hint: String, created_at: i64, last_used_at: i64, expires_at: Option<i64>, ends_at: i64, address: String,
    user_agent: String, app: Option<String>, app_version: Option<String>, device_key: Option<String>,
});

row!(DemoEvent, "events", {
    id: String, at: i64, action: &'static str, via: &'static str, actor_id: Option<String>,
    subject_id: Option<String>, token_id: Option<String>, reason: Option<&'static str>, address: Option<String>,
});

row!(DemoAttempt, "attempts", {
    key: String, failures: i64, ends_at: i64, pending: i64, pending_before: i64, generation: i64, run: i64,
    failed_at: i64, kept_until: i64,
});

/// Rows that are stored together. Sort those of each table by id, so that few pages of its indexes change.
#[derive(Debug, Default)]
pub struct Batch {
    pub users: Vec<DemoUser>,
    pub links: Vec<DemoLink>,
    pub tokens: Vec<DemoToken>,
    pub events: Vec<DemoEvent>,
    pub attempts: Vec<DemoAttempt>,
}

pub async fn taken_keys(db: &mut Conn) -> sqlx::Result<HashSet<String>> {
    let keys = sqlx::query_scalar(
        "SELECT username_key FROM users UNION SELECT email_key FROM users WHERE email_key IS NOT NULL",
    );
    Ok(keys.fetch_all(db).await?.into_iter().collect())
}

/// Inserts events with the columns that they copy from users and tokens.
const INSERT_EVENTS: &str = "
    events (id, at, action, via, reason, address, request_id, actor_id, actor_name, actor_key,
            subject_id, subject_name, subject_key, token_id, hint, client, client_key)
    SELECT e.id, e.at, e.action, e.via, e.reason, e.address, CASE WHEN e.address IS NOT NULL THEN e.id END,
           a.id, a.username, a.username_key, s.id, s.username, s.username_key, t.id, t.hint, t.client, t.client_key
    FROM made e LEFT JOIN users a ON a.id = e.actor_id LEFT JOIN users s ON s.id = e.subject_id
                LEFT JOIN tokens t ON t.id = e.token_id";

/// Kind of tokens that are deleted once their events are stored.
pub const ENDED_KIND: &str = "ended";

pub async fn insert(db: &mut Conn, engine: Engine, batch: &Batch) -> sqlx::Result<()> {
    insert_rows(db, engine, &batch.users).await?;
    insert_rows(db, engine, &batch.links).await?;
    insert_rows(db, engine, &batch.tokens).await?;
    insert_rows(db, engine, &batch.events).await?;
    insert_rows(db, engine, &batch.attempts).await?;
    let end = sqlx::query("DELETE FROM tokens WHERE kind = $1").bind(ENDED_KIND);
    end.execute(db).await.map(drop)
}

/// Rows per statement. SQLite accepts 32,766 values and PostgreSQL 65,535, but more rows gain nothing.
const ROWS_PER_STATEMENT: usize = 256;

async fn insert_rows<R: Row>(db: &mut Conn, engine: Engine, rows: &[R]) -> sqlx::Result<()> {
    let mut inserts = rows.chunks(ROWS_PER_STATEMENT).map(|rows| {
        // A shorter statement rarely repeats, so it is not cached.
        let insert = sqlx::query(AssertSqlSafe(statement::<R>(engine, rows.len())));
        let insert = insert.persistent(rows.len() == ROWS_PER_STATEMENT);
        rows.iter().fold(insert, |insert, row| row.bind(insert))
    });
    let mut next = inserts.next();
    while let Some(insert) = next {
        // Builds the next statement while the database runs this one.
        let (done, following) = join(insert.execute(&mut *db), async { inserts.next() }).await;
        done?;
        next = following;
    }
    Ok(())
}

fn statement<R: Row>(engine: Engine, rows: usize) -> String {
    let (table, columns) = (R::TABLE, R::COLUMNS);
    let width = columns.split(',').count();
    let row = |row: usize| {
        let values = (1..=width).map(|column| match engine {
            // SQLite takes `$1` for a name, and searches all names for each value.
            Engine::Sqlite => "?".to_owned(),
            Engine::Postgres => format!("${}", row * width + column),
        });
        format!("({})", values.collect::<Vec<_>>().join(", "))
    };
    let values = (0..rows).map(row).collect::<Vec<_>>().join(", ");
    // Any failure ends the transaction. To undo a single statement, SQLite would copy each page that it changes.
    let insert = match engine {
        Engine::Sqlite => "INSERT OR FAIL INTO",
        Engine::Postgres => "INSERT INTO",
    };
    match table {
        "events" => format!("WITH made ({columns}) AS (VALUES {values}) {insert} {INSERT_EVENTS}"),
        _ => format!("{insert} {table} ({columns}) VALUES {values}"),
    }
}

/// Prepares a connection for many inserts. On SQLite it gets a large cache, and commits do not wait for the disk: a
/// power failure may lose the last ones, but nothing else.
pub async fn prepare(db: &mut Conn, engine: Engine) -> sqlx::Result<()> {
    if engine == Engine::Sqlite {
        let sql = "PRAGMA cache_size = -524288; PRAGMA wal_autocheckpoint = 65536;
                   PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = OFF";
        raw_sql(sql).execute(db).await?;
    }
    Ok(())
}

/// Updates the statistics of the query planner.
pub async fn analyze(db: &mut Conn, engine: Engine) -> sqlx::Result<()> {
    let sql = match engine {
        // Reading all rows would block other writers for seconds.
        Engine::Sqlite => {
            "PRAGMA analysis_limit = 1000; ANALYZE users; ANALYZE tokens; ANALYZE events;
             PRAGMA wal_checkpoint(TRUNCATE)"
        }
        Engine::Postgres => "VACUUM (ANALYZE) users, tokens, events",
    };
    raw_sql(sql).execute(db).await.map(drop)
}
