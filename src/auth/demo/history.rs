//! Users one after the other, each with tokens and events. Times are unix seconds.

use rand::{RngExt, rng};

use super::FIRST_ADMIN;
use super::devices::{address, clients};
use super::people::Names;
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
    pub(super) password_hash: &'a str,
    pub(super) now: i64,
    pub(super) names: Names,
    pub(super) admin: Option<DemoUser>,
    pub(super) moments: Vec<i64>,
    /// Digests of tokens in their order, so that few pages of their index change at a time.
    pub(super) digests: Vec<(String, String)>,
    /// The number of the next user.
    pub(super) number: u32,
}

impl Maker<'_> {
    /// The next users, about `rows` users and tokens in all. None once all are made.
    pub(super) fn next(&mut self, rows: usize) -> Batch {
        let mut batch = Batch::default();
        // When tokens were last used. A few moments in a batch, so that its rows are close to each other in the
        // indexes that sort by time.
        let longest = (seconds(self.settings.token_idle_ttl) / 20 * 19).min(HISTORY);
        let spans = [HOUR, DAY, 7 * DAY, longest].map(|span| span.min(longest) / 8);
        let ago = |span: i64, step| span * step + rng().random_range(0..=span);
        let moments = (0..8).flat_map(|step| spans.map(|span| self.now - ago(span, step)));
        self.moments = moments.collect();
        while batch.users.len() + batch.tokens.len() < rows && self.number < self.users {
            self.add_user(&mut batch);
            self.number += 1;
        }
        batch.users.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        batch.tokens.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        batch.events.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        batch
    }

    fn add_user(&mut self, batch: &mut Batch) {
        let (mut rng, number) = (rng(), self.number);
        // The whole of a time for the first user, and next to none of it for the last.
        let rest = |whole: i64| whole * i64::from(self.users - number) / i64::from(self.users);
        let created_at = self.now - HOUR - rest(HISTORY);
        let (ttl, idle) = (
            seconds(self.settings.token_ttl),
            seconds(self.settings.token_idle_ttl),
        );
        let since = (self.now - rest(ttl.min(HISTORY) / 20 * 19)).max(created_at + 60);

        let first = (number == 0)
            .then(|| self.names.take(FIRST_ADMIN))
            .flatten();
        let name = first.unwrap_or_else(|| self.names.next(number));
        let is_admin = number <= (self.users / 20).min(5);
        let mut user = DemoUser {
            id: UserId::at(created_at * 1000).to_string(),
            username: name.as_str().to_owned(),
            username_key: name.key().to_owned(),
            password_hash: self.password_hash.to_owned(),
            role: if is_admin { Role::Admin } else { Role::User }.as_str(),
            created_at,
            ..DemoUser::default()
        };
        batch
            .events
            .push(self.event(created_at, Action::UserCreated, Via::Admin, &user, None));
        self.admin.get_or_insert_with(|| user.clone());

        // Disabled users have no tokens. The next user has theirs, too.
        let mut share = self.tokens_per_user as usize;
        let can_have_more = 2 * share <= self.settings.tokens_per_user as usize;
        let is_disabled = number % 33 == 16 && number + 1 < self.users && can_have_more;
        share *= match number % 33 {
            16 if is_disabled => 0,
            17 if can_have_more => 2,
            _ => 1,
        };
        let clients = clients(share.max(1));
        // So soon that the ids of tokens rise almost as those of their users.
        let until = (since + self.sign_ins()).min(self.now);
        let mut times: Vec<_> = clients
            .iter()
            .map(|_| rng.random_range(since..=until))
            .collect();
        let expired = self.now - ttl.min(idle) - rng.random_range(1..DAY);
        if number % 10 == 5 && number < 200 && expired > created_at {
            times[0] = expired;
        }
        times.sort_unstable();
        if is_disabled {
            user.disabled_at = Some(times[0]);
            batch
                .events
                .push(self.event(times[0], Action::UserDisabled, Via::Admin, &user, None));
        }
        user.last_login_at = self.add_ended(times[0], &user, &clients[0], batch);
        user.last_seen_at = user.last_login_at.unwrap_or_default();
        for (client, at) in clients.iter().zip(times).take(share) {
            let is_recent = at > self.now - idle / 20 * 19;
            let used_at = if at == expired || is_recent && rng.random_ratio(1, 10) {
                0
            } else {
                let moment = self.moments[rng.random_range(0..self.moments.len())];
                (moment.max(at) + rng.random_range(0..60)).min(self.now)
            };
            let token = self.token(at, used_at, &user, client);
            batch
                .events
                .push(self.event(at, Action::TokenIssued, Via::Api, &user, Some(&token)));
            batch.tokens.push(token);
            user.last_login_at = Some(at);
            user.last_seen_at = user.last_seen_at.max(at).max(used_at);
        }
        if !is_admin && number % 4 == 0 {
            self.add_failures(&user, batch);
        }
        batch.users.push(user);
    }

    /// How long it takes until all clients of a user have signed in: the more users, the shorter.
    pub(super) fn sign_ins(&self) -> i64 {
        (40 * HISTORY / i64::from(self.users)).clamp(60, 20 * DAY)
    }

    fn secret(&mut self) -> (String, String) {
        if self.digests.is_empty() {
            let left = (self.users - self.number) as usize * (self.tokens_per_user + 1) as usize;
            let one = |_| {
                let secret = Secret::generate(&self.settings.token_prefix);
                (secret.digest().to_hex(), secret.hint().to_owned())
            };
            self.digests = (0..left.clamp(1, 1 << 20)).map(one).collect();
            self.digests.sort_unstable();
        }
        self.digests.pop().unwrap_or_default()
    }

    pub(super) fn token(
        &mut self,
        at: i64,
        used_at: i64,
        user: &DemoUser,
        client: &DemoToken,
    ) -> DemoToken {
        let (digest, hint) = self.secret();
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
            ..client.clone()
        }
    }

    /// An event about that user. The action and the channel tell who did it.
    pub(super) fn event(
        &self,
        at: i64,
        action: Action,
        via: Via,
        user: &DemoUser,
        token: Option<&DemoToken>,
    ) -> DemoEvent {
        let is_stranger = matches!(action, Action::LoginFailed | Action::LoginThrottled);
        let (via, actor) = match (via, &self.admin) {
            (Via::Admin, None) => (Via::CommandLine, None),
            (Via::Admin, admin) => (via, admin.as_ref()),
            (Via::Api, _) => (via, Some(user).filter(|_| !is_stranger)),
            _ => (via, None),
        };
        let id = EventId::at(at * 1000).to_string();
        let address = || token.map_or_else(address, |token| token.address.clone());
        let is_request = matches!(via, Via::Api | Via::Admin);
        DemoEvent {
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
            token_id: token.map(|token| token.id.clone()),
            hint: token.map(|token| token.hint.clone()),
            client: token.map(|token| token.client.clone()),
            client_key: token.map(|token| token.client_key.clone()),
            address: is_request.then(address),
            reason: None,
        }
    }
}

/// A length in seconds; a century if there is no end.
pub(super) fn seconds(life: Lifetime) -> i64 {
    let century = 100 * 365 * DAY;
    life.end_after(0).map_or(century, |end| end.min(century))
}
