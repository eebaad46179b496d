//! What happened to users: tokens that ended, and failed logins.

use std::net::IpAddr;

use rand::{RngExt, rng};

use super::devices::address;
use super::history::{DAY, HOUR, Maker, seconds};
use crate::auth::sessions::Reason;
use crate::identity::address::Address;
use crate::models::demo::{Batch, DemoAttempt, DemoToken, DemoUser};
use crate::models::event::{Action, Via};

impl Maker<'_> {
    /// Adds the events of a token that ended then, and returns when it was issued.
    pub(super) fn add_ended(
        &mut self,
        at: i64,
        user: &DemoUser,
        client: &DemoToken,
        batch: &mut Batch,
    ) -> Option<i64> {
        let (action, via, reason) = match self.number % 20 {
            _ if user.disabled_at.is_some() => {
                (Action::TokenRevoked, Via::Admin, Reason::UserDisabled)
            }
            1 => (Action::TokenExpired, Via::Server, Reason::Expired),
            2..6 => (Action::TokenRevoked, Via::Admin, Reason::Revoked),
            6..9 => (Action::TokenRevoked, Via::Api, Reason::PasswordChanged),
            9..13 => (Action::TokenRevoked, Via::Api, Reason::Logout),
            _ => (Action::TokenReplaced, Via::Api, Reason::Replaced),
        };
        let settings = self.settings;
        let life = seconds(settings.token_ttl).min(seconds(settings.token_idle_ttl));
        let lived = match reason {
            Reason::Expired => life,
            _ => rng().random_range(1..=(at - user.created_at).min(life).min(self.sign_ins())),
        };
        if at - lived < user.created_at {
            return None;
        }
        let token = self.token(at - lived, 0, user, client);
        batch.events.push(self.event(
            at - lived,
            Action::TokenIssued,
            Via::Api,
            user,
            Some(&token),
        ));
        let mut ended = self.event(at, action, via, user, Some(&token));
        ended.reason = Some(reason.as_str());
        batch.events.push(ended);
        if reason == Reason::PasswordChanged {
            batch
                .events
                .push(self.event(at, Action::PasswordChanged, via, user, None));
        }
        Some(at - lived)
    }

    /// Adds failed logins of a user: one, and many from one address, which lock some accounts.
    pub(super) fn add_failures(&self, user: &DemoUser, batch: &mut Batch) {
        let mut fail = |at, action, reason, address| {
            let mut event = self.event(at, action, Via::Api, user, None);
            (event.reason, event.address) = (Some(reason), Some(address));
            batch.events.push(event);
        };
        let at = (self.now - rng().random_range(0..30 * DAY)).max(user.created_at);
        let reason = user.disabled_at.map_or("password", |_| "disabled");
        fail(at, Action::LoginFailed, reason, address());
        if user.disabled_at.is_some() || self.number >= 100 {
            return;
        }
        let is_locked = self.number < 30;
        let limit = i64::from(self.settings.login_failures_per_account);
        let hostile = Address::from(IpAddr::from([203, 0, 113, 213])).key();
        let mut at = self.now - 2 * HOUR + i64::from(self.number) * 30;
        for _ in 0..if is_locked { limit.min(20) } else { 3 } {
            at += 4;
            fail(at, Action::LoginFailed, "password", hostile.clone());
        }
        if is_locked {
            let reason = "too many failures for the account";
            fail(at, Action::LoginThrottled, reason, hostile);
            // After a hundred failures in a row, an account is locked for a day.
            batch.attempts.push(DemoAttempt {
                key: format!("user:{}", user.id),
                failures: limit,
                ends_at: at + DAY,
                run: limit.max(100),
                failed_at: at,
                kept_until: at + 30 * DAY,
                ..DemoAttempt::default()
            });
        }
    }
}
