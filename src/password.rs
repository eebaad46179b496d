//! Passwords: which are accepted, and how they are hashed (Argon2id) without stopping the server.

use std::collections::HashSet;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use flate2::read::GzDecoder;
use rand::distr::{Alphanumeric, SampleString};
use rocket::tokio::sync::{OwnedSemaphorePermit, Semaphore};
use rocket::tokio::task::spawn_blocking;

use crate::config::Settings;
use crate::error::Error;
use crate::identity::{Username, canonical};

/// A password as it was given, byte for byte. It can't be printed.
pub struct Password(String);

impl Password {
    /// The most bytes that one has: enough for any passphrase, and a bound on the work of hashing.
    pub const MAX: usize = 1024;

    /// Takes what was typed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Makes one of 24 characters: 142 random bits.
    pub fn generate() -> Self {
        Self(Alphanumeric.sample_string(&mut rand::rng(), 24))
    }

    /// The password itself, for the one time that a made one is shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What is wrong with `password` for a new password of `username`; empty if nothing is.
///
/// The rules are those of NIST SP 800-63B-4 and OWASP ASVS 5.0, 6.2: a length, a list of common
/// passwords, words that belong to the user or the service, and no rules of composition.
pub fn complaints(settings: &Settings, username: &Username, password: &Password) -> Vec<String> {
    let mut complaints = vec![];
    let min = settings.password_min_length;
    let folded = canonical(&password.0);
    let contains = |word: &str| word.chars().count() >= 4 && folded.contains(word);

    if password.0.chars().count() < min {
        complaints.push(format!(
            "This password is too short. It must contain at least {min} characters."
        ));
    }
    if password.0.len() > Password::MAX {
        complaints.push(format!(
            "Ensure this field has no more than {} bytes.",
            Password::MAX
        ));
    }
    if COMMON.contains(folded.as_str()) {
        complaints.push("This password is too common.".into());
    }
    if contains(username.key()) {
        complaints.push("This password contains the username.".into());
    }
    if contains(&canonical(settings.name.trim())) {
        complaints.push(format!(
            "This password contains \"{}\".",
            settings.name.trim()
        ));
    }
    complaints
}

/// Common passwords, in lower case, most used first: Django's list of 20,000.
static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    static LIST: &[u8] = include_bytes!("../vendor/django/common-passwords.txt.gz");
    let mut text = String::new();
    if let Err(error) = GzDecoder::new(LIST).read_to_string(&mut text) {
        // It is part of the executable: either it always unpacks or a test fails.
        tracing::error!(%error, "the list of common passwords cannot be unpacked");
    }
    String::leak(text).lines().collect()
});

/// Hashes and verifies passwords, `hash_threads` at once, on threads of their own.
///
/// One hash takes a core for tens of milliseconds and `hash_memory_kib` of memory; without a
/// bound, a few hundred logins at once would take all of both.
#[derive(Clone)]
pub struct Hasher {
    argon2: Argon2<'static>,
    running: Arc<Semaphore>,
    /// Permits for those whose turn it is: one more than run, so that the next one can get ready
    /// while the others hash.
    turns: Arc<Semaphore>,
    /// Permits for all that have or await a turn.
    admitted: Arc<Semaphore>,
}

/// Hashes that may wait for each one that runs: with OWASP's parameters, under two seconds' worth.
const QUEUE_PER_THREAD: usize = 64;

