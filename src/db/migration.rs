//! The migrations: those of this version, and their state in a database.

use std::sync::LazyLock;

use rocket::figment::Figment;
use sqlx::migrate::Migrator;

use super::settings::{PoolSettings, SETTINGS};
use super::{Fault, Target};

pub(super) static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!();
    // `Target` takes the lock, and says so while it waits.
    migrator.set_locking(false);
    migrator
});

/// A migration: applied, or pending.
pub struct MigrationState {
    /// The number that orders it.
    pub version: i64,
    /// What its file's name says of it.
    pub description: String,
    /// Whether the database has it.
    pub applied: bool,
    /// Whether this version has it. If not, a newer version of the application has applied it.
    pub known: bool,
}

/// The number of the newest migration that this version knows.
pub fn newest_migration() -> i64 {
    MIGRATOR
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// The state of every migration, without changing or creating anything.
///
/// # Errors
/// The database exists and can't be read.
pub async fn migrations(figment: &Figment) -> Result<Vec<MigrationState>, Fault> {
    let settings = PoolSettings::read(&figment.focus(SETTINGS))?;
    let target = Target::parse(&settings.url)?;
    let missing = target.file().is_some_and(|file| !file.exists());
    let applied = if missing {
        vec![]
    } else {
        target.applied(settings.timeouts().connect).await?
    };
    let known = MIGRATOR.iter().map(|migration| MigrationState {
        version: migration.version,
        description: migration.description.to_string(),
        applied: applied.contains(&migration.version),
        known: true,
    });
    let is_unknown = |version: &&i64| MIGRATOR.iter().all(|known| known.version != **version);
    let unknown = applied
        .iter()
        .filter(is_unknown)
        .map(|version| MigrationState {
            version: *version,
            description: "of a newer version".into(),
            applied: true,
            known: false,
        });
    Ok(known.chain(unknown).collect())
}
