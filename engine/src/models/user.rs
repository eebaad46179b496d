//! The `users` table.

mod change;
mod list;

use std::fmt;
use std::str::FromStr;

use sqlx::FromRow;

pub use self::change::lock;
pub(crate) use self::change::*;
pub use self::list::{UserFilter, UserListRow, UserStatus};
use crate::db::Conn;
use crate::identity::{UserId, Username, key};

/// A user's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Role {
    /// May sign in to the API and the account pages.
    User,
    /// May also use the admin.
    Admin,
}

impl Role {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "user" => Ok(Self::User),
            "admin" => Ok(Self::Admin),
            _ => Err("no such role"),
        }
    }
}

impl TryFrom<String> for Role {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        word.parse()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A user without the password hash.
#[derive(Debug, Clone, FromRow)]
pub struct UserRow {
    /// The user's id, which never changes.
    #[sqlx(try_from = "String")]
    pub id: UserId,
    /// The username, as typed when the user was created.
    pub username: String,
    /// The role.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// When the user was created, unix seconds.
    pub created_at: i64,
    /// When the user was disabled, unix seconds. None while active.
    pub disabled_at: Option<i64>,
    /// When the user last signed in, unix seconds. None before the first login.
    pub last_login_at: Option<i64>,
    /// When a token of the user was last issued or used, unix seconds. None if there was none.
    pub last_seen_at: Option<i64>,
}

impl UserRow {
    /// The status in one word: `active`, `disabled`, or `invited` before a password is set.
    pub fn status(&self, has_password: bool) -> &'static str {
        match (self.disabled_at, has_password) {
            (Some(_), _) => "disabled",
            (None, false) => "invited",
            (None, true) => "active",
        }
    }
}

/// A user's credentials, for a login. Times are unix seconds.
#[derive(FromRow)]
pub(crate) struct Credentials {
    #[sqlx(try_from = "String")]
    pub id: UserId,
    pub username: String,
    #[sqlx(try_from = "String")]
    pub role: Role,
    pub disabled_at: Option<i64>,
    /// A PHC string. Empty if the user has no password, and then no password matches.
    pub password_hash: String,
    /// None before the first login.
    pub last_login_at: Option<i64>,
}

/// The user with this id.
pub async fn find(db: &mut Conn, id: UserId) -> sqlx::Result<Option<UserRow>> {
    sqlx::query_as(
        "SELECT id, username, role, created_at, disabled_at, last_login_at,
                NULLIF(last_seen_at, 0) AS last_seen_at
         FROM users WHERE id = $1",
    )
    .bind(id.to_string())
    .fetch_optional(db)
    .await
}