/// What a verification found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another password.
    Wrong,
    /// The password, hashed with today's parameters or stronger ones.
    Right,
    /// The password, hashed with less memory or fewer passes than today: worth hashing anew.
    RightButOutdated,
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
        Ok(Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            running: Arc::new(Semaphore::new(threads)),
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
        let argon2 = self.hasher.argon2.clone();
        let password = password.0.clone();
        self.run(move || {
            let hash: PasswordHash = argon2
                .hash_password(password.as_bytes())
                .map_err(|_| Error::Internal("Argon2 could not hash"))?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Compares a password with a PHC string. Without one (there is no such user) it does the same
    /// work for a hash that nothing fits, so that the time it takes doesn't tell.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub async fn verify(&self, password: &Password, phc: Option<String>) -> Result<Verdict, Error> {
        let argon2 = self.hasher.argon2.clone();
        let password = password.0.clone();
        self.run(move || {
            let stored = phc.as_deref().and_then(readable);
            let known = stored.is_some();
            let hash = match stored {
                Some(hash) => hash,
                None => nobodys_hash(argon2.params())?,
            };
            let right = argon2.verify_password(password.as_bytes(), &hash).is_ok() && known;
            let outdated = is_outdated(&hash, argon2.params());
            if outdated && !right {
                make_up_for(&hash, &argon2);
            }
            Ok(match (right, outdated) {
                (false, _) => Verdict::Wrong,
                (true, false) => Verdict::Right,
                (true, true) => Verdict::RightButOutdated,
            })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let running = self.hasher.running.clone().acquire_owned().await;
        let running = running.map_err(|_| Error::Overloaded)?;
        let permits = self.permits.clone();
        spawn_blocking(move || {
            // Held by the thread, not by the request: a client that leaves doesn't make room for
            // another hash while its own still runs.
            let _held = (permits, running);
            work()
        })
        .await
        .map_err(|_| Error::Internal("a hashing thread panicked"))?
    }
}

/// Whether a hash is weaker than one of today's. A stronger one is not replaced: one process with
/// lesser settings would undo what the others do.
fn is_outdated(hash: &PasswordHash, today: &Params) -> bool {
    Params::try_from(hash).map_or(true, |then| {
        then.m_cost() < today.m_cost() || then.t_cost() < today.t_cost()
    })
}

/// A stored hash. One that can't be read fits no password, and is as good as none for whoever asks.
fn readable(phc: &str) -> Option<PasswordHash> {
    PasswordHash::new(phc)
        .inspect_err(|error| tracing::error!("a stored password hash can't be read: {error}"))
        .ok()
}

/// Does the work that a weaker hash was cheaper by than today's: who guesses can't tell by the time
/// that there is an account whose owner has not signed in since the parameters rose. Argon2's time
/// goes with memory × passes.
fn make_up_for(hash: &PasswordHash, argon2: &Argon2<'_>) {
    let today = argon2.params();
    let cost = |params: &Params| u64::from(params.m_cost()) * u64::from(params.t_cost());
    let done = Params::try_from(hash).map_or(0, |then| cost(&then));
    let missing = cost(today).saturating_sub(done) / u64::from(today.t_cost());
    let memory = u32::try_from(missing).unwrap_or(u32::MAX);
    // What is missing is too little to matter where these are no parameters.
    if let Ok(params) = Params::new(memory, today.t_cost(), today.p_cost(), None) {
        let filler = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let _ = filler.hash_password_into(b"", &[0; 16], &mut [0; 32]);
    }
}

/// A hash of today's parameters that no password has: its output is random.
fn nobodys_hash(params: &Params) -> Result<PasswordHash, Error> {
    let params = ParamsString::try_from(params)
        .map_err(|_| Error::Internal("Argon2 parameters can't be written"))?;
    let unreadable = |_| Error::Internal("a hash can't be made up");
    Ok(PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params,
        salt: Some(Salt::new(&rand::random::<[u8; 16]>()).map_err(unreadable)?),
        hash: Some(Output::new(&rand::random::<[u8; 32]>()).map_err(unreadable)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_about(username: &str, password: &str) -> Vec<String> {
        let username = Username::parse(username).unwrap();
        complaints(&Settings::default(), &username, &Password::new(password))
    }

    #[test]
    fn common_short_long_and_telling_passwords_are_refused() {
        assert!(COMMON.len() > 19_000, "{} common passwords", COMMON.len());
        for password in ["password", "PassWord", "iloveyou1", "12345678"] {
            assert!(
                !complaints_about("alice", password).is_empty(),
                "{password}"
            );
        }
        assert!(!complaints_about("alice", "seven77").is_empty());
        assert!(!complaints_about("alice", "my-name-is-ALICE").is_empty());
        assert!(!complaints_about("alice", "i-like-multitoken-a-lot").is_empty());
        assert!(!complaints_about("alice", &"x".repeat(1025)).is_empty());
    }

    #[test]
    fn others_are_accepted_without_rules_of_composition() {
        for password in [
            "correct horse battery",
            "        ",
            "пароль-из-слов",
            &"é".repeat(512),
        ] {
            assert_eq!(complaints_about("alice", password), [""; 0], "{password}");
        }
        // Names of up to three characters stand in too many words.
        assert_eq!(complaints_about("bob", "bobsled-in-winter"), [""; 0]);
    }

    #[rocket::async_test]
    async fn a_hash_fits_its_password_only_and_outdated_parameters_show() {
        let mut settings = Settings {
            hash_memory_kib: 64,
            hash_iterations: 1,
            ..Settings::default()
        };
        let weak = Hasher::new(&settings).unwrap();
        settings.hash_memory_kib = 128;
        let strong = Hasher::new(&settings).unwrap();
        let right = Password::new("correct horse");
        let phc = weak.hash(&right).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
        assert_ne!(phc, weak.hash(&right).await.unwrap(), "the salt is random");

        let verdict = |hasher: Hasher, text: &'static str, phc: Option<String>| async move {
            let turn = hasher.turn().await.unwrap();
            turn.verify(&Password::new(text), phc).await.unwrap()
        };
        let phc = Some(phc);
        assert_eq!(
            verdict(weak.clone(), "correct horse", phc.clone()).await,
            Verdict::Right
        );
        assert_eq!(
            verdict(weak.clone(), "correct horse ", phc.clone()).await,
            Verdict::Wrong
        );
        assert_eq!(
            verdict(strong.clone(), "correct horse", phc).await,
            Verdict::RightButOutdated
        );
        let stronger = Some(strong.hash(&right).await.unwrap());
        assert_eq!(
            verdict(weak.clone(), "correct horse", stronger).await,
            Verdict::Right
        );
        assert_eq!(verdict(weak, "correct horse", None).await, Verdict::Wrong);
    }

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
