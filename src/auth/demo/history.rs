//! Users one after the other, each with tokens and events. Times are unix seconds.

use std::collections::HashSet;
use std::mem::take;
use std::net::IpAddr;
use std::sync::Arc;

use rand::{RngExt, rng};

use super::samples::{address, clients, username};
use crate::auth::sessions::ends_at;
use crate::config::Settings;
use crate::identity::address::Address;
use crate::identity::{EventId, TokenId, UserId, Username};
use crate::models::demo::{Batch, DemoAttempt, DemoEvent, DemoToken, DemoUser, ENDED};
use crate::models::event::{Action, Via};
use crate::models::user::Role;
use crate::secret::Secret;

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// How long ago the first user was created. A length without end counts as this.
const HISTORY: i64 = 180 * DAY;
/// How tokens end, in turn.
const ENDINGS: [(Action, Via, &str); 5] = [
    (Action::TokenReplaced, Via::Api, "replaced"),
    (Action::TokenExpired, Via::Server, "expired"),
    (Action::TokenRevoked, Via::Api, "password"),
    (Action::TokenRevoked, Via::Api, "logout"),
    (Action::TokenRevoked, Via::Admin, "revoked"),
];

/// Makes users, in the order of their creation.
#[derive(Default)]
pub(super) struct Maker {
    pub(super) settings: Arc<Settings>,
    pub(super) users: u32,
    pub(super) tokens_per_user: u32,
    pub(super) password_hash: String,
    pub(super) now: i64,
    /// Keys of usernames.
    pub(super) taken: HashSet<String>,
    /// The number of the next user.
    pub(super) number: u32,
    pub(super) admin: Option<DemoUser>,
    pub(super) batch: Batch,
}

impl Maker {
    /// The next users, about `rows` users and tokens in all. None once all are made.
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
        // The whole of a time for the first user, and next to none of it for the last.
        let rest = |whole: i64| whole * (users - i64::from(number)) / users;
        let created_at = now - HOUR - rest(HISTORY);
        let [ttl, idle] = self.lives();
        let since = (now - rest(ttl / 20 * 19)).max(created_at + 60);
        let name = self.free_name();
        let is_admin = number <= (self.users / 20).min(5);
        let mut user = DemoUser {
            id: UserId::at(created_at * 1000).to_string(),
            username: name.as_str().to_owned(),
            username_key: name.key().to_owned(),
            password_hash: self.password_hash.clone(),
            role: if is_admin { Role::Admin } else { Role::User }.as_str(),
            created_at,
            ..DemoUser::default()
        };
        self.log(created_at, Action::UserCreated, Via::Admin, &user);
        self.admin.get_or_insert_with(|| user.clone());

        // Disabled users have no tokens. The next user has theirs, too.
        let is_possible = 2 * self.tokens_per_user <= self.settings.tokens_per_user;
        let is_disabled = is_possible && number % 33 == 16 && number + 1 < self.users;
        let share = match number % 33 {
            _ if is_disabled => 0,
            17 if is_possible => 2 * self.tokens_per_user,
            _ => self.tokens_per_user,
        };
        let clients = clients(share.max(1));
        // Soon, so that ids of tokens rise almost as those of users, and few pages change at once.
        let until = (since + 40 * HISTORY / users).min(now);
        let times = clients.iter().map(|_| rng().random_range(since..=until));
        let mut times: Vec<_> = times.collect();
        let expired = now - ttl.min(idle) - rng().random_range(1..DAY);
        if number % 10 == 5 && number < 200 && expired > created_at {
            times[0] = expired;
        }
        times.sort_unstable();
        user.disabled_at = is_disabled.then_some(times[0]);
        if is_disabled || number % 4 == 1 {
            user.last_login_at = self.add_ended(times[0], &user, &clients[0]);
            user.last_seen_at = user.last_login_at.unwrap_or_default();
        }
        for (client, at) in clients.iter().zip(times).take(share as usize) {
            let longest = idle / 20 * 19;
            let span = [HOUR, DAY, 7 * DAY, longest][rng().random_range(0..4)].min(longest);
            let used_at = match rng().random_range(0..10) {
                _ if at == expired => 0,
                0 if at > now - longest => 0,
                _ => (now - rest(span) + rng().random_range(0..60)).clamp(at, now),
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

    fn lives(&self) -> [i64; 2] {
        let lives = [self.settings.token_ttl, self.settings.token_idle_ttl];
        lives.map(|life| life.end_after(0).map_or(HISTORY, |end| end.min(HISTORY)))
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

    /// Adds a token of that client. Nobody has it: its digest begins with a number that rises, so that few pages of
    /// the index change at once.
    fn add_token(&mut self, at: i64, used_at: i64, user: &DemoUser, of: &DemoToken) {
        let settings = Arc::clone(&self.settings);
        let secret = Secret::generate(&settings.token_prefix);
        let order = (u64::from(self.number) << 32) / u64::from(self.users);
        let id = TokenId::at(at * 1000).to_string();
        let expires_at = settings.token_ttl.end_after(at);
        let issued = self.log(at, Action::TokenIssued, Via::Api, user);
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
            ..of.clone()
        });
    }

    /// Adds an earlier token of that client, which ended then, and returns when it was issued.
    fn add_ended(&mut self, at: i64, user: &DemoUser, of: &DemoToken) -> Option<i64> {
        let (action, via, reason) = match user.disabled_at {
            Some(_) => (Action::TokenRevoked, Via::Admin, "disabled"),
            None => ENDINGS[self.number as usize / 4 % ENDINGS.len()],
        };
        let [ttl, idle] = self.lives();
        let lived = match action {
            Action::TokenExpired => ttl.min(idle),
            _ => rng().random_range(1..=(at - user.created_at).min(ttl).min(idle).min(HOUR)),
        };
        let issued_at = Some(at - lived).filter(|at| *at >= user.created_at)?;
        self.add_token(issued_at, 0, user, of);
        let token = self.batch.tokens.last_mut()?;
        token.kind = ENDED;
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

    /// Fails a login of the user. One address guesses at some users, and locks accounts.
    fn fail_logins(&mut self, user: &DemoUser) {
        let at = (self.now - rng().random_range(0..30 * DAY)).max(user.created_at);
        let reason = user.disabled_at.map_or("password", |_| "disabled");
        let mut failures = vec![(at, Action::LoginFailed, reason, address())];
        if user.disabled_at.is_none() && self.number <= 40 {
            let hostile = Address::from(IpAddr::from([203, 0, 113, 213])).key();
            let limit = i64::from(self.settings.login_failures_per_account);
            let start = self.now - 2 * HOUR + i64::from(self.number) * 60;
            let guess = |n| (start + n, Action::LoginFailed, "password", hostile.clone());
            failures.extend((1..=limit.min(20)).map(guess));
            let (at, reason) = (start + limit.min(20), "too many failures for the account");
            failures.push((at, Action::LoginThrottled, reason, hostile));
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
        for (at, action, reason, address) in failures {
            let event = self.log(at, action, Via::Api, user);
            (event.actor_id, event.reason, event.address) = (None, Some(reason), Some(address));
        }
    }

    /// Adds an event about that user. The channel tells who did it.
    fn log(&mut self, at: i64, action: Action, via: Via, user: &DemoUser) -> &mut DemoEvent {
        let (via, actor) = match (via, &self.admin) {
            (Via::Admin, None) => (Via::CommandLine, None),
            (Via::Admin, admin) => (via, admin.as_ref()),
            (Via::Api, _) => (via, Some(user)),
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
