//! Tokens looked up and counted.

use sqlx::{AssertSqlSafe, FromRow};

use super::{COLUMNS, TokenKind, TokenRow};
use crate::db::Conn;
use crate::identity::address::Address;
use crate::identity::{ClientName, TokenId, UserId};
use crate::models::user::Role;
use crate::secret::Digest;

/// A live token with its user, for authentication. Times are unix seconds.
#[derive(Debug, FromRow)]
pub(crate) struct Bearer {
    #[sqlx(try_from = "String")]
    pub token_id: TokenId,
    pub client: String,
    pub last_used_at: Option<i64>,
    pub expires_at: Option<i64>,
    /// Absolute expiry or idle timeout, whichever is sooner.
    pub ends_at: i64,
    /// When the password was last entered, at the login or later.
    pub confirmed_at: i64,
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    pub username: String,
    #[sqlx(try_from = "String")]
    pub role: Role,
}

/// A token and its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct TokenOwner {
    #[sqlx(try_from = "String")]
    pub id: TokenId,
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
}

/// A token that expires soon.
#[derive(Debug, FromRow)]
pub(crate) struct ExpiringToken {
    #[sqlx(try_from = "String")]
    pub id: TokenId,
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    pub client: String,
    /// Unix seconds.
    pub expires_at: i64,
}

/// The live token with this kind and digest, if its user is active.
pub(crate) async fn find_bearer(
    db: &mut Conn,
    kind: TokenKind,
    digest: &Digest,
    now: i64,
) -> sqlx::Result<Option<Bearer>> {
    sqlx::query_as(
        "SELECT t.id AS token_id, t.client, NULLIF(t.last_used_at, 0) AS last_used_at, t.expires_at, t.ends_at,
                COALESCE(t.confirmed_at, t.created_at) AS confirmed_at,
                u.id AS user_id, u.username, u.role
         FROM tokens t JOIN users u ON u.id = t.user_id
         WHERE t.digest = $1 AND t.kind = $2 AND t.ends_at > $3 AND u.disabled_at IS NULL",
    )
    .bind(digest.to_hex())
    .bind(kind.as_str())
    .bind(now)
    .fetch_optional(db)
    .await
}

/// The token with this id, live or expired.
pub async fn find(db: &mut Conn, id: TokenId) -> sqlx::Result<Option<TokenRow>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM tokens AS t WHERE t.id = $1"
    )))
    .bind(id.to_string())
    .fetch_optional(db)
    .await
}

/// The token with this digest, live or expired.
pub(crate) async fn find_by_digest(
    db: &mut Conn,
    digest: &Digest,
) -> sqlx::Result<Option<TokenRow>> {
    let find = format!("SELECT {COLUMNS} FROM tokens AS t WHERE t.digest = $1");
    let find = sqlx::query_as(AssertSqlSafe(find)).bind(digest.to_hex());
    find.fetch_optional(db).await
}

/// Up to `limit` tokens that end with `hint`, newest first.
pub(crate) async fn list_by_hint(
    db: &mut Conn,
    hint: &str,
    limit: usize,
) -> sqlx::Result<Vec<TokenRow>> {
    let list =
        format!("SELECT {COLUMNS} FROM tokens AS t WHERE t.hint = $1 ORDER BY t.id DESC LIMIT $2");
    let list = sqlx::query_as(AssertSqlSafe(list)).bind(hint);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    list.bind(limit).fetch_all(db).await
}

/// The live tokens of a user, by client.
pub async fn list_live(db: &mut Conn, user: UserId, now: i64) -> sqlx::Result<Vec<TokenRow>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM tokens AS t WHERE t.user_id = $1 AND t.ends_at > $2 ORDER BY t.client, t.kind"
    )))
    .bind(user.to_string())
    .bind(now)
    .fetch_all(db)
    .await
}

/// The existing tokens among `ids` with their users, sorted by user.
pub(crate) async fn find_owners(db: &mut Conn, ids: &[TokenId]) -> sqlx::Result<Vec<TokenOwner>> {
    let mut owners: Vec<TokenOwner> = vec![];
    for id in ids {
        let found = sqlx::query_as("SELECT id, user_id FROM tokens WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *db)
            .await?;
        owners.extend::<Option<TokenOwner>>(found);
    }
    owners.sort_by_key(|token| token.user_id);
    owners.dedup();
    Ok(owners)
}

/// The tokens of a user, live and expired, by client.
pub async fn list_by_user(db: &mut Conn, user: UserId) -> sqlx::Result<Vec<TokenRow>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM tokens AS t WHERE t.user_id = $1 ORDER BY t.client, t.kind"
    )))
    .bind(user.to_string())
    .fetch_all(db)
    .await
}

