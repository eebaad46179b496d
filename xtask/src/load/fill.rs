//! Fills a database with `seed`, and with users with known tokens.
//!
//! The SQL contains values as literals, because none of them comes from user input.

use rocket_multitoken::db::Engine;
use rocket_multitoken::identity::device::Device;
use rocket_multitoken::identity::{EventId, TokenId, UserId};
use rocket_multitoken::models::now;
use rocket_multitoken::secret::Secret;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, raw_sql};

use crate::load::Result;
use crate::load::command::{ServerSettings, app_command};

pub const PASSWORD: &str = "correct horse battery";
pub const ADMIN: &str = "demo-admin";

const SEEDED_TOKENS_PER_USER: u32 = 10;
/// Known tokens per user.
pub const KNOWN_TOKENS_PER_USER: usize = 25;
/// Users per INSERT statement.
const USER_BATCH_SIZE: usize = 200;
const SECONDS_PER_DAY: i64 = 24 * 60 * 60;
/// Events per INSERT statement.
const EVENT_BATCH_SIZE: usize = 5000;
/// Seconds between the last uses of consecutive users' tokens. A prime number spreads them evenly.
const LAST_USE_STEP: i64 = 7919;

/// A connection for many inserts: on SQLite with a large cache, and commits that do not wait for the disk.
async fn connect_to_fill(url: &str, engine: Engine) -> Result<AnyConnection> {
    let mut db = AnyConnection::connect(url).await?;
    if engine == Engine::Sqlite {
        let sql = "PRAGMA cache_size = -524288; PRAGMA wal_autocheckpoint = 65536; PRAGMA synchronous = NORMAL";
        raw_sql(sql).execute(&mut db).await?;
    }
    Ok(db)
}

/// Creates tokens with `seed`, with users and a history.
pub fn seed(url: &str, tokens: u32) -> Result {
    let users = (tokens / SEEDED_TOKENS_PER_USER).to_string();
    let per_user = SEEDED_TOKENS_PER_USER.to_string();
    let counts = ["--users", &users, "--tokens-per-user", &per_user];
    run_subcommand(
        url,
        &[&["seed", "--password", PASSWORD], &counts[..]].concat(),
    )
}

/// Runs a command of the release binary.
pub fn run_subcommand(url: &str, arguments: &[&str]) -> Result {
    let status = app_command(url, ServerSettings::Default)
        .args(arguments)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{}: {status}", arguments[0]).into())
    }
}

/// Updates the statistics of the query planner.
async fn analyze(db: &mut AnyConnection, engine: Engine) -> Result {
    let sql = match engine {
        Engine::Sqlite => "PRAGMA analysis_limit = 1000; ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)",
        Engine::Postgres => "VACUUM (ANALYZE) users, tokens, events",
    };
    raw_sql(sql).execute(db).await?;
    Ok(())
}

/// Runs the database's background work, so that it does not happen during the measurement.
pub async fn finish_background_work(url: &str, engine: Engine) -> Result {
    let mut db = AnyConnection::connect(url).await?;
    analyze(&mut db, engine).await?;
    if engine == Engine::Postgres {
        for sql in ["VACUUM ANALYZE", "CHECKPOINT"] {
            raw_sql(sql).execute(&mut db).await?;
        }
    }
    Ok(db.close().await?)
}

pub fn username(prefix: &str, index: usize) -> String {
    format!("{prefix}{index:06}")
}

/// Adds login events over the last months until there are `events`.
pub async fn fill_audit_log(url: &str, engine: Engine, events: i64) -> Result {
    let mut db = connect_to_fill(url, engine).await?;
    let existing = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM events");
    let missing = events - existing.fetch_one(&mut db).await?;
    let tokens = sqlx::query_scalar("SELECT id FROM tokens ORDER BY id LIMIT 50000");
    let tokens: Vec<String> = tokens.fetch_all(&mut db).await?;
    let (first, span) = (now() - 300 * SECONDS_PER_DAY, 300 * SECONDS_PER_DAY);
    for start in (0..missing.max(0)).step_by(EVENT_BATCH_SIZE) {
        let mut rows = vec![];
        for index in start..missing.min(start + i64::try_from(EVENT_BATCH_SIZE)?) {
            let milliseconds = first * 1000 + span * 1000 / missing * index;
            let token = &tokens[usize::try_from(index * LAST_USE_STEP)? % tokens.len()];
            let (id, at) = (EventId::at(milliseconds), milliseconds / 1000);
            rows.push(format!(
                "('{id}', {at}, '{token}', '4c63364{:02x}')",
                index % 256
            ));
        }
        let sql = format!(
            "WITH made (id, at, token_id, address) AS (VALUES {})
             INSERT INTO events (id, at, action, via, address, request_id, actor_id, actor_name, actor_key,
                                 subject_id, subject_name, subject_key, token_id, hint, client, client_key)
             SELECT m.id, m.at, 'token.issued', 'api', m.address, m.id, u.id, u.username, u.username_key,
                    u.id, u.username, u.username_key, t.id, t.hint, t.client, t.client_key
             FROM made m JOIN tokens t ON t.id = m.token_id JOIN users u ON u.id = t.user_id",
            rows.join(", ")
        );
        raw_sql(AssertSqlSafe(sql)).execute(&mut db).await?;
    }
    Ok(db.close().await?)
}

