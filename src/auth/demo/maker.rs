//! Users one after the other, and what each of them is like.

use std::collections::HashSet;
use std::iter::Enumerate;
use std::sync::Arc;
use std::vec::IntoIter;

use rand::RngExt;
use rand::rngs::ThreadRng;

use super::clients::Clients;
use super::clock::{Clock, DAY, Times};
use super::names::Names;
use super::story::{Episode, Story};
use super::{FIRST_ADMIN, Wanted};
use crate::config::Settings;
use crate::identity::UserId;
use crate::models::demo::{Batch, DemoUser, Party};
use crate::models::user::Role;

/// Rows of a batch: some milliseconds' worth.
const ROWS: usize = 2000;
/// One user in so many is disabled.
const DISABLED: usize = 33;
/// One token in so many has expired.
const EXPIRED: u64 = 100;
/// One token in so many was never used.
const UNUSED: u64 = 16;
/// More admins than this are not needed, beside the first.
const ADMINS: usize = 5;

/// What happened to the users, in turn, beside that they signed in.
const EPISODES: [Episode; 24] = [
    Episode::Quiet,
    Episode::LoggedOut,
    Episode::Mistyped,
    Episode::Expired,
    Episode::Quiet,
    Episode::Stranger,
    Episode::RevokedByAdmin,
    Episode::Mistyped,
    Episode::ChangedPassword,
    Episode::Quiet,
    Episode::Evicted,
    Episode::LoggedOut,
    Episode::Throttled,
    Episode::Quiet,
    Episode::RevokedOwn,
    Episode::Stranger,
    Episode::PasswordReset,
    Episode::Mistyped,
    Episode::AdminForAWhile,
    Episode::Quiet,
    Episode::Departed,
    Episode::LoggedOut,
    Episode::DisabledForAWhile,
    Episode::Expired,
];

/// Makes batches of users with all that belongs to them.
pub(super) struct Maker {
    pub(super) rng: ThreadRng,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
    pub(super) clients: Clients,
    pub(super) names: Names,
    /// With the address that each works from.
    pub(super) admins: Vec<(Arc<Party>, Arc<str>)>,
    wanted: Wanted,
    /// When the users came that are still to be made.
    births: Enumerate<IntoIter<i64>>,
    /// Tokens of users that have none, to be had by others: one each.
    owed: u32,
    /// Tokens so far.
    tokens: u64,
    /// Tokens that should have expired and could not have yet.
    expired_due: u64,
}

impl Iterator for Maker {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        while batch.users.len() + batch.tokens.len() < ROWS
            && let Some((number, born)) = self.births.next()
        {
            self.add_user(number, born, &mut batch);
        }
        let begins = self.clock.trail_begins;
        batch.events.retain(|event| event.at >= begins);
        // Neighbours in the index of ids find their places together.
        batch.events.sort_unstable_by_key(|event| event.id);
        (!batch.users.is_empty()).then_some(batch)
    }
}

impl Maker {
    pub(super) fn new(
        settings: Arc<Settings>,
        wanted: Wanted,
        taken: HashSet<String>,
        now: i64,
    ) -> Self {
        let mut rng = rand::rng();
        let clock = Clock::new(&settings, now);
        let births = clock.births(&mut rng, wanted.users);
        Self {
            rng,
            settings,
            clock,
            clients: Clients::at_least(wanted.tokens_per_user as usize + 1),
            names: Names::but(taken),
            admins: vec![],
            wanted,
            births: births.into_iter().enumerate(),
            owed: 0,
            tokens: 0,
            expired_due: 0,
        }
    }

    fn add_user(&mut self, number: usize, born: i64, batch: &mut Batch) {
        let party = self.party(number == 0, born);
        let admins = (self.wanted.users as usize / 20).min(ADMINS);
        let role = if number <= admins {
            Role::Admin
        } else {
            Role::User
        };
        let disabled = role == Role::User && self.is_disabled(number, born);
        let tokens = self.share(disabled);

        let mut story = Story::new(self, Arc::clone(&party), born, batch);
        story.created(role);
        let mut disabled_at = None;
        if disabled {
            disabled_at = Some(story.disabled());
        } else {
            story.play(EPISODES[number % EPISODES.len()]);
            story.tokens(tokens);
        }
        let (last_login_at, last_seen_at) = story.end();
        batch.users.push(DemoUser {
            party,
            role,
            created_at: born,
            disabled_at,
            last_login_at,
            last_seen_at,
        });
    }

    /// A name for somebody who came then, and an id.
    pub(super) fn party(&mut self, first: bool, born: i64) -> Arc<Party> {
        let simple = first.then(|| self.names.exactly(FIRST_ADMIN)).flatten();
        let name = simple.unwrap_or_else(|| self.names.next(&mut self.rng));
        let id = UserId::at(born * 1000 + self.rng.random_range(0..1000));
        Arc::new(Party { id, name })
    }

    /// Whether that user is one of the disabled: only where there are enough others to have the
    /// tokens instead.
    fn is_disabled(&self, number: usize, born: i64) -> bool {
        let share = self.wanted.tokens_per_user;
        number % DISABLED == DISABLED / 2
            && self.owed == 0
            && share < self.settings.tokens_per_user
            && number + (share as usize) < self.wanted.users as usize
            && born < self.clock.now - 3 * DAY
    }

    /// How many tokens the next user has.
    fn share(&mut self, disabled: bool) -> usize {
        let share = self.wanted.tokens_per_user;
        if disabled {
            self.owed = share;
            0
        } else {
            let more = self.owed.min(1);
            self.owed -= more;
            (share + more) as usize
        }
    }

    /// The times of the next token of a user who came then.
    pub(super) fn times(&mut self, born: i64) -> Times {
        self.tokens += 1;
        self.expired_due += u64::from(self.tokens.is_multiple_of(EXPIRED));
        if self.expired_due > 0
            && let Some(times) = self.clock.expired(&mut self.rng, born)
        {
            self.expired_due -= 1;
            return times;
        }
        if self.tokens.is_multiple_of(UNUSED) {
            self.clock.unused(&mut self.rng, born)
        } else {
            self.clock.in_use(&mut self.rng, born)
        }
    }
}
