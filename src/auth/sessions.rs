//! A token's life: issued, checked, ended. Nothing else in the application does any of these, so
//! that a row and its line in the audit trail are written in one transaction or not at all.
//!
//! **Races.** Between the check of a password and the token lie tens of milliseconds of hashing.
//! The transaction that issues therefore begins with an `UPDATE` of the user's row that demands
//! the very hash that was checked and a user who is not disabled: a user who was disabled, or
//! whose password was changed, meanwhile gets no token, and the row stays locked until the token
//! is stored, so that two logins of one user can't both find room for one more token.

use std::sync::Arc;

use super::Auth;
use super::cache::Entry;
use super::change::Change;
use super::throttle::{Attempt, Checked, Presented, remember_address};
use crate::config::{Lifetime, TokensFull};
use crate::error::Error;
use crate::identity::address::Address;
use crate::identity::{ClientName, TokenId, UserId, Username};
use crate::models::ending::STRIPES;
use crate::models::event::{self, About, Action, Actor, Via};
use crate::models::list::Start;
use crate::models::token::list::Filter;
use crate::models::token::{self, Ended, Kind, NewToken, Owned};
use crate::models::user::{self, Credentials, Role};
use crate::models::{NEVER, now};
use crate::password::{Password, Verdict};
use crate::secret::{Digest, Secret};
use crate::web::client::Caller;
use rand::distr::{Alphanumeric, SampleString};
use rocket::tokio::time::Instant;

/// A live token, and whose it is.
#[derive(Debug, Clone)]
pub struct Session {
    /// Where the token is accepted.
    pub kind: Kind,
    /// Whose token it is.
    pub user_id: UserId,
    /// That user's name.
    pub username: String,
    /// What that user may do.
    pub role: Role,
    /// The token.
    pub token_id: TokenId,
    /// The client that it was issued to.
    pub client: String,
    /// The absolute end, unix seconds; none if there is none.
    pub expires_at: Option<i64>,
    /// When the password was last given, unix seconds.
    pub confirmed_at: i64,
}

/// Seconds after the password was given in which grave actions don't ask for it again.
const FRESH: i64 = 15 * 60;

impl Session {
    /// Whether the password was given so recently that a sensitive action need not ask for it. A time in the
    /// future, from before the clock was set back, is not.
    pub fn password_is_fresh(&self, now: i64) -> bool {
        (0..FRESH).contains(&now.saturating_sub(self.confirmed_at))
    }

    /// Who signs what is done in this session.
    pub fn actor(&self, caller: &Caller) -> Actor {
        let user = (self.user_id, self.username.clone());
        Actor::of(self.kind, Some(user), caller)
    }
}

/// A token that was just issued: the only time that its plaintext is at hand.
#[derive(Debug)]
pub struct Issued {
    /// The plaintext.
    pub secret: Secret,
    /// The client that it was issued to.
    pub client: ClientName,
    /// The absolute end, unix seconds; none if there is none.
    pub expires_at: Option<i64>,
}

/// Which tokens to end.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// That one.
    One(TokenId),
    /// That one, if it is that user's.
    Own(TokenId, UserId),
    /// All of a user, but the one that is kept.
    OfUser(UserId, Option<TokenId>),
    /// All of a user that are of that kind.
    OfKind(UserId, Kind),
    /// Those of a user's client, of either kind.
    OfClient(UserId, &'a ClientName),
}

/// Why tokens end, as the trail says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Their user signed out.
    Logout,
    /// Their user, an admin or the command line ended them.
    Revoked,
    /// The client signed in anew.
    Replaced,
    /// The user has too many.
    Evicted,
    /// The password was changed or reset.
    PasswordChanged,
    /// The user was disabled.
    UserDisabled,
    /// The user is no longer an admin.
    UserDemoted,
    /// The user was deleted.
    UserDeleted,
    /// Their time was up.
    Expired,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Logout,
        Self::Revoked,
        Self::Replaced,
        Self::Evicted,
        Self::PasswordChanged,
        Self::UserDisabled,
        Self::UserDemoted,
        Self::UserDeleted,
        Self::Expired,
    ];

    /// The word that the audit log has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Revoked => "revoked",
            Self::Replaced => "replaced",
            Self::Evicted => "evicted",
            Self::PasswordChanged => "password",
            Self::UserDisabled => "disabled",
            Self::UserDemoted => "demoted",
            Self::UserDeleted => "deleted",
            Self::Expired => "expired",
        }
    }

    fn action(self) -> Action {
        match self {
            Self::Replaced => Action::TokenReplaced,
            Self::Expired => Action::TokenExpired,
            _ => Action::TokenRevoked,
        }
    }
}

