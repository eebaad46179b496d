//! A database connection on which nothing waits without a bound, and which the pool gets back only
//! in a known state.
//!
//! The database's own time-outs come first and are a little shorter. They end a statement that waits
//! for a lock or takes too long, and leave the connection usable. The limits here are for a server
//! that enforces nothing: a frozen process, a network that went silent.
//!
//! sqlx counts open transactions on its own and is wrong about it after SQLite has rolled back by
//! itself, so transactions are begun and ended here, in SQL. A connection whose statement was cut
//! short, or whose transaction may have been ended by an error, is closed and not used again.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, io, mem};

use deadpool::managed::Object;
use rocket::futures::future::{BoxFuture, ready};
use rocket::futures::stream::{self, BoxStream};
use rocket::futures::{FutureExt, StreamExt};
use rocket::tokio::time::timeout;
use sqlx::any::{AnyConnectOptions, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use sqlx::{
    Any, AnyConnection, Connection, Describe, Either, Error, Execute, Executor, SqlStr, raw_sql,
};

use super::Engine;
use super::connections::Opener;

/// A connection, of the pool or beside it. Models run their statements on `&mut Conn`.
pub struct Conn {
    link: Link,
    engine: Engine,
    limit: Limit,
    state: State,
    stale: Arc<Stale>,
}

/// Which sessions are not to be used again. When a server refuses a change because the session may only read, those
/// that began before may have begun while it took no writes, and never take any. When one session was ended by the
/// server or the network, the others probably were, too.
pub(super) struct Stale {
    start: Instant,
    /// Sessions that began before, in milliseconds from the start.
    before: AtomicU64,
    /// Whether no change was accepted since.
    refuses: AtomicBool,
}

impl Stale {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            before: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
        }
    }

    fn refused(&self) {
        self.lost();
        self.refuses.store(true, Ordering::Relaxed);
    }

    /// A session has ended.
    pub(super) fn lost(&self) {
        self.before.store(self.now(), Ordering::Relaxed);
    }

    /// A change was accepted. Others may have begun their session until just now.
    fn accepted(&self) {
        if self.refuses.swap(false, Ordering::Relaxed) {
            self.lost();
        }
    }

    /// Whether a session of that age is to be closed.
    pub(super) fn is(&self, age: Duration) -> bool {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let before = self.before.load(Ordering::Relaxed);
        before > 0 && self.now().saturating_sub(age) <= before
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

enum Link {
    Pooled(Object<Opener>),
    Own(AnyConnection),
    Closed,
}

/// How long a statement may take.
#[derive(Clone)]
pub(super) enum Limit {
    /// At most so long.
    Short(Duration),
    /// As long as the server still works on it.
    Long(Option<Watch>),
}

/// A second look at a PostgreSQL server that has not answered for a while.
#[derive(Clone)]
pub(super) struct Watch {
    options: AnyConnectOptions,
    process: i64,
    /// Whether there may be a moment between two statements.
    over_several: bool,
}

#[derive(Default)]
struct State {
    /// A statement is under way; still set on drop, it was cut short.
    busy: bool,
    transaction: Transaction,
    /// The transaction may be gone, or the connection itself.
    broken: bool,
    /// Rows that the transaction has changed.
    changed: u64,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    #[default]
    None,
    Open,
    /// One of its statements failed.
    Failed,
}

/// SQLSTATE of a server that takes no more connections.
const TOO_MANY_CONNECTIONS: &str = "53300";
/// SQLSTATE of a change in a transaction that may only read.
const READ_ONLY: &str = "25006";
/// Between two looks at a server that works on a long statement, and for each look.
const LOOK: Duration = Duration::from_secs(4);

impl State {
    fn is_in_transaction(&self) -> bool {
        self.transaction != Transaction::None
    }
}

impl Conn {
    pub(super) fn pooled(
        connection: Object<Opener>,
        engine: Engine,
        limit: Limit,
        stale: &Arc<Stale>,
    ) -> Self {
        let mut conn = Self::over(Link::Pooled(connection), engine, limit);
        conn.stale = Arc::clone(stale);
        conn
    }

    /// One that takes no statements.
    pub(super) fn closed() -> Self {
        let nothing = Limit::Short(Duration::ZERO);
        Self::over(Link::Closed, Engine::Sqlite, nothing)
    }

    pub(super) fn own(connection: AnyConnection, engine: Engine, limit: Limit) -> Self {
        Self::over(Link::Own(connection), engine, limit)
    }

    fn over(link: Link, engine: Engine, limit: Limit) -> Self {
        Self {
            link,
            engine,
            limit,
            state: State::default(),
            stale: Arc::new(Stale::new()),
        }
    }

    /// Lets each statement take as long as the server works on it.
    pub(super) async fn watch(&mut self, options: AnyConnectOptions) -> sqlx::Result<()> {
        self.limit = match self.engine {
            Engine::Sqlite => Limit::Long(None),
            Engine::Postgres => {
                let process = sqlx::query_scalar("SELECT CAST(pg_backend_pid() AS BIGINT)");
                let process = process.fetch_one(&mut *self).await?;
                Limit::Long(Some(Watch {
                    options,
                    process,
                    over_several: false,
                }))
            }
        };
        Ok(())
    }

    /// Begins a transaction. On SQLite it takes the write lock at once: one that starts as a reader
    /// fails when another writer came between.
    ///
    /// # Errors
    /// The database failed, or the lock was not free in time.
    pub async fn begin(&mut self) -> sqlx::Result<()> {
        self.begin_with(match self.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            // Whatever the database's default is: the statements are written for this level.
            Engine::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        })
        .await
    }

    /// Begins a transaction that only reads, and sees the database as it is at its first statement. There is
    /// nothing to lose where it is dropped.
    ///
    /// # Errors
    /// The database failed.
    pub async fn begin_reading(&mut self) -> sqlx::Result<()> {
        self.begin_with(match self.engine {
            Engine::Sqlite => "BEGIN",
            Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })
        .await
    }

    /// Which engine it leads to.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    pub(super) async fn begin_with(&mut self, sql: &'static str) -> sqlx::Result<()> {
        raw_sql(sql).execute(&mut *self).await?;
        self.state.transaction = Transaction::Open;
        self.state.changed = 0;
        Ok(())
    }

    /// Commits the transaction, and returns how many rows it has changed.
    ///
    /// # Errors
    /// The database failed, and the transaction may or may not be committed; or one of its
    /// statements had failed, and nothing is committed.
    pub async fn commit(&mut self) -> sqlx::Result<u64> {
        if self.state.transaction == Transaction::Failed {
            // PostgreSQL would roll back and report success.
            self.rollback().await?;
            return Err(Error::Protocol(
                "a statement of the transaction failed".into(),
            ));
        }
        self.end("COMMIT").await?;
        if self.state.changed > 0 {
            self.stale.accepted();
        }
        Ok(self.state.changed)
    }

    /// Rolls the transaction back.
    ///
    /// # Errors
    /// The database failed; the connection must not be used again.
    pub async fn rollback(&mut self) -> sqlx::Result<()> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, sql: &'static str) -> sqlx::Result<()> {
        let ended = raw_sql(sql).execute(&mut *self).await;
        self.state.broken |= ended.is_err();
        ended?;
        self.state.transaction = Transaction::None;
        Ok(())
    }

    /// Whether a transaction is open.
    pub fn is_in_transaction(&self) -> bool {
        self.state.is_in_transaction() && !self.is_broken()
    }

    /// Whether the connection has ended. If that was the first statement, it may be tried on another.
    pub fn is_lost(&self) -> bool {
        self.state.broken
    }

    fn is_broken(&self) -> bool {
        self.state.busy || self.state.broken
    }

    /// Closes a connection that is not the pool's, and gives one of the pool's back.
    ///
    /// # Errors
    /// The database failed.
    pub async fn close(mut self) -> sqlx::Result<()> {
        match mem::replace(&mut self.link, Link::Closed) {
            Link::Own(connection) => {
                let closed = timeout(LOOK, connection.close()).await;
                closed.unwrap_or_else(|_| Err(timed_out()))
            }
            pooled => {
                // On drop it is looked at.
                self.link = pooled;
                Ok(())
            }
        }
    }

    /// The connection itself, its state and its limit, for one more statement.
    fn parts(&mut self) -> sqlx::Result<(&mut AnyConnection, Watched<'_>)> {
        if self.is_broken() {
            return Err(Error::Protocol(
                "the connection is in an unknown state".into(),
            ));
        }
        let connection = match &mut self.link {
            Link::Pooled(connection) => &mut **connection,
            Link::Own(connection) => connection,
            Link::Closed => return Err(Error::PoolClosed),
        };
        self.state.busy = true;
        let watched = Watched {
            engine: self.engine,
            limit: &self.limit,
            state: &mut self.state,
            stale: &self.stale,
        };
        Ok((connection, watched))
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if (self.is_broken() || self.state.is_in_transaction())
            && let Link::Pooled(connection) = mem::replace(&mut self.link, Link::Closed)
        {
            // It is closed, and the pool may open another.
            drop(Object::take(connection));
        }
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Conn")
    }
}

