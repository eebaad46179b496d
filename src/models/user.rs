//! The `users` table.

use std::fmt;
use std::str::FromStr;

use sqlx::FromRow;

use super::condition::Condition;
use super::list::{List, Span, Table};
use crate::db::Conn;
use crate::identity::{UserId, Username, key};

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Role {
    /// Sign in through the API.
    User,
    /// And use the admin.
    Admin,
}

impl Role {
    /// The word it is stored and shown as.
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

/// A user, without the password's hash.
#[derive(Debug, Clone, FromRow)]
pub struct User {
    /// Names the user for good.
    #[sqlx(try_from = "String")]
    pub id: UserId,
    /// As it was typed when the user was created.
    pub username: String,
    /// What the user may do.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds; none while the user is active.
    pub disabled_at: Option<i64>,
    /// Unix seconds; none before the first login.
    pub last_login_at: Option<i64>,
    /// When a token of theirs was last used or issued, unix seconds; none if none ever was.
    pub last_seen_at: Option<i64>,
}

/// What a password is checked against.
#[derive(FromRow)]
pub struct Credentials {
    /// Whose they are.
    #[sqlx(try_from = "String")]
    pub id: UserId,
    /// As it was typed when the user was created.
    pub username: String,
    /// What the user may do.
    #[sqlx(try_from = "String")]
    pub role: Role,
    /// Unix seconds; none while the user is active.
    pub disabled_at: Option<i64>,
    /// A PHC string; empty, which no password matches, for a user without a password.
    pub password_hash: String,
}

/// A user in a list, with the number of live tokens.
#[derive(Debug, FromRow)]
pub struct Listed {
    /// The user.
    #[sqlx(flatten)]
    pub user: User,
    /// Live tokens of both kinds.
    pub tokens: i64,
}

/// Adds a user. False if the name is taken.
///
/// # Errors
/// The database failed.
pub async fn insert(
    db: &mut Conn,
    id: UserId,
    username: &Username,
    password_hash: &str,
    role: Role,
    now: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "INSERT INTO users (id, username, username_key, password_hash, role, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (username_key) DO NOTHING",
    )
    .bind(id.to_string())
    .bind(username.as_str())
    .bind(username.key())
    .bind(password_hash)
    .bind(role.as_str())
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The user with that id.
///
/// # Errors
/// The database failed.
pub async fn find(db: &mut Conn, id: UserId) -> sqlx::Result<Option<User>> {
    sqlx::query_as(
        "SELECT id, username, role, created_at, disabled_at, last_login_at,
                NULLIF(last_seen_at, 0) AS last_seen_at
         FROM users WHERE id = $1",
    )
    .bind(id.to_string())
    .fetch_optional(db)
    .await
}

/// The user with that name, in any case and form of it.
///
/// # Errors
/// The database failed.
pub async fn find_by_name(db: &mut Conn, username: &Username) -> sqlx::Result<Option<User>> {
    sqlx::query_as(
        "SELECT id, username, role, created_at, disabled_at, last_login_at,
                NULLIF(last_seen_at, 0) AS last_seen_at
         FROM users WHERE username_key = $1",
    )
    .bind(username.key())
    .fetch_optional(db)
    .await
}

/// The id of the user with that name, as a list's filter takes it; an empty one, which finds nothing, if there is
/// none.
///
/// # Errors
/// The database failed.
pub async fn id_of(db: &mut Conn, name: &str) -> sqlx::Result<String> {
    let id = sqlx::query_scalar("SELECT id FROM users WHERE username_key = $1");
    let id = id.bind(key(name)).fetch_optional(db).await?;
    Ok(id.unwrap_or_default())
}

/// The user with that e-mail address, given by its key.
///
/// # Errors
/// The database failed.
pub async fn find_by_email(db: &mut Conn, email_key: &str) -> sqlx::Result<Option<User>> {
    sqlx::query_as(
        "SELECT id, username, role, created_at, disabled_at, last_login_at,
                NULLIF(last_seen_at, 0) AS last_seen_at
         FROM users WHERE email_key = $1",
    )
    .bind(email_key)
    .fetch_optional(db)
    .await
}

/// What to check a password for that name against.
///
/// # Errors
/// The database failed.
pub async fn credentials_by_name(
    db: &mut Conn,
    username: &Username,
) -> sqlx::Result<Option<Credentials>> {
    sqlx::query_as(
        "SELECT id, username, role, disabled_at, COALESCE(password_hash, '') AS password_hash
         FROM users WHERE username_key = $1",
    )
    .bind(username.key())
    .fetch_optional(db)
    .await
}

/// What to check a password of that user against.
///
/// # Errors
/// The database failed.
pub async fn credentials(db: &mut Conn, id: UserId) -> sqlx::Result<Option<Credentials>> {
    sqlx::query_as(
        "SELECT id, username, role, disabled_at, COALESCE(password_hash, '') AS password_hash
         FROM users WHERE id = $1",
    )
    .bind(id.to_string())
    .fetch_optional(db)
    .await
}

/// Which users a list is narrowed to; all of them where nothing is set.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any part of their keys.
    pub name: String,
    /// How they stand.
    pub status: Option<Status>,
    /// Those of that role.
    pub role: Option<Role>,
}