/// Seconds after a sign-in in which its first request comes.
const JUST_NOW: i64 = 60;
/// The event of a bulk revocation, and those of its tokens.
const REVOKED: (Action, Action) = (Action::TokensRevoked, Action::TokenRevoked);
/// Expired tokens looked up at once.
const PRUNED_AT_ONCE: i64 = 500;
/// Tokens that a filter finds, ended at once.
const ENDED_AT_ONCE: usize = 1000;

impl Auth {
    /// Signs a client of the JSON API in: issues its token, in place of the one it had.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`], the same and after the same work for an unknown user, a wrong
    /// password and a disabled user; [`Error::Throttled`], where logins failed too often, and for the
    /// right password alone where too many succeeded; [`Error::TooManyTokens`];
    /// [`Error::Overloaded`]; [`Error::Database`].
    pub async fn sign_in(
        &self,
        username: &Username,
        password: &Password,
        client: ClientName,
        caller: &Caller,
    ) -> Result<Issued, Error> {
        self.sign_in_as(Kind::Api, username, password, client, caller)
            .await
    }

    /// Signs an admin's browser in. Who is no admin is refused as with a wrong password.
    ///
    /// # Errors
    /// As [`Auth::sign_in`], without [`Error::TooManyTokens`].
    pub async fn sign_in_admin(
        &self,
        username: &Username,
        password: &Password,
        caller: &Caller,
    ) -> Result<Issued, Error> {
        let name = format!(
            "browser-{}",
            Alphanumeric.sample_string(&mut rand::rng(), 8)
        );
        let client = ClientName::parse(&name).map_err(|_| Error::Internal("a client's name"))?;
        self.sign_in_as(Kind::Admin, username, password, client, caller)
            .await
    }

    async fn sign_in_as(
        &self,
        kind: Kind,
        username: &Username,
        password: &Password,
        client: ClientName,
        caller: &Caller,
    ) -> Result<Issued, Error> {
        let issued = self.check_and_issue(kind, username, password, client, caller);
        let issued = issued.await;
        self.counts.login(kind, &issued);
        issued
    }

    async fn check_and_issue(
        &self,
        kind: Kind,
        username: &Username,
        password: &Password,
        client: ClientName,
        caller: &Caller,
    ) -> Result<Issued, Error> {
        let presented = Presented {
            username,
            password,
            caller,
            session: None,
            since: Instant::now(),
        };
        // Two logins that both renew an outdated hash get in each other's way once: the later one
        // finds another hash than it checked. The second round settles it.
        for _ in 0..3 {
            let found = {
                let mut db = self.pool.read().await?;
                user::credentials_by_name(&mut db, username).await?
            };
            let known = found
                .as_ref()
                .map(|user| (user.id, user.password_hash.clone()));
            let Checked {
                verdict,
                attempt,
                permit,
            } = self.check_password(&presented, known).await?;
            let user = match admit(found, verdict, kind) {
                Ok(user) => user,
                Err(refused) => {
                    drop(permit);
                    let actor = Actor::of(kind, None, caller);
                    self.record_failure(&actor, &refused, &attempt).await?;
                    return Err(Error::InvalidCredentials);
                }
            };
            let renewed = match verdict {
                Verdict::RightButOutdated => permit.hash(password).await?,
                Verdict::Right | Verdict::Wrong => user.password_hash.clone(),
            };
            drop(permit);
            let issued = self
                .issue(&user, &renewed, kind, client.clone(), caller, &attempt)
                .await;
            match issued {
                Ok(Some(issued)) => return Ok(issued),
                // Its transaction was undone, and with it what was taken back.
                Ok(None) => self.forgive(&attempt).await?,
                Err(error) => {
                    self.forgive(&attempt).await?;
                    return Err(error);
                }
            }
        }
        Err(Error::InvalidCredentials)
    }

