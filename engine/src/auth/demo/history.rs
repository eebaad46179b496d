//! Generator of demonstration users with their tokens and events. Times are unix seconds.

use std::collections::HashSet;
use std::mem::take;
use std::net::IpAddr;
use std::sync::Arc;

use rand::{RngExt, rng};

use super::samples::{address, clients, email, username};
use crate::auth::session::ends_at;
use crate::config::Settings;
use crate::identity::address::Address;
use crate::identity::email::EmailAddress;
use crate::identity::{EventId, LinkId, TokenId, UserId, Username};
use crate::models::demo::{
    Batch, DemoAttempt, DemoEvent, DemoLink, DemoToken, DemoUser, ENDED_KIND,
};
use crate::models::event::{Action, Channel};
use crate::models::link::Purpose;
use crate::models::user::Role;
use crate::secret::Secret;

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// Age of the first user. An unlimited lifetime counts as this.
const HISTORY_LENGTH: i64 = 180 * DAY;
/// How tokens end, in rotation.
const TOKEN_ENDINGS: [(Action, Channel, &str); 5] = [
    (Action::TokenReplaced, Channel::Api, "replaced"),
    (Action::TokenExpired, Channel::Server, "expired"),
    (Action::TokenRevoked, Channel::Api, "password"),
    (Action::TokenRevoked, Channel::Api, "logout"),
    (Action::TokenRevoked, Channel::Admin, "revoked"),
];

/// Generates users in the order of their creation.
#[derive(Default)]
pub(super) struct UserGenerator {
    pub(super) settings: Arc<Settings>,
    pub(super) users: u32,
    pub(super) tokens_per_user: u32,
    pub(super) password_hash: String,
    pub(super) now: i64,
    /// Keys of usernames and addresses that are in use.
    pub(super) taken: HashSet<String>,
    pub(super) number: u32,
    pub(super) admin: Option<DemoUser>,
    pub(super) batch: Batch,
}

impl UserGenerator {
    /// The next users, with about `rows` users and tokens in all. None once all are generated.
    pub(super) fn next(&mut self, rows: usize) -> Option<Batch> {
        while self.batch.users.len() + self.batch.tokens.len() < rows && self.number < self.users {
            self.add_user();
            self.number += 1;
        }
        let mut batch = take(&mut self.batch);
        batch.tokens.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        batch.events.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        (!batch.users.is_empty()).then_some(batch)
    }

    fn add_user(&mut self) {
        let (number, users, now) = (self.number, i64::from(self.users), self.now);
        // Scales a duration: all of it for the first user, almost nothing for the last.
        let scaled = |duration: i64| duration * (users - i64::from(number)) / users;
        let created_at = now - HOUR - scaled(HISTORY_LENGTH);
        let [ttl, idle] = self.lifetimes();
        let since = (now - scaled(ttl / 20 * 19)).max(created_at + 60);
        let name = self.free_name();
        let is_admin = number <= (self.users / 20).min(5);
        let mut user = DemoUser {
            id: UserId::at(created_at * 1000).to_string(),
            username: name.as_str().to_owned(),
            username_key: name.key().to_owned(),
            password_hash: Some(self.password_hash.clone()),
            role: if is_admin { Role::Admin } else { Role::User }.as_str(),
            created_at,
            ..DemoUser::default()
        };
        self.log(created_at, Action::UserCreated, Channel::Admin, &user);
        self.admin.get_or_insert_with(|| user.clone());

        // Disabled and invited users have no tokens. The next user gets their share too.
        let is_possible = 2 * self.tokens_per_user <= self.settings.tokens_per_user;
        let has_next = is_possible && number + 1 < self.users;
        let is_disabled = has_next && number % 33 == 16;
        let is_invited = has_next && number % 33 == 10;
        self.add_email(&mut user, &name, is_invited);
        if is_invited {
            self.invite(&mut user);
            self.batch.users.push(user);
            return;
        }
        let share = match number % 33 {
            _ if is_disabled => 0,
            11 | 17 if is_possible => 2 * self.tokens_per_user,
            _ => self.tokens_per_user,
        };
        let clients = clients(share.max(1));
        // Close together, so that token ids rise almost like user ids and few pages change at once.
        let until = (since + 40 * HISTORY_LENGTH / users).min(now);
        let times = clients.iter().map(|_| rng().random_range(since..=until));
        let mut times: Vec<_> = times.collect();
        let expired = now - ttl.min(idle) - rng().random_range(1..DAY);
        if number % 10 == 5 && number < 200 && expired > created_at {
            times[0] = expired;
        }
        times.sort_unstable();
        user.disabled_at = is_disabled.then_some(times[0]);
        if is_disabled || number % 4 == 1 {
            user.last_login_at = self.add_past_token(times[0], &user, &clients[0]);
            user.last_seen_at = user.last_login_at.unwrap_or_default();
        }
        for (client, at) in clients.iter().zip(times).take(share as usize) {
            let max_idle = idle / 20 * 19;
            let span = [HOUR, DAY, 7 * DAY, max_idle][rng().random_range(0..4)].min(max_idle);
            let used_at = match rng().random_range(0..10) {
                _ if at == expired => 0,
                0 if at > now - max_idle => 0,
                _ => (now - scaled(span) + rng().random_range(0..60)).clamp(at, now),
            };
            self.add_token(at, used_at, &user, client);
            user.last_login_at = Some(at);
            user.last_seen_at = user.last_seen_at.max(at).max(used_at);
        }
        if !is_admin && number % 4 == 0 {
            self.fail_logins(&user);
        }
        self.batch.users.push(user);
    }

