//! Who hashes when: the queue before the threads that hash.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::Params;
use rocket::tokio::sync::{OwnedSemaphorePermit, Semaphore};
use rocket::tokio::task::spawn_blocking;

use super::Password;
use super::hashing::{self, Memory, Verdict};
use crate::config::Settings;
use crate::error::Error;

/// Hashes and verifies passwords, `hash_threads` at once, on threads of their own.
///
/// One hash takes a core for tens of milliseconds and `hash_memory_kib` of memory; without a
/// bound, a few hundred logins at once would take all of both.
#[derive(Clone)]
pub struct Hasher {
    params: Params,
    /// One for each hash that has run at the same time so far.
    memories: Arc<Mutex<Vec<Memory>>>,
    running: Arc<Semaphore>,
    /// How many may run at once.
    threads: usize,
    /// Permits for those whose turn it is: one more than run, so that the next one can get ready
    /// while the others hash.
    turns: Arc<Semaphore>,
    /// Permits for all that have or await a turn.
    admitted: Arc<Semaphore>,
}

/// Hashes that may wait for each one that runs: with OWASP's parameters, under two seconds' worth.
const QUEUE_PER_THREAD: usize = 64;

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
        Ok(Self {
            params,
            memories: Arc::default(),
            running: Arc::new(Semaphore::new(threads)),
            threads,
            turns: Arc::new(Semaphore::new(threads + 1)),
            admitted: Arc::new(Semaphore::new(threads * (1 + QUEUE_PER_THREAD))),
        })
    }

    /// Waits in the queue for a turn at hashing.
    ///
    /// # Errors
    /// [`Error::Overloaded`] at once if too many wait already.
    pub async fn turn(&self) -> Result<Turn, Error> {
        let admitted = self.admitted.clone().try_acquire_owned();
        let admitted = admitted.map_err(|_| Error::Overloaded)?;
        let turn = self.turns.clone().acquire_owned().await;
        let turn = turn.map_err(|_| Error::Overloaded)?;
        Ok(Turn {
            hasher: self.clone(),
            permits: Arc::new([admitted, turn]),
        })
    }

    /// How many hashes run, how many wait, and how many may do either.
    pub fn load(&self) -> [(&'static str, u64); 3] {
        let limit = self.threads * (1 + QUEUE_PER_THREAD);
        let admitted = limit.saturating_sub(self.admitted.available_permits());
        let running = (self.threads).saturating_sub(self.running.available_permits());
        let waiting = admitted.saturating_sub(running);
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
        // Whatever panicked beside it, a list of memories is one.
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn and hashes a new password.
    ///
    /// # Errors
    /// As [`Hasher::turn`].
    pub async fn hash(&self, password: &Password) -> Result<String, Error> {
        self.turn().await?.hash(password).await
    }
}

/// A turn at hashing. Others wait until it is dropped.
pub struct Turn {
    hasher: Hasher,
    permits: Arc<[OwnedSemaphorePermit; 2]>,
}

impl Turn {
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
        let running = self.hasher.running.clone().acquire_owned().await;
        let running = running.map_err(|_| Error::Overloaded)?;
        let (hasher, permits) = (self.hasher.clone(), self.permits.clone());
        spawn_blocking(move || {
            // Held by the thread, not by the request: a client that leaves doesn't make room for
            // another hash while its own still runs.
            let _held = (permits, running);
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

    #[rocket::async_test]
    async fn the_queue_is_bounded() {
        let settings = Settings {
            hash_threads: Some(1),
            hash_memory_kib: 1024,
            ..Settings::default()
        };
        let hasher = Hasher::new(&settings).unwrap();
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
}
