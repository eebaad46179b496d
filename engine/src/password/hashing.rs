//! Argon2id hashing with reused memory, and PHC strings.
//!
//! The allocator keeps blocks of this size that many threads allocate and free: two hundred concurrent logins left 280
//! MiB behind, although only two hashes of 19 MiB ran at a time.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::error::Error;

/// The memory of one hash at a time, reused and grown as needed.
#[derive(Default)]
pub(super) struct HashMemory(Vec<Block>);

impl HashMemory {
    fn blocks_for(&mut self, params: &Params) -> &mut [Block] {
        let blocks = params.block_count();
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::new());
        }
        &mut self.0[..blocks]
    }

    /// Frees memory that only a hash with larger parameters needed.
    pub(super) fn shrink_to(&mut self, params: &Params) {
        self.0.truncate(params.block_count());
        self.0.shrink_to_fit();
    }
}

/// The result of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The password is wrong.
    Wrong,
    /// The password is right, and its hash has the current parameters or stronger ones.
    Right,
    /// The password is right, but its hash has less memory or fewer passes and should be replaced.
    RightButOutdated,
}

pub(super) fn argon2id(params: Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a password into a PHC string, with a random salt of 16 bytes.
pub(super) fn hash(
    current: &Params,
    password: &str,
    memory: &mut HashMemory,
) -> Result<String, Error> {
    let mut new_hash = ParsedHash::dummy(current)?;
    new_hash.output = new_hash.compute(password, memory)?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(current).map_err(|_| argon2_error())?,
        salt: Some(new_hash.salt),
        hash: Some(new_hash.output),
    };
    Ok(phc.to_string())
}

/// Compares a password with a PHC string. Without one, it compares with a dummy hash in the same time.
pub(super) fn verify(
    current: &Params,
    password: &str,
    phc: Option<&str>,
    memory: &mut HashMemory,
) -> Result<Verdict, Error> {
    let known = phc.filter(|phc| !phc.is_empty()).and_then(ParsedHash::read);
    let is_known = known.is_some();
    let stored = match known {
        Some(stored) => stored,
        None => ParsedHash::dummy(current)?,
    };
    // Outputs are compared in constant time.
    let right = stored.compute(password, memory)? == stored.output && is_known;
    let outdated = stored.is_weaker_than(current);
    // Even if the password is right, because the login may still be refused.
    if outdated {
        stored.pad_cost(current, memory);
    }
    Ok(match (right, outdated) {
        (false, _) => Verdict::Wrong,
        (true, false) => Verdict::Right,
        (true, true) => Verdict::RightButOutdated,
    })
}

/// Whether a PHC string has less memory or fewer passes than the current parameters, or can't be parsed.
pub(super) fn is_outdated(current: &Params, phc: &str) -> bool {
    ParsedHash::parse(phc).is_none_or(|stored| stored.is_weaker_than(current))
}

/// A parsed hash with the parameters to compute it again.
struct ParsedHash {
    argon2: Argon2<'static>,
    salt: Salt,
    output: Output,
}

impl ParsedHash {
    /// Parses a PHC string. An invalid one is logged and counts as no hash.
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

    /// A dummy hash with the current parameters. Its output is random, so no password matches it.
    fn dummy(current: &Params) -> Result<Self, Error> {
        Ok(Self {
            argon2: argon2id(current.clone()),
            salt: Salt::new(&rand::random::<[u8; 16]>()).map_err(|_| argon2_error())?,
            output: Output::new(&rand::random::<[u8; 32]>()).map_err(|_| argon2_error())?,
        })
    }

    fn compute(&self, password: &str, memory: &mut HashMemory) -> Result<Output, Error> {
        let mut bytes = vec![0; self.output.len()];
        let memory = memory.blocks_for(self.argon2.params());
        self.argon2
            .hash_password_into_with_memory(password.as_bytes(), &self.salt, &mut bytes, memory)
            .map_err(|_| argon2_error())?;
        Output::new(&bytes).map_err(|_| argon2_error())
    }

    /// Stronger hashes are not replaced, because processes with weaker settings would undo the work of others.
    fn is_weaker_than(&self, current: &Params) -> bool {
        let own = self.argon2.params();
        own.m_cost() < current.m_cost() || own.t_cost() < current.t_cost()
    }

    /// Does the work that this hash saves over one with the current parameters. Otherwise, the shorter time would tell
    /// an attacker that the account exists and has not signed in since the parameters rose. Argon2's time is
    /// proportional to memory × passes.
    fn pad_cost(&self, current: &Params, memory: &mut HashMemory) {
        let cost = |params: &Params| u64::from(params.m_cost()) * u64::from(params.t_cost());
        let missing = cost(current).saturating_sub(cost(self.argon2.params()));
        let missing = missing / u64::from(current.t_cost());
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        // If the parameters are invalid, the missing work is negligible.
        if let Ok(params) = Params::new(missing, current.t_cost(), current.p_cost(), None) {
            let memory = memory.blocks_for(&params);
            let _ = argon2id(params.clone()).fill_memory(b"", &self.salt, memory);
        }
    }
}

fn argon2_error() -> Error {
    Error::Internal("Argon2 could not hash")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(memory: u32, passes: u32) -> Params {
        Params::new(memory, passes, 1, None).unwrap()
    }

    #[test]
    fn a_hash_matches_its_password_only_and_outdated_parameters_are_detected() {
        let (weak, strong) = (params(64, 1), params(128, 1));
        let memory = &mut HashMemory::default();
        let phc = hash(&weak, "correct horse", memory).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
        let again = hash(&weak, "correct horse", memory).unwrap();
        assert_ne!(phc, again, "the salt is random");
        let stronger = hash(&strong, "correct horse", memory).unwrap();
        for (current, password, phc, verdict) in [
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
            let found = verify(current, password, phc.map(String::as_str), memory).unwrap();
            assert_eq!(found, verdict, "{password:?} {phc:?}");
        }
    }

    #[test]
    fn hashes_match_the_argon2_reference_implementation() {
        // Output of the reference implementation's test (phc-winner-argon2, test.c).
        let phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ\
                   $CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let memory = &mut HashMemory::default();
        let current = params(65536, 2);
        let verdict = verify(&current, "password", Some(phc), memory).unwrap();
        assert_eq!(verdict, Verdict::Right);
        memory.shrink_to(&params(64, 1));
        assert_eq!(memory.0.len(), 64);
    }
}
