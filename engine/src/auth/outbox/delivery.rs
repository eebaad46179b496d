//! Delivery of mail: one process sends each mail, and retries until the mail server accepts it or it is given up.
//!
//! A process claims a mail before preparing it, and renews the claim while the mail server has it. If the process is
//! killed, the claim lapses and another process sends the mail. It is sent twice only if the first process was killed,
//! or lost its connection, between sending the text and its own commit. Both copies then have the same Message-ID.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::select;
use tokio::time::{sleep, timeout_at};

use super::{HOUR, MailKind, MailValues, Outbox};
use crate::context;
use crate::db::Conn;
use crate::error::Error;
use crate::identity::{LinkId, UserId};
use crate::mail::{Mail, SendError};
use crate::models::event::{self, Action, Actor, EventDetails};
use crate::models::link::Purpose;
use crate::models::now;
use crate::models::outbox::{self, PendingMail};
use crate::models::user::{self, UserRow};
use crate::web::templates::Templates;

/// Number of mails looked up at once, and maximum number sent at the same time.
const BATCH_SIZE: i64 = 20;
pub(super) const MAX_CONCURRENT: usize = 4;
/// Seconds that a claim lasts, and the interval between renewals.
const CLAIM_DURATION: i64 = 30;
const RENEWAL_INTERVAL: Duration = Duration::from_secs(10);
/// Number and interval of attempts to delete the row of a sent mail.
const MAX_DELETE_TRIES: usize = 60;
const DELETE_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Seconds until the second try. Each later pause is four times as long, up to the maximum.
const MIN_RETRY_DELAY: i64 = 30;
const MAX_RETRY_DELAY: i64 = 12 * HOUR;

impl Outbox {
    /// Starts to send due mails. Without a mail server, gives up mails that have waited too long for one.
    ///
    /// # Errors
    /// [`Error::Database`]; what was not sent is tried again.
    pub(in crate::auth) async fn deliver(&self, templates: &Arc<Templates>) -> Result<(), Error> {
        let due = {
            let mut db = self.pool.read().await?;
            if self.is_enabled() {
                outbox::due(&mut db, now(), BATCH_SIZE).await?
            } else {
                outbox::overdue(&mut db, now(), BATCH_SIZE).await?
            }
        };
        for mail in due {
            // No permit is granted once the outbox is closed.
            let Ok(permit) = self.send_permits.clone().acquire_owned().await else {
                return Ok(());
            };
            let (outbox, templates) = (self.clone(), templates.clone());
            // In its own task, so that a mail server that hangs delays only this mail.
            tokio::spawn(async move {
                if let Err(error) = outbox.send(&templates, mail).await {
                    tracing::warn!("an email could not be prepared and will be retried: {error}");
                }
                drop(permit);
            });
        }
        Ok(())
    }

    /// Starts no more mails, and waits until `end` for mails in progress. A mail that the server accepts after this
    /// process ended would be sent again.
    pub(crate) async fn close(&self, end: Instant) {
        // Permits are granted in the order of the requests, so no mail starts after this.
        let all = u32::try_from(MAX_CONCURRENT).unwrap_or(1);
        if timeout_at(end.into(), self.send_permits.acquire_many(all))
            .await
            .is_err()
        {
            tracing::warn!("an email was still being sent at shutdown and may be sent twice");
        }
        self.send_permits.close();
    }

