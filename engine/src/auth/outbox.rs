//! Mail to users. A mail is stored in the transaction that it reports and sent later by a background task, so that no
//! request waits for a mail server.
//!
//! A mail requested with only an address, such as a reset, is stored for every address alike. Whether an account has
//! that address is looked up when the mail is prepared. So neither the response nor its timing reveals it.

mod delivery;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::metrics::AuthMetrics;
use crate::config::Settings;
use crate::db::{Conn, Pool};
use crate::error::Error;
use crate::identity::email::EmailAddress;
use crate::identity::{LinkId, UserId};
use crate::mail::{Mail, Mailer};
use crate::models::link::{self, Purpose};
use crate::models::outbox::{self, NewMail};
use crate::models::{attempt, now, token, user};
use crate::secret::Digest;

/// Maximum number of mails per hour that anyone can cause for one email address, and that one account can request.
const MAX_PER_HOUR: i64 = 3;
const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// Number of expiring tokens looked up at once.
const EXPIRY_BATCH_SIZE: i64 = 100;

/// A kind of mail, by the name of its templates in `templates/mail/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailKind {
    /// A link to reset a forgotten password.
    Reset,
    /// A link to set the first password.
    Invite,
    /// An invitation to sign up.
    SignUp,
    /// A link that verifies the email address.
    Verify,
    /// Someone else tried to use this email address.
    AddressTaken,
    /// A sign-in from an unknown IP address, or with an app or system for the first time.
    NewDevice,
    /// The password was changed.
    PasswordChanged,
    /// A change of the email address was requested. Sent to the old one.
    EmailChanging,
    /// The email address was changed. Sent to the old one.
    EmailChanged,
    /// An admin revoked tokens.
    TokensRevoked,
    /// Someone is guessing the password.
    UnderAttack,
    /// A token expires within a week.
    TokenExpiring,
}

impl MailKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Reset,
        Self::Invite,
        Self::SignUp,
        Self::Verify,
        Self::AddressTaken,
        Self::NewDevice,
        Self::PasswordChanged,
        Self::EmailChanging,
        Self::EmailChanged,
        Self::TokensRevoked,
        Self::UnderAttack,
        Self::TokenExpiring,
    ];

    /// Maximum number per user and hour. None for a mail that only the user, or a thief of their password, can cause.
    fn limit(self) -> Option<i64> {
        match self {
            // A bulk action may revoke a user's tokens one after another.
            Self::TokensRevoked => Some(1),
            Self::NewDevice | Self::EmailChanging | Self::UnderAttack => Some(MAX_PER_HOUR),
            _ => None,
        }
    }

    /// The name of its templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Invite => "invite",
            Self::SignUp => "sign-up",
            Self::Verify => "verify",
            Self::AddressTaken => "address-taken",
            Self::NewDevice => "new-device",
            Self::PasswordChanged => "password-changed",
            Self::EmailChanging => "email-changing",
            Self::EmailChanged => "email-changed",
            Self::TokensRevoked => "tokens-revoked",
            Self::UnderAttack => "under-attack",
            Self::TokenExpiring => "token-expiring",
        }
    }

    /// Seconds after which an unsent mail is given up. A reset is given up when its link would have expired.
    fn lifetime(self) -> i64 {
        match self {
            Self::Reset => Purpose::Reset.lifetime(),
            _ => 2 * DAY,
        }
    }
}

/// Values that a mail prints besides its user and link.
pub type MailValues = Map<String, Value>;

pub(super) fn mail_values<const N: usize>(named: [(&str, Value); N]) -> MailValues {
    named
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Stores and sends mail. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    pub(super) pool: Pool,
    pub(super) settings: Arc<Settings>,
    pub(super) metrics: Arc<AuthMetrics>,
    /// None if mail is off.
    mailer: Option<Mailer>,
    /// One permit for each mail that may be sent at the same time.
    send_permits: Arc<Semaphore>,
}

impl Outbox {
    pub(super) fn new(
        pool: Pool,
        settings: Arc<Settings>,
        metrics: Arc<AuthMetrics>,
        mailer: Option<Mailer>,
    ) -> Self {
        Self {
            pool,
            settings,
            metrics,
            mailer,
            send_permits: Arc::new(Semaphore::new(delivery::MAX_CONCURRENT)),
        }
    }

    /// Whether mail is sent.
    pub fn is_enabled(&self) -> bool {
        self.mailer.is_some()
    }

    /// The mails kept in memory, latest first. None if mail goes elsewhere.
    pub fn in_memory(&self) -> Option<Vec<Mail>> {
        self.mailer.as_ref()?.in_memory()
    }

    /// Stores a mail, unless mail is off.
    pub(super) async fn enqueue(
        &self,
        tx: &mut Conn,
        kind: MailKind,
        user: Option<UserId>,
        link: Option<LinkId>,
        address: &str,
        values: &MailValues,
    ) -> Result<(), Error> {
        if !self.is_enabled() {
            return Ok(());
        }
        let facts = Value::Object(values.clone()).to_string();
        let now = now();
        let mail = NewMail {
            purpose: kind.as_str(),
            user,
            link,
            address,
            facts: &facts,
            ends_at: now + kind.lifetime(),
        };
        Ok(outbox::insert(tx, &mail, now).await?)
    }

