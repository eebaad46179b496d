//! Guessing passwords is slowed down: failed logins are counted for the account and for the
//! address that they come from, and past a limit no more are taken for a while.
//!
//! - The counts stand in the database: a restart does not reset them, and all processes share them.
//! - An attempt is counted *before* the password is hashed: of a burst of guesses at the same moment
//!   no more are hashed than the limit allows. While it is being checked it is pending, and those
//!   who find no room beside it wait for what becomes of it: a burst of right passwords is let in.
//! - An account has one budget for strangers and one for each address that signed in to it before,
//!   so that whoever guesses from elsewhere can't lock the owner out. Issued tokens are not
//!   concerned at all. (Who shares an address with the owner, and only they, can tell by the other
//!   budget that there is an account.)
//! - Names that no account has are counted alike, under a pseudonym, so that the limit tells
//!   nothing about who has an account.
//! - An attempt makes two rows at most, right before it is hashed, and they go soon after their
//!   window: there are never more than twice the hashes that all processes do in [`WINDOW`] and two
//!   minutes. Nothing is kept in the process.
//!
//! (OWASP ASVS 5.0, 6.1.1 and 6.3.1; NIST SP 800-63B-4, 3.2.2, allows up to 100 failures in a row.)

use std::time::{Duration, Instant};

use rocket::tokio::time::sleep;

use super::Auth;
use crate::db::{Conn, may_be_tried_again};
use crate::error::Error;
use crate::identity::{UserId, Username};
use crate::models::attempt::{self, Standing};
use crate::models::{known_address, now};
use crate::password::{Password, Turn, Verdict};
use crate::web::client::Caller;

/// Seconds in which failures are counted together.
const WINDOW: i64 = 5 * 60;
/// Places that a user may have signed in from and have a budget for.
const KNOWN_ADDRESSES: i64 = 20;
/// How soon one who found no room looks again, at first and later, and for how long: what is
/// pending takes about as long as a hash.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LATER_LOOKS: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(20);

/// The budgets that an attempt draws on: keys of the `attempts` table.
struct Budgets {
    account: String,
    address: String,
}

/// An attempt that was counted and is pending.
pub(super) struct Attempt {
    budgets: Budgets,
    /// The ends of the windows that it counts in.
    account_ends: i64,
    address_ends: i64,
}

/// A password that was checked against an account's.
pub(super) struct Checked {
    pub(super) verdict: Verdict,
    /// To be forgiven, or to be recorded as failed.
    pub(super) attempt: Attempt,
    /// For hashing a new password in its place.
    pub(super) turn: Turn,
}

impl Auth {
    /// Checks a password: `user` is the account's id and hash, if there is such an account. The work
    /// is the same in either case, in the database too.
    ///
    /// # Errors
    /// [`Error::Throttled`], before any hashing and without a place in the queue;
    /// [`Error::Overloaded`]; [`Error::Database`].
    pub(super) async fn check_password(
        &self,
        username: &Username,
        user: Option<(UserId, String)>,
        password: &Password,
        caller: &Caller,
    ) -> Result<Checked, Error> {
        let (id, hash) = user.unzip();
        let budgets = self.budgets(username, id, caller).await?;
        let (attempt, turn) = self.begin_attempt(budgets).await?;
        let verdict = match turn.verify(password, hash).await {
            Ok(verdict) => verdict,
            Err(error) => {
                self.forgive(&attempt).await?;
                return Err(error);
            }
        };
        Ok(Checked {
            verdict,
            attempt,
            turn,
        })
    }

    async fn budgets(
        &self,
        username: &Username,
        user: Option<UserId>,
        caller: &Caller,
    ) -> Result<Budgets, Error> {
        let network = caller.network();
        let nobody = UserId::new();
        let known = {
            let mut db = self.pool.read().await?;
            known_address::is_known(&mut db, user.unwrap_or(nobody), &network).await?
        };
        let pseudonym = self.settings.name_key.pseudonym(username.key());
        Ok(Budgets {
            account: match user {
                Some(id) if known => format!("home:{id}:{network}"),
                Some(id) => format!("user:{id}"),
                None => format!("name:{pseudonym}"),
            },
            address: format!("from:{network}"),
        })
    }

