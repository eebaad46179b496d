//! Guessing passwords is slowed down: failed logins are counted for the account and for the address
//! that they come from, and past a limit no more are taken for a while.
//!
//! - The counts stand in the database: a restart does not reset them, and all processes share them.
//! - An attempt is counted *before* it waits for a permit to hash: of a burst of guesses at the same
//!   moment no more are hashed, or queue, than the limits allow. While it is being checked it is
//!   pending, and others who find no room beside it wait for what becomes of it: a burst of right
//!   passwords is let in. An attempt whose process was killed lapses (`window.rs`).
//! - An account has one budget for strangers, one for each address that signed in to it before, and
//!   one for each live session, so that somebody who guesses from elsewhere can't lock the owner out.
//!   Issued tokens are not concerned at all. (A neighbour who shares an address with the owner can
//!   tell by the other budget that there is an account.)
//! - Failures of strangers in a row make their windows grow, up to a day: an account takes at most a
//!   hundred guesses, and then ten a day (NIST SP 800-63B-4, 3.2.2, allows 100 in a row). That closes
//!   the account to strangers only.
//! - Names that no account has are counted alike, under a pseudonym, so that the limit tells
//!   nothing about who has an account.
//! - An attempt makes four rows at most, and only where there is a place in the queue for hashing. They
//!   go soon after their window, but for runs of failures: one row for an account, and those of the
//!   latest hundred thousand names. Nothing is kept in the process.
//!
//! (OWASP ASVS 5.0, 6.1.1 and 6.3.1.)

use std::time::Duration;

use rocket::tokio::time::{Instant, sleep};

use self::budget::{Budget, Budgets};
use super::Auth;
use crate::db::{Conn, may_be_tried_again};
use crate::error::Error;
use crate::identity::{TokenId, UserId, Username};
use crate::models::event::{self, About, Action, Actor};
use crate::models::user::Credentials;
use crate::models::{attempt, known_address, login_count, now};
use crate::password::{Password, Permit, Place, Rank, Verdict};
use crate::web::client::Caller;

mod budget;
mod record;
mod unlock;
mod window;

pub(super) use self::budget::forget;
pub use self::unlock::Locks;

/// Places that a user may have signed in from and have a budget for.
const KNOWN_ADDRESSES: i64 = 20;
/// How soon an attempt that found no room looks again, at first and later: what is pending takes about
/// as long as a hash.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LATER_LOOKS: Duration = Duration::from_millis(200);
/// How long a request waits for room and, from the same moment on, for a permit to hash.
const ROOM_TIMEOUT: Duration = Duration::from_secs(5);
const PERMIT_TIMEOUT: Duration = Duration::from_secs(7);

/// A password that somebody claims is theirs.
pub(super) struct Presented<'a> {
    pub(super) username: &'a Username,
    pub(super) password: &'a Password,
    pub(super) caller: &'a Caller,
    /// The live session in which it is asked for; none where somebody signs in.
    pub(super) session: Option<TokenId>,
    /// When the request began to wait.
    pub(super) since: Instant,
}

/// An attempt that is counted as pending.
pub(super) struct Attempt {
    account: Pending,
    /// The address's, and those of wider networks.
    networks: Vec<Pending>,
    rank: Rank,
}

/// A budget with an attempt that draws on it.
struct Pending {
    budget: Budget,
    generation: i64,
}