    /// Stores a notice to a user's verified address, if there is one, within the limit of its kind.
    pub(super) async fn notify(
        &self,
        tx: &mut Conn,
        kind: MailKind,
        user: UserId,
        values: &MailValues,
    ) -> Result<(), Error> {
        if !self.is_enabled() {
            return Ok(());
        }
        let Some(address) = user::verified_email_key(tx, user).await? else {
            return Ok(());
        };
        if let Some(limit) = kind.limit() {
            // Each kind has its own limit, so nobody can suppress a warning by causing other mails.
            let limit_name = format!("{}:{user}", kind.as_str());
            if !self.has_room(tx, &limit_name, limit).await? {
                return Ok(());
            }
        }
        self.enqueue(tx, kind, Some(user), None, &address, values)
            .await
    }

    /// Stores a mail requested for an address. Whether it is sent is decided when it is prepared.
    pub(super) async fn request(
        &self,
        tx: &mut Conn,
        kind: MailKind,
        user: Option<UserId>,
        email: &EmailAddress,
    ) -> Result<(), Error> {
        let values = mail_values([("email", email.as_str().into())]);
        self.enqueue(tx, kind, user, None, email.key(), &values)
            .await
    }

    /// Notifies users of tokens that expire within a week, once per token.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn warn_of_expiry(&self) -> Result<(), Error> {
        if !self.is_enabled() {
            return Ok(());
        }
        let now = now();
        let mut after = (now, String::new());
        loop {
            let batch = {
                let mut db = self.pool.read_long().await?;
                token::list_expiring(&mut db, &after, now + WEEK, EXPIRY_BATCH_SIZE).await?
            };
            let Some(last) = batch.last() else {
                return Ok(());
            };
            after = (last.expires_at, last.id.to_string());
            let mut tx = self.pool.write().await?;
            let mut unnotified: BTreeMap<UserId, Vec<Value>> = BTreeMap::new();
            for token in batch {
                let (key, end) = (token::expiry_notice_key(token.id), token.expires_at + WEEK);
                // Another process may have notified the user.
                if attempt::increment(&mut tx, &key, now, end).await? == 1 {
                    let notice = json!({"client": token.client, "at": token.expires_at});
                    unnotified.entry(token.user_id).or_default().push(notice);
                }
            }
            for (user, tokens) in unnotified {
                let values = mail_values([("tokens", tokens.into())]);
                self.notify(&mut tx, MailKind::TokenExpiring, user, &values)
                    .await?;
            }
            tx.commit().await?;
        }
    }

    /// Counts a mail that a stranger may have requested for an address, and returns whether it may be sent. `requester`
    /// is the requesting user, if signed in.
    ///
    /// An account that requests too many uses up only its own limit. The notice that an address is taken is sent once
    /// an hour, so that signing up with other people's addresses does not keep them from resetting their passwords.
    async fn may_send(
        &self,
        tx: &mut Conn,
        kind: MailKind,
        address: &str,
        requester: Option<UserId>,
    ) -> Result<bool, Error> {
        // Most servers deliver to one mailbox in any case of the name.
        let address = address.to_lowercase();
        let requester = requester.map(|id| (format!("by:{id}"), MAX_PER_HOUR));
        let notice = (kind == MailKind::AddressTaken).then(|| (format!("taken:{address}"), 1));
        let limits = requester.into_iter().chain(notice);
        for (limit_name, limit) in limits.chain([(format!("to:{address}"), MAX_PER_HOUR)]) {
            if !self.has_room(tx, &limit_name, limit).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Counts a mail within an hour, and returns whether it is within the limit.
    async fn has_room(&self, tx: &mut Conn, limit_name: &str, limit: i64) -> Result<bool, Error> {
        let key = format!("mail:{}", self.settings.name_key.pseudonym(limit_name));
        let now = now();
        Ok(attempt::increment(tx, &key, now, now + HOUR).await? <= limit)
    }

    pub(super) async fn create_link(
        &self,
        tx: &mut Conn,
        purpose: Purpose,
        user: Option<UserId>,
        email: Option<&str>,
    ) -> Result<LinkId, Error> {
        let id = LinkId::new();
        let digest = Digest::for_key(&self.settings.link_keys.key(id));
        link::insert(tx, id, purpose, user, email, &digest, now()).await?;
        Ok(id)
    }

    pub(super) fn link_url(&self, purpose: Purpose, id: LinkId) -> String {
        let page = match purpose {
            Purpose::Reset | Purpose::Invite => "set-password?key",
            Purpose::SignUp => "sign-up?invite",
            Purpose::Verify => "verify?key",
        };
        let key = self.settings.link_keys.key(id);
        format!("{}/account/{page}={}", self.settings.origin, *key)
    }
}
