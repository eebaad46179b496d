//! The `tokens` table. A row is a live or an expired token; one that was ended is a row of
//! `events` only.

pub mod list;

use std::fmt;

use sqlx::{AssertSqlSafe, FromRow};

use super::NEVER;
use crate::db::Conn;
use crate::identity::address::Address;
use crate::identity::device::Device;
use crate::identity::{ClientName, TokenId, UserId};
use crate::models::user::Role;
use crate::secret::Digest;

/// Where a token is accepted, and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In the `Authorization` header of the JSON API.
    Api,
    /// In the cookie of the admin.
    Admin,
}

impl Kind {
    /// The word it is stored and shown as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Admin => "admin",
        }
    }
}

impl TryFrom<String> for Kind {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "api" => Ok(Self::Api),
            "admin" => Ok(Self::Admin),
            _ => Err("no such kind"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is selected of a token, with the alias `t`.
pub(super) const COLUMNS: &str = "t.id, t.user_id, t.kind, t.client, t.hint, t.created_at,
    NULLIF(t.last_used_at, 0) AS last_used_at, t.expires_at, t.ends_at, t.address, t.user_agent, t.app, t.app_version,
    (SELECT username FROM users WHERE users.id = t.user_id) AS username";

/// A token as it may be shown: no digest.
#[derive(Debug, Clone, FromRow)]
pub struct Token {
    /// Names the token.
    #[sqlx(try_from = "String")]
    pub id: TokenId,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    /// That user's name.
    pub username: String,
    /// Where it is accepted.
    #[sqlx(try_from = "String")]
    pub kind: Kind,
    /// The client that it was issued to.
    pub client: String,
    /// Its last four characters.
    pub hint: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds; none before the first use.
    pub last_used_at: Option<i64>,
    /// The absolute end, unix seconds; none if there is none.
    pub expires_at: Option<i64>,
    /// The end, absolute or by disuse, whichever is sooner; unix seconds.
    pub ends_at: i64,
    /// Where it was last used (or issued to) from.
    pub address: Option<Address>,
    /// With what.
    pub user_agent: Option<String>,
    /// The app that says so.
    pub app: Option<String>,
    /// And its version.
    pub app_version: Option<String>,
}

/// A token that is to be stored.
pub struct NewToken<'a> {
    /// Names the token.
    pub id: TokenId,
    /// Whose it is.
    pub user_id: UserId,
    /// Where it is accepted.
    pub kind: Kind,
    /// The client that it is issued to.
    pub client: &'a ClientName,
    /// What stands for it here.
    pub digest: &'a Digest,
    /// Its last four characters.
    pub hint: &'a str,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds; none: never.
    pub expires_at: Option<i64>,
    /// Unix seconds; none: never.
    pub ends_at: Option<i64>,
    /// Where the client is.
    pub address: Option<Address>,
    /// What it says that it is.
    pub user_agent: Option<&'a str>,
}

/// A live token with its user, as a guard needs them.
#[derive(Debug, FromRow)]
pub struct Bearer {
    /// The token.
    #[sqlx(try_from = "String")]
    pub token_id: TokenId,
    /// The client that it was issued to.
    pub client: String,
    /// Unix seconds; none before the first use.
    pub last_used_at: Option<i64>,
    /// Unix seconds; none: never.
    pub expires_at: Option<i64>,
    /// The end, absolute or by disuse, whichever is sooner; unix seconds.
    pub ends_at: i64,
    /// When the password was last given, unix seconds: at the login or later.
    pub confirmed_at: i64,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    /// That user's name.
    pub username: String,
    /// What that user may do.
    #[sqlx(try_from = "String")]
    pub role: Role,
}

/// What is left to say of a token that was just deleted.
#[derive(Debug, FromRow)]
pub struct Ended {
    /// The token.
    #[sqlx(try_from = "String")]
    pub id: TokenId,
    /// Whose it was.
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    /// That user's name.
    pub username: String,
    /// The client that it was issued to.
    pub client: String,
    /// Its last four characters.
    pub hint: String,
}

/// A token, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Owned {
    /// The token.
    #[sqlx(try_from = "String")]
    pub id: TokenId,
    /// The user.
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
}

/// One use of a token, to be noted.
#[derive(Debug, Clone)]
pub struct Use {
    /// Whose token it is.
    pub user_id: UserId,
    /// Unix seconds.
    pub at: i64,
    /// Seconds that have passed at least since the use that was noted before.
    pub spacing: i64,
    /// The end that this use moves ahead; unix seconds.
    pub ends_at: i64,
    /// Where from.
    pub address: Option<Address>,
    /// With what.
    pub user_agent: Option<String>,
}

/// Stores a token.
///
/// # Errors
/// The database failed.
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