    /// Stores a new token; none if the user changed since the password was checked.
    async fn issue(
        &self,
        user: &Credentials,
        password_hash: &str,
        kind: Kind,
        client: ClientName,
        caller: &Caller,
        attempt: &Attempt,
    ) -> Result<Option<Issued>, Error> {
        let now = now();
        let actor = Actor::of(kind, Some((user.id, user.username.clone())), caller);
        let mut tx = self.change().await?;
        if !user::begin_login(&mut tx, user, password_hash, now).await? {
            return Ok(None);
        }
        self.count_login(&mut tx, user, &actor, now).await?;
        let replaced = token::delete_of_client(&mut tx, user.id, Some(kind), &client).await?;
        record_ended(&mut tx, &actor, Reason::Replaced, &replaced, now).await?;
        self.make_room(&mut tx, user.id, kind, &actor, now).await?;

        let secret = Secret::generate(&self.settings.token_prefix);
        let (ttl, idle_ttl) = self.lifetimes(kind);
        let expires_at = ttl.end_after(now);
        let new = NewToken {
            id: TokenId::new(),
            user_id: user.id,
            kind,
            client: &client,
            digest: &secret.digest(),
            hint: secret.hint(),
            created_at: now,
            expires_at,
            ends_at: Some(ends_at(expires_at, idle_ttl, now)),
            address: actor.address,
            user_agent: caller.user_agent.as_deref(),
        };
        token::insert(&mut tx, &new).await?;
        let about = About {
            subject: Some((user.id, &user.username)),
            token: Some(new.id),
            hint: Some(secret.hint()),
            client: Some(client.as_str()),
            ..About::default()
        };
        event::insert(&mut tx, Action::TokenIssued, &actor, about, now).await?;
        remember_address(&mut tx, user.id, caller).await?;
        attempt.succeed(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(Issued {
            secret,
            client,
            expires_at,
        }))
    }

    /// Gives a session whose password was just checked a new secret; the old one is worth nothing.
    pub(super) async fn renew(&self, session: &Session) -> Result<Secret, Error> {
        let secret = Secret::generate(&self.settings.token_prefix);
        let (digest, hint) = (secret.digest(), secret.hint());
        let mut tx = self.change_of(session.user_id).await?;
        if !token::renew(&mut tx, session.token_id, &digest, hint, now()).await? {
            return Err(Error::InvalidToken);
        }
        tx.concerns(session.user_id);
        tx.commit().await?;
        Ok(secret)
    }

    /// Sees to it that one more token is within `tokens_per_user`. Each kind has its own count:
    /// apps can't push an admin out of the admin page, and an admin is never refused there.
    async fn make_room(
        &self,
        tx: &mut Change<'_>,
        user: UserId,
        kind: Kind,
        actor: &Actor,
        now: i64,
    ) -> Result<(), Error> {
        let most = i64::from(self.settings.tokens_per_user);
        let surplus = token::count_live(tx, user, kind, now).await? + 1 - most;
        if surplus <= 0 {
            return Ok(());
        }
        if kind == Kind::Api && self.settings.tokens_full == TokensFull::Reject {
            return Err(Error::TooManyTokens);
        }
        let evicted = token::delete_oldest(tx, user, kind, now, surplus).await?;
        record_ended(tx, actor, Reason::Evicted, &evicted, now).await?;
        Ok(())
    }

    /// The session of a token that a client presents. Each kind is accepted in its own place only.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] for one that is malformed, unknown, expired, revoked, of the other
    /// kind or of a disabled user, all alike; [`Error::Database`] if that can't be told now.
    pub async fn authenticate(
        &self,
        kind: Kind,
        presented: &str,
        caller: &Caller,
    ) -> Result<Arc<Session>, Error> {
        // The checksum keeps guesses and typing errors away from the database.
        let digest = Digest::of_presented(presented).ok_or(Error::InvalidToken)?;
        let now = now();
        let cached = self
            .cache
            .as_ref()
            .and_then(|cache| cache.get(&digest, now));
        self.counts.lookup(cached.is_some());
        let entry = match cached {
            Some(entry) => entry,
            // In a box: what waits for the database is large, and would be moved with each request.
            None => Box::pin(self.look_up(kind, digest, now)).await?,
        };
        let session = &entry.session;
        // A demotion ends the tokens of kind admin; this holds whatever else changes a role.
        if session.kind != kind || kind == Kind::Admin && session.role != Role::Admin {
            return Err(Error::InvalidToken);
        }
        let (_, idle_ttl) = self.lifetimes(kind);
        self.usage.note(&entry, now, idle_ttl, caller);
        Ok(Arc::clone(session))
    }