/// What is noted of a statement that is under way.
struct Watched<'c> {
    engine: Engine,
    limit: &'c Limit,
    state: &'c mut State,
    stale: &'c Stale,
}

impl Watched<'_> {
    /// Waits for the statement's next step as long as its limit allows.
    async fn step<T>(&mut self, step: impl Future<Output = T>) -> sqlx::Result<T> {
        match self.limit {
            Limit::Short(limit) => timeout(*limit, step).await.map_err(|_| timed_out()),
            Limit::Long(None) => Ok(step.await),
            Limit::Long(Some(watch)) => watch.over(step).await,
        }
    }

    /// Notes that the statement is done.
    fn done<T>(&mut self, result: sqlx::Result<T>) -> sqlx::Result<T> {
        self.state.busy = false;
        if let Err(error) = &result {
            if self.state.is_in_transaction() {
                self.state.transaction = Transaction::Failed;
            }
            self.state.broken |= match error.as_database_error() {
                // SQLite may have rolled back, or not, by the kind of error (sqlite.org/c3ref/get_autocommit.html).
                // After a constraint's it has not.
                Some(database) if database.code().is_some_and(|code| code == READ_ONLY) => {
                    self.stale.refused();
                    true
                }
                Some(database) if is_end_of_session(database) => {
                    self.stale.lost();
                    true
                }
                Some(database) => {
                    self.engine == Engine::Sqlite
                        && self.state.is_in_transaction()
                        && matches!(database.kind(), ErrorKind::Other)
                }
                None if matches!(error, Error::RowNotFound | Error::ColumnDecode { .. }) => false,
                None => {
                    self.stale.lost();
                    true
                }
            };
        }
        result
    }
}

