//! Databases full of tokens, some of them known here.
//!
//! `seed` makes four of five tokens, with users who have a past, and keeps their digests alone. The
//! rest are made here, so that requests can be signed with them, and stored as `seed` stores its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use multitoken::config::Settings as AppSettings;
use multitoken::db::{Conn, Engine, Pool};
use multitoken::identity::device::Device;
use multitoken::identity::{EventId, TokenId, UserId};
use multitoken::models::demo::{self, Batch, DemoEvent, DemoToken, DemoUser};
use multitoken::models::now;
use multitoken::password::{Hasher, Password};
use multitoken::secret::Secret;
use rand::seq::SliceRandom;
use rocket::figment::Figment;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::Outcome;
use crate::options::Options;
use crate::postgres::Postgres;
use crate::server::{Settings, command};

/// Every user's password.
pub const PASSWORD: &str = "correct horse battery";
/// The admin's name.
pub const ADMIN: &str = "demo-admin";
/// Tokens that are seeded in the small database.
pub const SMALL: u32 = 1000;

/// One token is known beside so many that are seeded.
const SEEDED_TO_KNOWN: u32 = 4;
const SEEDED_PER_USER: u32 = 10;
const KNOWN_PER_USER: usize = 25;
/// Users that are stored at a time.
const USERS_AT_ONCE: usize = 200;
/// Tokens that are known last for three weeks at least.
const FRESH_FOR: Duration = Duration::from_hours(20 * 24);
const DAY: i64 = 24 * 60 * 60;
/// Events in the audit log for each token that is seeded, and stored at a time.
const EVENTS_PER_TOKEN: i64 = 5;
const EVENTS_AT_ONCE: usize = 5000;
/// Seconds between the last uses of two users' tokens: any prime spreads them over days.
const SPREAD: i64 = 7919;
/// What the names of users begin with whose tokens are known, and of those who sign out.
const OWNER: &str = "bench-";
const LEAVER: &str = "leaver-";
/// What signs in under load.
pub const CLIENT: &str = "wrk";

/// A database that holds what it should.
pub struct Database {
    /// Which kind.
    pub engine: Engine,
    /// Where.
    pub url: String,
    /// Tokens that it was filled with, the known among them.
    pub size: usize,
    /// Tokens that are known.
    pub known: Vec<String>,
    /// Rows in the tables.
    pub rows: Rows,
}

/// How many rows there are.
#[derive(Clone, Copy)]
pub struct Rows {
    /// Users.
    pub users: i64,
    /// Tokens, live and expired.
    pub tokens: i64,
    /// Lines of the trail.
    pub events: i64,
}

/// Where databases are.
pub enum Place {
    /// Files in a folder.
    Sqlite,
    /// A server.
    Postgres(Postgres),
}

impl Place {
    /// The place for databases of that kind; none where what it takes is not installed.
    pub async fn of(engine: Engine, options: &Options) -> Outcome<Option<Self>> {
        Ok(match engine {
            Engine::Sqlite => Some(Self::Sqlite),
            Engine::Postgres => Postgres::start(&options.folder).await?.map(Self::Postgres),
        })
    }