/// The live token of that kind with that digest, and its user, who is not disabled.
///
/// # Errors
/// The database failed.
pub async fn find_bearer(
    db: &mut Conn,
    kind: Kind,
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

/// The token with that id, live or expired.
///
/// # Errors
/// The database failed.
pub async fn find(db: &mut Conn, id: TokenId) -> sqlx::Result<Option<Token>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM tokens AS t WHERE t.id = $1"
    )))
    .bind(id.to_string())
    .fetch_optional(db)
    .await
}

/// The token with that digest, live or expired.
///
/// # Errors
/// The database failed.
pub async fn find_by_digest(db: &mut Conn, digest: &Digest) -> sqlx::Result<Option<Token>> {
    let find = format!("SELECT {COLUMNS} FROM tokens AS t WHERE t.digest = $1");
    let find = sqlx::query_as(AssertSqlSafe(find)).bind(digest.to_hex());
    find.fetch_optional(db).await
}

/// Up to `limit` tokens that end with these characters, newest first.
///
/// # Errors
/// The database failed.
pub async fn list_by_hint(db: &mut Conn, hint: &str, limit: usize) -> sqlx::Result<Vec<Token>> {
    let list =
        format!("SELECT {COLUMNS} FROM tokens AS t WHERE t.hint = $1 ORDER BY t.id DESC LIMIT $2");
    let list = sqlx::query_as(AssertSqlSafe(list)).bind(hint);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    list.bind(limit).fetch_all(db).await
}

/// The live tokens of a user, client by client.
///
/// # Errors
/// The database failed.
pub async fn list_live(db: &mut Conn, user: UserId, now: i64) -> sqlx::Result<Vec<Token>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM tokens AS t WHERE t.user_id = $1 AND t.ends_at > $2 ORDER BY t.client, t.kind"
    )))
    .bind(user.to_string())
    .bind(now)
    .fetch_all(db)
    .await
}

/// The users of those tokens that there are, user by user.
///
/// # Errors
/// The database failed.
pub async fn owners(db: &mut Conn, ids: &[TokenId]) -> sqlx::Result<Vec<Owned>> {
    let mut owned: Vec<Owned> = vec![];
    for id in ids {
        let found = sqlx::query_as("SELECT id, user_id FROM tokens WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *db)
            .await?;
        owned.extend::<Option<Owned>>(found);
    }
    owned.sort_by_key(|token| token.user_id);
    owned.dedup();
    Ok(owned)
}

/// The tokens of a user, live and expired, client by client.
///
/// # Errors
/// The database failed.
pub async fn list_of_user(db: &mut Conn, user: UserId) -> sqlx::Result<Vec<Token>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM tokens AS t WHERE t.user_id = $1 ORDER BY t.client, t.kind"
    )))
    .bind(user.to_string())
    .fetch_all(db)
    .await
}

/// Tokens by user and client, live and expired, of one user or client or of all.
///
/// # Errors
/// The database failed.
pub async fn list(
    db: &mut Conn,
    user: Option<UserId>,
    client: Option<&ClientName>,
) -> sqlx::Result<Vec<Token>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM tokens AS t WHERE t.user_id = COALESCE($1, t.user_id) AND t.client_key = COALESCE($2, t.client_key) ORDER BY (SELECT username_key FROM users WHERE users.id = t.user_id), t.client, t.kind"
    )))
    .bind(user.map(|id| id.to_string()))
    .bind(client.map(ClientName::key))
    .fetch_all(db)
    .await
}

/// Whether a session of that kind was issued to a client at that address, after the token `since` would have
/// been, and has not been used.
///
/// # Errors
/// The database failed.
pub async fn any_unused(
    db: &mut Conn,
    kind: Kind,
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

/// The id of the token that was issued last; none if there is no token.
///
/// # Errors
/// The database failed.
pub async fn newest(db: &mut Conn) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT id FROM tokens ORDER BY id DESC LIMIT 1")
        .fetch_optional(db)
        .await
}

/// How many live tokens of that kind a user has.
///
/// # Errors
/// The database failed.
pub async fn count_live(db: &mut Conn, user: UserId, kind: Kind, now: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT COUNT(*) FROM tokens WHERE user_id = $1 AND kind = $2 AND ends_at > $3",
    )
    .bind(user.to_string())
    .bind(kind.as_str())
    .bind(now)
    .fetch_one(db)
    .await
}

/// How many tokens of each kind are live at `now`, unix seconds.
///
/// # Errors
/// The database failed.
pub async fn count_by_kind(db: &mut Conn, now: i64) -> sqlx::Result<[(Kind, i64); 2]> {
    let (all, api): (i64, i64) = sqlx::query_as(
        "SELECT COUNT(*), COUNT(CASE WHEN kind = 'api' THEN 1 END) FROM tokens WHERE ends_at > $1",
    )
    .bind(now)
    .fetch_one(db)
    .await?;
    Ok([(Kind::Api, api), (Kind::Admin, all - api)])
}

