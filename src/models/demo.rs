//! Rows of demonstration data, many in one statement. What they say is made up in
//! [`crate::auth::demo`].

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use rocket::futures::future::join;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row};

use super::event::{Action, Via};
use super::token::Kind;
use super::user::Role;
use crate::db::{Conn, Engine};
use crate::identity::{ClientName, EventId, TokenId, UserId, Username};
use crate::secret::Digest;

/// A user's id and name, as several rows have them.
#[derive(Debug)]
pub struct Party {
    /// The id.
    pub id: UserId,
    /// The name.
    pub name: Username,
}

/// A client's name and what it is searched by.
#[derive(Debug)]
pub struct Client {
    /// The name.
    pub name: ClientName,
    /// Canonical.
    pub key: String,
}

/// A row of `users`. Times are unix seconds.
#[derive(Debug)]
pub struct DemoUser {
    /// Who it is.
    pub party: Arc<Party>,
    /// What the user may do.
    pub role: Role,
    /// When the user was created.
    pub created_at: i64,
    /// When the user was disabled, if so.
    pub disabled_at: Option<i64>,
    /// The last login, if any.
    pub last_login_at: Option<i64>,
    /// The last use of a token, if any.
    pub last_seen_at: Option<i64>,
}

/// A row of `tokens`, of kind `api`. Times are unix seconds.
#[derive(Debug)]
pub struct DemoToken {
    /// Names the token.
    pub id: TokenId,
    /// Whose it is.
    pub user: Arc<Party>,
    /// The client that it was issued to.
    pub client: Arc<Client>,
    /// What stands for it here.
    pub digest: Digest,
    /// Its last four characters.
    pub hint: String,
    /// When it was issued.
    pub created_at: i64,
    /// Its last use, if any.
    pub last_used_at: Option<i64>,
    /// The absolute end, if there is one.
    pub expires_at: Option<i64>,
    /// The end, absolute or by disuse.
    pub ends_at: i64,
    /// Where it was last used from.
    pub address: Arc<str>,
    /// With what.
    pub user_agent: &'static str,
}

/// A row of `events`.
#[derive(Debug)]
pub struct DemoEvent {
    /// Names the line.
    pub id: EventId,
    /// Unix seconds.
    pub at: i64,
    /// What happened.
    pub action: Action,
    /// The door.
    pub via: Via,
    /// Who did it.
    pub actor: Option<Arc<Party>>,
    /// To whom.
    pub subject: Option<Arc<Party>>,
    /// Which token.
    pub token: Option<TokenId>,
    /// Which client.
    pub client: Option<Arc<Client>>,
    /// Why.
    pub reason: Option<&'static str>,
    /// Where from.
    pub address: Option<Arc<str>>,
    /// By which request.
    pub request_id: Option<String>,
}

/// Rows that belong together.
#[derive(Debug, Default)]
pub struct Batch {
    /// Users; their tokens and lines of the trail are among the rest.
    pub users: Vec<DemoUser>,
    /// Tokens.
    pub tokens: Vec<DemoToken>,
    /// Lines of the trail.
    pub events: Vec<DemoEvent>,
}

/// Rows of one statement. With the widest row these are 4,096 parameters: SQLite takes 32,766 and
/// PostgreSQL 65,535, but many more gain nothing.
const ROWS: usize = 256;

/// The keys of all usernames that are taken.
///
/// # Errors
/// The database failed.
pub async fn taken(db: &mut Conn) -> sqlx::Result<HashSet<String>> {
    let keys: Vec<String> = sqlx::query_scalar("SELECT username_key FROM users")
        .fetch_all(db)
        .await?;
    Ok(keys.into_iter().collect())
}

