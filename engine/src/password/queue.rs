//! Bounded queue for password hashing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::Params;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::Password;
use super::hashing::{self, HashMemory, Verdict};
use crate::config::Settings;
use crate::error::Error;
use crate::identity::UserId;

/// Hashes and verifies passwords on separate threads, `hash_threads` at once.
///
/// A hash occupies a core for tens of milliseconds and `hash_memory_kib` of memory. Without a limit, a few hundred
/// concurrent logins would exhaust both.
#[derive(Clone)]
pub struct Hasher {
    params: Params,
    /// Idle memory for hashes.
    memories: Arc<Mutex<Vec<HashMemory>>>,
    /// The maximum number of concurrent hashes.
    threads: usize,
    /// Permits for running hashes.
    running: Arc<Semaphore>,
    /// As many permits, for strangers alone. They limit how many strangers can wait for `running` ahead of known users.
    stranger_permits: Arc<Semaphore>,
    /// Slots in the queue, including those of running hashes.
    slots: Arc<Semaphore>,
    /// Slots that strangers may take.
    stranger_slots: Arc<Semaphore>,
    /// Slots taken by each known user.
    slots_by_user: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// The maximum number of waiting hashes per thread: less than two seconds of work with OWASP's parameters.
const MAX_WAITING_PER_THREAD: usize = 64;
/// The maximum number of slots per known user. Otherwise, one user with many sessions could fill the quarter that is
/// reserved for known users.
const MAX_SLOTS_PER_USER: usize = 10;
/// The timeout in the queue for hashes outside a login.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// The priority of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashPriority {
    /// A live session, an address that has signed in to the account before, or the command line.
    Known,
    /// Anyone else. A quarter of the slots is closed to strangers, and they wait behind known users. A flood of
    /// guesses from any number of addresses does not lock out known users.
    Stranger,
}

impl Hasher {
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let params = Params::new(
            settings.hash_memory_kib,
            settings.hash_iterations,
            settings.hash_lanes,
            None,
        )
        .map_err(|_| Error::Internal("Argon2 parameters out of bounds"))?;
        let threads = settings
            .hash_threads
            .or_else(|| std::thread::available_parallelism().ok().map(Into::into))
            .unwrap_or(1);
        let slots = slots(threads);
        Ok(Self {
            params,
            memories: Arc::default(),
            threads,
            running: Arc::new(Semaphore::new(threads)),
            stranger_permits: Arc::new(Semaphore::new(threads)),
            slots: Arc::new(Semaphore::new(slots)),
            stranger_slots: Arc::new(Semaphore::new(slots - slots / 4)),
            slots_by_user: Arc::default(),
        })
    }

    /// Whether the queue has a free slot.
    pub fn has_slot(&self, priority: HashPriority) -> bool {
        let free = |slots: &Semaphore| slots.available_permits() > 0;
        free(&self.slots) && (priority == HashPriority::Known || free(&self.stranger_slots))
    }

    /// Takes a slot in the queue.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if the queue is full.
    pub fn reserve(&self, priority: HashPriority) -> Result<QueueSlot, Error> {
        let take = |slots: &Arc<Semaphore>| {
            let slot = Arc::clone(slots).try_acquire_owned();
            slot.map_err(|_| Error::Overloaded)
        };
        let mut held = vec![];
        if priority == HashPriority::Stranger {
            held.push(take(&self.stranger_slots)?);
        }
        held.push(take(&self.slots)?);
        Ok(QueueSlot {
            hasher: self.clone(),
            priority,
            held,
            share: None,
        })
    }

    /// Whether a known user may take another slot.
    pub fn has_slot_for(&self, user: UserId) -> bool {
        let taken = lock(&self.slots_by_user).get(&user).copied();
        taken.unwrap_or(0) < MAX_SLOTS_PER_USER
    }

    /// Takes a slot in the queue for a known user.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if the queue is full or the user has ten slots.
    pub fn reserve_for(&self, user: UserId) -> Result<QueueSlot, Error> {
        let mut slot = self.reserve(HashPriority::Known)?;
        let mut slots_by_user = lock(&self.slots_by_user);
        let share = slots_by_user.entry(user).or_default();
        if *share >= MAX_SLOTS_PER_USER {
            return Err(Error::Overloaded);
        }
        *share += 1;
        slot.share = Some(UserShare {
            slots_by_user: Arc::clone(&self.slots_by_user),
            user,
        });
        Ok(slot)
    }

    pub fn load(&self) -> [(&'static str, u64); 3] {
        let limit = slots(self.threads);
        let taken = limit.saturating_sub(self.slots.available_permits());
        let running = (self.threads).saturating_sub(self.running.available_permits());
        let waiting = taken.saturating_sub(running);
        [
            ("running", running as u64),
            ("waiting", waiting as u64),
            ("limit", limit as u64),
        ]
    }

    /// Whether the next login would replace this PHC string, or it can't be parsed and no login can succeed.
    pub fn is_outdated(&self, phc: &str) -> bool {
        hashing::is_outdated(&self.params, phc)
    }

    fn memories(&self) -> MutexGuard<'_, Vec<HashMemory>> {
        lock(&self.memories)
    }

    /// Waits for a permit and hashes a new password.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if the queue is full or times out, [`Error::Internal`].
    pub async fn hash(&self, password: &Password) -> Result<String, Error> {
        let slot = self.reserve(HashPriority::Known)?;
        let permit = slot.permit(Instant::now() + QUEUE_TIMEOUT).await?;
        permit.hash(password).await
    }
}

