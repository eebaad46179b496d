//! Migration status of a database.

use figment::Figment;

use super::migrator::MIGRATOR;
use super::settings::PoolSettings;
use super::{Fault, Target};

/// A migration and its status.
pub struct MigrationState {
    pub version: i64,
    /// The description in its file name.
    pub description: String,
    pub applied: bool,
    /// Whether this version has it. If not, a newer version has applied it.
    pub known: bool,
}

/// The status of every migration. Neither creates nor changes the database.
pub async fn migrations(figment: &Figment) -> Result<Vec<MigrationState>, Fault> {
    let settings = PoolSettings::from_figment(figment)?;
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
