//! Bulk actions on tokens and users. Each writes one audit event with the selection and its count, and one event per
//! token or user that refers to it.

use super::accounts::Accounts;
use super::last_uses::LastUses;
use super::revocation::{self, Reason, TokenSelector};
use super::session_change::SessionChanges;
use super::sessions::Sessions;
use crate::db::Pool;
use crate::error::Error;
use crate::identity::{TokenId, UserId};
use crate::models::event::{self, Action, Actor, EventDetails};
use crate::models::list::PagePosition;
use crate::models::now;
use crate::models::token::list::TokenFilter;
use crate::models::token::{self, TokenOwner};

/// Actions of a bulk revocation's event and of the events of its tokens.
const REVOKE_ACTIONS: (Action, Action) = (Action::TokensRevoked, Action::TokenRevoked);
/// Matching tokens read and revoked at once.
const BATCH_SIZE: usize = 1000;

/// Revokes tokens and disables users in bulk. Cheap to clone.
#[derive(Clone)]
pub struct Bulk {
    pub(super) pool: Pool,
    pub(super) changes: SessionChanges,
    pub(super) sessions: Sessions,
    pub(super) accounts: Accounts,
    pub(super) last_uses: LastUses,
}

/// Result of disabling several users.
#[derive(Debug, Default)]
pub struct DisableResult {
    /// Number of users that were disabled.
    pub users: u64,
    /// Number of tokens that were revoked.
    pub tokens: u64,
    /// Why a user was not disabled, if one was not.
    pub not_disabled: Option<&'static str>,
}

impl Bulk {
    /// Revokes these tokens, of any users, and returns how many there were.
    ///
    /// # Errors
    /// [`Error::Database`]; tokens revoked before the failure stay revoked.
    pub async fn revoke_selected(&self, ids: &[TokenId], actor: &Actor) -> Result<u64, Error> {
        let tokens = {
            let mut db = self.pool.read().await?;
            token::find_owners(&mut db, ids).await?
        };
        let revoked = self
            .run(REVOKE_ACTIONS, "selected", actor, async |actor| {
                self.revoke_tokens(&tokens, None, actor).await
            })
            .await?;
        if tokens.len() < ids.len() {
            // Another process may have revoked the missing ones, and this one may not have noticed yet.
            self.changes.invalidate_all();
        }
        Ok(revoked)
    }

    /// Revokes all tokens of these users except `kept`, and returns how many. `description` is the selection, for the
    /// audit log.
    ///
    /// # Errors
    /// As [`Bulk::revoke_selected`].
    pub async fn revoke_for_users(
        &self,
        users: &[UserId],
        kept: TokenId,
        description: &str,
        actor: &Actor,
    ) -> Result<u64, Error> {
        let work = async |actor: &Actor| {
            let mut revoked = 0;
            for user in users {
                let selector = TokenSelector::ByUser(*user, Some(kept));
                revoked += self
                    .sessions
                    .revoke(selector, Reason::Revoked, actor)
                    .await?;
            }
            Ok(revoked)
        };
        self.run(REVOKE_ACTIONS, description, actor, work).await
    }

