//! Demonstration data: users and tokens with a history, so that the admin pages show every state.
//!
//! Nobody knows the tokens: they are made as real ones are, and only their digests are kept. What is there already
//! stays as it is. Transactions are short, so that a server goes on beside. Times are unix seconds.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rocket::tokio::time::{Instant, sleep_until};

use super::Auth;
use crate::config::Settings;
use crate::db::Engine;
use crate::error::{Error, FieldErrors};
use crate::identity::Username;
use crate::models::demo::{self, Batch, DemoUser};
use crate::models::now;
use crate::password::Password;

mod devices;
mod history;
mod past;
mod people;

/// The name of the first admin, if it is free.
pub(super) const FIRST_ADMIN: &str = "demo-admin";
/// How long a transaction should take.
const TRANSACTION: Duration = Duration::from_millis(400);
/// How long others have SQLite after it: a process that waits for the write lock looks every 100 ms.
const PAUSE: Duration = Duration::from_millis(105);
const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// Makes users, in the order of their creation.
#[derive(Default)]
struct Maker {
    settings: Arc<Settings>,
    users: u32,
    tokens_per_user: u32,
    password_hash: String,
    now: i64,
    /// Keys of usernames.
    taken: HashSet<String>,
    /// The number of the next user.
    number: u32,
    admin: Option<DemoUser>,
    batch: Batch,
    /// Of 1000, the same for a batch. With it, tokens are last used at few moments, so that their rows are close to
    /// each other in the indexes that sort by time. So are those of digests, which are used in their order.
    moment: i64,
    secrets: Vec<(String, String)>,
}

impl Auth {
    /// Stores that many users, who share the password, and on average that many tokens for each. `progress` gets
    /// the number of users and tokens as they are stored. Returns the name of an admin that is easy to remember,
    /// if it was free.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the password is refused or a user can't have as many tokens; [`Error::Database`], and
    /// what was stored before stays.
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
            // The larger the database, the longer the same rows take.
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