    /// Gives most users an address, most of them verified. Nobody reads the mail, so reminders are off.
    fn add_email(&mut self, user: &mut DemoUser, name: &Username, is_invited: bool) {
        let is_verified = match self.number % 6 {
            3 => return,
            5 => false,
            _ => !is_invited,
        };
        let Some(email) = self.free_email(name) else {
            return;
        };
        user.email = Some(email.as_str().to_owned());
        if is_verified {
            let at = user.created_at + rng().random_range(30..HOUR);
            (user.email_key, user.email_verified_at) = (Some(email.key().to_owned()), Some(at));
            self.log(at, Action::EmailVerified, Channel::Api, user);
        }
    }

    fn free_email(&mut self, name: &Username) -> Option<EmailAddress> {
        let mut suffix = String::new();
        loop {
            let email = email(name, &suffix)?;
            // The username itself was reserved for this user.
            if email.key() == name.key() || self.taken.insert(email.key().to_owned()) {
                return Some(email);
            }
            suffix = rng().random_range(2..=2 * self.taken.len()).to_string();
        }
    }

    /// Removes the password and adds an invitation to set one. Nobody knows its key.
    fn invite(&mut self, user: &mut DemoUser) {
        user.password_hash = None;
        let at = user
            .created_at
            .max(self.now - rng().random_range(HOUR..3 * DAY));
        let purpose = Purpose::Invite;
        self.log(at, Action::UserInvited, Channel::Admin, user)
            .reason = Some(purpose.as_str());
        self.batch.links.push(DemoLink {
            id: LinkId::at(at * 1000).to_string(),
            purpose: purpose.as_str(),
            user_id: user.id.clone(),
            digest: Secret::generate(&self.settings.token_prefix)
                .digest()
                .to_hex(),
            ends_at: at + purpose.lifetime(),
        });
    }

    fn lifetimes(&self) -> [i64; 2] {
        let lifetimes = [self.settings.token_ttl, self.settings.token_idle_ttl];
        lifetimes.map(|life| {
            life.end_after(0)
                .map_or(HISTORY_LENGTH, |end| end.min(HISTORY_LENGTH))
        })
    }

    fn free_name(&mut self) -> Username {
        let mut suffix = String::new();
        loop {
            let name = username(self.number, &suffix).ok();
            if let Some(name) = name.filter(|name| self.taken.insert(name.key().to_owned())) {
                return name;
            }
            suffix = rng().random_range(2..=2 * self.taken.len()).to_string();
        }
    }

