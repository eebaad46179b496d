//! Constructors of the pool, for the server and for commands.

use std::sync::Arc;
use std::time::Duration;

use figment::Figment;
use figment::providers::Serialized;
use rocket::Config;
use tokio::sync::Semaphore;

use super::Pool;
use super::state::file_id;
use crate::config::database_key;
use crate::db::connections::Connections;
use crate::db::opener::{Opener, Workload};
use crate::db::settings::{PoolSettings, SQLITE_CONNECTIONS};
use crate::db::stale_connections::StaleConnections;
use crate::db::{Engine, Fault, Target};

/// The maximum connect timeout of a command, so that it ends within 15 seconds.
const MAX_COMMAND_CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// The maximum number of connections for long work.
const MAX_LONG_CONNECTIONS: u32 = 4;
/// Connections that requests must leave free: one that follows changes of other processes, and one for long work.
const RESERVED_CONNECTIONS: u32 = 2;
/// Short, because long work is rare.
const LONG_IDLE_TIMEOUT: Duration = Duration::from_mins(1);

impl Pool {
    /// Opens the database of `figment` for a command. Creates it (SQLite) and migrates it, which several processes may
    /// do at once. Statements may take as long as the database works on them.
    ///
    /// # Errors
    /// A [`Fault`] that names the database and the cause.
    pub async fn open(figment: &Figment) -> Result<Self, Fault> {
        Self::from_settings(&figment.focus(&database_key()), Workload::Long).await
    }

    /// Opens the database for the server, by default with four connections per worker.
    pub(crate) async fn open_for_server(figment: &Figment) -> Result<Self, Fault> {
        let workers: usize = figment
            .extract_inner(Config::WORKERS)
            .unwrap_or_else(|_| Config::default().workers);
        let connections = Serialized::default("max_connections", workers.saturating_mul(4));
        let settings = figment.focus(&database_key()).join(connections);
        Self::from_settings(&settings, Workload::Requests).await
    }

    /// Opens the database without creating or migrating it.
    ///
    /// # Errors
    /// [`Fault::Missing`], or as [`Pool::open`].
    pub(crate) async fn open_existing(figment: &Figment) -> Result<Self, Fault> {
        let settings = PoolSettings::from_figment(figment)?;
        let target = Target::parse(&settings.url)?;
        target.check_connection(settings.timeouts().connect).await?;
        Self::build(&target, &settings, Workload::Long, None)
    }

    /// Creates the pool without connecting.
    pub(crate) fn open_lazy(figment: &Figment) -> Result<Self, Fault> {
        let settings = PoolSettings::from_figment(figment)?;
        let target = Target::parse(&settings.url)?;
        Self::build(&target, &settings, Workload::Requests, None)
    }

    pub(super) async fn from_settings(
        figment: &Figment,
        workload: Workload,
    ) -> Result<Self, Fault> {
        let settings = PoolSettings::from_table(figment)?;
        let target = Target::parse(&settings.url)?;
        let limit = settings.timeouts().connect;
        let server_limit = target.create_and_migrate(limit).await?;
        Self::build(&target, &settings, workload, server_limit)
    }

    /// `server_limit` is the maximum number of connections that the server allows.
    fn build(
        target: &Target,
        settings: &PoolSettings,
        workload: Workload,
        server_limit: Option<u32>,
    ) -> Result<Self, Fault> {
        let engine = target.engine();
        let mut timeouts = settings.timeouts();
        if workload == Workload::Long {
            timeouts.connect = timeouts.connect.min(MAX_COMMAND_CONNECT_TIMEOUT);
        }
        let max = match engine {
            Engine::Sqlite => settings.max_connections.min(SQLITE_CONNECTIONS),
            Engine::Postgres => {
                // Beyond the server's limit, the pool would retry opening a connection until the timeout, and
                // would not use connections that became free.
                let available = server_limit.map_or(u32::MAX, |limit| {
                    limit.saturating_sub(RESERVED_CONNECTIONS).max(1)
                });
                settings.max_connections.min(available)
            }
        };
        if let Some(server_limit) = server_limit
            && max < settings.max_connections
            && workload == Workload::Requests
        {
            tracing::warn!(
                "{} allows this role only {server_limit} connections, so requests share {max} of them instead of \
                 max_connections = {}",
                target.place(),
                settings.max_connections
            );
        }
        let idle = settings.idle_timeout.map(Duration::from_secs);
        let options = target.options("rw")?;
        let stale = Arc::<StaleConnections>::default();
        let pool = |workload: Workload, min, max, idle| {
            let opener = Opener {
                options: options.clone(),
                engine,
                timeouts,
                workload,
                stale: Arc::clone(&stale),
            };
            Connections::new(opener, min, max, idle)
                .map_err(|error| Fault::Settings(error.to_string()))
        };
        let connections = pool(workload, settings.min_connections.min(max), max, idle)?;
        let non_durable = match engine {
            // SQLite has one writer at a time.
            Engine::Sqlite => Some(pool(Workload::NonDurable, 0, 1, idle)?),
            Engine::Postgres => None,
        };
        // One connection stays free for following changes.
        let max_long = server_limit.map_or(u32::MAX, |limit| limit.saturating_sub(max + 1));
        let max_long = max_long.clamp(1, MAX_LONG_CONNECTIONS);
        let long = pool(Workload::Long, 0, max_long, Some(LONG_IDLE_TIMEOUT))?;
        Ok(Self {
            connections,
            non_durable,
            long,
            file: target.file().map(|path| (path.to_owned(), file_id(path))),
            writer: Arc::new(Semaphore::new(1)),
            last_write: Arc::default(),
        })
    }
}
