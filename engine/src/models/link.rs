//! The `links` table: one-time links.

use std::fmt;

use sqlx::FromRow;

use crate::db::Conn;
use crate::identity::{LinkId, UserId};
use crate::models::outbox;
use crate::secret::Digest;

/// The only purpose that a link can be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To reset a forgotten password.
    Reset,
    /// To set the first password of a user who was invited.
    Invite,
    /// To sign up by invitation.
    SignUp,
    /// To verify an address.
    Verify,
}

impl Purpose {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Invite => "invite",
            Self::SignUp => "sign-up",
            Self::Verify => "verify",
        }
    }

    /// Seconds until a link expires.
    pub fn lifetime(self) -> i64 {
        const HOUR: i64 = 60 * 60;
        match self {
            Self::Reset => HOUR,
            Self::Invite | Self::SignUp | Self::Verify => 7 * 24 * HOUR,
        }
    }
}

impl TryFrom<String> for Purpose {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        [Self::Reset, Self::Invite, Self::SignUp, Self::Verify]
            .into_iter()
            .find(|purpose| purpose.as_str() == word)
            .ok_or("no such purpose")
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A valid link.
#[derive(Debug, Clone, FromRow)]
pub struct Link {
    /// The link's id.
    #[sqlx(try_from = "String")]
    pub id: LinkId,
    /// What it can be used for.
    #[sqlx(try_from = "String")]
    pub purpose: Purpose,
    /// Empty for an invitation to sign up.
    pub user_id: String,
    /// The address to verify.
    pub email: Option<String>,
}

impl Link {
    /// The user; none for an invitation to sign up.
    pub fn user(&self) -> Option<UserId> {
        UserId::parse(&self.user_id)
    }
}

pub async fn insert(
    db: &mut Conn,
    id: LinkId,
    purpose: Purpose,
    user: Option<UserId>,
    email: Option<&str>,
    digest: &Digest,
    now: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO links (id, purpose, user_id, email, digest, ends_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id.to_string())
    .bind(purpose.as_str())
    .bind(user.map(|id| id.to_string()))
    .bind(email)
    .bind(digest.to_hex())
    .bind(now + purpose.lifetime())
    .execute(db)
    .await?;
    Ok(())
}

/// The link with this digest, if it is valid.
pub async fn find(db: &mut Conn, digest: &Digest, now: i64) -> sqlx::Result<Option<Link>> {
    sqlx::query_as(
        "SELECT id, purpose, COALESCE(user_id, '') AS user_id, email FROM links
         WHERE digest = $1 AND ends_at > $2",
    )
    .bind(digest.to_hex())
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Consumes a link. Of several concurrent requests, one gets true.
pub async fn consume(db: &mut Conn, id: LinkId) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM links WHERE id = $1")
        .bind(id.to_string())
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Invalidates all links of a user. Mails without a link are deleted first. Otherwise, one could get a new link in
/// between.
pub async fn invalidate(db: &mut Conn, user: UserId) -> sqlx::Result<()> {
    outbox::delete_unprepared(db, user).await?;
    sqlx::query("DELETE FROM links WHERE user_id = $1")
        .bind(user.to_string())
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes up to `limit` expired links, and returns how many.
pub async fn delete_expired(db: &mut Conn, now: i64, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "DELETE FROM links WHERE id IN (SELECT id FROM links WHERE ends_at <= $1 LIMIT $2)",
    )
    .bind(now)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