/// How a user stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not disabled.
    Active,
    /// Disabled.
    Disabled,
    /// Strangers can't sign in: as many logins as this have failed in the current window.
    Locked(i64),
}

/// What users are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The keys of their names.
    Name,
    /// When they were created.
    Created,
    /// When they were last seen; those who never were come first.
    LastSeen,
}

/// Seconds that failed logins block strangers for at most.
const LONGEST_WINDOW: i64 = 24 * 60 * 60 + 10;
/// What is read of users that have a budget for strangers. (PostgreSQL would join the two tables by reading all
/// users.)
const OF_BUDGETS: &str = "t.failures, t.ends_at, SUBSTR(t.key, 6) AS id,
    (SELECT username FROM users WHERE users.id = SUBSTR(t.key, 6)) AS username,
    (SELECT username_key FROM users WHERE users.id = SUBSTR(t.key, 6)) AS username_key,
    (SELECT role FROM users WHERE users.id = SUBSTR(t.key, 6)) AS role,
    (SELECT created_at FROM users WHERE users.id = SUBSTR(t.key, 6)) AS created_at,
    (SELECT disabled_at FROM users WHERE users.id = SUBSTR(t.key, 6)) AS disabled_at,
    (SELECT last_login_at FROM users WHERE users.id = SUBSTR(t.key, 6)) AS last_login_at,
    (SELECT last_seen_at FROM users WHERE users.id = SUBSTR(t.key, 6)) AS last_seen_at";