    fn engine(&self) -> Engine {
        match self {
            Self::Sqlite => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// A database with so many tokens that are seeded, and the known ones beside: the one from last
    /// time, if there is one.
    pub async fn database(&self, options: &Options, seeded: u32) -> Outcome<Database> {
        let known = seeded / SEEDED_TO_KNOWN;
        let name = format!("seeded_{seeded}");
        let engine = self.engine();
        let list = options.folder.join(format!("{name}.{}", engine.name()));
        let file = options.folder.join(format!("{name}.db"));
        let url = match self {
            Self::Sqlite => format!("sqlite:{}", file.display()),
            Self::Postgres(server) => server.url(&name),
        };
        // Runs leave the tokens that are known as the ones that were used last, which lists are sorted by: what
        // is written down is measured on a database that none has been on.
        let anew = options.fresh || options.writes();
        let kept = !anew && is_fresh(&list) && is_usable(&url).await;
        if !kept {
            eprintln!("{}: making {} tokens", engine.name(), seeded + known);
            match self {
                Self::Sqlite => remove_sqlite(&file)?,
                Self::Postgres(server) => server.create(&name).await?,
            }
            // The list is written last: without it, all of it is made again.
            seed(&url, seeded)?;
            let mut known = store(&url, engine, OWNER, known as usize).await?;
            fill_audit_log(&url, engine, EVENTS_PER_TOKEN * i64::from(seeded)).await?;
            // So that some of them are from all over the table.
            known.shuffle(&mut rand::rng());
            settle(&url, engine).await?;
            fs::write(&list, known.join("\n"))?;
        }
        // Else the first servers do it, beside what is measured.
        subcommand(&url, &["token", "prune", "--yes"])?;
        let lines = BufReader::new(File::open(&list)?).lines();
        Ok(Database {
            rows: Rows::count(&url).await?,
            known: lines.collect::<Result<_, _>>()?,
            size: (seeded + known) as usize,
            engine,
            url,
        })
    }
}

impl Database {
    /// Names of users who have tokens; all have the one password.
    pub fn users(&self) -> Vec<String> {
        let number = self.known.len().div_ceil(KNOWN_PER_USER);
        (0..number).map(|number| name(OWNER, number)).collect()
    }

    /// Stores so many tokens that are there to be ended, in place of those that are left of them.
    pub async fn leavers(&self, tokens: usize) -> Outcome<Vec<String>> {
        self.remove_leavers().await?;
        store(&self.url, self.engine, LEAVER, tokens).await
    }

    /// Removes what is left of them and of what logins did, so that it is as it was made.
    pub async fn remove_leavers(&self) -> Outcome {
        let mut db = connect(&self.url).await?;
        // The character after the one that their names' beginning ends with.
        let end = LEAVER.replace('-', ".");
        for sql in [
            "DELETE FROM users WHERE username_key >= $1 AND username_key < $2",
            "DELETE FROM events WHERE subject_key >= $1 AND subject_key < $2",
        ] {
            let statement = sqlx::query(sql).bind(LEAVER).bind(&end);
            statement.execute(&mut db).await?;
        }
        for sql in [
            "DELETE FROM tokens WHERE client_key = $1",
            "DELETE FROM events WHERE client_key = $1",
        ] {
            sqlx::query(sql).bind(CLIENT).execute(&mut db).await?;
        }
        Ok(db.close().await?)
    }
}

impl Rows {
    async fn count(url: &str) -> Outcome<Self> {
        let mut db = connect(url).await?;
        let mut counts = [0; 3];
        for (count, table) in counts.iter_mut().zip(["users", "tokens", "events"]) {
            let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
            *count = sqlx::query_scalar(sql).fetch_one(&mut db).await?;
        }
        db.close().await?;
        let [users, tokens, events] = counts;
        Ok(Self {
            users,
            tokens,
            events,
        })
    }
}

/// A connection to a database that exists.
pub async fn connect(url: &str) -> Outcome<AnyConnection> {
    Ok(AnyConnection::connect(url).await?)
}

/// One as the application has it, for statements that take long.
async fn connect_long(url: &str) -> Outcome<Conn> {
    let figment = Figment::from(("databases.multitoken.url", url));
    Ok(Pool::open_as_it_is(&figment).await?.connect_long().await?)
}

/// Whether the tokens of a list are good for a while still.
fn is_fresh(list: &Path) -> bool {
    let age = || fs::metadata(list).ok()?.modified().ok()?.elapsed().ok();
    age().is_some_and(|age| age < FRESH_FOR)
}

/// Whether there is a database that this version can work with: a migration that was rewritten before
/// its release makes it another's.
async fn is_usable(url: &str) -> bool {
    let mut migrate = command(url, Settings::Default);
    migrate.arg("migrate").stderr(Stdio::null());
    connect(url).await.is_ok() && migrate.status().is_ok_and(|done| done.success())
}

fn remove_sqlite(file: &Path) -> Outcome {
    for end in ["", "-wal", "-shm"] {
        let path = PathBuf::from(format!("{}{end}", file.display()));
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

fn seed(url: &str, tokens: u32) -> Outcome {
    let users = (tokens / SEEDED_PER_USER).to_string();
    let per_user = SEEDED_PER_USER.to_string();
    let made = ["--users", &users, "--tokens-per-user", &per_user];
    subcommand(
        url,
        &[&["seed", "--password", PASSWORD], &made[..]].concat(),
    )
}

fn subcommand(url: &str, arguments: &[&str]) -> Outcome {
    let done = command(url, Settings::Default).args(arguments).status()?;
    if done.success() {
        Ok(())
    } else {
        Err(format!("{}: {done}", arguments[0]).into())
    }
}

/// Leaves nothing to be done that would happen some time while it is measured.
async fn settle(url: &str, engine: Engine) -> Outcome {
    let mut db = connect_long(url).await?;
    demo::analyze(&mut db, engine).await?;
    if engine == Engine::Postgres {
        for sql in ["VACUUM ANALYZE", "CHECKPOINT"] {
            sqlx::query(sql).execute(&mut db).await?;
        }
    }
    Ok(db.close().await?)
}

fn name(beginning: &str, number: usize) -> String {
    format!("{beginning}{number:06}")
}

/// Adds events until there are so many: logins of one user and another, over the last months.
async fn fill_audit_log(url: &str, engine: Engine, events: i64) -> Outcome {
    let mut db = connect_long(url).await?;
    demo::prepare(&mut db, engine).await?;
    let count = "SELECT COUNT(*) FROM events";
    let missing = events
        - sqlx::query_scalar::<_, i64>(count)
            .fetch_one(&mut db)
            .await?;
    let tokens = "SELECT id, user_id FROM tokens ORDER BY id LIMIT 50000";
    let tokens: Vec<(String, String)> = sqlx::query_as(tokens).fetch_all(&mut db).await?;
    let (first, span) = (now() - 300 * DAY, 300 * DAY);
    for start in (0..missing.max(0)).step_by(EVENTS_AT_ONCE) {
        let mut batch = Batch::default();
        for number in start..missing.min(start + i64::try_from(EVENTS_AT_ONCE)?) {
            let milliseconds = first * 1000 + span * 1000 / missing * number;
            // Any prime spreads them.
            let place = usize::try_from(number * SPREAD)? % tokens.len();
            let (token, user) = tokens[place].clone();
            batch.events.push(DemoEvent {
                id: EventId::at(milliseconds).to_string(),
                at: milliseconds / 1000,
                action: "token.issued",
                via: "api",
                actor_id: Some(user.clone()),
                subject_id: Some(user),
                token_id: Some(token),
                address: Some(format!("4c63364{:02x}", number % 256)),
                ..DemoEvent::default()
            });
        }
        db.begin().await?;
        demo::insert(&mut db, engine, &batch).await?;
        db.commit().await?;
    }
    Ok(db.close().await?)
}

/// Stores so many tokens of new users, and gives them.
async fn store(url: &str, engine: Engine, owner: &str, tokens: usize) -> Outcome<Vec<String>> {
    let hasher = Hasher::new(&AppSettings::default())?;
    let hash = hasher.hash(&Password::new(PASSWORD)).await?;
    let mut db = connect_long(url).await?;
    demo::prepare(&mut db, engine).await?;
    let mut maker = Maker {
        owner,
        hash,
        tokens,
        users: 0,
        secrets: vec![],
    };
    while maker.secrets.len() < tokens {
        let batch = maker.batch()?;
        db.begin().await?;
        demo::insert(&mut db, engine, &batch).await?;
        db.commit().await?;
    }
    demo::analyze(&mut db, engine).await?;
    db.close().await?;
    Ok(maker.secrets)
}

/// Makes users and their tokens.
struct Maker<'a> {
    owner: &'a str,
    hash: String,
    tokens: usize,
    users: usize,
    secrets: Vec<String>,
}

impl Maker<'_> {
    fn batch(&mut self) -> Outcome<Batch> {
        let mut batch = Batch::default();
        let device = Device::parse("wrk/4.2").ok_or("no device")?;
        for _ in 0..USERS_AT_ONCE {
            let missing = self.tokens - self.secrets.len();
            if missing == 0 {
                break;
            }
            // Not all at once, so that lists that sort by time have something to do.
            let number = i64::try_from(self.users)?;
            let created_at = now() - number % 60 * DAY;
            let used_at = (now() - number * SPREAD % (9 * DAY)).max(created_at);
            let (id, name) = (UserId::at(created_at * 1000), name(self.owner, self.users));
            self.users += 1;
            for client in 0..missing.min(KNOWN_PER_USER) {
                let secret = Secret::generate("mtk");
                let client = format!("client {client}");
                batch.tokens.push(DemoToken {
                    id: TokenId::at(created_at * 1000).to_string(),
                    user_id: id.to_string(),
                    kind: "api",
                    client: client.clone(),
                    client_key: client,
                    digest: secret.digest().to_hex(),
                    hint: secret.hint().to_owned(),
                    created_at,
                    last_used_at: used_at,
                    expires_at: Some(created_at + 90 * DAY),
                    ends_at: used_at + 30 * DAY,
                    // 198.51.100.7
                    address: "4c6336407".into(),
                    user_agent: "wrk/4.2".into(),
                    app: Some(device.app.clone()),
                    app_version: device.version.clone(),
                    device_key: Some(device.key()),
                });
                self.secrets.push(secret.reveal().to_owned());
            }
            batch.users.push(DemoUser {
                id: id.to_string(),
                username: name.clone(),
                username_key: name,
                password_hash: self.hash.clone(),
                role: "user",
                created_at,
                disabled_at: None,
                last_login_at: Some(created_at),
                last_seen_at: used_at,
            });
        }
        Ok(batch)
    }
}