/// Notes a use, if the last one that was noted (perhaps by another process) is old enough, or lies in the
/// future: then the clock has been set back since. A token that was ended meanwhile stays ended.
///
/// # Errors
/// The database failed.
pub async fn note_use(db: &mut Conn, id: TokenId, last: &Use, now: i64) -> sqlx::Result<()> {
    let (id, address) = (id.to_string(), last.address.map(Address::key));
    let before: Option<(Option<String>, Option<String>)> = sqlx::query_as(
        "UPDATE tokens SET last_used_at = $2, ends_at = $3
         WHERE id = $1 AND ends_at > $2 AND (last_used_at <= $2 - $4 OR last_used_at > $5)
         RETURNING address, user_agent",
    )
    .bind(id.as_str())
    .bind(last.at)
    .bind(last.ends_at)
    .bind(last.spacing)
    .bind(now)
    .fetch_optional(&mut *db)
    .await?;
    let Some(before) = before else {
        return Ok(());
    };
    // By itself: a column that is set at all has its indexes rewritten, and these seldom change.
    if before != (address.clone(), last.user_agent.clone()) {
        let device = last.user_agent.as_deref().and_then(Device::parse);
        sqlx::query(
            "UPDATE tokens SET address = $2, user_agent = $3, app = $4, app_version = $5, device_key = $6 WHERE id = $1",
        )
        .bind(id)
        .bind(address)
        .bind(last.user_agent.as_deref())
        .bind(device.as_ref().map(|device| device.app.as_str()))
        .bind(device.as_ref().and_then(|device| device.version.as_deref()))
        .bind(device.as_ref().map(Device::key))
        .execute(db)
        .await?;
    }
    Ok(())
}

/// Puts another secret in a live token's place and notes that the password was given again. False if
/// the token has ended.
///
/// # Errors
/// The database failed.
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

/// Deletes the token with that id, unless it was used after `used_until`.
///
/// # Errors
/// The database failed.
pub async fn delete(
    db: &mut Conn,
    id: TokenId,
    used_until: Option<i64>,
) -> sqlx::Result<Vec<Ended>> {
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

/// Deletes the token with that id if it is that user's; also one whose time is up, for a use that is still to be
/// noted would bring it back.
///
/// # Errors
/// The database failed.
pub async fn delete_own(db: &mut Conn, id: TokenId, owner: UserId) -> sqlx::Result<Vec<Ended>> {
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

/// Deletes all tokens of a user but `kept`.
///
/// # Errors
/// The database failed.
pub async fn delete_of_user(
    db: &mut Conn,
    user: UserId,
    kept: Option<TokenId>,
) -> sqlx::Result<Vec<Ended>> {
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

/// Deletes a user's tokens of one kind.
///
/// # Errors
/// The database failed.
pub async fn delete_of_kind(db: &mut Conn, user: UserId, kind: Kind) -> sqlx::Result<Vec<Ended>> {
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

/// Deletes a user's tokens of one client, of either kind or of one. Clients whose names have the same key
/// are one.
///
/// # Errors
/// The database failed.
pub async fn delete_of_client(
    db: &mut Conn,
    user: UserId,
    kind: Option<Kind>,
    client: &ClientName,
) -> sqlx::Result<Vec<Ended>> {
    sqlx::query_as(
        "DELETE FROM tokens
         WHERE user_id = $1 AND kind = COALESCE($2, kind) AND client_key = $3
         RETURNING id, user_id, client, hint,
                   (SELECT username FROM users WHERE users.id = user_id) AS username",
    )
    .bind(user.to_string())
    .bind(kind.map(Kind::as_str))
    .bind(client.key())
    .fetch_all(db)
    .await
}

/// Deletes the `count` oldest live tokens of a user's kind.
///
/// # Errors
/// The database failed.
pub async fn delete_oldest(
    db: &mut Conn,
    user: UserId,
    kind: Kind,
    now: i64,
    count: i64,
) -> sqlx::Result<Vec<Ended>> {
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

/// Up to `limit` users who have tokens that expired.
///
/// # Errors
/// The database failed.
pub async fn owners_of_expired(db: &mut Conn, now: i64, limit: i64) -> sqlx::Result<Vec<UserId>> {
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

/// Deletes a user's tokens that expired; not one whose end is moved ahead meanwhile, by a use that
/// was noted late.
///
/// # Errors
/// The database failed.
pub async fn delete_expired(db: &mut Conn, user: UserId, now: i64) -> sqlx::Result<Vec<Ended>> {
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
