//! Findings about the database and the connection to it.

use std::path::Path;
use std::sync::LazyLock;

use figment::Figment;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{Findings, accounts};
use crate::application::application;
use crate::auth::{Auth, account_survey};
use crate::cli::{Failure, output};
use crate::config::{Settings, database_key};
use crate::db::{self, Pool, Server, Target};

/// The setting that most findings are about.
static KEY: LazyLock<String> = LazyLock::new(database_key);

/// Adds the findings. Failures are findings too.
pub(super) async fn check(figment: &Figment, settings: Settings, findings: &mut Findings) {
    let target = match Target::from_figment(figment) {
        Ok(target) => target,
        Err(fault) => return findings.must_fix(&KEY, without_key(&fault)),
    };
    if let Some(file) = target.file() {
        files::check(file, findings);
    }
    let pool = match Pool::open_existing(figment).await {
        Ok(pool) => Some(pool),
        Err(fault) => {
            findings.must_fix(&KEY, without_key(&fault));
            None
        }
    };
    match target.server().map(Server::options) {
        Some(Ok(server)) => check_connection(&server, pool.as_ref(), findings).await,
        Some(Err(fault)) => findings.must_fix(&KEY, without_key(&fault)),
        None => {}
    }
    if let Some(pool) = pool {
        if let Err(failure) = check_contents(figment, settings, &pool, findings).await {
            findings.must_fix(&KEY, failure);
        }
        pool.close_all().await;
    }
}

/// The text of a fault without the key, which the finding already has.
fn without_key(fault: &db::Fault) -> String {
    let text = fault.to_string();
    let rest = text
        .strip_prefix(KEY.as_str())
        .and_then(|text| text.strip_prefix(": "));
    rest.map_or(text.clone(), str::to_owned)
}

async fn check_contents(
    figment: &Figment,
    settings: Settings,
    pool: &Pool,
    findings: &mut Findings,
) -> Result<(), Failure> {
    const MIGRATIONS: &str = "migrations";
    let name = application().name;
    let migrations = db::migrations(figment).await?;
    if migrations.iter().all(|migration| !migration.applied) {
        findings.must_fix(
            MIGRATIONS,
            format!(
                "no migration is applied: the database is empty or belongs to another \
                 program; `{name} migrate` applies them"
            ),
        );
        return Ok(());
    }
    let count = |which: fn(&db::MigrationState) -> bool| {
        migrations
            .iter()
            .filter(|migration| which(migration))
            .count() as u64
    };
    let (pending, unknown) = (count(|state| !state.applied), count(|state| !state.known));
    if pending > 0 {
        let pending = output::count(pending, "migration");
        findings.must_fix(
            MIGRATIONS,
            format!("{pending} pending; `{name} migrate` or starting the server applies them"),
        );
    }
    if unknown > 0 {
        let unknown = output::count(unknown, "migration");
        findings.must_fix(
            MIGRATIONS,
            format!(
                "{unknown} of a newer version applied; run the newer version or restore a backup"
            ),
        );
    }
    let auth = Auth::new(pool.clone(), settings)?;
    accounts::check(&account_survey::survey(&auth).await?, findings);
    Ok(())
}

/// Checks whether others on the network can read the connection or impersonate the server.
async fn check_connection(server: &PgConnectOptions, pool: Option<&Pool>, findings: &mut Findings) {
    if !db::can_be_impersonated(server).await {
        return;
    }
    let is_required = matches!(server.get_ssl_mode(), PgSslMode::Require);
    let is_encrypted = match pool {
        // If the server can't tell, the connection may be unencrypted, unless encryption is required.
        Some(pool) => pool.is_encrypted().await.unwrap_or(is_required),
        None => is_required,
    };
    let host = server.get_host();
    let problem = if is_encrypted {
        format!(
            "the identity of {host} is not verified, so an attacker on the network can impersonate the server"
        )
    } else {
        format!(
            "the connection to {host} is not encrypted, so an attacker on the network can read and change the data"
        )
    };
    findings.must_fix(
        &KEY,
        format!(
            "{problem}; add ?sslmode=verify-full to the URL, and &sslrootcert=FILE for your own certificate authority, \
             or connect to a server on this machine by its socket or 127.0.0.1"
        ),
    );
}

#[cfg(unix)]
mod files {
    use std::ffi::OsString;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{Findings, KEY, Path};

    const GROUP: u32 = 0o070;
    const OTHERS: u32 = 0o007;
    const WRITE: u32 = 0o022;

    const MIB: u64 = 1024 * 1024;
    /// Free disk space in bytes. The `-wal` file of a busy server alone takes tens of MiB. With a full disk, no change is
    /// stored.
    const LOW_SPACE: u64 = 1024 * MIB;
    const MIN_SPACE: u64 = 100 * MIB;

    /// Checks the permissions of an SQLite database, and its free disk space.
    pub(super) fn check(file: &Path, findings: &mut Findings) {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = OsString::from(file);
            path.push(suffix);
            let path = Path::new(&path);
            let Some(mode) = mode(path) else { continue };
            let (path, fix) = (path.display(), "run chmod 600 on it");
            if mode & OTHERS != 0 {
                let message = format!(
                    "{path} is accessible to all users of this machine (mode {mode:o}); {fix}"
                );
                findings.must_fix(&KEY, message);
            } else if mode & GROUP != 0 {
                findings.advise(
                    &KEY,
                    format!("{path} is accessible to its group (mode {mode:o}); {fix}"),
                );
            }
        }
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        check_free_space(folder, findings);
        let Some(mode) = mode(folder) else { return };
        let (folder, fix) = (folder.display(), "run chmod 700 on it");
        if mode & OTHERS & WRITE != 0 {
            findings.must_fix(
                &KEY,
                format!(
                    "all users of this machine can replace the database in {folder} (mode {mode:o}); {fix}"
                ),
            );
        } else if mode & (OTHERS | GROUP) != 0 {
            findings.advise(
                &KEY,
                format!(
                    "other users can read the folder {folder} (mode {mode:o}), and perhaps database copies in it; {fix}"
                ),
            );
        }
    }

    fn check_free_space(folder: &Path, findings: &mut Findings) {
        let Ok(system) = rustix::fs::statvfs(folder) else {
            return;
        };
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let (folder, left) = (folder.display(), free / MIB);
        if free < MIN_SPACE {
            findings.must_fix(
                &KEY,
                format!(
                    "only {left} MiB are free in {folder}, and logins fail when the disk is full; free at least {} MiB",
                    MIN_SPACE / MIB
                ),
            );
        } else if free < LOW_SPACE {
            findings.advise(
                &KEY,
                format!(
                    "only {left} MiB are free in {folder}; free more space before the disk is full"
                ),
            );
        }
    }

    fn mode(path: &Path) -> Option<u32> {
        let metadata = fs::metadata(path).ok()?;
        Some(metadata.permissions().mode() & 0o777)
    }
}

#[cfg(not(unix))]
mod files {
    /// Permissions are only checked on Unix.
    pub(super) fn check(_: &super::Path, _: &mut super::Findings) {}
}