/// A password that was checked against an account's.
pub(super) struct Checked {
    pub(super) verdict: Verdict,
    /// To be forgiven, or to be recorded as failed.
    pub(super) attempt: Attempt,
    /// For hashing a new password in its place.
    pub(super) permit: Permit,
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
        presented: &Presented<'_>,
        user: Option<(UserId, String)>,
    ) -> Result<Checked, Error> {
        let (id, hash) = user.unzip();
        let budgets = self.budgets(presented, id).await?;
        let (attempt, place) = self.begin_attempt(&budgets, presented.since).await?;
        let checked = async {
            let permit = place.permit(presented.since + PERMIT_TIMEOUT).await?;
            let verdict = permit.verify(presented.password, hash).await?;
            Ok((verdict, permit))
        };
        match checked.await {
            Ok((verdict, permit)) => Ok(Checked {
                verdict,
                attempt,
                permit,
            }),
            Err(error) => {
                self.forgive(&attempt).await?;
                Err(error)
            }
        }
    }

    /// Counts an attempt and takes a place in the queue for it. One that finds no room beside what is
    /// pending waits, and holds up nobody.
    async fn begin_attempt(
        &self,
        budgets: &Budgets,
        since: Instant,
    ) -> Result<(Attempt, Place), Error> {
        let mut pause = FIRST_LOOK;
        loop {
            let has_share = budgets.known.is_none_or(|user| self.hasher.has_share(user));
            if has_share && self.has_room(budgets).await? {
                let begun = match self.begin(budgets).await {
                    // Old counts were being deleted just then.
                    Err(Error::Database(error)) if may_be_tried_again(&error) => None,
                    other => other?,
                };
                if let Some(attempt) = begun {
                    let place = match budgets.known {
                        Some(user) => self.hasher.enter_as(user),
                        None => self.hasher.enter(budgets.rank),
                    };
                    return match place {
                        Ok(place) => Ok((attempt, place)),
                        Err(full) => {
                            self.forgive(&attempt).await?;
                            Err(full)
                        }
                    };
                }
            }
            if since.elapsed() + pause > ROOM_TIMEOUT {
                return Err(Error::Overloaded);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LATER_LOOKS);
        }
    }

    /// Whether there is room beside what has failed and what is pending.
    ///
    /// # Errors
    /// [`Error::Throttled`] where what has failed alone is too much; [`Error::Database`].
    async fn has_room(&self, budgets: &Budgets) -> Result<bool, Error> {
        let now = now();
        let keys: Vec<&str> = budgets.all().map(|budget| budget.key.as_str()).collect();
        let found = {
            let mut db = self.pool.read().await?;
            attempt::find(&mut db, &keys).await?
        };
        let found: Vec<_> = found.into_iter().map(|counts| counts.at(now)).collect();
        let limited: Vec<_> = budgets
            .all()
            .filter_map(|budget| {
                let counts = found.iter().find(|counts| counts.key == budget.key)?;
                Some((counts, budget.limit))
            })
            .collect();
        let blocked = limited.iter();
        let blocked = blocked.filter_map(|(counts, limit)| counts.blocked_for(*limit, now));
        if let Some(seconds) = blocked.max() {
            return Err(throttled(seconds));
        }
        let mut limited = limited.iter();
        Ok(limited.all(|(counts, limit)| counts.has_room(*limit)))
    }

    /// Counts an attempt as pending; none if there is no room.
    async fn begin(&self, budgets: &Budgets) -> Result<Option<Attempt>, Error> {
        // A flood that is turned away writes nothing. Many may have come at once, so they are asked
        // again when it is their turn to write.
        self.demand_place(budgets)?;
        let mut tx = self.pool.write_lightly().await?;
        self.demand_place(budgets)?;
        let now = now();
        let Some(account) = begin(&mut tx, &budgets.account, now).await? else {
            tx.rollback().await?;
            return Ok(None);
        };
        let mut networks = vec![];
        for budget in &budgets.networks {
            let Some(pending) = begin(&mut tx, budget, now).await? else {
                tx.rollback().await?;
                return Ok(None);
            };
            networks.push(pending);
        }
        tx.commit().await?;
        Ok(Some(Attempt {
            account,
            networks,
            rank: budgets.rank,
        }))
    }

    fn demand_place(&self, budgets: &Budgets) -> Result<(), Error> {
        if self.hasher.has_place(budgets.rank) {
            Ok(())
        } else {
            Err(Error::Overloaded)
        }
    }

    /// Counts a login with the right password, and says that no more are taken if that is so now. To be
    /// called when the user's row is locked.
    ///
    /// # Errors
    /// [`Error::Throttled`] if there were too many; [`Error::Database`].
    pub(super) async fn count_login(
        &self,
        tx: &mut Conn,
        user: &Credentials,
        actor: &Actor,
        now: i64,
    ) -> Result<(), Error> {
        let limit = i64::from(self.settings.logins_per_account);
        let (id, end) = (user.id, now + window::WINDOW);
        let counted = login_count::count_one(tx, id, now, end, end + window::SKEW).await?;
        if counted.logins > limit {
            return Err(throttled(counted.ends_at - now));
        }
        if counted.logins == limit {
            let about = About {
                subject: Some((id, &user.username)),
                reason: Some("logins"),
                ..About::default()
            };
            event::insert(tx, Action::LoginThrottled, actor, about, now).await?;
        }
        Ok(())
    }
}

async fn begin(tx: &mut Conn, budget: &Budget, now: i64) -> Result<Option<Pending>, Error> {
    let mut counts = attempt::lock(tx, &budget.key).await?.at(now);
    if !counts.has_room(budget.limit) {
        return Ok(None);
    }
    let generation = counts.begin(now);
    record::store(tx, &counts).await?;
    Ok(Some(Pending {
        budget: budget.clone(),
        generation,
    }))
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
    Error::Throttled(seconds.max(1).unsigned_abs())
}