    /// Asks the database for a live token, and remembers it.
    async fn look_up(&self, kind: Kind, digest: Digest, now: i64) -> Result<Arc<Entry>, Error> {
        let asking = self.cache.as_ref().map(|cache| (cache, cache.ask()));
        let mut db = self.pool.read_untested().await?;
        let mut found = token::find_bearer(&mut db, kind, &digest, now).await;
        if found.is_err() && db.is_lost() {
            drop(db);
            db = self.pool.read().await?;
            found = token::find_bearer(&mut db, kind, &digest, now).await;
        }
        drop(db);
        let found = found?;
        let Some(bearer) = found else {
            if let Some((cache, _)) = asking {
                cache.remove(&digest);
            }
            return Err(Error::InvalidToken);
        };
        let (ends_at, noted_at) = (bearer.ends_at, bearer.last_used_at.unwrap_or(i64::MIN));
        let session = Session {
            kind,
            user_id: bearer.user_id,
            username: bearer.username,
            role: bearer.role,
            token_id: bearer.token_id,
            client: bearer.client,
            expires_at: bearer.expires_at,
            confirmed_at: bearer.confirmed_at,
        };
        let entry = Arc::new(Entry::new(session, ends_at, noted_at));
        if let Some((cache, asking)) = asking {
            cache.remember(asking, digest, &entry);
        }
        Ok(entry)
    }

    /// Whether the caller's browser has signed in to the admin a moment ago and has not sent the
    /// session back since. Where the database can't tell, it has not.
    pub async fn session_is_lost(&self, caller: &Caller) -> bool {
        let Some(address) = caller.address.map(Address::from) else {
            return false;
        };
        let since = TokenId::at((now() - JUST_NOW) * 1000);
        let agent = caller.user_agent.as_deref().unwrap_or_default();
        let unused = async {
            let mut db = self.pool.read().await?;
            token::any_unused(&mut db, Kind::Admin, since, address, agent).await
        };
        unused.await.unwrap_or(false)
    }

