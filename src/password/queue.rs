//! The queue in front of the threads that hash passwords.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::Params;
use rocket::tokio::sync::{OwnedSemaphorePermit, Semaphore};
use rocket::tokio::task::spawn_blocking;
use rocket::tokio::time::{Instant, timeout_at};

use super::Password;
use super::hashing::{self, Memory, Verdict};
use crate::config::Settings;
use crate::error::Error;
use crate::identity::UserId;

/// Hashes and verifies passwords, `hash_threads` at once, on threads of their own.
///
/// One hash takes a core for tens of milliseconds and `hash_memory_kib` of memory; without a
/// bound, a few hundred logins at once would take all of both.
#[derive(Clone)]
pub struct Hasher {
    params: Params,
    /// One for each hash that has run at the same time so far.
    memories: Arc<Mutex<Vec<Memory>>>,
    /// How many hashes may run at once.
    threads: usize,
    /// A permit for each hash that runs.
    running: Arc<Semaphore>,
    /// As many permits, for strangers alone: at most that many of them stand in front of others who
    /// wait for a permit to run.
    front: Arc<Semaphore>,
    /// The places in the queue, those of running hashes included.
    places: Arc<Semaphore>,
    /// Those of them that strangers may fill.
    for_strangers: Arc<Semaphore>,
    /// How many places each known user has taken.
    shares: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// Hashes that may wait for each one that runs: with OWASP's parameters, under two seconds' worth.
const QUEUE_PER_THREAD: usize = 64;
/// Places that one user may take, from known addresses and in sessions together: with many sessions they could
/// otherwise fill the quarter that is kept for all who are known.
const PLACES_PER_USER: usize = 10;
/// How long a hash that no attempt to sign in asks for waits to run.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Who wants a password hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// A live session, an address that has signed in to the account before, or the command line.
    Known,
    /// Anybody else. A quarter of the places is closed to them, and they wait behind the known: a
    /// flood of guesses from any number of addresses does not keep out the users that are known.
    Stranger,
}

impl Hasher {
    /// One with the parameters of `settings`.
    ///
    /// # Errors
    /// The parameters are out of Argon2's bounds.
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
        let places = places(threads);
        Ok(Self {
            params,
            memories: Arc::default(),
            threads,
            running: Arc::new(Semaphore::new(threads)),
            front: Arc::new(Semaphore::new(threads)),
            places: Arc::new(Semaphore::new(places)),
            for_strangers: Arc::new(Semaphore::new(places - places / 4)),
            shares: Arc::default(),
        })
    }

    /// Whether there is a place in the queue right now.
    pub fn has_place(&self, rank: Rank) -> bool {
        let free = |places: &Semaphore| places.available_permits() > 0;
        free(&self.places) && (rank == Rank::Known || free(&self.for_strangers))
    }

    /// Takes a place in the queue.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if there is none.
    pub fn enter(&self, rank: Rank) -> Result<Place, Error> {
        let take = |places: &Arc<Semaphore>| {
            let place = Arc::clone(places).try_acquire_owned();
            place.map_err(|_| Error::Overloaded)
        };
        let mut held = vec![];
        if rank == Rank::Stranger {
            held.push(take(&self.for_strangers)?);
        }
        held.push(take(&self.places)?);
        Ok(Place {
            hasher: self.clone(),
            rank,
            held,
            share: None,
        })
    }

    /// Whether a known user has taken fewer places than one user may.
    pub fn has_share(&self, user: UserId) -> bool {
        let taken = whole(&self.shares).get(&user).copied();
        taken.unwrap_or(0) < PLACES_PER_USER
    }

    /// Takes a place in the queue for a known user.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if there is none, or the user has ten.
    pub fn enter_as(&self, user: UserId) -> Result<Place, Error> {
        let mut place = self.enter(Rank::Known)?;
        let mut shares = whole(&self.shares);
        let share = shares.entry(user).or_default();
        if *share >= PLACES_PER_USER {
            return Err(Error::Overloaded);
        }
        *share += 1;
        place.share = Some(Share {
            shares: Arc::clone(&self.shares),
            user,
        });
        Ok(place)
    }

    /// How many hashes run, how many wait, and how many may do either.
    pub fn load(&self) -> [(&'static str, u64); 3] {
        let limit = places(self.threads);
        let taken = limit.saturating_sub(self.places.available_permits());
        let running = (self.threads).saturating_sub(self.running.available_permits());
        let waiting = taken.saturating_sub(running);
        [
            ("running", running as u64),
            ("waiting", waiting as u64),
            ("limit", limit as u64),
        ]
    }

    /// Whether a login with the right password would replace this PHC string by one of today's parameters;
    /// or nobody can log in with it, since it is none.
    pub fn is_outdated(&self, phc: &str) -> bool {
        hashing::is_outdated(&self.params, phc)
    }

    fn memories(&self) -> MutexGuard<'_, Vec<Memory>> {
        whole(&self.memories)
    }

    /// Waits for a permit and hashes a new password.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if the queue is full or stands still; [`Error::Internal`].
    pub async fn hash(&self, password: &Password) -> Result<String, Error> {
        let place = self.enter(Rank::Known)?;
        let permit = place.permit(Instant::now() + TIMEOUT).await?;
        permit.hash(password).await
    }
}

/// What a lock holds: a list or a map is whole, even if its last holder panicked.
fn whole<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn places(threads: usize) -> usize {
    threads * (1 + QUEUE_PER_THREAD)
}