    async fn send(&self, templates: &Templates, mut mail: PendingMail) -> Result<(), Error> {
        // In its own transaction: deleting a user locks the user's row before the mail's.
        let mut tx = self.pool.write().await?;
        if !outbox::claim(&mut tx, &mut mail, now() + CLAIM_DURATION).await? {
            return Ok(());
        }
        tx.commit().await?;
        if mail.ends_at <= now() {
            return self
                .give_up(&mail, "it could not be sent before it expired")
                .await;
        }
        let Some(mailer) = &self.mailer else {
            return Ok(());
        };
        let Some(mail) = self.prepare(mail).await? else {
            return Ok(());
        };
        let sent = match self.render(templates, &mail) {
            Ok(message) => select! {
                sent = mailer.send(&message) => sent,
                () = self.hold_claim(&mail) => return Ok(()),
            },
            // The operator can fix the template.
            Err(fault) => Err(SendError::Temporary(fault)),
        };
        let due_at = now() + retry_delay(mail.tries);
        match sent {
            Ok(_) => self.delete_sent(&mail).await,
            Err(SendError::Temporary(fault)) if due_at < mail.ends_at => {
                self.metrics.mail("failed");
                tracing::warn!(mail = %mail.id, "an email could not be sent and will be retried: {fault}");
                let mut tx = self.pool.write().await?;
                outbox::postpone(&mut tx, &mail, due_at).await?;
                Ok(tx.commit().await?)
            }
            Err(fault) => self.give_up(&mail, &fault.to_string()).await,
        }
    }

    /// Renews the claim. Returns if another process has the mail now, or may have it soon.
    async fn hold_claim(&self, claimed: &PendingMail) {
        let claim = Duration::from_secs(CLAIM_DURATION.unsigned_abs());
        let mut renewed = Instant::now();
        loop {
            sleep(RENEWAL_INTERVAL).await;
            match self.renew_claim(claimed).await {
                Ok(true) => renewed = Instant::now(),
                Ok(false) => return,
                Err(error) => tracing::warn!("the claim on an email could not be renewed: {error}"),
            }
            if renewed.elapsed() + RENEWAL_INTERVAL >= claim {
                return;
            }
        }
    }

    async fn renew_claim(&self, claimed: &PendingMail) -> Result<bool, Error> {
        let mut tx = self.pool.write().await?;
        let is_renewed = outbox::postpone(&mut tx, claimed, now() + CLAIM_DURATION).await?;
        tx.commit().await?;
        Ok(is_renewed)
    }

    /// Deletes the row of a sent mail. A brief failure of the database must not cause a second mail.
    async fn delete_sent(&self, mail: &PendingMail) -> Result<(), Error> {
        self.metrics.mail("sent");
        let mut tries = 0;
        loop {
            tries += 1;
            match self.delete(mail).await {
                Err(error) if tries < MAX_DELETE_TRIES => {
                    tracing::warn!(
                        "a sent email could not be deleted from the outbox yet: {error}"
                    );
                    sleep(DELETE_RETRY_INTERVAL).await;
                }
                done => return done,
            }
        }
    }

    async fn delete(&self, mail: &PendingMail) -> Result<(), Error> {
        let mut tx = self.pool.write().await?;
        outbox::delete(&mut tx, mail.id).await?;
        Ok(tx.commit().await?)
    }

    async fn give_up(&self, mail: &PendingMail, fault: &str) -> Result<(), Error> {
        let mut tx = self.pool.write().await?;
        if !outbox::give_up(&mut tx, mail).await? {
            return Ok(());
        }
        let details = EventDetails {
            subject: UserId::parse(&mail.user_id).map(|id| (id, mail.username.as_str())),
            reason: Some(&mail.purpose),
            ..EventDetails::default()
        };
        event::insert(
            &mut tx,
            Action::MailFailed,
            &Actor::server(),
            details,
            now(),
        )
        .await?;
        tx.commit().await?;
        self.metrics.mail("given_up");
        tracing::error!(mail = %mail.id, "an email could not be sent and will not be retried: {fault}");
        Ok(())
    }
}

