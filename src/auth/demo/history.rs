//! Users one after the other, with tokens and events. Times are unix seconds.

use std::collections::HashSet;
use std::mem::take;

use rand::{RngExt, rng};

use super::devices::{address, clients};
use crate::auth::sessions::ends_at;
use crate::config::{Lifetime, Settings};
use crate::identity::{EventId, TokenId, UserId};
use crate::models::demo::{Batch, DemoEvent, DemoToken, DemoUser};
use crate::models::event::{Action, Via};
use crate::models::user::Role;
use crate::secret::Secret;

pub(super) const HOUR: i64 = 60 * 60;
pub(super) const DAY: i64 = 24 * HOUR;
/// How long ago the first user was created.
const HISTORY: i64 = 180 * DAY;

/// Makes users, in the order of their creation.
pub(super) struct Maker<'a> {
    pub(super) settings: &'a Settings,
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
    /// When the tokens of a batch were last used. A few moments, so that few pages of the indexes that sort by
    /// time change at once; for the same reason, digests of tokens are used in their order.
    pub(super) moments: Vec<i64>,
    pub(super) secrets: Vec<(String, String)>,
}

impl Maker<'_> {
    /// The next users, about `rows` users and tokens in all. None once all are made.
    pub(super) fn next(&mut self, rows: usize) -> Option<Batch> {
        let longest = (seconds(self.settings.token_idle_ttl) / 20 * 19).min(HISTORY);
        let spans = [HOUR, DAY, 7 * DAY, longest].map(|span| span.min(longest) / 8);
        let ago = |span: i64, step| span * step + rng().random_range(0..=span);
        let moments = (0..8).flat_map(|step| spans.map(|span| self.now - ago(span, step)));
        self.moments = moments.collect();
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
        let (number, settings) = (self.number, self.settings);
        // The whole of a time for the first user, and next to none of it for the last.
        let rest = |whole: i64| whole * i64::from(self.users - number) / i64::from(self.users);
        let (created_at, ttl) = (self.now - HOUR - rest(HISTORY), seconds(settings.token_ttl));
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
        self.log(created_at, Action::UserCreated, Via::Admin, &user, |_| {});
        self.admin.get_or_insert_with(|| user.clone());

        // Disabled users have no tokens. The next user has theirs, too.
        let share = self.tokens_per_user;
        let is_possible = 2 * share <= settings.tokens_per_user;
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
        let idle = seconds(settings.token_idle_ttl);
        let expired = self.now - ttl.min(idle) - rng().random_range(1..DAY);
        if number % 10 == 5 && number < 200 && expired > created_at {
            times[0] = expired;
        }
        times.sort_unstable();
        user.disabled_at = is_disabled.then_some(times[0]);
        user.last_login_at = self.end_token(times[0], &user, &clients[0]);
        user.last_seen_at = user.last_login_at.unwrap_or_default();
        for (client, at) in clients.iter().zip(times).take(share as usize) {
            let is_recent = at > self.now - idle / 20 * 19;
            let moment = self.moments[rng().random_range(0..self.moments.len())].max(at);
            let used_at = match rng().random_range(0..10) {
                _ if at == expired => 0,
                0 if is_recent => 0,
                _ => (moment + rng().random_range(0..60)).min(self.now),
            };
            let token = self.token(at, used_at, &user, client);
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

    /// How long it takes until all clients of a user have signed in: the more users, the less, so that ids of tokens
    /// rise almost as those of users.
    pub(super) fn sign_ins(&self) -> i64 {
        (40 * HISTORY / i64::from(self.users)).clamp(60, 20 * DAY)
    }

    pub(super) fn token(
        &mut self,
        at: i64,
        used_at: i64,
        user: &DemoUser,
        of: &DemoToken,
    ) -> DemoToken {
        if self.secrets.is_empty() {
            let left = (self.users - self.number) as usize * (1 + self.tokens_per_user as usize);
            let secrets =
                (0..left.min(1 << 20)).map(|_| Secret::generate(&self.settings.token_prefix));
            let secrets =
                secrets.map(|secret| (secret.digest().to_hex(), secret.hint().to_owned()));
            self.secrets = secrets.collect();
            self.secrets.sort_unstable();
        }
        let (digest, hint) = self.secrets.pop().unwrap_or_default();
        let expires_at = self.settings.token_ttl.end_after(at);
        DemoToken {
            id: TokenId::at(at * 1000).to_string(),
            user_id: user.id.clone(),
            digest,
            hint,
            created_at: at,
            last_used_at: used_at,
            expires_at,
            ends_at: ends_at(expires_at, self.settings.token_idle_ttl, used_at.max(at)),
            address: address(),
            ..of.clone()
        }
    }

    /// Adds an event about that user. The channel tells who did it.
    pub(super) fn log(
        &mut self,
        at: i64,
        action: Action,
        via: Via,
        user: &DemoUser,
        change: impl FnOnce(&mut DemoEvent),
    ) {
        let (via, actor) = match (via, &self.admin) {
            (Via::Admin, None) => (Via::CommandLine, None),
            (Via::Admin, admin) => (via, admin.as_ref()),
            (Via::Api, _) => (via, Some(user)),
            _ => (via, None),
        };
        let id = EventId::at(at * 1000).to_string();
        let is_request = actor.is_some();
        let mut event = DemoEvent {
            request_id: is_request.then(|| id.clone()),
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
            address: is_request.then(address),
            ..DemoEvent::default()
        };
        change(&mut event);
        self.batch.events.push(event);
    }
}

/// A length in seconds; a century if there is no end.
pub(super) fn seconds(life: Lifetime) -> i64 {
    let century = 100 * 365 * DAY;
    life.end_after(0).map_or(century, |end| end.min(century))
}
