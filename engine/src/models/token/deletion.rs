//! Tokens deleted. Each statement returns what the audit log records about them.

use sqlx::FromRow;

use super::TokenKind;
use crate::db::Conn;
use crate::identity::{ClientName, TokenId, UserId};

/// What the audit log records about a deleted token.
#[derive(Debug, FromRow)]
pub struct DeletedToken {
    #[sqlx(try_from = "String")]
    pub id: TokenId,
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    pub username: String,
    pub client: String,
    /// Its last four characters.
    pub hint: String,
}

/// Deletes a token, unless it was used after `used_until`.
pub async fn delete(
    db: &mut Conn,
    id: TokenId,
    used_until: Option<i64>,
) -> sqlx::Result<Vec<DeletedToken>> {
    sqlx::query_as(
        "DELETE FROM tokens WHERE id = $1 AND last_used_at <= COALESCE($2, last_used_at)
         RETURNING id, user_id, client, hint,
                   (SELECT username FROM users WHERE users.id = user_id) AS username",
    )
    .bind(id.to_string())
    .bind(used_until)
    .fetch_all(db)
    .await
}

/// Deletes a token if it belongs to this user, even an expired one: a pending use could revive it.
pub async fn delete_own(
    db: &mut Conn,
    id: TokenId,
    owner: UserId,
) -> sqlx::Result<Vec<DeletedToken>> {
    sqlx::query_as(
        "DELETE FROM tokens WHERE id = $1 AND user_id = $2
         RETURNING id, user_id, client, hint,
                   (SELECT username FROM users WHERE users.id = user_id) AS username",
    )
    .bind(id.to_string())
    .bind(owner.to_string())
    .fetch_all(db)
    .await
}

/// Deletes all tokens of a user except `kept`.
pub async fn delete_by_user(
    db: &mut Conn,
    user: UserId,
    kept: Option<TokenId>,
) -> sqlx::Result<Vec<DeletedToken>> {
    sqlx::query_as(
        "DELETE FROM tokens WHERE user_id = $1 AND id <> COALESCE($2, '')
         RETURNING id, user_id, client, hint,
                   (SELECT username FROM users WHERE users.id = user_id) AS username",
    )
    .bind(user.to_string())
    .bind(kept.map(|id| id.to_string()))
    .fetch_all(db)
    .await
}

pub async fn delete_by_kind(
    db: &mut Conn,
    user: UserId,
    kind: TokenKind,
) -> sqlx::Result<Vec<DeletedToken>> {
    sqlx::query_as(
        "DELETE FROM tokens WHERE user_id = $1 AND kind = $2
         RETURNING id, user_id, client, hint,
                   (SELECT username FROM users WHERE users.id = user_id) AS username",
    )
    .bind(user.to_string())
    .bind(kind.as_str())
    .fetch_all(db)
    .await
}

/// Deletes a user's tokens of one client, of every kind or of one. Names with the same key are one client.
pub async fn delete_by_client(
    db: &mut Conn,
    user: UserId,
    kind: Option<TokenKind>,
    client: &ClientName,
) -> sqlx::Result<Vec<DeletedToken>> {
    sqlx::query_as(
        "DELETE FROM tokens
         WHERE user_id = $1 AND kind = COALESCE($2, kind) AND client_key = $3
         RETURNING id, user_id, client, hint,
                   (SELECT username FROM users WHERE users.id = user_id) AS username",
    )
    .bind(user.to_string())
    .bind(kind.map(TokenKind::as_str))
    .bind(client.key())
    .fetch_all(db)
    .await
}

/// Deletes the `count` oldest live tokens of one kind of a user.
pub async fn delete_oldest(
    db: &mut Conn,
    user: UserId,
    kind: TokenKind,
    now: i64,
    count: i64,
) -> sqlx::Result<Vec<DeletedToken>> {
    sqlx::query_as(
        "DELETE FROM tokens WHERE id IN (
             SELECT id FROM tokens WHERE user_id = $1 AND kind = $2 AND ends_at > $3
             ORDER BY id LIMIT $4)
         RETURNING id, user_id, client, hint,
                   (SELECT username FROM users WHERE users.id = user_id) AS username",
    )
    .bind(user.to_string())
    .bind(kind.as_str())
    .bind(now)
    .bind(count)
    .fetch_all(db)
    .await
}

/// Users of the `limit` tokens that expired first.
pub async fn users_with_expired(db: &mut Conn, now: i64, limit: i64) -> sqlx::Result<Vec<UserId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT user_id FROM (
             SELECT user_id FROM tokens WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2) AS ended",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(ids.iter().filter_map(|id| UserId::parse(id)).collect())
}

/// Deletes a user's expired tokens, except those whose end was moved meanwhile by a use that was recorded late.
pub async fn delete_expired(
    db: &mut Conn,
    user: UserId,
    now: i64,
) -> sqlx::Result<Vec<DeletedToken>> {
    sqlx::query_as(
        "DELETE FROM tokens WHERE user_id = $1 AND ends_at <= $2
         RETURNING id, user_id, client, hint,
                   (SELECT username FROM users WHERE users.id = user_id) AS username",
    )
    .bind(user.to_string())
    .bind(now)
    .fetch_all(db)
    .await
}
