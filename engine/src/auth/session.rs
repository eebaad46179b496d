//! Live tokens, as handlers, the cache and the audit log see them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::config::Lifetime;
use crate::identity::address::Address;
use crate::identity::{TokenId, UserId};
use crate::models::NEVER;
use crate::models::event::{Actor, Channel};
use crate::models::token::TokenKind;
use crate::models::user::Role;
use crate::web::caller::Caller;
use crate::web::page::Viewer;

/// A live token and its user.
#[derive(Debug, Clone)]
pub struct Session {
    /// Where the token is accepted.
    pub kind: TokenKind,
    /// The user's id.
    pub user_id: UserId,
    /// The username.
    pub username: String,
    /// The user's role.
    pub role: Role,
    /// The token's id.
    pub token_id: TokenId,
    /// The client that the token was issued to.
    pub client: String,
    /// Absolute expiry, unix seconds. None if there is none.
    pub expires_at: Option<i64>,
    /// When the password was last entered, unix seconds.
    pub confirmed_at: i64,
}

/// Seconds for which sensitive actions do not ask for the password again.
const CONFIRMATION_LIFETIME: i64 = 15 * 60;

impl Session {
    /// Whether the password was entered recently enough for a sensitive action. A time in the future, from before the
    /// clock was set back, does not count.
    pub fn is_password_fresh(&self, now: i64) -> bool {
        (0..CONFIRMATION_LIFETIME).contains(&now.saturating_sub(self.confirmed_at))
    }

    pub(crate) fn viewer(&self) -> Viewer {
        Viewer {
            name: self.username.clone(),
            id: self.user_id.to_string(),
            is_admin: self.role == Role::Admin,
        }
    }

    /// The actor for audit events in this session.
    pub fn actor(&self, caller: &Caller) -> Actor {
        let user = (self.user_id, self.username.clone());
        Actor::from_caller(self.kind, Some(user), caller)
    }
}

/// A session as the database has it, with its last recorded use.
pub(super) struct StoredSession {
    pub(super) session: Arc<Session>,
    /// Expiry or idle timeout at the look-up, unix seconds.
    pub(super) ends_at: i64,
    /// Last recorded use, unix seconds.
    recorded_at: AtomicI64,
}

impl StoredSession {
    pub(super) fn new(session: Session, ends_at: i64, recorded_at: i64) -> Self {
        Self {
            session: Arc::new(session),
            ends_at,
            recorded_at: recorded_at.into(),
        }
    }

    /// Whether to record a use at `now`: the last recorded one is at least `min_interval` seconds away, in the past or,
    /// if the clock was set back, in the future. Of several concurrent callers, one gets true.
    pub(super) fn is_due(&self, now: i64, min_interval: i64) -> bool {
        let last = self.recorded_at.load(Ordering::Relaxed);
        now.abs_diff(last) >= min_interval.unsigned_abs()
            && (self.recorded_at)
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// The absolute expiry, or the idle timeout after a use at `now`, whichever is sooner.
pub(super) fn ends_at(expires_at: Option<i64>, idle_ttl: Lifetime, now: i64) -> i64 {
    let idle_end = idle_ttl.end_after(now).unwrap_or(NEVER);
    expires_at.unwrap_or(NEVER).min(idle_end).min(NEVER)
}

impl Actor {
    /// A client that acts through the API, the admin or the account pages.
    pub fn from_caller(kind: TokenKind, user: Option<(UserId, String)>, caller: &Caller) -> Self {
        Self {
            via: match kind {
                TokenKind::Api => Channel::Api,
                TokenKind::Admin => Channel::Admin,
                TokenKind::Account => Channel::Account,
            },
            user,
            address: caller.address.map(Address::from),
            request_id: Some(caller.request_id.clone()),
            cause: None,
            note: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::now;

    #[test]
    fn of_several_concurrent_uses_only_one_is_recorded() {
        let session = Session {
            kind: TokenKind::Api,
            user_id: UserId::new(),
            username: "alice".into(),
            role: Role::User,
            token_id: TokenId::new(),
            client: "laptop".into(),
            expires_at: None,
            confirmed_at: now(),
        };
        let (live, at) = (StoredSession::new(session, now() + 10, now()), now());
        assert!(!live.is_due(at + 58, 60));
        assert!(!live.is_due(at - 58, 60));
        let due = (0..10).filter(|_| live.is_due(at + 61, 60)).count();
        assert_eq!(due, 1);
        // The clock was set back: the last use is in the future.
        let due = (0..10).filter(|_| live.is_due(at - 100_000, 60)).count();
        assert_eq!(due, 1);
    }
}