impl Filter {
    /// The list at `now`, unix seconds: in the order that is asked for, where it can be had.
    pub fn list(&self, asked: Option<(Sort, bool)>, now: i64) -> List {
        let mut filters = Condition::default();
        if !self.name.is_empty() {
            let mut escaped = String::new();
            for char in self.name.chars() {
                if "\\%_".contains(char) {
                    escaped.push('\\');
                }
                escaped.push(char);
            }
            let contains = "t.username_key LIKE ? ESCAPE '\\'";
            filters.and(contains, [format!("%{escaped}%").into()]);
        }
        if self.status == Some(Status::Active) {
            filters.and("t.disabled_at IS NULL", []);
        }
        let (sort, descending) = self.sorted(asked).unwrap_or((Sort::Created, true));
        let mut table = Table::of("users AS t");
        let (key, span) = match (self.status, self.role, sort) {
            (Some(Status::Locked(limit)), ..) => {
                table = Table {
                    from: "attempts AS t",
                    id: "SUBSTR(t.key, 6)",
                    rows: OF_BUDGETS,
                };
                let values = [now.into(), limit.into()];
                // A window further ahead was opened by a clock that was set back since.
                filters.and("t.ends_at > ? AND t.failures >= ?", values);
                filters.and("t.ends_at <= ?", [(now + LONGEST_WINDOW).into()]);
                // A login that was being checked while its user was deleted leaves a budget.
                filters.and("t.username IS NOT NULL", []);
                (Some("t.key"), Span::between("user:", "user;"))
            }
            (Some(Status::Disabled), ..) => {
                (Some("t.disabled_at"), Span::between(i64::MIN, i64::MAX))
            }
            (_, Some(Role::Admin), _) => (Some("t.role"), Span::of("admin")),
            (.., Sort::Name) => {
                let all = Span::between("", char::MAX.to_string());
                (Some("t.username_key"), all)
            }
            (.., Sort::LastSeen) => (Some("t.last_seen_at"), Span::between(0, i64::MAX)),
            (.., Sort::Created) => (None, Span::all()),
        };
        if let (Some(role), true) = (self.role, key != Some("t.role")) {
            filters.and_equal("t.role", role.as_str());
        }
        List {
            table,
            columns: format!(
                "t.id, t.username, t.role, t.created_at, t.disabled_at, t.last_login_at,
                 NULLIF(t.last_seen_at, 0) AS last_seen_at,
                 (SELECT COUNT(*) FROM tokens WHERE tokens.user_id = t.id AND tokens.ends_at > {now}) AS tokens"
            ),
            key,
            spans: vec![span],
            descending,
            filters,
        }
    }

    /// The orders that can be had.
    pub fn sorts(&self) -> &'static [Sort] {
        match (self.status, self.role) {
            (Some(Status::Locked(_)), _) | (_, Some(Role::Admin))
                if self.status != Some(Status::Disabled) =>
            {
                &[Sort::Created]
            }
            (Some(Status::Disabled), _) => &[],
            _ => &[Sort::Name, Sort::Created, Sort::LastSeen],
        }
    }

    /// The order that the list is in, if it has a name.
    pub fn sorted(&self, asked: Option<(Sort, bool)>) -> Option<(Sort, bool)> {
        let offered = self.sorts();
        let asked = asked.filter(|(sort, _)| offered.contains(sort));
        let usual = || {
            offered
                .contains(&Sort::Created)
                .then_some((Sort::Created, true))
        };
        asked.or_else(usual)
    }
}

/// Ids and password hashes of up to `limit` users whose ids follow `after`, in the ids' order.
///
/// # Errors
/// The database failed.
pub async fn hashes(db: &mut Conn, after: &str, limit: i64) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as("SELECT id, password_hash FROM users WHERE id > $1 AND password_hash IS NOT NULL ORDER BY id LIMIT $2")
        .bind(after)
        .bind(limit)
        .fetch_all(db)
        .await
}

/// How many active users have the very hash that somebody else has. Hashes are salted: that comes of
/// copying, as demonstration data is made.
///
/// # Errors
/// The database failed.
pub async fn count_of_copied_hashes(db: &mut Conn) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT COUNT(*) FROM users
         WHERE disabled_at IS NULL AND password_hash IN (
             SELECT password_hash FROM users GROUP BY password_hash HAVING COUNT(*) > 1)",
    )
    .fetch_one(db)
    .await
}

/// Whether there is any admin, active or not.
///
/// # Errors
/// The database failed.
pub async fn any_admin(db: &mut Conn) -> sqlx::Result<bool> {
    let admins: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE role = 'admin'")
        .fetch_one(db)
        .await?;
    Ok(admins > 0)
}

