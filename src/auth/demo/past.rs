//! What happened to users: tokens that ended, and failed logins.

use std::net::IpAddr;

use rand::{RngExt, rng};

use super::devices::address;
use super::{DAY, HOUR, Maker};
use crate::identity::EventId;
use crate::identity::address::Address;
use crate::models::demo::{DemoAttempt, DemoEvent, DemoToken, DemoUser};
use crate::models::event::{Action, Via};

/// How tokens end, in turn.
const ENDINGS: [(Action, Via, &str); 5] = [
    (Action::TokenReplaced, Via::Api, "replaced"),
    (Action::TokenExpired, Via::Server, "expired"),
    (Action::TokenRevoked, Via::Api, "password"),
    (Action::TokenRevoked, Via::Api, "logout"),
    (Action::TokenRevoked, Via::Admin, "revoked"),
];

impl Maker {
    /// Ends an earlier token of that client then, and returns when it was issued.
    pub(super) fn end_token(&mut self, at: i64, user: &DemoUser, of: &DemoToken) -> Option<i64> {
        let (mut action, mut via, mut reason) = ENDINGS[self.number as usize % ENDINGS.len()];
        if user.disabled_at.is_some() {
            (action, via, reason) = (Action::TokenRevoked, Via::Admin, "disabled");
        }
        let (ttl, idle) = self.lives();
        let longest = (at - user.created_at)
            .min(ttl)
            .min(idle)
            .min(self.sign_ins());
        let issued_at = match reason {
            "expired" => at - ttl.min(idle),
            _ => at - rng().random_range(1..=longest),
        };
        if issued_at < user.created_at {
            return None;
        }
        let token = self.token(issued_at, 0, &user.id, of);
        self.log(issued_at, Action::TokenIssued, Via::Api, user)
            .concern(&token);
        let ended = self.log(at, action, via, user);
        ended.concern(&token);
        ended.reason = Some(reason);
        match reason {
            "disabled" => drop(self.log(at, Action::UserDisabled, via, user)),
            "password" => drop(self.log(at, Action::PasswordChanged, via, user)),
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
        let event = self.log(at, action, Via::Api, user);
        (event.actor_id, event.actor_name, event.actor_key) = (None, None, None);
        (event.reason, event.address) = (Some(why), Some(from));
    }

    /// Adds an event about that user. The channel tells who did it.
    pub(super) fn log(
        &mut self,
        at: i64,
        action: Action,
        via: Via,
        user: &DemoUser,
    ) -> &mut DemoEvent {
        let (via, actor) = match (via, &self.admin) {
            (Via::Admin, None) => (Via::CommandLine, None),
            (Via::Admin, admin) => (via, admin.as_ref()),
            (Via::Api, _) => (via, Some(user)),
            _ => (via, None),
        };
        let id = EventId::at(at * 1000).to_string();
        self.batch.events.push(DemoEvent {
            request_id: actor.map(|_| id.clone()),
            id,
            at,
            action: action.as_str(),
            via: via.as_str(),
            actor_id: actor.map(|actor| actor.id.clone()),
            actor_name: actor.map(|actor| actor.username.clone()),
            actor_key: actor.map(|actor| actor.username_key.clone()),
            subject_id: Some(user.id.clone()),
            subject_name: Some(user.username.clone()),
            subject_key: Some(user.username_key.clone()),
            address: actor.map(|_| address()),
            ..DemoEvent::default()
        });
        let last = self.batch.events.len() - 1;
        &mut self.batch.events[last]
    }
}
