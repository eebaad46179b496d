//! Cache of tokens that were recently found live, so that guards need not query the database for every request.
//!
//! **Guarantee.** Once this process has answered a revocation, it rejects the token for every request that starts
//! afterwards. Any other process on the same database rejects it for every request that starts at least 250 ms later.
//! Here, a revocation is any change that makes a cached session wrong: an explicit revocation, logout, eviction, a new
//! login of the same client, a changed password, a disabled or deleted user, another role, another secret.
//!
//! **Mechanism.** Users are divided into stripes. A change that revokes a user's token also increments the stripe's
//! counter in the database, in the same transaction ([`super::session_change`]).
//!
//! - *In this process*, the stripe is invalidated after the transaction is committed and before anyone is told. This
//!   also happens if another process was faster and the change found nothing left to revoke. [`Cache::invalidate`]
//!   draws the next number of a sequence and writes it to the stripe. An entry carries the number that the sequence had
//!   before the entry's database query. The entry is valid as long as its stripe's number is not greater. A look-up in
//!   progress during the invalidation carries an older number, so its entry is invalid even though it is stored later.
//!   A look-up that carries the new number queried after the commit, so it saw the revocation.
//! - *In other processes*, [`super::revocation_follower`] reads all counters every [`POLL_INTERVAL`] and invalidates
//!   the stripes whose counter changed. Entries are trusted only while the last successful reading began at most
//!   [`TRUST_PERIOD`] ago. Suppose that a revocation commits at `c` and a request starts at `t`, at least 250 ms later.
//!   The request trusts an entry only if a reading began after `t` - 200 ms, which is after `c`. That reading saw the
//!   changed counter, because counter and revocation share a transaction, and it invalidated the stripe before it
//!   counted as done. If no reading succeeds, because the database is down or slow or this process is too busy, nothing
//!   is trusted and the database is queried.
//!
//! The argument assumes three things. All processes on the database increment the counters (before you upgrade from a
//! version without the table `endings`, stop its processes). They query the database that is written to, not a replica
//! that lags behind. One of the machine's two clocks keeps running while a process is suspended, so that the last
//! reading is too old afterwards.
//!
//! An entry expires when the database said that the token would. Later uses postpone the token's end, and the database
//! is queried again. No entry is trusted for longer than [`MAX_AGE`], in case someone changes a table by hand. Tokens
//! that do not exist are not cached.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quick_cache::{Weighter, sync};
use tokio::sync::Notify;

use super::session::StoredSession;
use crate::models::ending::{STRIPE_COUNT, stripe_of};
use crate::secret::Digest;

/// Interval between two readings of the counters.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Time within which other processes notice a revocation.
pub(super) const MAX_PROPAGATION: Duration = Duration::from_millis(250);
/// How long entries are trusted after a reading began: [`MAX_PROPAGATION`] with a margin.
const TRUST_PERIOD: Duration = Duration::from_millis(200);
/// Maximum age of an entry.
const MAX_AGE: Duration = Duration::from_mins(1);
/// Maximum weight of all entries, in bytes: about 48,000 entries.
const MAX_WEIGHT: u64 = 24 * 1024 * 1024;
/// Weight of an entry without its names, in bytes: its slot in the cache (with capacity that is idle between two
/// growths), two allocations of its own and two for the names. A server with 36,000 entries grew by less than this for
/// each.
const BASE_WEIGHT: u64 = 500;

/// A cached token, and the state of the cache before its database query.
#[derive(Clone)]
struct CacheEntry {
    stored: Arc<StoredSession>,
    snapshot: CacheSnapshot,
}