/// Stores all of a batch, every user with that password, and says how many users and tokens those
/// were. Users whose names were taken meanwhile are left out, with all that belongs to them.
///
/// # Errors
/// The database failed.
pub async fn insert(
    db: &mut Conn,
    engine: Engine,
    mut batch: Batch,
    password_hash: &str,
) -> sqlx::Result<(usize, usize)> {
    let stored = insert_users(db, engine, &batch.users, password_hash).await?;
    if stored.len() < batch.users.len() {
        let lost: HashSet<UserId> = (batch.users.iter().map(|user| user.party.id))
            .filter(|id| !stored.contains(&id.to_string()))
            .collect();
        let concerns = |party: &Option<Arc<Party>>| {
            (party.as_ref()).is_some_and(|party| lost.contains(&party.id))
        };
        batch.tokens.retain(|token| !lost.contains(&token.user.id));
        (batch.events).retain(|event| !concerns(&event.subject) && !concerns(&event.actor));
    }
    insert_tokens(db, engine, &batch.tokens).await?;
    insert_events(db, engine, &batch.events).await?;
    Ok((stored.len(), batch.tokens.len()))
}

async fn insert_users(
    db: &mut Conn,
    engine: Engine,
    users: &[DemoUser],
    password_hash: &str,
) -> sqlx::Result<HashSet<String>> {
    let statement = Statement {
        engine,
        start: "INTO users (id, username, username_key, password_hash, role, created_at,
                                   disabled_at, last_login_at, last_seen_at)",
        columns: 9,
        end: "ON CONFLICT (username_key) DO NOTHING RETURNING id",
    };
    let stored = statement.run(db, users, |query, user| {
        query
            .bind(user.party.id.to_string())
            .bind(user.party.name.as_str())
            .bind(user.party.name.key())
            .bind(password_hash)
            .bind(user.role.as_str())
            .bind(user.created_at)
            .bind(user.disabled_at)
            .bind(user.last_login_at)
            .bind(user.last_seen_at)
    });
    stored.await?.iter().map(|row| row.try_get(0)).collect()
}

async fn insert_tokens(db: &mut Conn, engine: Engine, tokens: &[DemoToken]) -> sqlx::Result<()> {
    let statement = Statement {
        engine,
        start: "INTO tokens (id, user_id, username_key, kind, client, client_key, digest, hint,
                                    created_at, last_used_at, expires_at, ends_at, last_address,
                                    user_agent)",
        columns: 14,
        end: "",
    };
    let stored = statement.run(db, tokens, |query, token| {
        query
            .bind(token.id.to_string())
            .bind(token.user.id.to_string())
            .bind(token.user.name.key())
            .bind(Kind::Api.as_str())
            .bind(token.client.name.as_str())
            .bind(token.client.key.as_str())
            .bind(token.digest.to_hex())
            .bind(token.hint.as_str())
            .bind(token.created_at)
            .bind(token.last_used_at)
            .bind(token.expires_at)
            .bind(token.ends_at)
            .bind(&*token.address)
            .bind(token.user_agent)
    });
    stored.await.map(drop)
}

async fn insert_events(db: &mut Conn, engine: Engine, events: &[DemoEvent]) -> sqlx::Result<()> {
    let statement = Statement {
        engine,
        start: "INTO events (id, at, action, via, actor_id, actor_name, actor_key, subject_id,
                                    subject_name, subject_key, token_id, client, client_key, reason,
                                    address, request_id)",
        columns: 16,
        end: "",
    };
    let stored = statement.run(db, events, |query, event| {
        let (actor, subject) = (event.actor.as_ref(), event.subject.as_ref());
        let client = event.client.as_ref();
        query
            .bind(event.id.to_string())
            .bind(event.at)
            .bind(event.action.as_str())
            .bind(event.via.as_str())
            .bind(actor.map(|party| party.id.to_string()))
            .bind(actor.map(|party| party.name.as_str()))
            .bind(actor.map(|party| party.name.key()))
            .bind(subject.map(|party| party.id.to_string()))
            .bind(subject.map(|party| party.name.as_str()))
            .bind(subject.map(|party| party.name.key()))
            .bind(event.token.map(|id| id.to_string()))
            .bind(client.map(|client| client.name.as_str()))
            .bind(client.map(|client| client.key.as_str()))
            .bind(event.reason)
            .bind(event.address.as_deref())
            .bind(event.request_id.as_deref())
    });
    stored.await.map(drop)
}

