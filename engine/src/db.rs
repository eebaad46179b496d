//! Database access: connection pools and transactions over SQLite or PostgreSQL.

use figment::Figment;
use rocket::fairing::AdHoc;
use rocket_db_pools::Database;
use sqlx::error::DatabaseError;

use self::settings::PoolSettings;

mod cause;
mod conn;
mod connections;
mod engine;
mod fault;
mod migration;
mod migrator;
mod opener;
mod pool;
mod server;
mod settings;
mod stale_connections;
mod statement_limit;
mod target;
mod write_transaction;

pub use self::conn::Conn;
pub use self::engine::Engine;
pub use self::fault::Fault;
pub(crate) use self::migration::{MigrationState, migrations};
pub use self::migrator::newest_migration;
pub use self::pool::Pool;
pub(crate) use self::server::{Server, can_be_impersonated};
pub(crate) use self::target::Target;
pub use self::write_transaction::Write;

/// The application's database, as managed state. Add `&State<Db>` or [`rocket_db_pools::Connection<Db>`] to a handler.
#[derive(Database)]
#[database("multitoken")]
pub struct Db(Pool);

/// Manages [`Db`], and opens it unless that has been done. `serve` opens it first to report the cause of a failure,
/// which Rocket does not pass on.
pub(crate) fn stage() -> AdHoc {
    AdHoc::try_on_ignite("database", |rocket| async {
        if rocket.state::<Db>().is_some() {
            return Ok(rocket);
        }
        match Pool::open_for_server(rocket.figment()).await {
            Ok(pool) => Ok(rocket.manage(Db::from(pool))),
            Err(fault) => {
                tracing::error!("{fault}");
                Err(rocket)
            }
        }
    })
}

/// Adds the database's location to a query's error, and the cause if the pool timed out.
pub(crate) async fn explain(figment: &Figment, error: sqlx::Error) -> Fault {
    let explained = async {
        let settings = PoolSettings::from_figment(figment)?;
        let target = Target::parse(&settings.url)?;
        Ok(target.explain(error, settings.timeouts().connect).await)
    };
    explained.await.unwrap_or_else(|fault: Fault| fault)
}

/// Whether the transaction can be retried: it failed to serialize (SQLSTATE 40001) or deadlocked (40P01).
pub(crate) fn is_retryable(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(DatabaseError::code)
        .is_some_and(|code| code == "40001" || code == "40P01")
}