/// Locks the rows of all active admins until the transaction ends, and counts them. Whoever wants
/// to take one away does this first; so of two who take away the last two, the second waits, and
/// then counts one.
///
/// # Errors
/// The database failed.
pub async fn lock_active_admins(db: &mut Conn) -> sqlx::Result<u64> {
    // One row first, the same for all who come here: they queue there, and can't lock the others
    // in different orders and wait for each other.
    sqlx::query(
        "UPDATE users SET role = role WHERE id = (
             SELECT MIN(id) FROM users WHERE role = 'admin' AND disabled_at IS NULL)",
    )
    .execute(&mut *db)
    .await?;
    let done =
        sqlx::query("UPDATE users SET role = 'admin' WHERE role = 'admin' AND disabled_at IS NULL")
            .execute(db)
            .await?;
    Ok(done.rows_affected())
}

/// Locks the user's row until the transaction ends. Whoever touches several of a user's tokens does
/// this first, so that no two lock them in different orders and wait for each other.
///
/// # Errors
/// The database failed.
pub async fn lock(db: &mut Conn, id: UserId) -> sqlx::Result<()> {
    sqlx::query("UPDATE users SET role = role WHERE id = $1")
        .bind(id.to_string())
        .execute(db)
        .await?;
    Ok(())
}

/// Notes that a token of the user's was used, if that is later than what is known, or if what is known lies
/// in the future.
///
/// # Errors
/// The database failed.
pub async fn note_seen(db: &mut Conn, id: UserId, at: i64, now: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE users SET last_seen_at = $2
         WHERE id = $1 AND (last_seen_at < $2 OR last_seen_at > $3)",
    )
    .bind(id.to_string())
    .bind(at)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Locks the user's row until the transaction ends, if the user is still as `checked`: active, with
/// that role and that password; notes the login and stores `hash`. False if any of it changed
/// while the password was being checked.
///
/// # Errors
/// The database failed.
pub async fn begin_login(
    db: &mut Conn,
    checked: &Credentials,
    hash: &str,
    now: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE users SET last_login_at = $5, last_seen_at = $5, password_hash = $4
         WHERE id = $1 AND password_hash = $2 AND role = $3 AND disabled_at IS NULL",
    )
    .bind(checked.id.to_string())
    .bind(checked.password_hash.as_str())
    .bind(checked.role.as_str())
    .bind(hash)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Replaces the password whose hash is `checked` by the one whose hash is `hash`. False if it was
/// changed meanwhile, or the user disabled.
///
/// # Errors
/// The database failed.
pub async fn change_password(
    db: &mut Conn,
    id: UserId,
    checked: &str,
    hash: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE users SET password_hash = $3
         WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL",
    )
    .bind(id.to_string())
    .bind(checked)
    .bind(hash)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets a password, whatever it was. False if there is no such user.
///
/// # Errors
/// The database failed.
pub async fn set_password(db: &mut Conn, id: UserId, hash: &str) -> sqlx::Result<bool> {
    let done = sqlx::query("UPDATE users SET password_hash = $2 WHERE id = $1")
        .bind(id.to_string())
        .bind(hash)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Disables the user. False if that was so already.
///
/// # Errors
/// The database failed.
pub async fn disable(db: &mut Conn, id: UserId, now: i64) -> sqlx::Result<bool> {
    let done =
        sqlx::query("UPDATE users SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL")
            .bind(id.to_string())
            .bind(now)
            .execute(db)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Enables the user again. False if that was so already.
///
/// # Errors
/// The database failed.
pub async fn enable(db: &mut Conn, id: UserId) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL",
    )
    .bind(id.to_string())
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives the user a role. False if the user had it already.
///
/// # Errors
/// The database failed.
pub async fn set_role(db: &mut Conn, id: UserId, role: Role) -> sqlx::Result<bool> {
    let done = sqlx::query("UPDATE users SET role = $2 WHERE id = $1 AND role <> $2")
        .bind(id.to_string())
        .bind(role.as_str())
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes the user. False if there is none.
///
/// # Errors
/// The database failed.
pub async fn delete(db: &mut Conn, id: UserId) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM users WHERE id = $1")
        .bind(id.to_string())
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}
