//! Demonstration data: users and tokens with a history, so that the admin pages show every state.
//!
//! Tokens are generated like real ones and only their digests are stored, so nobody can use them. Existing rows stay
//! unchanged. Transactions are short, so that a server can run at the same time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use self::history::UserGenerator;
use super::Auth;
use crate::db::Engine;
use crate::error::Error;
use crate::identity::Username;
use crate::models::{demo, now};
use crate::password::Password;

mod history;
mod samples;

/// Username of the first admin, if it is free.
pub(super) const FIRST_ADMIN_NAME: &str = "demo-admin";
/// Target duration of a transaction, and the pause for other writers after it on SQLite, where a process that waits for
/// the write lock retries every 100 ms.
const TRANSACTION_TARGET: Duration = Duration::from_millis(800);
const WRITER_PAUSE: Duration = Duration::from_millis(105);

/// Creates users who share one password and have `tokens_per_user` tokens on average. Calls `progress` with numbers of
/// stored rows. Returns the first admin's well-known name, if it was free.
///
/// # Errors
/// [`Error::Invalid`] if the password is rejected or `tokens_per_user` too high; [`Error::Database`].
pub async fn seed(
    auth: &Auth,
    users: u32,
    tokens_per_user: u32,
    password: &Password,
    progress: impl Fn(usize),
) -> Result<Option<&'static str>, Error> {
    let max = auth.settings.tokens_per_user;
    if tokens_per_user > max {
        let message = format!("A user can have at most {max} tokens (app.tokens_per_user).");
        return Err(Error::invalid("tokens_per_user", message));
    }
    let first_admin =
        Username::parse(FIRST_ADMIN_NAME).map_err(|_| Error::Internal("invalid demo username"))?;
    let password_hash = auth
        .passwords
        .hash("password", &first_admin, password)
        .await?;

    let engine = auth.pool.engine();
    // Outside the pool, because its settings differ.
    let mut db = auth.pool.connect_long().await?;
    demo::prepare(&mut db, engine).await?;
    let mut generator = UserGenerator {
        settings: Arc::clone(&auth.settings),
        users,
        tokens_per_user,
        password_hash,
        now: now(),
        taken: demo::taken_keys(&mut db).await?,
        ..UserGenerator::default()
    };
    let is_free = !generator.taken.contains(first_admin.key());
    let (mut rows, mut next_start) = (1000, Instant::now());
    while let Some(batch) = generator.next(rows) {
        // The pause overlaps with generating the rows.
        sleep_until(next_start).await;
        db.begin().await?;
        let start = Instant::now();
        demo::insert(&mut db, engine, &batch).await?;
        db.commit().await?;
        let is_long = start.elapsed() > TRANSACTION_TARGET;
        rows = if is_long { rows / 4 * 3 } else { rows / 4 * 5 };
        if engine == Engine::Sqlite {
            next_start = Instant::now() + WRITER_PAUSE;
        }
        progress(batch.users.len() + batch.tokens.len());
    }
    demo::analyze(&mut db, engine).await?;
    Ok(is_free.then_some(FIRST_ADMIN_NAME))
}
