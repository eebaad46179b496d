//! Demonstration data: users and tokens that look as if somebody had them, with a past, so that the
//! admin's pages are seen full.
//!
//! Nobody knows the tokens: they are made as real ones are, and only their digests are kept. What is
//! there already stays as it is. Rows are made on a thread of their own, and stored in transactions
//! short enough for a server beside; but much of it into an empty database in a single one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};
use rocket::tokio::sync::mpsc::{self, Receiver};
use rocket::tokio::task::spawn_blocking;
use rocket::tokio::time::sleep;

use super::Auth;
use crate::db::{Conn, Engine};
use crate::error::{Error, FieldErrors};
use crate::identity::Username;
use crate::models::demo::{self, Batch};
use crate::models::now;
use crate::password::Password;

mod clients;
mod clock;
mod maker;
mod names;
mod story;

/// The name of the first admin, if it is free.
pub(super) const FIRST_ADMIN: &str = "demo-admin";
/// More users and tokens than this go into an empty database in one transaction, without indexes.
/// Whoever wants in meanwhile waits, in vain where it takes longer than some seconds; but there is
/// nobody yet who could sign in.
const MANY: u64 = 50_000;
/// How long a transaction keeps others waiting, more or less.
const HELD: Duration = Duration::from_millis(500);
/// Transactions that may stand in SQLite's log, each of up to some hundred MB.
const MOST_IN_LOG: u32 = 4;
/// How long SQLite is left to others after it: who waits for the lock looks every 100 ms.
const LEFT_TO_OTHERS: Duration = Duration::from_millis(105);

/// How much to make.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Users.
    pub users: u32,
    /// Tokens for each of them, on average: users who are disabled have none, and others theirs.
    pub tokens_per_user: u32,
}

/// What was made.
#[derive(Debug, Default)]
pub struct Made {
    /// Users.
    pub users: usize,
    /// Tokens.
    pub tokens: usize,
    /// The name of an admin that is easily remembered, if it was free.
    pub first_admin: Option<&'static str>,
}

impl Wanted {
    /// Users and tokens.
    pub fn rows(self) -> u64 {
        u64::from(self.users) * (1 + u64::from(self.tokens_per_user))
    }
}

impl Auth {
    /// Stores demonstration data; all users have that password. `progress` is told of users and
    /// tokens as they are stored.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the password is refused or a user can't have as many tokens;
    /// [`Error::Database`]; what was stored before stays.
    pub async fn seed(
        &self,
        wanted: Wanted,
        password: &Password,
        progress: impl Fn(u64) + Send + Sync,
    ) -> Result<Made, Error> {
        self.demand_possible(wanted)?;
        let first_admin = Username::parse(FIRST_ADMIN).map_err(|_| Error::Internal("a name"))?;
        self.demand_fit("password", &first_admin, password)?;
        let hash = self.hasher.hash(password).await?;

        let engine = self.pool.engine();
        // Its own, for it is made another than the pool's are.
        let mut db = self.pool.connect_long().await?;
        demo::make_room(&mut db, engine).await?;
        let taken = demo::taken(&mut db).await?;
        let free = !taken.contains(first_admin.key());
        let at_once = taken.is_empty() && wanted.rows() > MANY;
        let mut store = Store {
            batches: self.make(wanted, taken),
            engine,
            hash: &hash,
            progress: &progress,
            made: Made {
                first_admin: free.then_some(FIRST_ADMIN),
                ..Made::default()
            },
        };
        if at_once {
            self.store_at_once(&mut db, &mut store).await?;
        }
        // Nothing is left of it where that could be done.
        self.store_beside_others(&mut db, &mut store).await?;
        if let Err(error) = demo::settle(&mut db, engine).await {
            tracing::warn!(
                "all is stored, but lists may be slow until the database has analysed it: {error}"
            );
        }
        Ok(store.made)
    }

    /// Stores all rows in one transaction, if the database is empty still.
    async fn store_at_once(&self, db: &mut Conn, store: &mut Store<'_>) -> Result<(), Error> {
        demo::leave_log(db, store.engine).await?;
        db.begin().await?;
        let indexes = demo::take_indexes_away(db, store.engine).await?;
        // Whoever was about to store something has let this one wait, and is done.
        if demo::taken(db).await?.is_empty() {
            store.all(db).await?;
            demo::put_indexes_back(db, store.engine, indexes).await?;
            db.commit().await?;
        } else {
            db.rollback().await?;
        }
        Ok(demo::return_to_log(db, store.engine).await?)
    }

    /// Stores all rows in transactions that end before others wait for long.
    async fn store_beside_others(&self, db: &mut Conn, store: &mut Store<'_>) -> Result<(), Error> {
        let (mut takes_rows, mut in_log) = (HELD, 0);
        while let Some(first) = store.batches.recv().await {
            db.begin().await?;
            let start = Instant::now();
            store.some(db, first, takes_rows).await?;
            db.commit().await?;
            // The larger the database is, the longer does it take to write the same rows.
            let ratio = HELD.div_duration_f64(start.elapsed());
            takes_rows = takes_rows.mul_f64(ratio.clamp(0.5, 1.5)).min(HELD);
            if store.engine == Engine::Sqlite {
                in_log += 1;
                if in_log == MOST_IN_LOG {
                    demo::move_log(db).await?;
                    in_log = 0;
                }
                sleep(LEFT_TO_OTHERS).await;
            }
        }
        Ok(())
    }

    fn demand_possible(&self, wanted: Wanted) -> Result<(), Error> {
        let most = self.settings.tokens_per_user;
        if wanted.tokens_per_user > most {
            let why = format!("A user has at most {most} tokens (app.tokens_per_user).");
            return Err(FieldErrors::one("tokens_per_user", why));
        }
        Ok(())
    }

    /// Makes rows on a thread of their own.
    fn make(&self, wanted: Wanted, taken: HashSet<String>) -> Receiver<Batch> {
        let (sender, receiver) = mpsc::channel(8);
        let settings = Arc::clone(&self.settings);
        spawn_blocking(move || {
            let maker = maker::Maker::new(settings, wanted, taken, now());
            for batch in maker {
                if sender.blocking_send(batch).is_err() {
                    return;
                }
            }
        });
        receiver
    }
}

/// What takes the rows that are made and stores them.
struct Store<'a> {
    batches: Receiver<Batch>,
    engine: Engine,
    hash: &'a str,
    progress: &'a (dyn Fn(u64) + Send + Sync),
    made: Made,
}

impl Store<'_> {
    /// Stores all of them.
    async fn all(&mut self, tx: &mut Conn) -> Result<(), Error> {
        while let Some(batch) = self.batches.recv().await {
            self.store(tx, batch).await?;
        }
        Ok(())
    }

    /// Stores `first` and what comes within that time.
    async fn some(&mut self, tx: &mut Conn, first: Batch, time: Duration) -> Result<(), Error> {
        let start = Instant::now();
        self.store(tx, first).await?;
        while start.elapsed() < time
            && let Some(batch) = self.batches.recv().await
        {
            self.store(tx, batch).await?;
        }
        Ok(())
    }

    async fn store(&mut self, tx: &mut Conn, batch: Batch) -> Result<(), Error> {
        let (users, tokens) = demo::insert(tx, self.engine, batch, self.hash).await?;
        self.made.users += users;
        self.made.tokens += tokens;
        (self.progress)((users + tokens) as u64);
        Ok(())
    }
}

/// One of a list that is not empty.
fn pick<'a, T>(rng: &mut impl Rng, list: &'a [T]) -> &'a T {
    &list[rng.random_range(0..list.len())]
}
