//! The life of a token: issued, authenticated, revoked. No other module does this, so that a row and its audit event
//! are written in one transaction or not at all.

use std::sync::Arc;

use super::cache::Cache;
use super::last_uses::LastUses;
use super::metrics::AuthMetrics;
use super::revocation::{self, Reason, TokenSelector};
use super::session::{Session, StoredSession, ends_at};
use super::session_change::{SessionChange, SessionChanges};
use crate::config::{Lifetime, Settings, TokenLimitPolicy};
use crate::db::Pool;
use crate::error::Error;
use crate::identity::address::Address;
use crate::identity::{ClientName, TokenId, UserId};
use crate::models::event::{self, Action, Actor, EventDetails};
use crate::models::now;
use crate::models::token::{self, NewToken, TokenKind};
use crate::models::user::{self, Credentials, Role};
use crate::secret::{Digest, Secret};
use crate::web::caller::Caller;

/// A token that was just issued. Its plaintext is never available again.
#[derive(Debug)]
pub struct IssuedToken {
    /// The plaintext.
    pub secret: Secret,
    /// The client that it was issued to.
    pub client: ClientName,
    /// Absolute expiry, unix seconds. None if there is none.
    pub expires_at: Option<i64>,
}

/// Seconds within which a browser sends its first request after a sign-in.
const LOST_COOKIE_WINDOW: i64 = 60;
/// Number of expired tokens looked up at once.
const PRUNE_BATCH_SIZE: i64 = 500;

/// Issues, authenticates and revokes tokens. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    pub(super) pool: Pool,
    pub(super) settings: Arc<Settings>,
    pub(super) changes: SessionChanges,
    /// None if `token_cache` is off.
    pub(super) cache: Option<Arc<Cache>>,
    pub(super) last_uses: LastUses,
    pub(super) metrics: Arc<AuthMetrics>,
}

impl Sessions {
    /// Issues a token in the transaction of a login. It replaces the client's previous one.
    ///
    /// # Errors
    /// [`Error::TooManyTokens`]; [`Error::Database`].
    pub(super) async fn issue(
        &self,
        tx: &mut SessionChange<'_>,
        user: &Credentials,
        kind: TokenKind,
        client: ClientName,
        caller: &Caller,
        actor: &Actor,
    ) -> Result<IssuedToken, Error> {
        let now = now();
        let replaced = token::delete_by_client(tx, user.id, Some(kind), &client).await?;
        revocation::record(tx, actor, Reason::Replaced, &replaced, now).await?;
        self.make_room(tx, user.id, kind, actor, now).await?;

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
        token::insert(tx, &new).await?;
        let details = EventDetails {
            subject: Some((user.id, &user.username)),
            token: Some(new.id),
            hint: Some(secret.hint()),
            client: Some(client.as_str()),
            ..EventDetails::default()
        };
        event::insert(tx, Action::TokenIssued, actor, details, now).await?;
        Ok(IssuedToken {
            secret,
            client,
            expires_at,
        })
    }

    /// Makes room for one more token within `tokens_per_user`. Each kind has its own count: apps cannot evict an
    /// admin's session, and an admin's sign-in is never rejected for it.
    async fn make_room(
        &self,
        tx: &mut SessionChange<'_>,
        user: UserId,
        kind: TokenKind,
        actor: &Actor,
        now: i64,
    ) -> Result<(), Error> {
        let max = i64::from(self.settings.tokens_per_user);
        let surplus = token::count_live(tx, user, kind, now).await? + 1 - max;
        if surplus <= 0 {
            return Ok(());
        }
        if kind == TokenKind::Api && self.settings.tokens_full == TokenLimitPolicy::Reject {
            return Err(Error::TooManyTokens);
        }
        let evicted = token::delete_oldest(tx, user, kind, now, surplus).await?;
        revocation::record(tx, actor, Reason::Evicted, &evicted, now).await?;
        Ok(())
    }

    /// Replaces the secret of a session whose password was just checked. The old secret is invalid.
    pub(super) async fn renew(&self, session: &Session) -> Result<Secret, Error> {
        let secret = Secret::generate(&self.settings.token_prefix);
        let (digest, hint) = (secret.digest(), secret.hint());
        let mut tx = self.changes.begin_for(session.user_id).await?;
        if !token::renew(&mut tx, session.token_id, &digest, hint, now()).await? {
            return Err(Error::InvalidToken);
        }
        tx.mark_changed(session.user_id);
        tx.commit().await?;
        Ok(secret)
    }

