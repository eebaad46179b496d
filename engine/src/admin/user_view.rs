//! View models of users.

use serde::Serialize;

use crate::models::user::{UserListRow, UserRow};

/// A user as pages show it.
#[derive(Serialize)]
pub struct UserView {
    id: String,
    username: String,
    role: &'static str,
    disabled: bool,
    created_at: i64,
    last_login_at: Option<i64>,
    last_seen_at: Option<i64>,
}

impl From<UserRow> for UserView {
    fn from(user: UserRow) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username,
            role: user.role.as_str(),
            disabled: user.disabled_at.is_some(),
            created_at: user.created_at,
            last_login_at: user.last_login_at,
            last_seen_at: user.last_seen_at,
        }
    }
}

/// A row of the list of users.
#[derive(Serialize)]
pub struct ListedUserView {
    user: UserView,
    tokens: i64,
    /// The user has not set a password yet.
    invited: bool,
}

impl ListedUserView {
    /// A row with the number of live tokens.
    pub fn new(user: UserRow, tokens: i64) -> Self {
        let user = user.into();
        Self {
            user,
            tokens,
            invited: false,
        }
    }

    /// The number of live tokens.
    pub fn tokens(&self) -> i64 {
        self.tokens
    }
}

impl From<UserListRow> for ListedUserView {
    fn from(listed: UserListRow) -> Self {
        Self {
            invited: listed.has_password == 0,
            ..Self::new(listed.user, listed.tokens)
        }
    }
}