/// Whether SQLite found somebody else in the way.
fn is_busy(error: &sqlx::Error) -> bool {
    (error.as_database_error()).is_some_and(|error| error.code().as_deref() == Some("5"))
}

type Bound<'q> = Query<'q, Any, AnyArguments>;

/// An `INSERT` but for its rows.
struct Statement {
    engine: Engine,
    /// Without that word.
    start: &'static str,
    columns: usize,
    end: &'static str,
}

impl Statement {
    /// Runs it for all rows, [`ROWS`] at a time, and gives what it returns.
    async fn run<'q, Row>(
        &self,
        db: &mut Conn,
        rows: &'q [Row],
        bind: impl Fn(Bound<'q>, &'q Row) -> Bound<'q>,
    ) -> sqlx::Result<Vec<AnyRow>> {
        let mut queries = rows.chunks(ROWS).map(|rows| {
            // A statement of fewer rows will hardly come again, and is not worth keeping.
            let query = sqlx::query(AssertSqlSafe(self.sql(rows.len())));
            let query = query.persistent(rows.len() == ROWS);
            rows.iter().fold(query, &bind)
        });
        let mut returned = vec![];
        let mut next = queries.next();
        while let Some(query) = next {
            // The database is asked first, and while it works the next question is put together.
            let (rows, following) = join(query.fetch_all(&mut *db), async { queries.next() }).await;
            returned.extend(rows?);
            next = following;
        }
        Ok(returned)
    }

    fn sql(&self, rows: usize) -> String {
        let insert = match self.engine {
            // Whatever fails ends the transaction, so a statement need not be undone alone: SQLite
            // would copy each page aside that it changes.
            Engine::Sqlite => "INSERT OR FAIL",
            Engine::Postgres => "INSERT",
        };
        let mut sql = format!("{insert} {} VALUES ", self.start);
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..self.columns {
                sql.push_str(if column == 0 { "" } else { ", " });
                match self.engine {
                    // To SQLite, `$1` is a name, and it searches all names for each value.
                    Engine::Sqlite => sql.push('?'),
                    Engine::Postgres => {
                        let _ = write!(sql, "${}", row * self.columns + column + 1);
                    }
                }
            }
            sql.push(')');
        }
        sql.push(' ');
        sql.push_str(self.end);
        sql
    }
}

/// Has SQLite keep more of the database in this connection's memory than it would, for rows come in
/// an order that suits few of the indexes, and move what is in its log only when [`move_log`] says
/// so. A commit of this connection to the log may be lost in a power cut, and nothing else: it is synced with
/// the log's next commit by another, or when it is moved.
///
/// # Errors
/// The database failed.
pub async fn make_room(db: &mut Conn, engine: Engine) -> sqlx::Result<()> {
    if engine == Engine::Sqlite {
        for sql in [
            "PRAGMA cache_size = -524288",
            "PRAGMA wal_autocheckpoint = 0",
            "PRAGMA synchronous = NORMAL",
            // Else a statement's many pages, as they were before, are written to a file first.
            "PRAGMA temp_store = MEMORY",
        ] {
            sqlx::query(sql).execute(&mut *db).await?;
        }
    }
    Ok(())
}

/// Moves what is in SQLite's log to where it belongs, while others write.
///
/// # Errors
/// The database failed.
pub async fn move_log(db: &mut Conn) -> sqlx::Result<()> {
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
        .execute(db)
        .await?;
    Ok(())
}

/// Has SQLite write to the database itself instead of its log, which would hold all of it once more
/// and be searched for each page; unless somebody else has the database open. Without a log a commit must wait for
/// the disk, or a power cut may leave a database that can't be read.
///
/// # Errors
/// The database failed.
pub async fn leave_log(db: &mut Conn, engine: Engine) -> sqlx::Result<()> {
    if engine == Engine::Sqlite {
        let left = sqlx::query("PRAGMA journal_mode = DELETE")
            .execute(&mut *db)
            .await;
        if !left.as_ref().is_err_and(is_busy) {
            left?;
            let safely = "PRAGMA synchronous = FULL";
            sqlx::query(safely).execute(db).await?;
        }
    }
    Ok(())
}