/// A user's email address as typed, and whether it is verified.
pub async fn email(db: &mut Conn, id: UserId) -> sqlx::Result<Option<(String, bool)>> {
    let found: Option<(Option<String>, Option<i64>)> =
        sqlx::query_as("SELECT email, email_verified_at FROM users WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(db)
            .await?;
    Ok(found.and_then(|(email, verified_at)| Some((email?, verified_at.is_some()))))
}

/// Whether a user wants mails that are not about account security.
pub async fn wants_notices(db: &mut Conn, id: UserId) -> sqlx::Result<bool> {
    let notices: Option<i64> = sqlx::query_scalar("SELECT notices FROM users WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(db)
        .await?;
    Ok(notices.is_none_or(|notices| notices != 0))
}

/// The key of the address that the user has verified.
pub(crate) async fn verified_email_key(db: &mut Conn, id: UserId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT email_key FROM users WHERE id = $1 AND email_key IS NOT NULL")
        .bind(id.to_string())
        .fetch_optional(db)
        .await
}

pub(crate) async fn count_verified_emails(db: &mut Conn) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE email_key IS NOT NULL")
        .fetch_one(db)
        .await
}

/// The user with this name, in any case or form.
pub(crate) async fn find_by_name(
    db: &mut Conn,
    username: &Username,
) -> sqlx::Result<Option<UserRow>> {
    sqlx::query_as(
        "SELECT id, username, role, created_at, disabled_at, last_login_at,
                NULLIF(last_seen_at, 0) AS last_seen_at
         FROM users WHERE username_key = $1",
    )
    .bind(username.key())
    .fetch_optional(db)
    .await
}

/// Id of the user with this name, for a list's filter. If there is none it is empty, which matches nothing.
pub async fn id_by_name(db: &mut Conn, name: &str) -> sqlx::Result<String> {
    let id = sqlx::query_scalar("SELECT id FROM users WHERE username_key = $1");
    let id = id.bind(key(name)).fetch_optional(db).await?;
    Ok(id.unwrap_or_default())
}

/// The user who verified the address with this key.
pub(crate) async fn find_by_email(db: &mut Conn, email_key: &str) -> sqlx::Result<Option<UserRow>> {
    sqlx::query_as(
        "SELECT id, username, role, created_at, disabled_at, last_login_at,
                NULLIF(last_seen_at, 0) AS last_seen_at
         FROM users WHERE email_key = $1",
    )
    .bind(email_key)
    .fetch_optional(db)
    .await
}

/// The credentials of the user with this username, or otherwise of the user who verified the address with this key. The
/// username takes precedence, so that verifying an address cannot keep its user from signing in. Sign-up rejects
/// usernames that are addresses.
pub(crate) async fn credentials_by_name(
    db: &mut Conn,
    username: &Username,
    email_key: Option<&str>,
) -> sqlx::Result<Option<Credentials>> {
    sqlx::query_as(
        "SELECT id, username, role, disabled_at, last_login_at, COALESCE(password_hash, '') AS password_hash
         FROM users WHERE username_key = $1 OR email_key = $2
         ORDER BY CASE WHEN username_key = $1 THEN 0 ELSE 1 END LIMIT 1",
    )
    .bind(username.key())
    .bind(email_key)
    .fetch_optional(db)
    .await
}

/// Whether the user has set a password.
pub async fn has_password(db: &mut Conn, id: UserId) -> sqlx::Result<bool> {
    let found = sqlx::query("SELECT id FROM users WHERE id = $1 AND password_hash IS NOT NULL")
        .bind(id.to_string())
        .fetch_optional(db)
        .await?;
    Ok(found.is_some())
}

pub(crate) async fn credentials(db: &mut Conn, id: UserId) -> sqlx::Result<Option<Credentials>> {
    sqlx::query_as(
        "SELECT id, username, role, disabled_at, last_login_at, COALESCE(password_hash, '') AS password_hash
         FROM users WHERE id = $1",
    )
    .bind(id.to_string())
    .fetch_optional(db)
    .await
}

/// Ids and password hashes of up to `limit` users after the id `after`, in the order of ids.
pub(crate) async fn password_hashes(
    db: &mut Conn,
    after: &str,
    limit: i64,
) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as("SELECT id, password_hash FROM users WHERE id > $1 AND password_hash IS NOT NULL ORDER BY id LIMIT $2")
        .bind(after)
        .bind(limit)
        .fetch_all(db)
        .await
}

/// Number of active users with the same hash as another user. Hashes are salted, so that this comes from copying, as in
/// demonstration data.
pub(crate) async fn count_shared_hashes(db: &mut Conn) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT COUNT(*) FROM users
         WHERE disabled_at IS NULL AND password_hash IN (
             SELECT password_hash FROM users GROUP BY password_hash HAVING COUNT(*) > 1)",
    )
    .fetch_one(db)
    .await
}

/// Whether there is any admin, active or not, who has set a password.
pub(crate) async fn any_admin(db: &mut Conn) -> sqlx::Result<bool> {
    let admins: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM users WHERE role = 'admin' AND password_hash IS NOT NULL",
    )
    .fetch_one(db)
    .await?;
    Ok(admins > 0)
}