    /// Adds a token of a client. Its digest starts with a rising number, so that few index pages change at once and no
    /// token matches it.
    fn add_token(&mut self, at: i64, used_at: i64, user: &DemoUser, template: &DemoToken) {
        let settings = Arc::clone(&self.settings);
        let secret = Secret::generate(&settings.token_prefix);
        let order = (u64::from(self.number) << 32) / u64::from(self.users);
        let id = TokenId::at(at * 1000).to_string();
        let expires_at = settings.token_ttl.end_after(at);
        let issued = self.log(at, Action::TokenIssued, Channel::Api, user);
        issued.token_id = Some(id.clone());
        self.batch.tokens.push(DemoToken {
            id,
            user_id: user.id.clone(),
            digest: format!("{order:08x}{}", &secret.digest().to_hex()[8..]),
            hint: secret.hint().to_owned(),
            created_at: at,
            last_used_at: used_at,
            expires_at,
            ends_at: ends_at(expires_at, settings.token_idle_ttl, used_at.max(at)),
            address: address(),
            ..template.clone()
        });
    }

    /// Adds an earlier token of a client, which ended at `at`, and returns when it was issued.
    fn add_past_token(&mut self, at: i64, user: &DemoUser, template: &DemoToken) -> Option<i64> {
        let (action, via, reason) = match user.disabled_at {
            Some(_) => (Action::TokenRevoked, Channel::Admin, "disabled"),
            None => TOKEN_ENDINGS[self.number as usize / 4 % TOKEN_ENDINGS.len()],
        };
        let [ttl, idle] = self.lifetimes();
        let age = match action {
            Action::TokenExpired => ttl.min(idle),
            _ => rng().random_range(1..=(at - user.created_at).min(ttl).min(idle).min(HOUR)),
        };
        let issued_at = Some(at - age).filter(|at| *at >= user.created_at)?;
        self.add_token(issued_at, 0, user, template);
        let token = self.batch.tokens.last_mut()?;
        token.kind = ENDED_KIND;
        let id = token.id.clone();
        let event = self.log(at, action, via, user);
        (event.token_id, event.reason) = (Some(id), Some(reason));
        match reason {
            "disabled" => drop(self.log(at, Action::UserDisabled, via, user)),
            "password" => drop(self.log(at, Action::PasswordChanged, via, user)),
            _ => {}
        }
        Some(issued_at)
    }

    /// Adds failed logins of a user. One address guesses passwords of some users and locks their accounts.
    fn fail_logins(&mut self, user: &DemoUser) {
        let at = (self.now - rng().random_range(0..30 * DAY)).max(user.created_at);
        let reason = user.disabled_at.map_or("password", |_| "disabled");
        let mut failures = vec![(at, Action::LoginFailed, reason, address())];
        if user.disabled_at.is_none() && self.number <= 40 {
            let attacker = Address::from(IpAddr::from([203, 0, 113, 213])).key();
            let limit = i64::from(self.settings.login_failures_per_account);
            let start = self.now - 2 * HOUR + i64::from(self.number) * 60;
            let guess = |n| (start + n, Action::LoginFailed, "password", attacker.clone());
            failures.extend((1..=limit.min(20)).map(guess));
            let (at, reason) = (start + limit.min(20), "account");
            failures.push((at, Action::LoginThrottled, reason, attacker));
            // After a hundred failures in a row, strangers are blocked for a day.
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
        for (at, action, reason, address) in failures {
            let event = self.log(at, action, Channel::Api, user);
            (event.actor_id, event.reason, event.address) = (None, Some(reason), Some(address));
        }
    }

    /// Adds an event about a user. The channel determines the actor.
    fn log(&mut self, at: i64, action: Action, via: Channel, user: &DemoUser) -> &mut DemoEvent {
        let (via, actor) = match (via, &self.admin) {
            (Channel::Admin, None) => (Channel::CommandLine, None),
            (Channel::Admin, admin) => (via, admin.as_ref()),
            (Channel::Api, _) => (via, Some(user)),
            _ => (via, None),
        };
        self.batch.events.push(DemoEvent {
            id: EventId::at(at * 1000).to_string(),
            at,
            action: action.as_str(),
            via: via.as_str(),
            actor_id: actor.map(|actor| actor.id.clone()),
            subject_id: Some(user.id.clone()),
            address: actor.map(|_| address()),
            ..DemoEvent::default()
        });
        let last = self.batch.events.len() - 1;
        &mut self.batch.events[last]
    }
}