/// Creates users with tokens, and returns the tokens.
pub async fn create_known_tokens(
    url: &str,
    engine: Engine,
    username_prefix: &str,
    tokens: usize,
) -> Result<Vec<String>> {
    let mut db = connect_to_fill(url, engine).await?;
    // The seeded users have the same password.
    let hash = sqlx::query_scalar("SELECT password_hash FROM users WHERE username = $1");
    let mut seeder = KnownTokenSeeder {
        username_prefix,
        hash: hash.bind(ADMIN).fetch_one(&mut db).await?,
        tokens,
        users: 0,
        secrets: vec![],
    };
    while seeder.secrets.len() < tokens {
        let mut tx = db.begin().await?;
        for sql in seeder.next_batch()? {
            raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await?;
        }
        tx.commit().await?;
    }
    analyze(&mut db, engine).await?;
    db.close().await?;
    Ok(seeder.secrets)
}

struct KnownTokenSeeder<'a> {
    username_prefix: &'a str,
    hash: String,
    tokens: usize,
    users: usize,
    secrets: Vec<String>,
}

impl KnownTokenSeeder<'_> {
    /// The INSERT statements of the next users and their tokens.
    fn next_batch(&mut self) -> Result<[String; 2]> {
        let (mut users, mut tokens) = (vec![], vec![]);
        let device = Device::parse("wrk/4.2").ok_or("no device")?;
        let (app, version) = (&device.app, device.version.as_deref().unwrap_or_default());
        let device_key = device.key();
        for _ in 0..USER_BATCH_SIZE {
            let missing = self.tokens - self.secrets.len();
            if missing == 0 {
                break;
            }
            // Times differ, so that sorting by time has an effect.
            let index = i64::try_from(self.users)?;
            let created_at = now() - index % 60 * SECONDS_PER_DAY;
            let used_at = (now() - index * LAST_USE_STEP % (9 * SECONDS_PER_DAY)).max(created_at);
            let (id, username) = (
                UserId::at(created_at * 1000),
                username(self.username_prefix, self.users),
            );
            self.users += 1;
            let hash = &self.hash;
            users.push(format!(
                "('{id}', '{username}', '{username}', '{hash}', 'user', {created_at}, {created_at}, {used_at})"
            ));
            for client in 0..missing.min(KNOWN_TOKENS_PER_USER) {
                let secret = Secret::generate("mtk");
                let (token, digest, hint) = (
                    TokenId::at(created_at * 1000),
                    secret.digest().to_hex(),
                    secret.hint(),
                );
                let (expires_at, ends_at) = (
                    created_at + 90 * SECONDS_PER_DAY,
                    used_at + 30 * SECONDS_PER_DAY,
                );
                // The address is 198.51.100.7, in hexadecimal with its version.
                tokens.push(format!(
                    "('{token}', '{id}', 'api', 'client {client}', 'client {client}', '{digest}', '{hint}', \
                     {created_at}, {used_at}, {expires_at}, {ends_at}, '4c6336407', 'wrk/4.2', '{app}', '{version}', \
                     '{device_key}')"
                ));
                self.secrets.push(secret.reveal().to_owned());
            }
        }
        let users = format!(
            "INSERT INTO users (id, username, username_key, password_hash, role, created_at, last_login_at,
                                last_seen_at) VALUES {}",
            users.join(", ")
        );
        let tokens = format!(
            "INSERT INTO tokens (id, user_id, kind, client, client_key, digest, hint, created_at, last_used_at,
                                 expires_at, ends_at, address, user_agent, app, app_version, device_key)
             VALUES {}",
            tokens.join(", ")
        );
        Ok([users, tokens])
    }
}