/// Whether PostgreSQL closes the connection after that error.
fn is_end_of_session(error: &dyn DatabaseError) -> bool {
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

impl Watch {
    /// One over several statements of that process at the server.
    pub(super) fn over_several(options: AnyConnectOptions, process: i64) -> Self {
        Self {
            options,
            process,
            over_several: true,
        }
    }

    /// Waits for what the process works on as long as it does.
    ///
    /// # Errors
    /// The server has stopped answering.
    pub(super) async fn over<T>(&self, step: impl Future<Output = T>) -> sqlx::Result<T> {
        let mut step = pin!(step);
        loop {
            if let Ok(done) = timeout(LOOK, &mut step).await {
                return Ok(done);
            }
            if !self.is_running().await {
                // It may have ended a moment ago.
                let last = timeout(Duration::from_secs(1), &mut step).await;
                return last.map_err(|_| timed_out());
            }
        }
    }

    /// Whether the server, asked on another connection, still works on the statement. If it answers
    /// that it takes no more connections, it lives.
    async fn is_running(&self) -> bool {
        let look = async {
            let mut other = AnyConnection::connect_with(&self.options).await?;
            let running: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM pg_stat_activity
                 WHERE pid = $1 AND ($2 = 1 OR state IN ('active', 'fastpath function call'))",
            )
            .bind(self.process)
            .bind(i64::from(self.over_several))
            .fetch_one(&mut other)
            .await?;
            other.close().await?;
            sqlx::Result::Ok(running > 0)
        };
        match timeout(LOOK, look).await {
            Ok(Ok(running)) => running,
            Ok(Err(error)) => {
                let code = Error::as_database_error(&error).and_then(DatabaseError::code);
                code.is_some_and(|code| code == TOO_MANY_CONNECTIONS)
            }
            Err(_) => false,
        }
    }
}

fn timed_out() -> Error {
    Error::Io(io::Error::new(
        io::ErrorKind::TimedOut,
        "the database did not answer in time",
    ))
}

type Step = Either<AnyQueryResult, AnyRow>;

impl<'c> Executor<'c> for &'c mut Conn {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Step>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let (connection, watched) = match self.parts() {
            Ok(parts) => parts,
            Err(error) => return stream::once(ready(Err(error))).boxed(),
        };
        let rows = Some(connection.fetch_many(query));
        stream::unfold((rows, watched), |(rows, mut watched)| async move {
            let mut rows = rows?;
            match watched.step(rows.next()).await {
                Ok(Some(Ok(step))) => {
                    if let Either::Left(result) = &step {
                        watched.state.changed += result.rows_affected();
                    }
                    Some((Ok(step), (Some(rows), watched)))
                }
                Ok(Some(Err(error))) => {
                    let error = watched.done(Err(error));
                    Some((error, (None, watched)))
                }
                Ok(None) => {
                    watched.state.busy = false;
                    None
                }
                // It stays busy: it was cut short.
                Err(error) => Some((Err(error), (None, watched))),
            }
        })
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        async move {
            let (connection, mut watched) = self.parts()?;
            let fetched = watched.step(connection.fetch_optional(query)).await?;
            // What it changed is not told here; a row that came back stands for one.
            watched.state.changed += u64::from(matches!(fetched, Ok(Some(_))));
            watched.done(fetched)
        }
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<AnyStatement>>
    where
        'c: 'e,
    {
        async move {
            let (connection, mut watched) = self.parts()?;
            let prepared = watched
                .step(connection.prepare_with(sql, parameters))
                .await?;
            watched.done(prepared)
        }
        .boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Any>>>
    where
        'c: 'e,
    {
        async move {
            let (connection, mut watched) = self.parts()?;
            let described = watched.step(connection.describe(sql)).await?;
            watched.done(described)
        }
        .boxed()
    }
}
