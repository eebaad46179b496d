//! Revocation of tokens: the row and its audit event change in one transaction.

use super::session_change::SessionChange;
use crate::error::Error;
use crate::identity::{ClientName, TokenId, UserId};
use crate::models::event::{self, Action, Actor, Channel, EventDetails};
use crate::models::token::{self, DeletedToken, TokenKind, TokenOwner};

/// A selection of tokens to revoke.
#[derive(Debug, Clone, Copy)]
pub enum TokenSelector<'a> {
    /// This token.
    ById(TokenId),
    /// This token, if it belongs to this user.
    Owned(TokenId, UserId),
    /// All tokens of a user, except one to keep.
    ByUser(UserId, Option<TokenId>),
    /// All tokens of a user that are of one kind.
    ByKind(UserId, TokenKind),
    /// All tokens of a user's client, of every kind.
    ByClient(UserId, &'a ClientName),
}

/// Why a token ended, as the audit log records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The user signed out.
    Logout,
    /// The user, an admin or the command line revoked it.
    Revoked,
    /// The client signed in again.
    Replaced,
    /// The user had too many tokens.
    Evicted,
    /// The password was changed or reset.
    PasswordChanged,
    /// The user was disabled.
    UserDisabled,
    /// The user lost the admin role.
    UserDemoted,
    /// The user was deleted.
    UserDeleted,
    /// It expired.
    Expired,
}

impl Reason {
    /// All reasons.
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

    /// The reason's name in the audit log.
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

/// Revokes tokens within a change, and returns how many.
pub(super) async fn revoke(
    tx: &mut SessionChange<'_>,
    selector: TokenSelector<'_>,
    reason: Reason,
    actor: &Actor,
    now: i64,
) -> Result<u64, Error> {
    let deleted = match selector {
        TokenSelector::ById(id) => {
            match owner(tx, id).await? {
                Some(owner) => tx.invalidate_at_end(owner),
                None => tx.invalidate_all_at_end(),
            }
            token::delete(tx, id, None).await?
        }
        TokenSelector::Owned(id, owner) => {
            tx.invalidate_at_end(owner);
            token::delete_own(tx, id, owner).await?
        }
        TokenSelector::ByUser(user, kept) => {
            tx.lock(user).await?;
            token::delete_by_user(tx, user, kept).await?
        }
        TokenSelector::ByKind(user, kind) => {
            tx.lock(user).await?;
            token::delete_by_kind(tx, user, kind).await?
        }
        TokenSelector::ByClient(user, client) => {
            tx.lock(user).await?;
            token::delete_by_client(tx, user, None, client).await?
        }
    };
    record(tx, actor, reason, &deleted, now).await
}

/// Revokes a listed token, unless it was used after `used_until` (unix seconds), and returns how many (0 or 1).
pub(super) async fn revoke_listed(
    tx: &mut SessionChange<'_>,
    token: &TokenOwner,
    used_until: Option<i64>,
    actor: &Actor,
    now: i64,
) -> Result<u64, Error> {
    let deleted = token::delete(tx, token.id, used_until).await?;
    record(tx, actor, Reason::Revoked, &deleted, now).await
}

/// Writes the audit events of deleted tokens, and returns how many there were.
pub(super) async fn record(
    tx: &mut SessionChange<'_>,
    actor: &Actor,
    reason: Reason,
    deleted: &[DeletedToken],
    now: i64,
) -> Result<u64, Error> {
    let by_admin = matches!(actor.via, Channel::Admin | Channel::CommandLine);
    for token in deleted {
        tx.mark_changed(token.user_id);
        let is_own = actor
            .user
            .as_ref()
            .is_some_and(|(id, _)| *id == token.user_id);
        if reason == Reason::Revoked && by_admin && !is_own {
            tx.count_admin_revocation(token.user_id);
        }
        let details = EventDetails {
            subject: Some((token.user_id, &token.username)),
            token: Some(token.id),
            hint: Some(&token.hint),
            client: Some(&token.client),
            reason: Some(reason.as_str()),
            ..EventDetails::default()
        };
        event::insert(tx, reason.action(), actor, details, now).await?;
    }
    Ok(deleted.len() as u64)
}

/// The user of a token, even if another process has just revoked it and this one has not noticed yet.
async fn owner(tx: &mut SessionChange<'_>, id: TokenId) -> Result<Option<UserId>, Error> {
    if let [token] = token::find_owners(tx, &[id]).await?[..] {
        return Ok(Some(token.user_id));
    }
    Ok(event::find_subject(tx, id).await?)
}
