//! The `tokens` table. A row is a live or an expired token. Only `events` remain of a revoked one.

mod change;
mod deletion;
pub mod list;
mod lookup;

use std::fmt;

use sqlx::FromRow;

pub(crate) use self::change::*;
pub(crate) use self::deletion::*;
pub use self::lookup::*;
use crate::identity::address::Address;
use crate::identity::{TokenId, UserId};

/// The only place where a token is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// The `Authorization` header of the JSON API.
    Api,
    /// The cookie of the admin.
    Admin,
    /// The cookie of the account pages.
    Account,
}

impl TokenKind {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Admin => "admin",
            Self::Account => "account",
        }
    }
}

impl TryFrom<String> for TokenKind {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "api" => Ok(Self::Api),
            "admin" => Ok(Self::Admin),
            "account" => Ok(Self::Account),
            _ => Err("no such kind"),
        }
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Columns of a [`TokenRow`], with the alias `t`.
pub(super) const COLUMNS: &str = "t.id, t.user_id, t.kind, t.client, t.hint, t.created_at,
    NULLIF(t.last_used_at, 0) AS last_used_at, t.expires_at, t.ends_at, t.address, t.user_agent, t.app, t.app_version,
    (SELECT username FROM users WHERE users.id = t.user_id) AS username";

/// A token without its digest, as it may be shown.
#[derive(Debug, Clone, FromRow)]
pub struct TokenRow {
    /// The token's id.
    #[sqlx(try_from = "String")]
    pub id: TokenId,
    /// The user's id.
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    /// The username.
    pub username: String,
    /// Where it is accepted.
    #[sqlx(try_from = "String")]
    pub kind: TokenKind,
    /// The client that it was issued to.
    pub client: String,
    /// Its last four characters.
    pub hint: String,
    /// When it was issued, unix seconds.
    pub created_at: i64,
    /// When it was last used, unix seconds. None before the first use.
    pub last_used_at: Option<i64>,
    /// Absolute expiry, unix seconds. None if there is none.
    pub expires_at: Option<i64>,
    /// Absolute expiry or idle timeout, whichever is sooner, unix seconds.
    pub ends_at: i64,
    /// IP address of the last use, or of the login before the first use.
    pub address: Option<Address>,
    /// `User-Agent` of the last use, likewise.
    pub user_agent: Option<String>,
    /// The app in the `User-Agent`.
    pub app: Option<String>,
    /// The app's version.
    pub app_version: Option<String>,
}
