//! The migrations of this version: the engine's (1 to 999) and the application's (from 1000).

use std::sync::LazyLock;

use sqlx::migrate::Migrator;

use crate::application::application;

pub(super) static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let engine = sqlx::migrate!();
    // One migrator for both: with two on one table, each would report the other's migrations as missing.
    let all = engine.iter().chain(application().migrations.iter());
    let mut migrator = Migrator::with_migrations(all.cloned().collect());
    // `Target` takes the lock and logs a longer wait.
    migrator.set_locking(false);
    migrator
});

/// The number of the newest migration of this version.
pub fn newest_migration() -> i64 {
    MIGRATOR
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}
