//! Demonstration data: users and tokens with a history, so that the admin pages show every state.
//!
//! Nobody knows the tokens: they are made as real ones are, and only their digests are kept. What is there already
//! stays as it is. Transactions are short, so that a server goes on beside.

use std::sync::Arc;
use std::time::Duration;

use rocket::tokio::time::{Instant, sleep_until};

use self::history::Maker;
use super::Auth;
use crate::db::Engine;
use crate::error::{Error, FieldErrors};
use crate::identity::Username;
use crate::models::{demo, now};
use crate::password::Password;

mod history;
mod samples;

/// The name of the first admin, if it is free.
pub(super) const FIRST_ADMIN: &str = "demo-admin";
/// How long a transaction should take, and how long others have SQLite after it: a process that waits for the
/// write lock looks every 100 ms.
const TRANSACTION: Duration = Duration::from_millis(800);
const PAUSE: Duration = Duration::from_millis(105);

impl Auth {
    /// Stores that many users, who share the password, and on average that many tokens for each. Tells `progress`
    /// how many rows it stores, and returns the name of an admin that is easy to remember, if it was free.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the password is refused or a user can't have as many tokens; [`Error::Database`].
    pub async fn seed(
        &self,
        users: u32,
        tokens_per_user: u32,
        password: &Password,
        progress: impl Fn(usize),
    ) -> Result<Option<&'static str>, Error> {
        let max = self.settings.tokens_per_user;
        if tokens_per_user > max {
            let why = format!("A user has at most {max} tokens (app.tokens_per_user).");
            return Err(FieldErrors::one("tokens_per_user", why));
        }
        let first_admin = Username::parse(FIRST_ADMIN).map_err(|_| Error::Internal("a name"))?;
        self.demand_fit("password", &first_admin, password)?;

        let engine = self.pool.engine();
        // Not one of the pool's, as its settings differ.
        let mut db = self.pool.connect_long().await?;
        demo::prepare(&mut db, engine).await?;
        let mut maker = Maker {
            settings: Arc::clone(&self.settings),
            users,
            tokens_per_user,
            password_hash: self.hasher.hash(password).await?,
            now: now(),
            taken: demo::taken(&mut db).await?,
            ..Maker::default()
        };
        let is_free = !maker.taken.contains(first_admin.key());
        let (mut rows, mut turn) = (1000, Instant::now());
        while let Some(batch) = maker.next(rows) {
            // Others write while the rows are made.
            sleep_until(turn).await;
            db.begin().await?;
            let start = Instant::now();
            demo::insert(&mut db, engine, &batch).await?;
            db.commit().await?;
            let is_long = start.elapsed() > TRANSACTION;
            rows = if is_long { rows / 4 * 3 } else { rows / 4 * 5 };
            if engine == Engine::Sqlite {
                turn = Instant::now() + PAUSE;
            }
            progress(batch.users.len() + batch.tokens.len());
        }
        demo::analyze(&mut db, engine).await?;
        Ok(is_free.then_some(FIRST_ADMIN))
    }
}
