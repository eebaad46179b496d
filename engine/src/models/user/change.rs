//! Users created, locked, changed and deleted.

use super::{Credentials, Role};
use crate::db::Conn;
use crate::identity::email::EmailAddress;
use crate::identity::{UserId, Username};

/// Adds a user, without a password if there is no hash. False if the name is taken.
pub(crate) async fn insert(
    db: &mut Conn,
    id: UserId,
    username: &Username,
    password_hash: Option<&str>,
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

/// Locks the rows of all active admins with a password until the transaction ends, and counts them. Call this before
/// removing an admin: of two requests that remove the last two, the second waits and then counts one. An invited admin
/// without a password cannot stand in for the last one.
pub(crate) async fn lock_active_admins(db: &mut Conn) -> sqlx::Result<u64> {
    // First one row, the same for all callers: they queue there and cannot deadlock on the others.
    sqlx::query(
        "UPDATE users SET role = role WHERE id = (
             SELECT MIN(id) FROM users
             WHERE role = 'admin' AND disabled_at IS NULL AND password_hash IS NOT NULL)",
    )
    .execute(&mut *db)
    .await?;
    let done = sqlx::query(
        "UPDATE users SET role = 'admin'
         WHERE role = 'admin' AND disabled_at IS NULL AND password_hash IS NOT NULL",
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Locks the user's row. False if the user is disabled or has another password by now.
pub(crate) async fn lock_with_password(
    db: &mut Conn,
    id: UserId,
    hash: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE users SET role = role WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL",
    )
    .bind(id.to_string())
    .bind(hash)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Locks the user's row until the transaction ends. A transaction that changes several of a user's tokens does this
/// first, so that no two deadlock.
pub async fn lock(db: &mut Conn, id: UserId) -> sqlx::Result<()> {
    sqlx::query("UPDATE users SET role = role WHERE id = $1")
        .bind(id.to_string())
        .execute(db)
        .await?;
    Ok(())
}

/// Records when a token of the user was used, if that is later than the stored time or the stored one lies in the
/// future.
pub(crate) async fn record_seen(db: &mut Conn, id: UserId, at: i64, now: i64) -> sqlx::Result<()> {
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

/// Locks the user's row until the transaction ends, records the login and stores `hash`. False if the user is no longer
/// active with the role and password of `checked`.
pub(crate) async fn record_login(
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

/// Replaces `old_hash` by `new_hash`. False if the password was changed meanwhile, or the user disabled.
pub(crate) async fn change_password(
    db: &mut Conn,
    id: UserId,
    old_hash: &str,
    new_hash: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE users SET password_hash = $3
         WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL",
    )
    .bind(id.to_string())
    .bind(old_hash)
    .bind(new_hash)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets a password, whatever it was. False if there is no such user.
pub(crate) async fn set_password(db: &mut Conn, id: UserId, hash: &str) -> sqlx::Result<bool> {
    let done = sqlx::query("UPDATE users SET password_hash = $2 WHERE id = $1")
        .bind(id.to_string())
        .bind(hash)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores an unverified address, which has no effect. False if the user has a verified one.
pub async fn set_unverified_email(db: &mut Conn, id: UserId, email: &str) -> sqlx::Result<bool> {
    let done = sqlx::query("UPDATE users SET email = $2 WHERE id = $1 AND email_key IS NULL")
        .bind(id.to_string())
        .bind(email)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores a verified address. False if another user has verified it.
pub async fn set_verified_email(
    db: &mut Conn,
    id: UserId,
    email: &EmailAddress,
    now: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE users SET email = $2, email_key = $3, email_verified_at = $4
         WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM users WHERE email_key = $3 AND id <> $1)",
    )
    .bind(id.to_string())
    .bind(email.as_str())
    .bind(email.key())
    .bind(now)
    .execute(db)
    .await;
    match done {
        Ok(done) => Ok(done.rows_affected() == 1),
        // Two users verified it at the same moment.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Disables a user. False if already disabled.
pub(crate) async fn disable(db: &mut Conn, id: UserId, now: i64) -> sqlx::Result<bool> {
    let done =
        sqlx::query("UPDATE users SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL")
            .bind(id.to_string())
            .bind(now)
            .execute(db)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Enables a user. False if already enabled.
pub(crate) async fn enable(db: &mut Conn, id: UserId) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL",
    )
    .bind(id.to_string())
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets a user's role. False if it is the same.
pub(crate) async fn set_role(db: &mut Conn, id: UserId, role: Role) -> sqlx::Result<bool> {
    let done = sqlx::query("UPDATE users SET role = $2 WHERE id = $1 AND role <> $2")
        .bind(id.to_string())
        .bind(role.as_str())
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn delete(db: &mut Conn, id: UserId) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM users WHERE id = $1")
        .bind(id.to_string())
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn set_notices(db: &mut Conn, id: UserId, wanted: bool) -> sqlx::Result<()> {
    sqlx::query("UPDATE users SET notices = $2 WHERE id = $1")
        .bind(id.to_string())
        .bind(i64::from(wanted))
        .execute(db)
        .await?;
    Ok(())
}
