//! Filters and sort orders of users.

use sqlx::FromRow;

use super::{Role, UserRow};
use crate::models::list::{List, NEWEST_FIRST, Sort, SortBy, Span, Table};

/// A user in a list.
#[derive(Debug, FromRow)]
pub struct UserListRow {
    /// The user.
    #[sqlx(flatten)]
    pub user: UserRow,
    /// The email address, as typed.
    pub email: Option<String>,
    /// When the address was verified, unix seconds. None if it is not, and has no effect.
    pub email_verified_at: Option<i64>,
    /// 1 if the user has set a password, otherwise 0.
    pub has_password: i64,
    /// Number of live tokens of all kinds.
    pub tokens: i64,
}

impl UserListRow {
    /// The status in one word.
    pub fn status(&self) -> &'static str {
        self.user.status(self.has_password != 0)
    }
}

/// A filter of users. An empty one matches all.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Any part of the username's key.
    pub name: String,
    /// Status of the users.
    pub status: Option<UserStatus>,
    /// Role of the users.
    pub role: Option<Role>,
}

/// The status of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserStatus {
    /// Not disabled.
    Active,
    /// Disabled.
    Disabled,
    /// Not disabled, without a password yet.
    Invited,
    /// Strangers are blocked: this many logins have failed in the current window.
    Locked(i64),
}

/// Maximum number of seconds for which failed logins block strangers.
const MAX_WINDOW: i64 = 24 * 60 * 60 + 10;
/// Columns of the users that have a budget for strangers. (For a join, PostgreSQL would read all users.)
const BUDGET_COLUMNS: &str = "t.failures, t.ends_at, SUBSTR(t.key, 6) AS id,
    (SELECT username FROM users WHERE users.id = SUBSTR(t.key, 6)) AS username,
    (SELECT username_key FROM users WHERE users.id = SUBSTR(t.key, 6)) AS username_key,
    (SELECT role FROM users WHERE users.id = SUBSTR(t.key, 6)) AS role,
    (SELECT created_at FROM users WHERE users.id = SUBSTR(t.key, 6)) AS created_at,
    (SELECT disabled_at FROM users WHERE users.id = SUBSTR(t.key, 6)) AS disabled_at,
    (SELECT last_login_at FROM users WHERE users.id = SUBSTR(t.key, 6)) AS last_login_at,
    (SELECT last_seen_at FROM users WHERE users.id = SUBSTR(t.key, 6)) AS last_seen_at,
    (SELECT email FROM users WHERE users.id = SUBSTR(t.key, 6)) AS email,
    (SELECT email_verified_at FROM users WHERE users.id = SUBSTR(t.key, 6)) AS email_verified_at,
    (SELECT password_hash FROM users WHERE users.id = SUBSTR(t.key, 6)) AS password_hash";

impl UserFilter {
    /// The list at `now` (unix seconds), in the requested order if the list offers it.
    pub fn list(&self, requested: Option<Sort>, now: i64) -> List {
        let table = match self.status {
            Some(UserStatus::Locked(_)) => Table {
                from: "attempts AS t",
                id: "SUBSTR(t.key, 6)",
                columns: BUDGET_COLUMNS,
            },
            _ => Table::new("users AS t"),
        };
        let columns = format!(
            "t.id, t.username, t.role, t.created_at, t.disabled_at, t.last_login_at,
             NULLIF(t.last_seen_at, 0) AS last_seen_at, t.email, t.email_verified_at,
             CAST(CASE WHEN t.password_hash IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_password,
             (SELECT COUNT(*) FROM tokens WHERE tokens.user_id = t.id AND tokens.ends_at > {now}) AS tokens"
        );
        let names = Span::between("", char::MAX.to_string());
        let mut list = List::new(table, columns)
            .offer(SortBy::Name, "t.username_key", names)
            .offer(
                SortBy::LastSeen,
                "t.last_seen_at",
                Span::between(0, i64::MAX),
            );
        if !self.name.is_empty() {
            let mut escaped = String::new();
            for char in self.name.chars() {
                if "\\%_".contains(char) {
                    escaped.push('\\');
                }
                escaped.push(char);
            }
            let contains = "t.username_key LIKE ? ESCAPE '\\'";
            list.filter_unindexed(contains, [format!("%{escaped}%").into()]);
        }
        match self.status {
            Some(UserStatus::Active) => list.filter_unindexed("t.disabled_at IS NULL", []),
            Some(UserStatus::Invited) => {
                list.filter_unindexed("t.disabled_at IS NULL AND t.password_hash IS NULL", []);
            }
            Some(UserStatus::Disabled) => {
                list.filter_by_spans("t.disabled_at", Span::between(i64::MIN, i64::MAX), None);
            }
            Some(UserStatus::Locked(limit)) => {
                // The keys contain the ids.
                list.filter_by_spans("t.key", Span::between("user:", "user;"), Some(NEWEST_FIRST));
                let values = [now.into(), limit.into()];
                // A window further ahead was started before the clock was set back.
                list.filter_unindexed("t.ends_at > ? AND t.failures >= ?", values);
                list.filter_unindexed("t.ends_at <= ?", [(now + MAX_WINDOW).into()]);
                // A login in progress while its user was deleted leaves a budget behind.
                list.filter_unindexed("t.username IS NOT NULL", []);
            }
            None => {}
        }
        match self.role {
            Some(Role::Admin) => list.filter_by_key("t.role", "admin"),
            // Most users have this role, so an index would not help.
            Some(Role::User) => list.filter_unindexed("t.role = ?", ["user".into()]),
            None => {}
        }
        list.sorted(requested)
    }
}