/// Ignores poisoning: these lists and maps stay consistent if a thread panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn slots(threads: usize) -> usize {
    threads * (1 + MAX_WAITING_PER_THREAD)
}

/// A slot in the queue. Dropping it frees the slot.
pub struct QueueSlot {
    hasher: Hasher,
    priority: HashPriority,
    held: Vec<OwnedSemaphorePermit>,
    share: Option<UserShare>,
}

/// A known user's claim to one slot.
struct UserShare {
    slots_by_user: Arc<Mutex<HashMap<UserId, usize>>>,
    user: UserId,
}

impl Drop for UserShare {
    fn drop(&mut self) {
        if let Entry::Occupied(mut share) = lock(&self.slots_by_user).entry(self.user) {
            *share.get_mut() -= 1;
            if *share.get() == 0 {
                share.remove();
            }
        }
    }
}

impl QueueSlot {
    /// Waits for a permit to hash.
    ///
    /// # Errors
    /// [`Error::Overloaded`] at `deadline`.
    pub async fn permit(mut self, deadline: Instant) -> Result<Permit, Error> {
        let semaphores = [
            (self.priority == HashPriority::Stranger).then_some(&self.hasher.stranger_permits),
            Some(&self.hasher.running),
        ];
        for semaphore in semaphores.into_iter().flatten() {
            let permit = timeout_at(deadline, Arc::clone(semaphore).acquire_owned()).await;
            let permit = permit.map_err(|_| Error::Overloaded)?;
            self.held.push(permit.map_err(|_| Error::Overloaded)?);
        }
        Ok(Permit {
            hasher: self.hasher,
            held: Arc::new((self.held, self.share)),
        })
    }
}

/// A permit to hash one password at a time. Dropping it lets the next one run.
pub struct Permit {
    hasher: Hasher,
    held: Arc<(Vec<OwnedSemaphorePermit>, Option<UserShare>)>,
}

