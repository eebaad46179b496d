//! Whether this process can serve: the database answers, has the schema that this version works with,
//! and accepts writes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocket::futures::FutureExt;
use rocket::futures::future::{BoxFuture, Shared};
use rocket::tokio;
use rocket::tokio::time::timeout;

use super::Auth;
use crate::error::Error;
use crate::models::{now, readiness};

/// Below the second that load balancers are promised.
const ANSWER: Duration = Duration::from_millis(800);
/// How long a change that this process has committed proves that writing works.
const WRITTEN: Duration = Duration::from_secs(10);
/// What takes longer has failed. The next attempt may find the database well again.
const LIMIT: Duration = Duration::from_secs(8);

/// The attempt to find out that is under way, which probes share.
#[derive(Default)]
pub(super) struct Readiness(Mutex<Option<Attempt>>);

type Attempt = Shared<BoxFuture<'static, Result<(), Arc<str>>>>;

impl Auth {
    /// Whether this process can serve, within a second.
    ///
    /// # Errors
    /// [`Error::Database`] if it cannot.
    pub async fn ready(&self) -> Result<(), Error> {
        let ready = timeout(ANSWER, self.attempt()).await;
        ready
            .unwrap_or_else(|_| Err("no answer yet".into()))
            .map_err(|why| Error::Database(sqlx::Error::Protocol(why.to_string())))
    }

    fn attempt(&self) -> Attempt {
        let last = self.readiness.0.lock();
        let mut last = last.unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = &*last
            && attempt.peek().is_none()
        {
            return attempt.clone();
        }
        let auth = self.clone();
        // A task of its own: it goes on after the last probe has stopped waiting.
        let attempt = tokio::spawn(async move {
            match timeout(LIMIT, auth.try_out()).await {
                Ok(ready) => ready.map_err(|error| error.to_string().into()),
                Err(_) => Err("no answer in time".into()),
            }
        });
        let attempt = attempt.map(|done| done.unwrap_or_else(|_| Err("it panicked".into())));
        let attempt = attempt.boxed().shared();
        *last = Some(attempt.clone());
        attempt
    }

    async fn try_out(&self) -> Result<(), Error> {
        if !self.pool.is_in_order().await? {
            let why = "it has not the schema of this version";
            return Err(Error::Database(sqlx::Error::Protocol(why.into())));
        }
        if !self.pool.has_written_within(WRITTEN) {
            let mut tx = self.pool.write_lightly().await?;
            readiness::write(&mut tx, self.pool.engine(), now()).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
