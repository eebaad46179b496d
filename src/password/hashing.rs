//! Argon2id over memory that is used again and again, and PHC strings.
//!
//! Memory of this size, taken and given back by many threads, is kept by the allocator: two hundred
//! logins at once left 280 MiB behind where two hashes of 19 MiB ran at a time.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::error::Error;

/// What one hash at a time works on. It grows to what is needed, once.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    fn of(&mut self, params: &Params) -> &mut [Block] {
        let blocks = params.block_count();
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::new());
        }
        &mut self.0[..blocks]
    }

    /// Lets go of what only a hash of greater parameters than `params` needed.
    pub(super) fn shrink_to(&mut self, params: &Params) {
        self.0.truncate(params.block_count());
        self.0.shrink_to_fit();
    }
}

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

/// Argon2id of version 1.3 with those parameters.
pub(super) fn argon2id(params: Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a password into a PHC string, with a random salt of 16 bytes.
pub(super) fn hash(today: &Params, password: &str, memory: &mut Memory) -> Result<String, Error> {
    let mut fresh = Stored::nobodys(today)?;
    fresh.output = fresh.compute(password, memory)?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(today).map_err(|_| unfit())?,
        salt: Some(fresh.salt),
        hash: Some(fresh.output),
    };
    Ok(phc.to_string())
}

/// Compares a password with a PHC string, or with nobody's hash where there is none.
pub(super) fn verify(
    today: &Params,
    password: &str,
    phc: Option<&str>,
    memory: &mut Memory,
) -> Result<Verdict, Error> {
    let known = phc.and_then(Stored::read);
    let is_known = known.is_some();
    let stored = match known {
        Some(stored) => stored,
        None => Stored::nobodys(today)?,
    };
    // Outputs are compared in constant time.
    let right = stored.compute(password, memory)? == stored.output && is_known;
    let outdated = stored.is_weaker_than(today);
    // Also if it is right: that doesn't mean yet that it lets anybody in.
    if outdated {
        stored.make_up_for_weakness(today, memory);
    }
    Ok(match (right, outdated) {
        (false, _) => Verdict::Wrong,
        (true, false) => Verdict::Right,
        (true, true) => Verdict::RightButOutdated,
    })
}

/// Whether a PHC string was made with less memory or fewer passes than today, or can't be read.
pub(super) fn is_outdated(today: &Params, phc: &str) -> bool {
    Stored::parse(phc).is_none_or(|stored| stored.is_weaker_than(today))
}

/// A hash with all that it takes to compute it again.
struct Stored {
    argon2: Argon2<'static>,
    salt: Salt,
    output: Output,
}

impl Stored {
    /// Reads a PHC string. One that can't be read fits no password, and is as good as none for
    /// whoever asks.
    fn read(phc: &str) -> Option<Self> {
        let parsed = Self::parse(phc);
        if parsed.is_none() {
            tracing::error!("a stored password hash can't be read");
        }
        parsed
    }

    fn parse(phc: &str) -> Option<Self> {
        let hash = PasswordHash::new(phc).ok()?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = match hash.version {
            Some(version) => Version::try_from(version).ok()?,
            None => Version::default(),
        };
        let params = Params::try_from(&hash).ok()?;
        Some(Self {
            argon2: Argon2::new(algorithm, version, params),
            salt: hash.salt?,
            output: hash.hash?,
        })
    }

    /// One of today's parameters that no password has: its output is random.
    fn nobodys(today: &Params) -> Result<Self, Error> {
        Ok(Self {
            argon2: argon2id(today.clone()),
            salt: Salt::new(&rand::random::<[u8; 16]>()).map_err(|_| unfit())?,
            output: Output::new(&rand::random::<[u8; 32]>()).map_err(|_| unfit())?,
        })
    }

    fn compute(&self, password: &str, memory: &mut Memory) -> Result<Output, Error> {
        let mut bytes = vec![0; self.output.len()];
        let memory = memory.of(self.argon2.params());
        self.argon2
            .hash_password_into_with_memory(password.as_bytes(), &self.salt, &mut bytes, memory)
            .map_err(|_| unfit())?;
        Output::new(&bytes).map_err(|_| unfit())
    }

    /// A stronger one is not replaced: one process with lesser settings would undo what the others
    /// do.
    fn is_weaker_than(&self, today: &Params) -> bool {
        let then = self.argon2.params();
        then.m_cost() < today.m_cost() || then.t_cost() < today.t_cost()
    }

    /// Does the work that this hash was cheaper by than one of today's: who guesses can't tell by
    /// the time that there is an account whose owner has not signed in since the parameters rose.
    /// Argon2's time goes with memory × passes.
    fn make_up_for_weakness(&self, today: &Params, memory: &mut Memory) {
        let cost = |params: &Params| u64::from(params.m_cost()) * u64::from(params.t_cost());
        let missing = cost(today).saturating_sub(cost(self.argon2.params()));
        let missing = missing / u64::from(today.t_cost());
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        // Where these are no parameters, what is missing is too little to matter.
        if let Ok(params) = Params::new(missing, today.t_cost(), today.p_cost(), None) {
            let memory = memory.of(&params);
            let _ = argon2id(params.clone()).fill_memory(b"", &self.salt, memory);
        }
    }
}

fn unfit() -> Error {
    Error::Internal("Argon2 could not hash")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(memory: u32, passes: u32) -> Params {
        Params::new(memory, passes, 1, None).unwrap()
    }

    #[test]
    fn a_hash_fits_its_password_only_and_outdated_parameters_show() {
        let (weak, strong) = (params(64, 1), params(128, 1));
        let memory = &mut Memory::default();
        let phc = hash(&weak, "correct horse", memory).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
        let again = hash(&weak, "correct horse", memory).unwrap();
        assert_ne!(phc, again, "the salt is random");
        let stronger = hash(&strong, "correct horse", memory).unwrap();
        for (today, password, phc, verdict) in [
            (&weak, "correct horse", Some(&phc), Verdict::Right),
            (&weak, "correct horse ", Some(&phc), Verdict::Wrong),
            (
                &strong,
                "correct horse",
                Some(&phc),
                Verdict::RightButOutdated,
            ),
            (&strong, "wrong", Some(&phc), Verdict::Wrong),
            (
                &params(64, 2),
                "correct horse",
                Some(&phc),
                Verdict::RightButOutdated,
            ),
            (&weak, "correct horse", Some(&stronger), Verdict::Right),
            (&weak, "correct horse", None, Verdict::Wrong),
            (&weak, "", Some(&"nonsense".to_owned()), Verdict::Wrong),
        ] {
            let found = verify(today, password, phc.map(String::as_str), memory).unwrap();
            assert_eq!(found, verdict, "{password:?} {phc:?}");
        }
    }

    #[test]
    fn it_is_argon2_as_others_compute_it() {
        // What the reference implementation's own test prints for these (phc-winner-argon2, test.c).
        let phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ\
                   $CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let memory = &mut Memory::default();
        let today = params(65536, 2);
        let verdict = verify(&today, "password", Some(phc), memory).unwrap();
        assert_eq!(verdict, Verdict::Right);
        memory.shrink_to(&params(64, 1));
        assert_eq!(memory.0.len(), 64);
    }
}