/// Tokens by user and client, live and expired, optionally of one user or client.
pub(crate) async fn list(
    db: &mut Conn,
    user: Option<UserId>,
    client: Option<&ClientName>,
) -> sqlx::Result<Vec<TokenRow>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM tokens AS t WHERE t.user_id = COALESCE($1, t.user_id) AND t.client_key = COALESCE($2, t.client_key) ORDER BY (SELECT username_key FROM users WHERE users.id = t.user_id), t.client, t.kind"
    )))
    .bind(user.map(|id| id.to_string()))
    .bind(client.map(ClientName::key))
    .fetch_all(db)
    .await
}

/// Whether a session of this kind was issued at this address since the token id `since`, and has not been used.
pub(crate) async fn any_unused(
    db: &mut Conn,
    kind: TokenKind,
    since: TokenId,
    address: Address,
    user_agent: &str,
) -> sqlx::Result<bool> {
    let unused: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM tokens
         WHERE address = $1 AND id >= $2 AND kind = $3 AND last_used_at = 0
           AND COALESCE(user_agent, '') = $4",
    )
    .bind(address.key())
    .bind(since.to_string())
    .bind(kind.as_str())
    .bind(user_agent)
    .fetch_one(db)
    .await?;
    Ok(unused > 0)
}

pub(crate) async fn newest(db: &mut Conn) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT id FROM tokens ORDER BY id DESC LIMIT 1")
        .fetch_optional(db)
        .await
}

pub(crate) async fn count_live(
    db: &mut Conn,
    user: UserId,
    kind: TokenKind,
    now: i64,
) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT COUNT(*) FROM tokens WHERE user_id = $1 AND kind = $2 AND ends_at > $3",
    )
    .bind(user.to_string())
    .bind(kind.as_str())
    .bind(now)
    .fetch_one(db)
    .await
}

/// Number of live tokens of each kind at `now` (unix seconds).
pub(crate) async fn count_by_kind(db: &mut Conn, now: i64) -> sqlx::Result<[(TokenKind, i64); 3]> {
    let (all, api, admin): (i64, i64, i64) = sqlx::query_as(
        "SELECT COUNT(*), COUNT(CASE WHEN kind = 'api' THEN 1 END), COUNT(CASE WHEN kind = 'admin' THEN 1 END)
         FROM tokens WHERE ends_at > $1",
    )
    .bind(now)
    .fetch_one(db)
    .await?;
    Ok([
        (TokenKind::Api, api),
        (TokenKind::Admin, admin),
        (TokenKind::Account, all - api - admin),
    ])
}

/// Up to `limit` API tokens that expire after `after` (a time and an id) and until `to`, in that order, of active users
/// who accept notices and have a verified address. Leaves out tokens with a lifetime of less than two weeks, and tokens
/// whose user was notified ([`expiry_notice_key`]).
pub(crate) async fn list_expiring(
    db: &mut Conn,
    after: &(i64, String),
    to: i64,
    limit: i64,
) -> sqlx::Result<Vec<ExpiringToken>> {
    sqlx::query_as(
        "SELECT t.id, t.user_id, t.client, t.expires_at FROM tokens AS t
         WHERE (t.ends_at, t.id) > ($1, $2) AND t.ends_at <= $3 AND t.expires_at = t.ends_at AND t.kind = 'api'
           AND t.expires_at - t.created_at > 14 * 86400
           AND (SELECT u.email_key FROM users AS u
                WHERE u.id = t.user_id AND u.notices <> 0 AND u.disabled_at IS NULL) IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.key = 'expiring:' || t.id)
         ORDER BY t.ends_at, t.id LIMIT $4",
    )
    .bind(after.0)
    .bind(&after.1)
    .bind(to)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// The key in `attempts` that marks a token whose user was notified of its expiry.
pub(crate) fn expiry_notice_key(token: TokenId) -> String {
    format!("expiring:{token}")
}
