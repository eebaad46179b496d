//! What happened to users: tokens that ended, and failed logins.

use std::net::IpAddr;

use rand::{RngExt, rng};

use super::devices::address;
use super::history::{DAY, HOUR, Maker, seconds};
use crate::identity::address::Address;
use crate::models::demo::{DemoAttempt, DemoToken, DemoUser};
use crate::models::event::{Action, Via};

impl Maker<'_> {
    /// Ends an earlier token of the user at that time, and returns when it was issued.
    pub(super) fn end_token(
        &mut self,
        at: i64,
        user: &DemoUser,
        client: &DemoToken,
    ) -> Option<i64> {
        let (action, via, reason) = match self.number % 20 {
            _ if user.disabled_at.is_some() => (Action::TokenRevoked, Via::Admin, "disabled"),
            1 => (Action::TokenExpired, Via::Server, "expired"),
            2..6 => (Action::TokenRevoked, Via::Admin, "revoked"),
            6..9 => (Action::TokenRevoked, Via::Api, "password"),
            9..13 => (Action::TokenRevoked, Via::Api, "logout"),
            _ => (Action::TokenReplaced, Via::Api, "replaced"),
        };
        let settings = self.settings;
        let life = seconds(settings.token_ttl).min(seconds(settings.token_idle_ttl));
        let latest = (at - user.created_at).min(life).min(self.sign_ins());
        let issued_at = match action {
            Action::TokenExpired => at - life,
            _ => at - rng().random_range(1..=latest),
        };
        if issued_at < user.created_at {
            return None;
        }
        let token = self.token(issued_at, 0, user, client);
        let events = [
            (issued_at, Action::TokenIssued, Via::Api, None),
            (at, action, via, Some(reason)),
        ];
        for (at, action, via, reason) in events {
            self.log(at, action, via, user, |event| {
                event.reason = reason;
                event.token_id = Some(token.id.clone());
                event.hint = Some(token.hint.clone());
                event.client = Some(token.client.clone());
                event.client_key = Some(token.client_key.clone());
            });
        }
        match reason {
            "disabled" => self.log(at, Action::UserDisabled, via, user, |_| {}),
            "password" => self.log(at, Action::PasswordChanged, via, user, |_| {}),
            _ => {}
        }
        Some(issued_at)
    }

    /// Fails a login of the user. One address guesses at some users, and locks accounts.
    pub(super) fn fail_logins(&mut self, user: &DemoUser) {
        let at = (self.now - rng().random_range(0..30 * DAY)).max(user.created_at);
        let reason = user.disabled_at.map_or("password", |_| "disabled");
        self.fail(at, Action::LoginFailed, reason, user, address());
        if user.disabled_at.is_some() || self.number >= 100 {
            return;
        }
        let is_locked = self.number < 30;
        let limit = i64::from(self.settings.login_failures_per_account);
        let failures = if is_locked { limit.min(20) } else { 3 };
        let hostile = Address::from(IpAddr::from([203, 0, 113, 213])).key();
        let start = self.now - 2 * HOUR + i64::from(self.number) * 60;
        for attempt in 1..=failures {
            let at = start + 5 * attempt;
            self.fail(at, Action::LoginFailed, "password", user, hostile.clone());
        }
        if is_locked {
            let (at, reason) = (start + 5 * failures, "too many failures for the account");
            self.fail(at, Action::LoginThrottled, reason, user, hostile);
            // After a hundred failures in a row, strangers are locked out for a day.
            self.batch.attempts.push(DemoAttempt {
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

    fn fail(&mut self, at: i64, action: Action, why: &'static str, user: &DemoUser, from: String) {
        self.log(at, action, Via::Api, user, |event| {
            (event.actor_id, event.actor_name, event.actor_key) = (None, None, None);
            (event.reason, event.address) = (Some(why), Some(from));
        });
    }
}