impl Permit {
    /// Hashes a new password into a PHC string, with a random salt of 16 bytes.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub async fn hash(&self, password: &Password) -> Result<String, Error> {
        let password = password.0.clone();
        self.run(move |current, memory| hashing::hash(current, &password, memory))
            .await
    }

    /// Compares a password with a PHC string. Without one, because the user does not exist, it verifies against a dummy
    /// hash, so that the time is the same.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub async fn verify(&self, password: &Password, phc: Option<String>) -> Result<Verdict, Error> {
        let password = password.0.clone();
        self.run(move |current, memory| hashing::verify(current, &password, phc.as_deref(), memory))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Params, &mut HashMemory) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (hasher, held) = (self.hasher.clone(), self.held.clone());
        spawn_blocking(move || {
            // Held by the thread, not the request: if the client disconnects, its hash still occupies the permit until
            // it is done.
            let _held = held;
            let mut memory = hasher.memories().pop().unwrap_or_default();
            let done = work(&hasher.params, &mut memory);
            memory.shrink_to(&hasher.params);
            hasher.memories().push(memory);
            done
        })
        .await
        .map_err(|_| Error::Internal("a hashing thread panicked"))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_thread() -> Hasher {
        let settings = Settings {
            hash_threads: Some(1),
            hash_memory_kib: 1024,
            ..Settings::default()
        };
        Hasher::new(&settings).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    #[rocket::async_test]
    async fn the_queue_is_bounded() {
        let hasher = one_thread();
        let password = Password::new("correct horse");
        let attempts = (0..MAX_WAITING_PER_THREAD + 11).map(|_| hasher.hash(&password));
        let outcomes = futures::future::join_all(attempts).await;
        let refused = outcomes
            .iter()
            .filter(|o| matches!(o, Err(Error::Overloaded)))
            .count();
        assert_eq!(refused, 10);
        assert!(hasher.hash(&password).await.is_ok(), "it recovers");
    }

    #[test]
    fn unknown_clients_fill_at_most_three_quarters_of_the_queue() {
        let hasher = one_thread();
        let mut taken = vec![];
        while let Ok(slot) = hasher.reserve(HashPriority::Stranger) {
            taken.push(slot);
        }
        assert_eq!(taken.len(), 49);
        assert!(!hasher.has_slot(HashPriority::Stranger) && hasher.has_slot(HashPriority::Known));
        while let Ok(slot) = hasher.reserve(HashPriority::Known) {
            taken.push(slot);
        }
        assert_eq!(taken.len(), 65);
        taken.truncate(1);
        assert!(hasher.has_slot(HashPriority::Stranger), "it recovers");
    }

    #[test]
    fn one_user_takes_at_most_ten_places_and_leaves_the_rest() {
        let hasher = one_thread();
        let (greedy, other) = (UserId::new(), UserId::new());
        let mut taken: Vec<_> = (0..10)
            .map(|_| hasher.reserve_for(greedy).unwrap())
            .collect();
        assert!(hasher.reserve_for(greedy).is_err());
        assert!(hasher.reserve_for(other).is_ok());
        taken.pop();
        assert!(hasher.reserve_for(greedy).is_ok(), "it recovers");
        taken.clear();
        assert_eq!(hasher.load()[1].1, 0, "no place is lost");
        assert!(lock(&hasher.slots_by_user).is_empty());
    }

    #[rocket::async_test]
    async fn known_clients_wait_for_running_hashes_only() {
        let hasher = one_thread();
        let reserve = |priority| hasher.reserve(priority).unwrap();
        let running = reserve(HashPriority::Stranger)
            .permit(soon())
            .await
            .unwrap();
        let later = Instant::now() + Duration::from_secs(5);
        let waiting = tokio::spawn(reserve(HashPriority::Stranger).permit(later));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let known = tokio::spawn(reserve(HashPriority::Known).permit(later));
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(running);
        let known = known.await.unwrap().unwrap();
        assert!(!waiting.is_finished());
        drop(known);
        assert!(waiting.await.unwrap().is_ok());
    }

    #[rocket::async_test]
    async fn no_request_waits_past_its_deadline_and_its_place_is_freed() {
        let hasher = one_thread();
        let running = hasher.reserve(HashPriority::Known).unwrap();
        let running = running.permit(soon()).await.unwrap();
        for priority in [HashPriority::Known, HashPriority::Stranger] {
            let late = hasher.reserve(priority).unwrap().permit(soon()).await;
            assert!(matches!(late, Err(Error::Overloaded)), "{priority:?}");
        }
        assert_eq!(hasher.load()[1].1, 0, "none waits");
        drop(running);
        assert_eq!(hasher.slots.available_permits(), 65);
        assert_eq!(hasher.stranger_slots.available_permits(), 49);
    }
}