/// State of the cache before a database query.
#[derive(Clone, Copy)]
pub(super) struct CacheSnapshot {
    /// Current number of the sequence.
    number: u64,
    /// Time since the cache was created.
    at: Duration,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Digest, CacheEntry> for Weight {
    fn weight(&self, _: &Digest, entry: &CacheEntry) -> u64 {
        let session = &entry.stored.session;
        BASE_WEIGHT + (session.username.len() + session.client.len()) as u64
    }
}

/// When a reading of the counters began.
#[derive(Clone, Copy)]
pub(super) struct ReadingStart {
    nanoseconds_since_creation: u64,
    unix_milliseconds: i64,
}

pub(super) struct Cache {
    entries: sync::Cache<Digest, CacheEntry, Weight>,
    sequence: AtomicU64,
    /// The number of each stripe's last revocation.
    stripes: [AtomicU64; STRIPE_COUNT],
    start: Instant,
    /// When the last successful reading began, in nanoseconds since `start`. 0 if there was none.
    read_at: AtomicU64,
    /// The same in unix milliseconds, because the monotonic clock stands still while the machine sleeps.
    read_millisecond: AtomicI64,
    /// Whether a token was looked up since the follower last checked.
    looked_up: AtomicBool,
    wake: Notify,
}

impl Cache {
    pub(super) fn new() -> Self {
        let capacity = usize::try_from(MAX_WEIGHT / BASE_WEIGHT).unwrap_or(usize::MAX);
        Self {
            entries: sync::Cache::with_weighter(capacity, MAX_WEIGHT, Weight),
            sequence: AtomicU64::new(0),
            stripes: array::from_fn(|_| AtomicU64::new(0)),
            start: Instant::now(),
            read_at: AtomicU64::new(0),
            read_millisecond: AtomicI64::new(0),
            looked_up: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    /// The entry of a token, if it can be trusted at `now` (unix seconds).
    pub(super) fn get(&self, digest: &Digest, now: i64) -> Option<Arc<StoredSession>> {
        // Read before writing: a cache line that every thread writes to is slow.
        if !self.looked_up.load(Ordering::Relaxed) && !self.looked_up.swap(true, Ordering::Relaxed)
        {
            self.wake.notify_one();
        }
        let age = self.age();
        if !self.is_trusted(age, unix_milliseconds()) {
            return None;
        }
        let CacheEntry { stored, snapshot } = self.entries.get(digest)?;
        let stripe = stripe_of(stored.session.user_id);
        let invalidated_at = self.stripes[stripe].load(Ordering::SeqCst);
        let is_live = invalidated_at <= snapshot.number && stored.ends_at > now;
        (is_live && age.saturating_sub(snapshot.at) <= MAX_AGE).then_some(stored)
    }

    /// Approximate number of cached tokens. Some may have been revoked.
    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether the last reading is recent enough by both clocks.
    fn is_trusted(&self, age: Duration, millisecond: i64) -> bool {
        let passed = millisecond.saturating_sub(self.read_millisecond.load(Ordering::SeqCst));
        let read_at = self.read_at.load(Ordering::SeqCst);
        let since = age.saturating_sub(Duration::from_nanos(read_at));
        let is_recent = |passed| Duration::from_millis(passed) <= TRUST_PERIOD;
        read_at > 0 && since <= TRUST_PERIOD && u64::try_from(passed).is_ok_and(is_recent)
    }

    fn age(&self) -> Duration {
        self.start.elapsed()
    }

    /// The current state. Take it before the database query whose result is passed to [`Cache::insert`].
    pub(super) fn snapshot(&self) -> CacheSnapshot {
        CacheSnapshot {
            number: self.sequence.load(Ordering::SeqCst),
            at: self.age(),
        }
    }

    pub(super) fn insert(
        &self,
        snapshot: CacheSnapshot,
        digest: Digest,
        session: &Arc<StoredSession>,
    ) {
        let stored = Arc::clone(session);
        self.entries.insert(digest, CacheEntry { stored, snapshot });
    }

    /// Removes a token that the database does not have. Otherwise it could be accepted again a moment later, until this
    /// process notices the revocation by another one.
    pub(super) fn remove(&self, digest: &Digest) {
        self.entries.remove(digest);
    }

    /// Invalidates all entries of these stripes. Call this after the revocation is committed.
    pub(super) fn invalidate(&self, stripes: impl IntoIterator<Item = usize>) {
        let number = self.sequence.fetch_add(1, Ordering::SeqCst) + 1;
        for stripe in stripes {
            self.stripes[stripe].fetch_max(number, Ordering::SeqCst);
        }
    }

    /// Take this before a reading of the counters, and pass it to [`Cache::trust`].
    pub(super) fn begin_reading(&self) -> ReadingStart {
        ReadingStart {
            nanoseconds_since_creation: u64::try_from(self.age().as_nanos()).unwrap_or(u64::MAX),
            unix_milliseconds: unix_milliseconds(),
        }
    }

    /// Trusts entries for [`TRUST_PERIOD`] from the start of a reading. Call this when the reading is done and the
    /// changed stripes are invalidated.
    pub(super) fn trust(&self, start: ReadingStart) {
        self.read_millisecond
            .store(start.unix_milliseconds, Ordering::SeqCst);
        self.read_at
            .store(start.nanoseconds_since_creation.max(1), Ordering::SeqCst);
    }

    /// Whether a token was looked up since the last call.
    pub(super) fn take_looked_up(&self) -> bool {
        self.looked_up.swap(false, Ordering::Relaxed)
    }

    /// Waits until a token is looked up.
    pub(super) async fn wait_for_look_up(&self) {
        // An earlier look-up may have left a wake-up behind.
        while !self.looked_up.load(Ordering::Relaxed) {
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
    use crate::auth::session::Session;
    use crate::identity::{TokenId, UserId};
    use crate::models::now;
    use crate::models::token::TokenKind;
    use crate::models::user::Role;
    use crate::secret::Secret;

    // Trust ends before the guaranteed time and survives one late reading.
    const _: () = assert!(TRUST_PERIOD.as_millis() < MAX_PROPAGATION.as_millis());
    const _: () = assert!(2 * POLL_INTERVAL.as_millis() <= TRUST_PERIOD.as_millis());

    fn entry(user_id: UserId) -> Arc<StoredSession> {
        ending_at(user_id, now() + 10)
    }

    fn ending_at(user_id: UserId, ends_at: i64) -> Arc<StoredSession> {
        let session = Session {
            kind: TokenKind::Api,
            user_id,
            username: "alice".into(),
            role: Role::User,
            token_id: TokenId::new(),
            client: "laptop".into(),
            expires_at: None,
            confirmed_at: now(),
        };
        Arc::new(StoredSession::new(session, ends_at, now()))
    }

    /// A trusted cache with a token of `user`.
    fn remembering(user: UserId) -> (Cache, Digest) {
        let (cache, digest) = (Cache::new(), Secret::generate("mtk").digest());
        cache.trust(cache.begin_reading());
        cache.insert(cache.snapshot(), digest, &entry(user));
        (cache, digest)
    }

    #[test]
    fn a_token_is_cached_until_it_expires() {
        let (cache, digest) = remembering(UserId::new());
        assert!(cache.get(&digest, now()).is_some());
        let another = Secret::generate("mtk").digest();
        assert!(cache.get(&another, now()).is_none());
        cache.insert(cache.snapshot(), another, &ending_at(UserId::new(), now()));
        assert!(cache.get(&another, now()).is_none());
        cache.remove(&digest);
        assert!(cache.get(&digest, now()).is_none());
    }

    #[test]
    fn the_cache_is_not_trusted_after_sleep_or_a_clock_change() {
        let (cache, digest) = remembering(UserId::new());
        assert!(cache.get(&digest, now()).is_some());
        // The wall clock kept running during sleep, or was set back afterwards.
        for passed in [300, -300] {
            let mut start = cache.begin_reading();
            start.unix_milliseconds -= passed;
            cache.trust(start);
            assert!(cache.get(&digest, now()).is_none(), "{passed}");
        }
        cache.trust(cache.begin_reading());
        assert!(cache.get(&digest, now()).is_some());
    }

    #[test]
    fn an_entry_is_not_trusted_for_longer_than_a_minute() {
        let (mut cache, digest) = remembering(UserId::new());
        cache.start -= MAX_AGE.saturating_sub(Duration::from_secs(1));
        cache.trust(cache.begin_reading());
        assert!(cache.get(&digest, now()).is_some());
        cache.start -= Duration::from_secs(2);
        cache.trust(cache.begin_reading());
        assert!(cache.get(&digest, now()).is_none());
    }

    #[test]
    fn the_cache_does_not_exceed_its_capacity() {
        let cache = Cache::new();
        let entry = entry(UserId::new());
        let most = MAX_WEIGHT / BASE_WEIGHT;
        for _ in 0..2 * most {
            let digest = Secret::generate("mtk").digest();
            cache.insert(cache.snapshot(), digest, &entry);
        }
        assert!((most / 2..=most).contains(&cache.len()), "{}", cache.len());
    }

    #[test]
    fn invalidating_a_stripe_affects_its_entries_and_no_others() {
        let user = UserId::new();
        let (cache, digest) = remembering(user);
        cache.invalidate([(stripe_of(user) + 1) % STRIPE_COUNT]);
        assert!(cache.get(&digest, now()).is_some());
        cache.invalidate([stripe_of(user)]);
        assert!(cache.get(&digest, now()).is_none());
    }

    #[test]
    fn a_lookup_in_flight_does_not_restore_a_forgotten_token() {
        let user = UserId::new();
        let (cache, digest) = remembering(user);
        let snapshot = cache.snapshot();
        cache.invalidate([stripe_of(user)]);
        cache.insert(snapshot, digest, &entry(user));
        assert!(cache.get(&digest, now()).is_none());
        cache.insert(cache.snapshot(), digest, &entry(user));
        assert!(cache.get(&digest, now()).is_some());
    }

    #[test]
    fn the_cache_is_trusted_only_shortly_after_a_reading_began() {
        let user = UserId::new();
        let (cache, digest) = (Cache::new(), Secret::generate("mtk").digest());
        cache.insert(cache.snapshot(), digest, &entry(user));
        assert!(cache.get(&digest, now()).is_none());
        let reading = cache.begin_reading();
        cache.trust(reading);
        assert!(cache.get(&digest, now()).is_some());
        sleep(TRUST_PERIOD);
        assert!(cache.get(&digest, now()).is_none());
        // Trust lasts from the start of a reading.
        cache.trust(reading);
        assert!(cache.get(&digest, now()).is_none());
    }
}
