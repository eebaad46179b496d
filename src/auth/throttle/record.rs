//! What becomes of an attempt, in the counts and in the audit log.

use super::{Attempt, Pending};
use crate::auth::Auth;
use crate::auth::sessions::Refused;
use crate::db::Conn;
use crate::error::Error;
use crate::models::attempt::{self, Counts};
use crate::models::event::{self, About, Action, Actor};
use crate::models::now;
use crate::password::Rank;

impl Auth {
    /// Takes an attempt back, in a transaction of its own.
    pub(in crate::auth) async fn forgive(&self, attempt: &Attempt) -> Result<(), Error> {
        let mut tx = self.pool.write_lightly().await?;
        attempt.settle(&mut tx, |_, _| {}).await?;
        Ok(tx.commit().await?)
    }

    /// Makes an attempt a failure, and writes down that a password was refused, and that no more are
    /// taken if that is so now.
    pub(in crate::auth) async fn record_failure(
        &self,
        actor: &Actor,
        refused: &Refused,
        attempt: &Attempt,
    ) -> Result<(), Error> {
        let now = now();
        let mut tx = self.pool.write().await?;
        let mut account = attempt.account.settle(&mut tx, now).await?;
        if attempt.rank == Rank::Stranger {
            account.fail_in_a_row(now);
        } else {
            account.fail();
        }
        store(&mut tx, &account).await?;
        let mut networks = vec![];
        for pending in &attempt.networks {
            let mut network = pending.settle(&mut tx, now).await?;
            network.fail();
            networks.push((network, pending.budget.limit));
        }

        let subject = refused.user.as_ref().map(|(id, name)| (*id, name.as_str()));
        let about = |reason| About {
            subject,
            reason: Some(reason),
            ..About::default()
        };
        let exhausted = "account";
        let is_exhausted = account.failures == attempt.account.budget.limit;
        let failed = about(refused.reason);
        match networks.first_mut() {
            // Names are without number: a line for each would let strangers fill the disk.
            Some((address, _)) if subject.is_none() => {
                let id = &mut address.failed_event;
                count(&mut tx, id, Action::LoginFailed, actor, failed, now).await?;
                if is_exhausted {
                    let (id, action) = (&mut address.throttled_event, Action::LoginThrottled);
                    count(&mut tx, id, action, actor, about(exhausted), now).await?;
                }
            }
            _ => {
                event::insert(&mut tx, Action::LoginFailed, actor, failed, now).await?;
                if is_exhausted {
                    let throttled = about(exhausted);
                    event::insert(&mut tx, Action::LoginThrottled, actor, throttled, now).await?;
                }
            }
        }
        let reasons = ["address"].into_iter();
        let reasons = reasons.chain(std::iter::repeat("network"));
        for ((network, limit), reason) in networks.iter().zip(reasons) {
            store(&mut tx, network).await?;
            if network.failures == *limit {
                let throttled = about(reason);
                event::insert(&mut tx, Action::LoginThrottled, actor, throttled, now).await?;
            }
        }
        Ok(tx.commit().await?)
    }
}

impl Attempt {
    /// Takes it back: the password was right. That of a stranger ends the run of failures.
    pub(in crate::auth) async fn succeed(&self, tx: &mut Conn) -> Result<(), Error> {
        let end_run = |rank, account: &mut Counts| {
            if rank == Rank::Stranger {
                account.end_run();
            }
        };
        self.settle(tx, end_run).await
    }

    async fn settle(
        &self,
        tx: &mut Conn,
        change_account: impl FnOnce(Rank, &mut Counts),
    ) -> Result<(), Error> {
        let now = now();
        let mut account = self.account.settle(tx, now).await?;
        change_account(self.rank, &mut account);
        store(tx, &account).await?;
        for pending in &self.networks {
            let network = pending.settle(tx, now).await?;
            store(tx, &network).await?;
        }
        Ok(())
    }
}

impl Pending {
    /// Locks its row, and counts it as pending no more.
    async fn settle(&self, tx: &mut Conn, now: i64) -> Result<Counts, Error> {
        let mut counts = attempt::lock(tx, &self.budget.key).await?.at(now);
        counts.settle(self.generation);
        Ok(counts)
    }
}

pub(super) async fn store(tx: &mut Conn, counts: &Counts) -> Result<(), Error> {
    Ok(attempt::store(tx, counts, counts.kept_until()).await?)
}

/// Counts once more what the event `id` says, or adds an event where there is none.
async fn count(
    tx: &mut Conn,
    id: &mut Option<String>,
    action: Action,
    actor: &Actor,
    about: About<'_>,
    now: i64,
) -> Result<(), Error> {
    if let Some(id) = id.as_deref()
        && event::count_again(tx, id).await?
    {
        return Ok(());
    }
    *id = Some(
        event::insert(tx, action, actor, about, now)
            .await?
            .to_string(),
    );
    Ok(())
}
