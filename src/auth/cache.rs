//! Tokens that were found live a moment ago: a guard need not ask the database for them each time.
//!
//! **The promise.** Once the end of a token is answered, no request that starts afterwards in this process
//! is let in by it; in another process on the same database, none that starts 250 ms later. What counts
//! as an end is whatever makes a remembered session wrong: revocation, logout, eviction, a new login of
//! the same client, a changed password, a disabled or deleted user, another role, another secret.
//!
//! **How it is kept.** Users fall into stripes. Whatever ends a user's token adds one to the stripe's count
//! in the database, in the transaction that does it ([`super::change`]).
//!
//! - *In this process*, when the transaction is committed and before anybody is told, the stripe is marked,
//!   also where another process was faster and the change found nothing left to end:
//!   [`Cache::forget`] draws the next number of a sequence and writes it to the stripe. An entry bears the
//!   number that the sequence had before the database was asked for it, and is good as long as its
//!   stripe's number is not greater. A look-up that was under way meanwhile bears an older number and is
//!   void, though it is stored later; one that drew the new number asked after the commit, and so saw the
//!   end.
//! - *In other processes*, [`super::follow`] reads all counts every [`EVERY`], and marks the stripes whose
//!   count has moved. Entries are trusted only while the last such reading that succeeded began at most
//!   [`TRUSTED`] ago. Say that an end is committed at `c` and a request starts at `t`, 250 ms later or more. It
//!   trusts an entry only if a reading began after `t` - 200 ms, which is after `c`; that reading saw
//!   the count moved, because count and end are of one transaction, and marked the stripe before it was
//!   taken for done. If no reading succeeds, because the database is away or slow or this process is too
//!   busy, nothing is trusted, and the database is asked.
//!
//! It takes for granted that all processes on the database count (those of a version before this table do
//! not: stop them first), that they ask the database that is written to, not a copy that lags behind, and that one
//! of the machine's two clocks goes on while a process does not: where it slept, the last reading is too old.
//!
//! An entry ends by itself when the database said that the token would; later uses move that end, and
//! the database is asked again. Nothing is trusted for longer than [`LONGEST`], in case that somebody
//! changes a table by hand. Tokens that don't exist are not remembered.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quick_cache::{Weighter, sync};
use rocket::tokio::sync::Notify;

use super::sessions::Session;
use crate::models::ending::{STRIPES, stripe_of};
use crate::secret::Digest;

/// Between two readings of the counts.
pub(super) const EVERY: Duration = Duration::from_millis(100);
/// How soon other processes know that a token has ended.
pub(super) const FOLLOWED: Duration = Duration::from_millis(250);
/// How long after the beginning of a reading entries are trusted: [`FOLLOWED`], with something to spare.
const TRUSTED: Duration = Duration::from_millis(200);
/// For how long an entry is trusted.
const LONGEST: Duration = Duration::from_mins(1);
/// What entries may weigh together, in bytes: some 48,000 of them.
const MOST: u64 = 24 * 1024 * 1024;
/// What an entry weighs beside its names: its place in the cache (with what lies idle there between two
/// growths), two allocations of its own and two for the names. A server that held 36,000 grew by less than that for
/// each.
const BASE: u64 = 500;

/// A token that was found live.
pub(super) struct Entry {
    pub(super) session: Arc<Session>,
    /// Its end as the database had it, unix seconds.
    ends_at: i64,
    /// Its last use that was noted, unix seconds.
    noted_at: AtomicI64,
}

impl Entry {
    /// A session that lasts till `ends_at`, and whose last use was noted at `noted_at`; unix seconds.
    pub(super) fn new(session: Session, ends_at: i64, noted_at: i64) -> Self {
        Self {
            session: Arc::new(session),
            ends_at,
            noted_at: noted_at.into(),
        }
    }

