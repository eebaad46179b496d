//! Outcomes of attempts, in the counts and in the audit log.

use super::{BudgetAttempt, LoginAttempt, Throttle};
use crate::auth::outbox::{MailKind, MailValues};
use crate::db::Conn;
use crate::error::Error;
use crate::identity::UserId;
use crate::models::attempt::{self, BudgetRow};
use crate::models::event::{self, Action, Actor, EventDetails};
use crate::models::now;
use crate::password::HashPriority;

/// Consecutive failures of strangers at which the user is notified.
const NOTIFY_AT_FAILURES: i64 = 20;

/// A rejected password. `user` is none if the account does not exist.
pub(in crate::auth) struct RejectedLogin {
    pub(in crate::auth) user: Option<(UserId, String)>,
    pub(in crate::auth) reason: &'static str,
}

impl Throttle {
    /// Removes a pending attempt, in a transaction of its own.
    pub(in crate::auth) async fn release(&self, attempt: &LoginAttempt) -> Result<(), Error> {
        let mut tx = self.pool.write_non_durable().await?;
        attempt.settle(&mut tx, |_, _| {}).await?;
        Ok(tx.commit().await?)
    }

    /// Counts an attempt as failed. Writes an audit event for the failure, and one for each limit that it reaches.
    pub(in crate::auth) async fn record_failure(
        &self,
        actor: &Actor,
        rejected: &RejectedLogin,
        attempt: &LoginAttempt,
    ) -> Result<(), Error> {
        let now = now();
        let mut tx = self.pool.write().await?;
        let mut account = attempt.account.settle(&mut tx, now).await?;
        if attempt.priority == HashPriority::Stranger {
            account.fail_in_a_row(now);
        } else {
            account.fail();
        }
        store(&mut tx, &account).await?;
        if let Some((id, _)) = &rejected.user
            && account.run == NOTIFY_AT_FAILURES
        {
            let values = MailValues::new();
            self.outbox
                .notify(&mut tx, MailKind::UnderAttack, *id, &values)
                .await?;
        }
        let mut networks = vec![];
        for pending in &attempt.networks {
            let mut network = pending.settle(&mut tx, now).await?;
            network.fail();
            networks.push((network, pending.budget.limit));
        }

        let subject = rejected
            .user
            .as_ref()
            .map(|(id, name)| (*id, name.as_str()));
        let details_for = |reason| EventDetails {
            subject,
            reason: Some(reason),
            ..EventDetails::default()
        };
        let exhausted = "account";
        let is_exhausted = account.failures == attempt.account.budget.limit;
        let failed = details_for(rejected.reason);
        match networks.first_mut() {
            // Names are unlimited: an event for each would let strangers fill the disk.
            Some((address, _)) if subject.is_none() => {
                let id = &mut address.failed_event;
                count_or_insert(&mut tx, id, Action::LoginFailed, actor, failed, now).await?;
                if is_exhausted {
                    let (id, action) = (&mut address.throttled_event, Action::LoginThrottled);
                    count_or_insert(&mut tx, id, action, actor, details_for(exhausted), now)
                        .await?;
                }
            }
            _ => {
                event::insert(&mut tx, Action::LoginFailed, actor, failed, now).await?;
                if is_exhausted {
                    let throttled = details_for(exhausted);
                    event::insert(&mut tx, Action::LoginThrottled, actor, throttled, now).await?;
                }
            }
        }
        let reasons = ["address"].into_iter();
        let reasons = reasons.chain(std::iter::repeat("network"));
        for ((network, limit), reason) in networks.iter().zip(reasons) {
            store(&mut tx, network).await?;
            if network.failures == *limit {
                let throttled = details_for(reason);
                event::insert(&mut tx, Action::LoginThrottled, actor, throttled, now).await?;
            }
        }
        Ok(tx.commit().await?)
    }
}

impl LoginAttempt {
    /// Removes a pending attempt after the right password. For a stranger, it also ends the run of failures.
    pub(in crate::auth) async fn succeed(&self, tx: &mut Conn) -> Result<(), Error> {
        let end_run = |priority, account: &mut BudgetRow| {
            if priority == HashPriority::Stranger {
                account.end_run();
            }
        };
        self.settle(tx, end_run).await
    }

    async fn settle(
        &self,
        tx: &mut Conn,
        change_account: impl FnOnce(HashPriority, &mut BudgetRow),
    ) -> Result<(), Error> {
        let now = now();
        let mut account = self.account.settle(tx, now).await?;
        change_account(self.priority, &mut account);
        store(tx, &account).await?;
        for pending in &self.networks {
            let network = pending.settle(tx, now).await?;
            store(tx, &network).await?;
        }
        Ok(())
    }
}

impl BudgetAttempt {
    async fn settle(&self, tx: &mut Conn, now: i64) -> Result<BudgetRow, Error> {
        let mut row = attempt::lock(tx, &self.budget.key).await?.at(now);
        row.settle(self.generation);
        Ok(row)
    }
}

pub(super) async fn store(tx: &mut Conn, row: &BudgetRow) -> Result<(), Error> {
    Ok(attempt::store(tx, row, row.kept_until()).await?)
}

/// Increments the count of event `id`, or adds an event if there is none.
async fn count_or_insert(
    tx: &mut Conn,
    id: &mut Option<String>,
    action: Action,
    actor: &Actor,
    details: EventDetails<'_>,
    now: i64,
) -> Result<(), Error> {
    if let Some(id) = id.as_deref()
        && event::increment_count(tx, id).await?
    {
        return Ok(());
    }
    *id = Some(
        event::insert(tx, action, actor, details, now)
            .await?
            .to_string(),
    );
    Ok(())
}