/// Has SQLite write to its log again. Where somebody reads just now, the next command or server that starts does
/// it.
///
/// # Errors
/// The database failed.
pub async fn return_to_log(db: &mut Conn, engine: Engine) -> sqlx::Result<()> {
    if engine == Engine::Sqlite {
        let back = sqlx::query("PRAGMA journal_mode = WAL").execute(db).await;
        if !back.as_ref().is_err_and(is_busy) {
            back?;
        }
    }
    Ok(())
}

/// Indexes that were taken away: how the database makes them.
#[derive(Debug)]
pub struct Indexes(Vec<String>);

/// Takes the indexes of tokens and events away, but for those that hold a constraint; with
/// [`put_indexes_back`] in the same transaction, nobody else ever sees them missing. To sort all rows
/// once takes a fraction of the time that finding each its place does.
///
/// # Errors
/// The database failed.
pub async fn take_indexes_away(db: &mut Conn, engine: Engine) -> sqlx::Result<Indexes> {
    let found: Vec<(String, String)> = sqlx::query_as(match engine {
        Engine::Sqlite => {
            "SELECT name, sql FROM sqlite_master
             WHERE type = 'index' AND tbl_name IN ('tokens', 'events') AND sql IS NOT NULL"
        }
        Engine::Postgres => {
            "SELECT CAST(c.relname AS TEXT), pg_get_indexdef(c.oid)
             FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
             WHERE i.indrelid IN (CAST('tokens' AS regclass), CAST('events' AS regclass))
               AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = c.oid)"
        }
    })
    .fetch_all(&mut *db)
    .await?;
    let mut indexes = vec![];
    for (name, sql) in found {
        let drop = AssertSqlSafe(format!("DROP INDEX \"{name}\""));
        sqlx::query(drop).execute(&mut *db).await?;
        indexes.push(sql);
    }
    Ok(Indexes(indexes))
}

/// Puts those indexes back.
///
/// # Errors
/// The database failed.
pub async fn put_indexes_back(
    db: &mut Conn,
    engine: Engine,
    Indexes(indexes): Indexes,
) -> sqlx::Result<()> {
    let settings: &[&'static str] = match engine {
        Engine::Sqlite => &[
            // What is sorted need not fit into memory: as much at a time as this cache may hold is sorted by
            // other threads while this one reads on. Less of it is sorted faster.
            "PRAGMA temp_store = DEFAULT",
            "PRAGMA cache_size = -16384",
            "PRAGMA threads = 2",
        ],
        Engine::Postgres => &["SET LOCAL maintenance_work_mem = '256MB'"],
    };
    for &sql in settings {
        sqlx::query(sql).execute(&mut *db).await?;
    }
    for sql in indexes {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *db).await?;
    }
    Ok(())
}

/// Has the database look at how its values are spread, so that it plans queries by that, and SQLite
/// move what is left in its log, which has become long.
///
/// # Errors
/// The database failed.
pub async fn settle(db: &mut Conn, engine: Engine) -> sqlx::Result<()> {
    let statements: &[&'static str] = match engine {
        Engine::Sqlite => &[
            // All of them would take seconds, and others could write nothing meanwhile.
            "PRAGMA analysis_limit = 1000",
            "ANALYZE",
            // Most of it beside others, so that the rest, which is not, takes no time.
            "PRAGMA wal_checkpoint(PASSIVE)",
            "PRAGMA wal_checkpoint(TRUNCATE)",
        ],
        // And what is visible to all, so that an index alone answers.
        Engine::Postgres => &["VACUUM (ANALYZE) users, tokens, events"],
    };
    for &sql in statements {
        sqlx::query(sql).execute(&mut *db).await?;
    }
    Ok(())
}
