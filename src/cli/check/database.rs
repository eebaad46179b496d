//! What the database says, and how it is reached.

use std::path::Path;

use rocket::figment::Figment;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{Findings, accounts};
use crate::auth::Auth;
use crate::cli::{Failure, output};
use crate::config::Settings;
use crate::db::{self, Pool, Server, Target};

const KEY: &str = "databases.multitoken";

/// Whatever fails is a finding, too.
pub(super) async fn judge(figment: &Figment, settings: Settings, found: &mut Findings) {
    let target = match Target::of(figment) {
        Ok(target) => target,
        Err(fault) => return found.must_fix(KEY, unprefixed(&fault)),
    };
    if let Some(file) = target.file() {
        files::judge(file, found);
    }
    let pool = match Pool::open_as_it_is(figment).await {
        Ok(pool) => Some(pool),
        Err(fault) => {
            found.must_fix(KEY, unprefixed(&fault));
            None
        }
    };
    match target.server().map(Server::options) {
        Some(Ok(server)) => connection(&server, pool.as_ref(), found).await,
        Some(Err(fault)) => found.must_fix(KEY, unprefixed(&fault)),
        None => {}
    }
    if let Some(pool) = pool {
        if let Err(failure) = contents(figment, settings, &pool, found).await {
            found.must_fix(KEY, failure);
        }
        pool.shut().await;
    }
}

/// A fault's text without the key, which the finding has already.
fn unprefixed(fault: &db::Fault) -> String {
    let text = fault.to_string();
    let rest = text
        .strip_prefix(KEY)
        .and_then(|text| text.strip_prefix(": "));
    rest.map_or(text.clone(), str::to_owned)
}

async fn contents(
    figment: &Figment,
    settings: Settings,
    pool: &Pool,
    found: &mut Findings,
) -> Result<(), Failure> {
    const MIGRATIONS: &str = "migrations";
    let migrations = db::migrations(figment).await?;
    if migrations.iter().all(|migration| !migration.applied) {
        found.must_fix(
            MIGRATIONS,
            "none is applied: it is empty, or another program's; `multitoken migrate` applies them",
        );
        return Ok(());
    }
    let count = |which: fn(&db::MigrationState) -> bool| {
        migrations
            .iter()
            .filter(|migration| which(migration))
            .count() as u64
    };
    let (pending, unknown) = (count(|one| !one.applied), count(|one| !one.known));
    if pending > 0 {
        let pending = output::count(pending, "migration");
        found.must_fix(
            MIGRATIONS,
            format!("{pending} pending; `multitoken migrate`, or a server's start, applies them"),
        );
    }
    if unknown > 0 {
        let unknown = output::count(unknown, "migration");
        found.must_fix(
            MIGRATIONS,
            format!("{unknown} of a newer version applied; run that version, or restore a backup"),
        );
    }
    let auth = Auth::new(pool.clone(), settings)?;
    accounts::judge(&auth.survey().await?, found);
    Ok(())
}

/// Whether others can listen in between here and the server, or pose as it.
async fn connection(server: &PgConnectOptions, pool: Option<&Pool>, found: &mut Findings) {
    if !db::may_be_posed_as(server).await {
        return;
    }
    let is_demanded = matches!(server.get_ssl_mode(), PgSslMode::Require);
    let is_encrypted = match pool {
        // What can't tell may not do it.
        Some(pool) => pool.is_encrypted().await.unwrap_or(is_demanded),
        None => is_demanded,
    };
    let host = server.get_host();
    let what = if is_encrypted {
        format!("anyone on the way to {host} can pose as the server")
    } else {
        format!(
            "the connection to {host} is not encrypted, and anyone on the way can read and change it"
        )
    };
    found.must_fix(
        KEY,
        format!(
            "{what}; add ?sslmode=verify-full to its URL, and &sslrootcert=FILE if the authority is your own, \
             or reach a server on this machine by its socket or 127.0.0.1"
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
    /// Of free space. A busy server's `-wal` alone takes tens of MiB, and what was not written was not done.
    const LITTLE: u64 = 1024 * MIB;
    const TOO_LITTLE: u64 = 100 * MIB;

    /// Other users that may get at an SQLite database, and whether there is room for it.
    pub(super) fn judge(file: &Path, found: &mut Findings) {
        for part in ["", "-wal", "-shm"] {
            let mut path = OsString::from(file);
            path.push(part);
            let path = Path::new(&path);
            let Some(mode) = mode(path) else { continue };
            let (path, mend) = (path.display(), "chmod 600 is what it needs");
            if mode & OTHERS != 0 {
                let message =
                    format!("{path} is open to everybody on this machine ({mode:o}); {mend}");
                found.must_fix(KEY, message);
            } else if mode & GROUP != 0 {
                found.advise(
                    KEY,
                    format!("{path} is open to its group ({mode:o}); {mend}"),
                );
            }
        }
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        room(folder, found);
        let Some(mode) = mode(folder) else { return };
        let (folder, mend) = (folder.display(), "chmod 700 is what it needs");
        if mode & OTHERS & WRITE != 0 {
            found.must_fix(
                KEY,
                format!(
                    "everybody on this machine can put another database into {folder} ({mode:o}); {mend}"
                ),
            );
        } else if mode & (OTHERS | GROUP) != 0 {
            found.advise(
                KEY,
                format!(
                    "{folder} is open to others ({mode:o}), and a copy that is left there may be, too; {mend}"
                ),
            );
        }
    }

    fn room(folder: &Path, found: &mut Findings) {
        let Ok(system) = rustix::fs::statvfs(folder) else {
            return;
        };
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let (folder, left) = (folder.display(), free / MIB);
        if free < TOO_LITTLE {
            found.must_fix(
                KEY,
                format!(
                    "{left} MiB are free for {folder}; with a full disk all sign-ins fail: make room, {} MiB at least",
                    TOO_LITTLE / MIB
                ),
            );
        } else if free < LITTLE {
            found.advise(
                KEY,
                format!("{left} MiB are free for {folder}; make room before it runs full"),
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
    /// Nothing is known of who may.
    pub(super) fn judge(_: &super::Path, _: &mut super::Findings) {}
}