    /// Counts an attempt, with a turn at hashing to go with it. Who finds no room beside what is
    /// pending waits, and holds up nobody: neither a place in the queue nor a turn.
    async fn begin_attempt(&self, budgets: Budgets) -> Result<(Attempt, Turn), Error> {
        let (start, mut pause) = (Instant::now(), FIRST_LOOK);
        while start.elapsed() < PATIENCE {
            if self.has_room(&budgets).await? {
                let turn = self.hasher.turn().await?;
                let begun = match self.begin(&budgets).await {
                    // Old counts were being deleted just then.
                    Err(Error::Database(error)) if may_be_tried_again(&error) => None,
                    other => other?,
                };
                if let Some((account_ends, address_ends)) = begun {
                    let attempt = Attempt {
                        budgets,
                        account_ends,
                        address_ends,
                    };
                    return Ok((attempt, turn));
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LATER_LOOKS);
        }
        Err(Error::Overloaded)
    }

    /// Whether there is room beside what has failed and what is pending.
    ///
    /// # Errors
    /// [`Error::Throttled`] where what has failed alone is too much; [`Error::Database`].
    async fn has_room(&self, budgets: &Budgets) -> Result<bool, Error> {
        let (per_account, per_address) = self.limits();
        let now = now();
        let keys = [budgets.account.as_str(), budgets.address.as_str()];
        let standings = {
            let mut db = self.pool.read().await?;
            attempt::standings(&mut db, keys, now).await?
        };
        let limit = |standing: &Standing| {
            if standing.key == budgets.account {
                per_account
            } else {
                per_address
            }
        };
        let used_up = standings.iter().filter(|s| s.failures >= limit(s));
        if let Some(until) = used_up.map(|standing| standing.ends_at).max() {
            return Err(throttled(until - now));
        }
        Ok(standings.iter().all(|s| s.failures + s.pending < limit(s)))
    }

    async fn begin(&self, budgets: &Budgets) -> Result<Option<(i64, i64)>, Error> {
        let (per_account, per_address) = self.limits();
        let now = now();
        let mut tx = self.pool.write_lightly().await?;
        // First the account, then the address, here and wherever both rows are locked: so no two
        // logins wait for each other.
        let (key, end) = (budgets.account.as_str(), now + WINDOW);
        if let Some(account) = attempt::begin(&mut tx, key, per_account, now, end).await? {
            let key = budgets.address.as_str();
            if let Some(address) = attempt::begin(&mut tx, key, per_address, now, end).await? {
                tx.commit().await?;
                return Ok(Some((account, address)));
            }
        }
        tx.rollback().await?;
        Ok(None)
    }

    /// Takes an attempt back, in a transaction of its own.
    pub(super) async fn forgive(&self, attempt: &Attempt) -> Result<(), Error> {
        let mut tx = self.pool.write_lightly().await?;
        attempt.forgive(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Makes an attempt a failure, and says what that uses up, if anything, in the trail's words.
    pub(super) async fn fail(
        &self,
        tx: &mut Conn,
        attempt: &Attempt,
    ) -> Result<Option<&'static str>, Error> {
        let (per_account, per_address) = self.limits();
        let budgets = &attempt.budgets;
        let account = attempt::fail(tx, &budgets.account, attempt.account_ends).await?;
        let address = attempt::fail(tx, &budgets.address, attempt.address_ends).await?;
        Ok(if account == Some(per_account) {
            Some("too many failures for the account")
        } else if address == Some(per_address) {
            Some("too many failures from the address")
        } else {
            None
        })
    }

    fn limits(&self) -> (i64, i64) {
        let settings = &self.settings;
        (
            settings.login_failures_per_account.into(),
            settings.login_failures_per_address.into(),
        )
    }
}

impl Attempt {
    /// Takes it back.
    pub(super) async fn forgive(&self, tx: &mut Conn) -> Result<(), Error> {
        attempt::forgive(tx, &self.budgets.account, self.account_ends).await?;
        attempt::forgive(tx, &self.budgets.address, self.address_ends).await?;
        Ok(())
    }
}

/// Notes that the user signed in from where `caller` is: a budget of its own from now on.
pub(super) async fn remember_address(
    tx: &mut Conn,
    user: UserId,
    caller: &Caller,
) -> Result<(), Error> {
    let network = caller.network();
    Ok(known_address::note(tx, user, &network, now(), KNOWN_ADDRESSES).await?)
}

fn throttled(seconds: i64) -> Error {
    Error::Throttled(
        u64::try_from(seconds)
            .unwrap_or(0)
            .clamp(1, WINDOW.unsigned_abs()),
    )
}
