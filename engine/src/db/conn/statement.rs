//! sqlx executor of a [`Conn`], which applies the connection's limit and updates its state.

use futures::future::{BoxFuture, ready};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, AnyConnection, Describe, Either, Error, Execute, Executor, SqlStr};

use super::state::ConnState;
use super::{Conn, Handle};

impl Conn {
    /// Marks the connection as busy with a statement.
    fn start_statement(&mut self) -> sqlx::Result<(&mut AnyConnection, &mut ConnState)> {
        if self.state.is_broken() {
            return Err(Error::Protocol(
                "the connection is in an unknown state".into(),
            ));
        }
        let connection = match &mut self.handle {
            Handle::Pooled(connection) => &mut **connection,
            Handle::Standalone(connection) => connection,
            Handle::Closed => return Err(Error::PoolClosed),
        };
        self.state.busy = true;
        Ok((connection, &mut self.state))
    }
}

type Step = Either<AnyQueryResult, AnyRow>;

impl<'c> Executor<'c> for &'c mut Conn {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Step>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let (connection, state) = match self.start_statement() {
            Ok(statement) => statement,
            Err(error) => return stream::once(ready(Err(error))).boxed(),
        };
        let rows = Some(connection.fetch_many(query));
        stream::unfold((rows, state), |(rows, state)| async move {
            let mut rows = rows?;
            match state.limit.wait_for(rows.next()).await {
                Ok(Some(Ok(step))) => {
                    if let Either::Left(result) = &step {
                        state.changed_rows += result.rows_affected();
                    }
                    Some((Ok(step), (Some(rows), state)))
                }
                Ok(Some(Err(error))) => {
                    let error = state.record(Err(error));
                    Some((error, (None, state)))
                }
                Ok(None) => {
                    state.busy = false;
                    None
                }
                // The connection stays busy, because the statement was cut short.
                Err(error) => Some((Err(error), (None, state))),
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
            let (connection, state) = self.start_statement()?;
            let fetched = state
                .limit
                .wait_for(connection.fetch_optional(query))
                .await?;
            // The number of changed rows is unknown here. A returned row counts as one.
            state.changed_rows += u64::from(matches!(fetched, Ok(Some(_))));
            state.record(fetched)
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
            let (connection, state) = self.start_statement()?;
            let prepared = connection.prepare_with(sql, parameters);
            let prepared = state.limit.wait_for(prepared).await?;
            state.record(prepared)
        }
        .boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Any>>>
    where
        'c: 'e,
    {
        async move {
            let (connection, state) = self.start_statement()?;
            let described = state.limit.wait_for(connection.describe(sql)).await?;
            state.record(described)
        }
        .boxed()
    }
}