    /// The session of a token that a client presents. Each kind is accepted only in its own place.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], always the same, if it is malformed, unknown, expired, revoked, of another kind or of a
    /// disabled user; [`Error::Database`] if the database is unavailable.
    pub async fn authenticate(
        &self,
        kind: TokenKind,
        presented: &str,
        caller: &Caller,
    ) -> Result<Arc<Session>, Error> {
        // The checksum keeps guesses and typing errors away from the database.
        let digest = Digest::parse_presented(presented).ok_or(Error::InvalidToken)?;
        let now = now();
        let cached = self
            .cache
            .as_ref()
            .and_then(|cache| cache.get(&digest, now));
        self.metrics.lookup(cached.is_some());
        let live = match cached {
            Some(live) => live,
            // Boxed: the future of a query is large, and would be moved with each request.
            None => Box::pin(self.look_up(kind, digest, now)).await?,
        };
        let session = &live.session;
        // A demotion revokes admin tokens. This holds however a role changes.
        if session.kind != kind || kind == TokenKind::Admin && session.role != Role::Admin {
            return Err(Error::InvalidToken);
        }
        let (_, idle_ttl) = self.lifetimes(kind);
        self.last_uses.collect(&live, now, idle_ttl, caller);
        Ok(Arc::clone(session))
    }

    /// Looks up a live token in the database, and caches it.
    async fn look_up(
        &self,
        kind: TokenKind,
        digest: Digest,
        now: i64,
    ) -> Result<Arc<StoredSession>, Error> {
        let snapshot = self.cache.as_ref().map(|cache| (cache, cache.snapshot()));
        let mut db = self.pool.read_without_ping().await?;
        let mut found = token::find_bearer(&mut db, kind, &digest, now).await;
        if found.is_err() && db.is_lost() {
            drop(db);
            db = self.pool.read().await?;
            found = token::find_bearer(&mut db, kind, &digest, now).await;
        }
        drop(db);
        let found = found?;
        let Some(bearer) = found else {
            if let Some((cache, _)) = snapshot {
                cache.remove(&digest);
            }
            return Err(Error::InvalidToken);
        };
        let (ends_at, recorded_at) = (bearer.ends_at, bearer.last_used_at.unwrap_or(i64::MIN));
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
        let live = Arc::new(StoredSession::new(session, ends_at, recorded_at));
        if let Some((cache, snapshot)) = snapshot {
            cache.insert(snapshot, digest, &live);
        }
        Ok(live)
    }

    /// Whether the caller's browser signed in a moment ago for this kind and has not sent the cookie back since. False
    /// if the database is unavailable.
    pub async fn has_lost_cookie(&self, kind: TokenKind, caller: &Caller) -> bool {
        let Some(address) = caller.address.map(Address::from) else {
            return false;
        };
        let since = TokenId::at((now() - LOST_COOKIE_WINDOW) * 1000);
        let agent = caller.user_agent.as_deref().unwrap_or_default();
        let unused = async {
            let mut db = self.pool.read().await?;
            token::any_unused(&mut db, kind, since, address, agent).await
        };
        unused.await.unwrap_or(false)
    }

    /// Revokes tokens and returns how many.
    ///
    /// # Errors
    /// [`Error::Database`]; then none is revoked.
    pub async fn revoke(
        &self,
        selector: TokenSelector<'_>,
        reason: Reason,
        actor: &Actor,
    ) -> Result<u64, Error> {
        let mut tx = self.changes.begin().await?;
        let revoked = revocation::revoke(&mut tx, selector, reason, actor, now()).await?;
        tx.commit().await?;
        Ok(revoked)
    }

    /// Waits until other processes reject the tokens that this one has revoked, if any.
    pub async fn wait_for_propagation(&self) {
        self.changes.wait_for_propagation().await;
    }

    /// Deletes expired tokens and returns how many.
    ///
    /// # Errors
    /// [`Error::Database`]; tokens deleted before the failure stay deleted.
    pub async fn prune(&self, actor: &Actor) -> Result<u64, Error> {
        let mut pruned = 0;
        loop {
            let now = now();
            let owners = {
                let mut db = self.pool.read_long().await?;
                token::users_with_expired(&mut db, now, PRUNE_BATCH_SIZE).await?
            };
            if owners.is_empty() {
                return Ok(pruned);
            }
            for batch in owners.chunks(self.pool.engine().maintenance_batch_size()) {
                let mut tx = self.changes.begin().await?;
                for &owner in batch {
                    user::lock(&mut tx, owner).await?;
                    let expired = token::delete_expired(&mut tx, owner, now).await?;
                    pruned +=
                        revocation::record(&mut tx, actor, Reason::Expired, &expired, now).await?;
                }
                tx.commit().await?;
            }
        }
    }

    fn lifetimes(&self, kind: TokenKind) -> (Lifetime, Lifetime) {
        let settings = &self.settings;
        match kind {
            TokenKind::Api => (settings.token_ttl, settings.token_idle_ttl),
            TokenKind::Admin => (settings.admin_session_ttl, settings.admin_idle_ttl),
            TokenKind::Account => (settings.account_session_ttl, settings.account_idle_ttl),
        }
    }
}