    /// Revokes every existing token that matches `filter`, and returns how many. `description` is the filter, for the
    /// audit log.
    ///
    /// # Errors
    /// As [`Bulk::revoke_selected`].
    pub async fn revoke_matching(
        &self,
        filter: &TokenFilter,
        description: &str,
        actor: &Actor,
    ) -> Result<u64, Error> {
        // Pending uses are written first: a token in use must not match as unused.
        self.last_uses.flush().await?;
        let newest = {
            let mut db = self.pool.read().await?;
            token::newest(&mut db).await?
        };
        // Tokens issued from here on are spared, so that a user who signs in again need not do so twice.
        let list = TokenFilter {
            max_id: newest,
            ..filter.clone()
        };
        let now = now();
        let (list, used_until) = (list.list(None, now), filter.used_until(now));
        let revoked = self
            .run(REVOKE_ACTIONS, description, actor, async |actor| {
                // A use may move a token to a part of the list that was already read. Repeat until a pass revokes
                // nothing.
                let mut revoked = 0;
                loop {
                    let before = revoked;
                    let mut next = Some(PagePosition::First);
                    while let Some(position) = next {
                        let page = {
                            let mut db = self.pool.read_long().await?;
                            list.page::<TokenOwner>(&mut db, position, BATCH_SIZE)
                                .await?
                        };
                        let mut tokens = page.rows;
                        tokens.sort_by_key(|token| token.user_id);
                        // `used_until` spares tokens that were used since they were read.
                        revoked += self.revoke_tokens(&tokens, used_until, actor).await?;
                        next = page.next.map(PagePosition::After);
                    }
                    if revoked == before {
                        return Ok(revoked);
                    }
                }
            })
            .await;
        self.changes.invalidate_all();
        revoked
    }

    /// Runs a bulk action. Its event is written first, so that the events of `work` can refer to it, and gets its count
    /// last.
    async fn run(
        &self,
        (action, member_action): (Action, Action),
        filter: &str,
        actor: &Actor,
        work: impl AsyncFnOnce(&Actor) -> Result<u64, Error>,
    ) -> Result<u64, Error> {
        let details = EventDetails {
            filter: Some(filter),
            count: Some(0),
            ..EventDetails::default()
        };
        let mut tx = self.pool.write().await?;
        let cause = event::insert(&mut tx, action, actor, details, now()).await?;
        tx.commit().await?;
        let member_actor = Actor {
            cause: Some(cause),
            note: None,
            ..actor.clone()
        };
        let done = work(&member_actor).await;
        let mut tx = self.pool.write().await?;
        event::store_member_count(&mut tx, cause, member_action).await?;
        tx.commit().await?;
        done
    }

    async fn revoke_tokens(
        &self,
        tokens: &[TokenOwner],
        used_until: Option<i64>,
        actor: &Actor,
    ) -> Result<u64, Error> {
        let users: Vec<_> = tokens.chunk_by(|a, b| a.user_id == b.user_id).collect();
        // The rows of a transaction are limited, not its users: a user may have hundreds of tokens.
        let tokens_per_user = tokens.len().div_ceil(users.len().max(1));
        let users_per_batch = self
            .pool
            .engine()
            .maintenance_batch_size()
            .div_ceil(tokens_per_user.max(1));
        let mut count = 0;
        for batch in users.chunks(users_per_batch) {
            let now = now();
            let mut tx = self.changes.begin().await?;
            for tokens in batch {
                // Locking also invalidates cached tokens that another process has just revoked.
                tx.lock(tokens[0].user_id).await?;
                for token in *tokens {
                    count +=
                        revocation::revoke_listed(&mut tx, token, used_until, actor, now).await?;
                }
            }
            tx.commit().await?;
        }
        Ok(count)
    }

    /// Disables users.
    ///
    /// # Errors
    /// [`Error::Database`]; users disabled before the failure stay disabled.
    pub async fn disable_users(
        &self,
        ids: &[UserId],
        actor: &Actor,
    ) -> Result<DisableResult, Error> {
        let mut disabled = DisableResult::default();
        let actions = (Action::UsersDisabled, Action::UserDisabled);
        let work = async |actor: &Actor| {
            for id in ids {
                match self.accounts.disable(*id, actor).await {
                    Ok(revoked) => {
                        disabled.users += 1;
                        disabled.tokens += revoked;
                    }
                    Err(Error::NotFound) => {}
                    Err(Error::Conflict(why)) => disabled.not_disabled = Some(why),
                    Err(error) => return Err(error),
                }
            }
            Ok(disabled.users)
        };
        self.run(actions, "selected", actor, work).await?;
        Ok(disabled)
    }
}