    /// Whether a use at `now` is to be noted, the last that was being so many seconds away: in the past, or in
    /// the future if the clock was set back since. Of several that ask at once, one is told so.
    pub(super) fn is_due(&self, now: i64, spacing: i64) -> bool {
        let last = self.noted_at.load(Ordering::Relaxed);
        now.abs_diff(last) >= spacing.unsigned_abs()
            && (self.noted_at)
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// An entry, and when the database was asked for it.
#[derive(Clone)]
struct Kept {
    entry: Arc<Entry>,
    asked: Asking,
}

/// A look-up that is under way, as it was before it began.
#[derive(Clone, Copy)]
pub(super) struct Asking {
    /// The sequence's number.
    number: u64,
    /// The time from the start.
    at: Duration,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Digest, Kept> for Weight {
    fn weight(&self, _: &Digest, kept: &Kept) -> u64 {
        let session = &kept.entry.session;
        BASE + (session.username.len() + session.client.len()) as u64
    }
}

/// When a reading of the counts began: in nanoseconds from the start, and in unix milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Reading(u64, i64);

pub(super) struct Cache {
    entries: sync::Cache<Digest, Kept, Weight>,
    sequence: AtomicU64,
    /// The sequence's number when something ended there last.
    stripes: [AtomicU64; STRIPES],
    start: Instant,
    /// When the last reading of the counts began that succeeded, in nanoseconds from the start; 0: never.
    read_at: AtomicU64,
    /// The same in unix milliseconds: the other clock stands still while the machine sleeps.
    read_millisecond: AtomicI64,
    /// Whether anybody asked since the follower looked.
    wanted: AtomicBool,
    wake: Notify,
}

impl Cache {
    pub(super) fn new() -> Self {
        let number = usize::try_from(MOST / BASE).unwrap_or(usize::MAX);
        Self {
            entries: sync::Cache::with_weighter(number, MOST, Weight),
            sequence: AtomicU64::new(0),
            stripes: array::from_fn(|_| AtomicU64::new(0)),
            start: Instant::now(),
            read_at: AtomicU64::new(0),
            read_millisecond: AtomicI64::new(0),
            wanted: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    /// The entry of a token, if it is to be trusted at `now`, unix seconds.
    pub(super) fn get(&self, digest: &Digest, now: i64) -> Option<Arc<Entry>> {
        // Read first: a line of memory that all write to is slow.
        if !self.wanted.load(Ordering::Relaxed) && !self.wanted.swap(true, Ordering::Relaxed) {
            self.wake.notify_one();
        }
        let age = self.age();
        if !self.is_trusted(age, unix_milliseconds()) {
            return None;
        }
        let Kept { entry, asked } = self.entries.get(digest)?;
        let stripe = stripe_of(entry.session.user_id);
        let ended_at = self.stripes[stripe].load(Ordering::SeqCst);
        let is_live = ended_at <= asked.number && entry.ends_at > now;
        (is_live && age.saturating_sub(asked.at) <= LONGEST).then_some(entry)
    }

    /// How many tokens are remembered, more or less: some may have ended.
    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether the last reading is young enough by both clocks.
    fn is_trusted(&self, age: Duration, millisecond: i64) -> bool {
        let passed = millisecond.saturating_sub(self.read_millisecond.load(Ordering::SeqCst));
        let read_at = self.read_at.load(Ordering::SeqCst);
        let since = age.saturating_sub(Duration::from_nanos(read_at));
        let young = |passed| Duration::from_millis(passed) <= TRUSTED;
        read_at > 0 && since <= TRUSTED && u64::try_from(passed).is_ok_and(young)
    }

    fn age(&self) -> Duration {
        self.start.elapsed()
    }

    /// To be called before the database is asked for a token that [`Cache::remember`] is given then.
    pub(super) fn ask(&self) -> Asking {
        Asking {
            number: self.sequence.load(Ordering::SeqCst),
            at: self.age(),
        }
    }

    /// Remembers a token.
    pub(super) fn remember(&self, asked: Asking, digest: Digest, entry: &Arc<Entry>) {
        let entry = Arc::clone(entry);
        self.entries.insert(digest, Kept { entry, asked });
    }

    /// Forgets a token that the database does not have: whoever is told so is not let in by it a moment later,
    /// before its end in another process is followed.
    pub(super) fn remove(&self, digest: &Digest) {
        self.entries.remove(digest);
    }

    /// Forgets all tokens of those stripes. To be called after what ended them is committed.
    pub(super) fn forget(&self, stripes: impl IntoIterator<Item = usize>) {
        let number = self.sequence.fetch_add(1, Ordering::SeqCst) + 1;
        for stripe in stripes {
            self.stripes[stripe].fetch_max(number, Ordering::SeqCst);
        }
    }

    /// The time of a reading of the counts that begins now.
    pub(super) fn reading(&self) -> Reading {
        let nanoseconds = u64::try_from(self.age().as_nanos()).unwrap_or(u64::MAX);
        Reading(nanoseconds, unix_milliseconds())
    }

    /// Trusts entries for a while: the reading that began at that time is done, and what had moved is
    /// forgotten.
    pub(super) fn trust(&self, Reading(nanoseconds, millisecond): Reading) {
        self.read_millisecond.store(millisecond, Ordering::SeqCst);
        self.read_at.store(nanoseconds.max(1), Ordering::SeqCst);
    }

    /// Whether anybody has asked since the last time.
    pub(super) fn was_wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::Relaxed)
    }

    /// Waits until somebody asks.
    pub(super) async fn wanted(&self) {
        // It may have been woken by who asked before.
        while !self.wanted.load(Ordering::Relaxed) {
            self.wake.notified().await;
        }
    }
}

fn unix_milliseconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;
    use crate::identity::{TokenId, UserId};
    use crate::models::now;
    use crate::models::token::Kind;
    use crate::models::user::Role;
    use crate::secret::Secret;

    // A reading after the slowest look, and one more before trust is lost.
    const _: () = assert!(TRUSTED.as_millis() < FOLLOWED.as_millis());
    const _: () = assert!(2 * EVERY.as_millis() <= TRUSTED.as_millis());

    fn entry(user_id: UserId) -> Arc<Entry> {
        ending_at(user_id, now() + 10)
    }

    fn ending_at(user_id: UserId, ends_at: i64) -> Arc<Entry> {
        let session = Session {
            kind: Kind::Api,
            user_id,
            username: "alice".into(),
            role: Role::User,
            token_id: TokenId::new(),
            client: "laptop".into(),
            expires_at: None,
            confirmed_at: now(),
        };
        Arc::new(Entry::new(session, ends_at, now()))
    }

    /// A cache that is trusted now and remembers a token of `user`.
    fn remembering(user: UserId) -> (Cache, Digest) {
        let (cache, digest) = (Cache::new(), Secret::generate("mtk").digest());
        cache.trust(cache.reading());
        cache.remember(cache.ask(), digest, &entry(user));
        (cache, digest)
    }

    #[test]
    fn a_token_is_remembered_until_it_ends() {
        let (cache, digest) = remembering(UserId::new());
        assert!(cache.get(&digest, now()).is_some());
        let another = Secret::generate("mtk").digest();
        assert!(cache.get(&another, now()).is_none());
        cache.remember(cache.ask(), another, &ending_at(UserId::new(), now()));
        assert!(cache.get(&another, now()).is_none());
        cache.remove(&digest);
        assert!(cache.get(&digest, now()).is_none());
    }

    #[test]
    fn nothing_is_trusted_after_the_machine_has_slept() {
        let (cache, digest) = remembering(UserId::new());
        assert!(cache.get(&digest, now()).is_some());
        // The clock that goes on has gone on for that long, or was set back since.
        for passed in [300, -300] {
            let Reading(nanoseconds, millisecond) = cache.reading();
            cache.trust(Reading(nanoseconds, millisecond - passed));
            assert!(cache.get(&digest, now()).is_none(), "{passed}");
        }
        cache.trust(cache.reading());
        assert!(cache.get(&digest, now()).is_some());
    }

    #[test]
    fn nothing_is_trusted_for_longer_than_a_minute() {
        let (mut cache, digest) = remembering(UserId::new());
        cache.start -= LONGEST.saturating_sub(Duration::from_secs(1));
        cache.trust(cache.reading());
        assert!(cache.get(&digest, now()).is_some());
        cache.start -= Duration::from_secs(2);
        cache.trust(cache.reading());
        assert!(cache.get(&digest, now()).is_none());
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let cache = Cache::new();
        let entry = entry(UserId::new());
        let most = MOST / BASE;
        for _ in 0..2 * most {
            let digest = Secret::generate("mtk").digest();
            cache.remember(cache.ask(), digest, &entry);
        }
        assert!((most / 2..=most).contains(&cache.len()), "{}", cache.len());
    }

    #[test]
    fn what_was_remembered_is_void_once_its_stripe_is_forgotten() {
        let user = UserId::new();
        let (cache, digest) = remembering(user);
        cache.forget([(stripe_of(user) + 1) % STRIPES]);
        assert!(cache.get(&digest, now()).is_some());
        cache.forget([stripe_of(user)]);
        assert!(cache.get(&digest, now()).is_none());
    }

    #[test]
    fn a_look_up_that_was_under_way_puts_nothing_back() {
        let user = UserId::new();
        let (cache, digest) = remembering(user);
        let asking = cache.ask();
        cache.forget([stripe_of(user)]);
        cache.remember(asking, digest, &entry(user));
        assert!(cache.get(&digest, now()).is_none());
        cache.remember(cache.ask(), digest, &entry(user));
        assert!(cache.get(&digest, now()).is_some());
    }

    #[test]
    fn nothing_is_trusted_before_a_reading_and_soon_after_the_last_one_began() {
        let user = UserId::new();
        let (cache, digest) = (Cache::new(), Secret::generate("mtk").digest());
        cache.remember(cache.ask(), digest, &entry(user));
        assert!(cache.get(&digest, now()).is_none());
        let reading = cache.reading();
        cache.trust(reading);
        assert!(cache.get(&digest, now()).is_some());
        sleep(TRUSTED);
        assert!(cache.get(&digest, now()).is_none());
        // It is the beginning that counts.
        cache.trust(reading);
        assert!(cache.get(&digest, now()).is_none());
    }

    #[test]
    fn of_several_uses_at_once_one_is_noted() {
        let (entry, at) = (entry(UserId::new()), now());
        assert!(!entry.is_due(at + 58, 60));
        assert!(!entry.is_due(at - 58, 60));
        let due = (0..10).filter(|_| entry.is_due(at + 61, 60)).count();
        assert_eq!(due, 1);
        // Now the clock is set back, and that use was in the future.
        let due = (0..10).filter(|_| entry.is_due(at - 100_000, 60)).count();
        assert_eq!(due, 1);
    }
}
