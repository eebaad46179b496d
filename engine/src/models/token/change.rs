//! Tokens stored, used and renewed.

use super::TokenKind;
use crate::db::Conn;
use crate::identity::address::Address;
use crate::identity::device::Device;
use crate::identity::{ClientName, TokenId, UserId};
use crate::models::NEVER;
use crate::secret::Digest;

/// A token to be stored. Times are unix seconds, and none is never.
pub struct NewToken<'a> {
    pub id: TokenId,
    pub user_id: UserId,
    pub kind: TokenKind,
    pub client: &'a ClientName,
    pub digest: &'a Digest,
    /// Its last four characters.
    pub hint: &'a str,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    /// The absolute expiry or idle timeout, whichever is sooner.
    pub ends_at: Option<i64>,
    pub address: Option<Address>,
    pub user_agent: Option<&'a str>,
}

pub async fn insert(db: &mut Conn, token: &NewToken<'_>) -> sqlx::Result<()> {
    let device = token.user_agent.and_then(Device::parse);
    sqlx::query(
        "INSERT INTO tokens (id, user_id, kind, client, digest, hint, created_at, expires_at, ends_at,
                             address, user_agent, client_key, app, app_version, device_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(token.id.to_string())
    .bind(token.user_id.to_string())
    .bind(token.kind.as_str())
    .bind(token.client.as_str())
    .bind(token.digest.to_hex())
    .bind(token.hint)
    .bind(token.created_at)
    .bind(token.expires_at)
    .bind(token.ends_at.unwrap_or(NEVER))
    .bind(token.address.map(Address::key))
    .bind(token.user_agent)
    .bind(token.client.key())
    .bind(device.as_ref().map(|device| device.app.as_str()))
    .bind(device.as_ref().and_then(|device| device.version.as_deref()))
    .bind(device.as_ref().map(Device::key))
    .execute(db)
    .await?;
    Ok(())
}

/// A use of a token, to be recorded. Times are unix seconds.
#[derive(Debug, Clone)]
pub struct TokenUse {
    pub user_id: UserId,
    pub at: i64,
    /// Minimum number of seconds since the last recorded use.
    pub min_interval: i64,
    /// The new end of the token.
    pub ends_at: i64,
    pub address: Option<Address>,
    pub user_agent: Option<String>,
}

/// Records a use, unless the last recorded one (perhaps by another process) is too recent. A last use in the future is
/// from before the clock was set back, and does not count. A token that ended meanwhile stays ended.
pub async fn record_use(
    db: &mut Conn,
    id: TokenId,
    token_use: &TokenUse,
    now: i64,
) -> sqlx::Result<()> {
    let (id, address) = (id.to_string(), token_use.address.map(Address::key));
    let before: Option<(Option<String>, Option<String>)> = sqlx::query_as(
        "UPDATE tokens SET last_used_at = $2, ends_at = $3
         WHERE id = $1 AND ends_at > $2 AND (last_used_at <= $2 - $4 OR last_used_at > $5)
         RETURNING address, user_agent",
    )
    .bind(id.as_str())
    .bind(token_use.at)
    .bind(token_use.ends_at)
    .bind(token_use.min_interval)
    .bind(now)
    .fetch_optional(&mut *db)
    .await?;
    let Some(before) = before else {
        return Ok(());
    };
    // In a statement of its own: setting a column rewrites its indexes, and these values rarely change.
    if before != (address.clone(), token_use.user_agent.clone()) {
        let device = token_use.user_agent.as_deref().and_then(Device::parse);
        sqlx::query(
            "UPDATE tokens SET address = $2, user_agent = $3, app = $4, app_version = $5, device_key = $6 WHERE id = $1",
        )
        .bind(id)
        .bind(address)
        .bind(token_use.user_agent.as_deref())
        .bind(device.as_ref().map(|device| device.app.as_str()))
        .bind(device.as_ref().and_then(|device| device.version.as_deref()))
        .bind(device.as_ref().map(Device::key))
        .execute(db)
        .await?;
    }
    Ok(())
}

/// Replaces the secret of a live token, and records that the password was entered again. False if the token has ended.
pub async fn renew(
    db: &mut Conn,
    id: TokenId,
    digest: &Digest,
    hint: &str,
    now: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE tokens SET digest = $2, hint = $3, confirmed_at = $4
         WHERE id = $1 AND ends_at > $4",
    )
    .bind(id.to_string())
    .bind(digest.to_hex())
    .bind(hint)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
