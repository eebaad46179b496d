//! Users one after the other, and their tokens.

use std::mem::take;

use rand::{RngExt, rng};

use super::devices::{address, clients};
use super::{DAY, HOUR, Maker};
use crate::auth::sessions::ends_at;
use crate::config::Lifetime;
use crate::identity::{TokenId, UserId};
use crate::models::demo::{Batch, DemoToken, DemoUser};
use crate::models::event::{Action, Via};
use crate::models::user::Role;
use crate::secret::Secret;

/// How long ago the first user was created.
const HISTORY: i64 = 180 * DAY;

impl Maker {
    /// The next users, about `rows` users and tokens in all. None once all are made.
    pub(super) fn next(&mut self, rows: usize) -> Option<Batch> {
        while self.batch.users.len() + self.batch.tokens.len() < rows && self.number < self.users {
            self.add_user()?;
            self.number += 1;
        }
        let mut batch = take(&mut self.batch);
        batch.tokens.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        batch.events.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        (!batch.users.is_empty()).then_some(batch)
    }

    fn add_user(&mut self) -> Option<()> {
        let number = self.number;
        if self.users < 10_000 || self.batch.users.is_empty() {
            self.moment = rng().random_range(0..1000);
        }
        // The whole of a time for the first user, and next to none of it for the last.
        let rest = |whole: i64| whole * i64::from(self.users - number) / i64::from(self.users);
        let created_at = self.now - HOUR - rest(HISTORY);
        let (ttl, idle) = self.lives();
        let since = (self.now - rest(ttl.min(HISTORY) / 20 * 19)).max(created_at + 60);
        let name = self.name()?;
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
        let share = self.tokens_per_user;
        let is_possible = 2 * share <= self.settings.tokens_per_user;
        let is_disabled = is_possible && number % 33 == 16 && number + 1 < self.users;
        let share = match number % 33 {
            _ if is_disabled => 0,
            17 if is_possible => 2 * share,
            _ => share,
        };
        let clients = clients(share.max(1));
        let until = (since + self.sign_ins()).min(self.now);
        let times = clients.iter().map(|_| rng().random_range(since..=until));
        let mut times: Vec<_> = times.collect();
        let expired = self.now - ttl.min(idle) - rng().random_range(1..DAY);
        if number % 10 == 5 && number < 200 && expired > created_at {
            times[0] = expired;
        }
        times.sort_unstable();
        user.disabled_at = is_disabled.then_some(times[0]);
        user.last_login_at = self.end_token(times[0], &user, &clients[0]);
        user.last_seen_at = user.last_login_at.unwrap_or_default();
        for (client, at) in clients.iter().zip(times).take(share as usize) {
            let longest = (idle / 20 * 19).min(HISTORY);
            let span = [HOUR, DAY, 7 * DAY, longest][rng().random_range(0..4)].min(longest);
            let age = (1000 * rng().random_range(0..8) + self.moment) * span / 8000;
            let used_at = match rng().random_range(0..10) {
                _ if at == expired => 0,
                0 if at > self.now - longest => 0,
                _ => at.max(self.now - age),
            };
            let token = self.token(at, used_at, &user.id, client);
            self.batch.tokens.push(token);
            user.last_login_at = Some(at);
            user.last_seen_at = user.last_seen_at.max(at).max(used_at);
        }
        if !is_admin && number % 4 == 0 {
            self.fail_logins(&user);
        }
        self.batch.users.push(user);
        Some(())
    }

    /// A token's longest life, and its longest without use.
    pub(super) fn lives(&self) -> (i64, i64) {
        let century = 100 * 365 * DAY;
        let seconds = |life: Lifetime| life.end_after(0).map_or(century, |end| end.min(century));
        let settings = &self.settings;
        (
            seconds(settings.token_ttl),
            seconds(settings.token_idle_ttl),
        )
    }

    /// How long it takes until all clients of a user have signed in: the more users, the less, so that ids of tokens
    /// rise almost as those of users.
    pub(super) fn sign_ins(&self) -> i64 {
        (40 * HISTORY / i64::from(self.users)).clamp(60, 20 * DAY)
    }

    /// A token of that client.
    pub(super) fn token(&mut self, at: i64, used_at: i64, user: &str, of: &DemoToken) -> DemoToken {
        let settings = &self.settings;
        if self.secrets.is_empty() {
            let left = (self.users - self.number) as usize * (1 + self.tokens_per_user as usize);
            let secrets = (0..left.min(1 << 20)).map(|_| Secret::generate(&settings.token_prefix));
            let secrets = secrets.map(|new| (new.digest().to_hex(), new.hint().to_owned()));
            self.secrets = secrets.collect();
            self.secrets.sort_unstable();
        }
        let (digest, hint) = self.secrets.pop().unwrap_or_default();
        let expires_at = settings.token_ttl.end_after(at);
        DemoToken {
            id: TokenId::at(at * 1000).to_string(),
            user_id: user.to_owned(),
            digest,
            hint,
            created_at: at,
            last_used_at: used_at,
            expires_at,
            ends_at: ends_at(expires_at, settings.token_idle_ttl, used_at.max(at)),
            address: address(),
            ..of.clone()
        }
    }
}
