//! Readiness: whether the database answers, has the schema of this version and accepts writes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio;
use tokio::time::timeout;

use crate::db::Pool;
use crate::error::Error;
use crate::models::{now, readiness};

/// Timeout of a probe, below the second within which load balancers get a response.
const PROBE_TIMEOUT: Duration = Duration::from_millis(800);
/// How long a committed change proves that the database accepts writes.
const WRITE_VALIDITY: Duration = Duration::from_secs(10);
/// Timeout of a check. The next one may find the database recovered.
const CHECK_TIMEOUT: Duration = Duration::from_secs(8);

/// Readiness check. Cheap to clone.
#[derive(Clone)]
pub struct Readiness {
    pool: Pool,
    /// The check in progress, which probes share.
    shared_check: Arc<Mutex<Option<SharedCheck>>>,
}

type SharedCheck = Shared<BoxFuture<'static, Result<(), Arc<str>>>>;

impl Readiness {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            shared_check: Arc::default(),
        }
    }

    /// Checks whether this process can serve. Returns within a second.
    ///
    /// # Errors
    /// [`Error::Database`] if it cannot.
    pub async fn check(&self) -> Result<(), Error> {
        let ready = timeout(PROBE_TIMEOUT, self.shared_check()).await;
        ready
            .unwrap_or_else(|_| Err("no response yet".into()))
            .map_err(|why| Error::Database(sqlx::Error::Protocol(why.to_string())))
    }

    fn shared_check(&self) -> SharedCheck {
        let last = self.shared_check.lock();
        let mut last = last.unwrap_or_else(PoisonError::into_inner);
        if let Some(shared_check) = &*last
            && shared_check.peek().is_none()
        {
            return shared_check.clone();
        }
        let readiness = self.clone();
        // In its own task, so that it continues after the last probe has timed out.
        let shared_check = tokio::spawn(async move {
            match timeout(CHECK_TIMEOUT, readiness.check_database()).await {
                Ok(ready) => ready.map_err(|error| error.to_string().into()),
                Err(_) => Err("no response in time".into()),
            }
        });
        let shared_check =
            shared_check.map(|done| done.unwrap_or_else(|_| Err("the check panicked".into())));
        let shared_check = shared_check.boxed().shared();
        *last = Some(shared_check.clone());
        shared_check
    }

    async fn check_database(&self) -> Result<(), Error> {
        if !self.pool.has_current_schema().await? {
            let why = "its schema does not match this version";
            return Err(Error::Database(sqlx::Error::Protocol(why.into())));
        }
        if !self.pool.has_written_within(WRITE_VALIDITY) {
            let mut tx = self.pool.write_non_durable().await?;
            readiness::write(&mut tx, self.pool.engine(), now()).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