impl Outbox {
    /// Looks up the user and creates the link of a mail that was requested for an address, at its first try. None if no
    /// mail is to be sent.
    async fn prepare(&self, mut mail: PendingMail) -> Result<Option<PendingMail>, Error> {
        let is_request = ["reset", "verify"].contains(&mail.purpose.as_str());
        if !is_request || !mail.link_id.is_empty() {
            return Ok(Some(mail));
        }
        let mut tx = self.pool.write().await?;
        let Some((kind, user, purpose)) = self.find_recipient(&mut tx, &mail).await? else {
            outbox::delete(&mut tx, mail.id).await?;
            tx.commit().await?;
            return Ok(None);
        };
        let link = match purpose {
            Some(purpose) => {
                let facts: MailValues = serde_json::from_str(&mail.facts).unwrap_or_default();
                let email = facts.get("email").and_then(Value::as_str);
                let email = email.filter(|_| purpose == Purpose::Verify);
                Some(
                    self.create_link(&mut tx, purpose, Some(user.id), email)
                        .await?,
                )
            }
            None => None,
        };
        // A change of the password may have deleted the row since it was claimed. Then there must be no link either.
        if !outbox::resolve(&mut tx, mail.id, kind.as_str(), user.id, link).await? {
            tx.rollback().await?;
            return Ok(None);
        }
        tx.commit().await?;
        mail.purpose = kind.as_str().into();
        mail.user_id = user.id.to_string();
        mail.username = user.username;
        mail.link_id = link.map(|id| id.to_string()).unwrap_or_default();
        Ok(Some(mail))
    }

    /// The kind, the user and the link's purpose of a requested mail. Locks the user's row, so that no change of the
    /// password or the address comes between this and the link.
    async fn find_recipient(
        &self,
        tx: &mut Conn,
        mail: &PendingMail,
    ) -> Result<Option<(MailKind, UserRow, Option<Purpose>)>, Error> {
        let requester = UserId::parse(&mail.user_id);
        let owner = user::find_by_email(tx, &mail.address).await?;
        let Some(id) = owner.map(|owner| owner.id).or(requester) else {
            return Ok(None);
        };
        user::lock(tx, id).await?;
        let owner = user::find_by_email(tx, &mail.address).await?;
        let is_reset = mail.purpose == "reset";
        let found = match owner {
            Some(owner) if is_reset && owner.disabled_at.is_none() => {
                (MailKind::Reset, owner, Some(Purpose::Reset))
            }
            // The user has verified the address since.
            Some(owner) if is_reset || Some(owner.id) == requester => return Ok(None),
            Some(owner) => (MailKind::AddressTaken, owner, None),
            None if is_reset => return Ok(None),
            None => match user::find(tx, id).await? {
                Some(user) if Some(user.id) == requester => {
                    (MailKind::Verify, user, Some(Purpose::Verify))
                }
                _ => return Ok(None),
            },
        };
        let is_allowed = self.may_send(tx, found.0, &mail.address, requester).await?;
        Ok(is_allowed.then_some(found))
    }

    fn render(&self, templates: &Templates, mail: &PendingMail) -> Result<Mail, String> {
        let link = match (
            Purpose::try_from(mail.purpose.clone()),
            LinkId::parse(&mail.link_id),
        ) {
            (Ok(purpose), Some(id)) => Some(self.link_url(purpose, id)),
            _ => None,
        };
        let facts: MailValues =
            serde_json::from_str(&mail.facts).map_err(|error| error.to_string())?;
        // Nobody has verified the address yet, so a name that a stranger chose is not sent there.
        let username = match mail.purpose.as_str() {
            "verify" => "",
            _ => mail.username.as_str(),
        };
        let values = context! {
            app: self.settings.name.as_str(),
            origin: self.settings.origin.as_str(),
            username,
            address: mail.address.as_str(),
            link,
            facts,
        };
        let (subject, text, html) = templates.mail(&format!("mail/{}", mail.purpose), values)?;
        Ok(Mail {
            id: mail.id.to_string(),
            to: mail.address.clone(),
            subject,
            text,
            html,
        })
    }
}

/// Seconds between a mail's `tries`-th try and the next.
fn retry_delay(tries: i64) -> i64 {
    let doublings = 2 * (tries - 1).clamp(0, 6);
    (MIN_RETRY_DELAY << doublings).min(MAX_RETRY_DELAY)
}