    /// Ends tokens, and says how many there were.
    ///
    /// # Errors
    /// [`Error::Database`]; then none has ended.
    pub async fn end(&self, which: Which<'_>, reason: Reason, actor: &Actor) -> Result<u64, Error> {
        let mut tx = self.change().await?;
        let ended = end_within(&mut tx, which, reason, actor, now()).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Ends these tokens, whosever they are, as one bulk action, and says how many there were.
    ///
    /// # Errors
    /// [`Error::Database`]; those that were ended before stay ended.
    pub async fn end_these(&self, ids: &[TokenId], actor: &Actor) -> Result<u64, Error> {
        let owned = {
            let mut db = self.pool.read().await?;
            token::owners(&mut db, ids).await?
        };
        let ended = self
            .in_bulk(REVOKED, "selected", actor, async |actor| {
                self.end_owned(&owned, None, actor).await
            })
            .await?;
        if owned.len() < ids.len() {
            // Another process may have ended them, which this one does not know yet.
            self.forget(0..STRIPES);
        }
        Ok(ended)
    }

    /// Ends all tokens of these users but the one that is kept, as one bulk action, and says how many.
    ///
    /// # Errors
    /// [`Error::Database`]; those that were ended before stay ended.
    pub async fn end_of_users(
        &self,
        users: &[UserId],
        kept: TokenId,
        described: &str,
        actor: &Actor,
    ) -> Result<u64, Error> {
        let work = async |actor: &Actor| {
            let mut ended = 0;
            for user in users {
                let which = Which::OfUser(*user, Some(kept));
                ended += self.end(which, Reason::Revoked, actor).await?;
            }
            Ok(ended)
        };
        self.in_bulk(REVOKED, described, actor, work).await
    }

    /// Ends every token that `filter` lets through and that has been issued, as one bulk action, and says how many.
    /// `described` is the filter in the audit log.
    ///
    /// # Errors
    /// [`Error::Database`]; those that were ended before stay ended.
    pub async fn end_matching(
        &self,
        filter: &Filter,
        described: &str,
        actor: &Actor,
    ) -> Result<u64, Error> {
        // What is in use is not unused.
        self.flush_usage().await?;
        let newest = {
            let mut db = self.pool.read().await?;
            token::newest(&mut db).await?
        };
        // A user who signs in again meanwhile is not asked for a second time.
        let list = Filter {
            up_to: newest,
            ..filter.clone()
        };
        let now = now();
        let (list, used_until) = (list.list(None, now), filter.used_until(now));
        let ended = self
            .in_bulk(REVOKED, described, actor, async |actor| {
                // A token that is used meanwhile may move to where the list was read already: until nothing is left.
                let mut ended = 0;
                loop {
                    let before = ended;
                    let mut start = Some(Start::First);
                    while let Some(from) = start {
                        let page = {
                            let mut db = self.pool.read_long().await?;
                            list.page::<Owned>(&mut db, from, ENDED_AT_ONCE).await?
                        };
                        let mut owned = page.rows;
                        owned.sort_by_key(|token| token.user_id);
                        // One that came into use since it was read is not unused any more.
                        ended += self.end_owned(&owned, used_until, actor).await?;
                        start = page.next.map(Start::After);
                    }
                    if ended == before {
                        return Ok(ended);
                    }
                }
            })
            .await;
        self.forget(0..STRIPES);
        ended
    }

    /// Does something to many: one event with what it was narrowed to and how many it concerned, to which
    /// the others refer.
    pub(super) async fn in_bulk(
        &self,
        (action, part): (Action, Action),
        filter: &str,
        actor: &Actor,
        work: impl AsyncFnOnce(&Actor) -> Result<u64, Error>,
    ) -> Result<u64, Error> {
        let about = About {
            filter: Some(filter),
            count: Some(0),
            ..About::default()
        };
        let mut tx = self.pool.write().await?;
        let cause = event::insert(&mut tx, action, actor, about, now()).await?;
        tx.commit().await?;
        let caused = Actor {
            cause: Some(cause),
            note: None,
            ..actor.clone()
        };
        let done = work(&caused).await;
        let mut tx = self.pool.write().await?;
        event::count_caused(&mut tx, cause, part).await?;
        tx.commit().await?;
        done
    }

    async fn end_owned(
        &self,
        owned: &[Owned],
        used_until: Option<i64>,
        actor: &Actor,
    ) -> Result<u64, Error> {
        let users: Vec<_> = owned.chunk_by(|a, b| a.user_id == b.user_id).collect();
        // A user has a handful of tokens, but may have hundreds.
        let most = owned.len().div_ceil(users.len().max(1));
        let at_once = self.pool.engine().rows_at_once().div_ceil(most.max(1));
        let mut count = 0;
        for some in users.chunks(at_once) {
            let now = now();
            let mut tx = self.change().await?;
            for tokens in some {
                // Another process may have ended them a moment ago, which this one does not know yet.
                tx.asks(tokens[0].user_id);
                user::lock(&mut tx, tokens[0].user_id).await?;
                for token in *tokens {
                    let ended = token::delete(&mut tx, token.id, used_until).await?;
                    count += record_ended(&mut tx, actor, Reason::Revoked, &ended, now).await?;
                }
            }
            tx.commit().await?;
        }
        Ok(count)
    }

    /// Deletes the tokens whose time is up, and says how many there were.
    ///
    /// # Errors
    /// [`Error::Database`]; those that were deleted before stay deleted.
    pub async fn prune(&self, actor: &Actor) -> Result<u64, Error> {
        let mut pruned = 0;
        loop {
            let now = now();
            let owners = {
                let mut db = self.pool.read_long().await?;
                token::owners_of_expired(&mut db, now, PRUNED_AT_ONCE).await?
            };
            if owners.is_empty() {
                return Ok(pruned);
            }
            for some in owners.chunks(self.pool.engine().rows_at_once()) {
                let mut tx = self.change().await?;
                for &owner in some {
                    user::lock(&mut tx, owner).await?;
                    let expired = token::delete_expired(&mut tx, owner, now).await?;
                    pruned += record_ended(&mut tx, actor, Reason::Expired, &expired, now).await?;
                }
                tx.commit().await?;
            }
        }
    }

    fn lifetimes(&self, kind: Kind) -> (Lifetime, Lifetime) {
        let settings = &self.settings;
        match kind {
            Kind::Api => (settings.token_ttl, settings.token_idle_ttl),
            Kind::Admin => (settings.admin_session_ttl, settings.admin_idle_ttl),
        }
    }
}

/// Ends tokens as part of a larger change, which must do it in the same transaction.
pub(super) async fn end_within(
    tx: &mut Change<'_>,
    which: Which<'_>,
    reason: Reason,
    actor: &Actor,
    now: i64,
) -> Result<u64, Error> {
    match which {
        Which::One(id) => match owner(tx, id).await? {
            Some(owner) => tx.asks(owner),
            None => tx.asks_of_all(),
        },
        Which::Own(_, owner) => tx.asks(owner),
        Which::OfUser(user, _) | Which::OfKind(user, _) | Which::OfClient(user, _) => {
            tx.asks(user);
            user::lock(tx, user).await?;
        }
    }
    let ended = match which {
        Which::One(id) => token::delete(tx, id, None).await?,
        Which::Own(id, owner) => token::delete_own(tx, id, owner).await?,
        Which::OfUser(user, kept) => token::delete_of_user(tx, user, kept).await?,
        Which::OfKind(user, kind) => token::delete_of_kind(tx, user, kind).await?,
        Which::OfClient(user, client) => token::delete_of_client(tx, user, None, client).await?,
    };
    record_ended(tx, actor, reason, &ended, now).await
}

async fn record_ended(
    tx: &mut Change<'_>,
    actor: &Actor,
    reason: Reason,
    ended: &[Ended],
    now: i64,
) -> Result<u64, Error> {
    for token in ended {
        tx.concerns(token.user_id);
        let about = About {
            subject: Some((token.user_id, &token.username)),
            token: Some(token.id),
            hint: Some(&token.hint),
            client: Some(&token.client),
            reason: Some(reason.as_str()),
            ..About::default()
        };
        event::insert(tx, reason.action(), actor, about, now).await?;
    }
    Ok(ended.len() as u64)
}

/// Whose the token is, or was: another process may have ended it a moment ago, which this one does not know
/// yet.
async fn owner(tx: &mut Change<'_>, id: TokenId) -> Result<Option<UserId>, Error> {
    if let [token] = token::owners(tx, &[id]).await?[..] {
        return Ok(Some(token.user_id));
    }
    Ok(event::subject_of(tx, id).await?)
}

/// A password that is refused; `user` is none where no such account exists.
pub(super) struct Refused {
    pub(super) user: Option<(UserId, String)>,
    pub(super) reason: &'static str,
}

/// The user, if the verdict and the account's state let them in by that door.
fn admit(found: Option<Credentials>, verdict: Verdict, kind: Kind) -> Result<Credentials, Refused> {
    let Some(user) = found else {
        return Err(Refused {
            user: None,
            reason: "unknown",
        });
    };
    let reason = if verdict == Verdict::Wrong {
        "password"
    } else if user.disabled_at.is_some() {
        "disabled"
    } else if kind == Kind::Admin && user.role != Role::Admin {
        "role"
    } else {
        return Ok(user);
    };
    Err(Refused {
        user: Some((user.id, user.username)),
        reason,
    })
}

/// The sooner of a token's absolute end and its end by disuse after a use at `now`.
pub(super) fn ends_at(expires_at: Option<i64>, idle_ttl: Lifetime, now: i64) -> i64 {
    let idle_end = idle_ttl.end_after(now).unwrap_or(NEVER);
    expires_at.unwrap_or(NEVER).min(idle_end).min(NEVER)
}

impl Actor {
    /// Who acts through the API or the admin.
    pub fn of(kind: Kind, user: Option<(UserId, String)>, caller: &Caller) -> Self {
        Self {
            via: match kind {
                Kind::Api => Via::Api,
                Kind::Admin => Via::Admin,
            },
            user,
            address: caller.address.map(Address::from),
            request_id: Some(caller.request_id.clone()),
            cause: None,
            note: None,
        }
    }
}