/// A place in the queue. It is free again when this is dropped.
pub struct Place {
    hasher: Hasher,
    rank: Rank,
    held: Vec<OwnedSemaphorePermit>,
    share: Option<Share>,
}

/// One of the places that a user has taken.
struct Share {
    shares: Arc<Mutex<HashMap<UserId, usize>>>,
    user: UserId,
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Entry::Occupied(mut share) = whole(&self.shares).entry(self.user) {
            *share.get_mut() -= 1;
            if *share.get() == 0 {
                share.remove();
            }
        }
    }
}

impl Place {
    /// Waits for a permit to hash, until `deadline`.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if there is none by then.
    pub async fn permit(mut self, deadline: Instant) -> Result<Permit, Error> {
        let line = [
            (self.rank == Rank::Stranger).then_some(&self.hasher.front),
            Some(&self.hasher.running),
        ];
        for semaphore in line.into_iter().flatten() {
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

/// A permit to hash, one password at a time. Others wait until it is dropped.
pub struct Permit {
    hasher: Hasher,
    held: Arc<(Vec<OwnedSemaphorePermit>, Option<Share>)>,
}

impl Permit {
    /// Hashes a new password into a PHC string, with a random salt of 16 bytes.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub async fn hash(&self, password: &Password) -> Result<String, Error> {
        let password = password.0.clone();
        self.run(move |today, memory| hashing::hash(today, &password, memory))
            .await
    }

    /// Compares a password with a PHC string. Without one (there is no such user) it does the same
    /// work for a hash that nothing fits, so that the time it takes doesn't tell.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub async fn verify(&self, password: &Password, phc: Option<String>) -> Result<Verdict, Error> {
        let password = password.0.clone();
        self.run(move |today, memory| hashing::verify(today, &password, phc.as_deref(), memory))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Params, &mut Memory) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (hasher, held) = (self.hasher.clone(), self.held.clone());
        spawn_blocking(move || {
            // Held by the thread, not by the request: a client that leaves doesn't make room for
            // another hash while its own still runs.
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
        let attempts = (0..QUEUE_PER_THREAD + 11).map(|_| hasher.hash(&password));
        let outcomes = rocket::futures::future::join_all(attempts).await;
        let refused = outcomes
            .iter()
            .filter(|o| matches!(o, Err(Error::Overloaded)))
            .count();
        assert_eq!(refused, 10);
        assert!(hasher.hash(&password).await.is_ok(), "it recovers");
    }

    #[test]
    fn strangers_fill_three_quarters_of_it() {
        let hasher = one_thread();
        let mut taken = vec![];
        while let Ok(place) = hasher.enter(Rank::Stranger) {
            taken.push(place);
        }
        assert_eq!(taken.len(), 49);
        assert!(!hasher.has_place(Rank::Stranger) && hasher.has_place(Rank::Known));
        while let Ok(place) = hasher.enter(Rank::Known) {
            taken.push(place);
        }
        assert_eq!(taken.len(), 65);
        taken.truncate(1);
        assert!(hasher.has_place(Rank::Stranger), "it recovers");
    }

    #[test]
    fn one_user_takes_ten_places_and_leaves_the_others_to_the_rest() {
        let hasher = one_thread();
        let (greedy, other) = (UserId::new(), UserId::new());
        let mut taken: Vec<_> = (0..10).map(|_| hasher.enter_as(greedy).unwrap()).collect();
        assert!(hasher.enter_as(greedy).is_err());
        assert!(hasher.enter_as(other).is_ok());
        taken.pop();
        assert!(hasher.enter_as(greedy).is_ok(), "it recovers");
        taken.clear();
        assert_eq!(hasher.load()[1].1, 0, "no place is lost");
        assert!(whole(&hasher.shares).is_empty());
    }

    #[rocket::async_test]
    async fn the_known_wait_for_no_stranger_but_those_whose_hash_runs() {
        let hasher = one_thread();
        let enter = |rank| hasher.enter(rank).unwrap();
        let running = enter(Rank::Stranger).permit(soon()).await.unwrap();
        let later = Instant::now() + Duration::from_secs(5);
        let waiting = rocket::tokio::spawn(enter(Rank::Stranger).permit(later));
        rocket::tokio::time::sleep(Duration::from_millis(20)).await;
        let known = rocket::tokio::spawn(enter(Rank::Known).permit(later));
        rocket::tokio::time::sleep(Duration::from_millis(20)).await;
        drop(running);
        let known = known.await.unwrap().unwrap();
        assert!(!waiting.is_finished());
        drop(known);
        assert!(waiting.await.unwrap().is_ok());
    }

    #[rocket::async_test]
    async fn nobody_waits_longer_than_they_said_and_their_place_is_free_then() {
        let hasher = one_thread();
        let running = hasher.enter(Rank::Known).unwrap();
        let running = running.permit(soon()).await.unwrap();
        for rank in [Rank::Known, Rank::Stranger] {
            let late = hasher.enter(rank).unwrap().permit(soon()).await;
            assert!(matches!(late, Err(Error::Overloaded)), "{rank:?}");
        }
        assert_eq!(hasher.load()[1].1, 0, "none waits");
        drop(running);
        assert_eq!(hasher.places.available_permits(), 65);
        assert_eq!(hasher.for_strangers.available_permits(), 49);
    }
}
