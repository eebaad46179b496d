//! `multitoken backup`.

use std::fs::File;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::HumanCount;
use rocket::figment::Figment;
use rocket::tokio::select;
use tempfile::{Builder, NamedTempFile, TempDir};

use super::{Failure, output};
use crate::db::{self, Pool, Server, Target};
use crate::models::copy;

/// Copy a running SQLite database into a file
///
/// The copy is the database as it was at one moment, whole in one file. A server goes on beside, and writes
/// meanwhile. Of PostgreSQL it makes none, and says which command does.
#[derive(Args)]
pub struct Backup {
    /// Where to: a file that is not there yet, in a folder that is
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Backup {
    pub async fn run(self, figment: &Figment) -> Result<(), Failure> {
        if self.file == Path::new("-") {
            return Err(self.refused(
                "a copy is whole and on the disk, or there is none, which stdout can't promise; name a file \
                 (./- if that is its name)",
            ));
        }
        let target = Target::of(figment)?;
        let Some(database) = target.file() else {
            return Err(self.for_postgres(&target));
        };
        let file = self.place(database)?;
        let pool = Pool::open_as_it_is(figment).await?;
        if !db::migrations(figment).await?.iter().any(|row| row.applied) {
            let place = target.place();
            return Err(self.refused(&format!("{place} is no database of this application")));
        }
        let bytes = select! {
            biased;
            // The copying is left to end with the process.
            () = stopped() => return Err(self.refused("it was interrupted")),
            copied = self.copy(&pool, &file) => copied?,
        };
        pool.shut().await;
        output::line(&format!(
            "Copied {} to {}: {} bytes.",
            database.display(),
            self.file.display(),
            HumanCount(bytes)
        ))
    }

    /// The whole path of the file, if it can be made and is not the database itself.
    fn place(&self, database: &Path) -> Result<PathBuf, Failure> {
        let is_folder = self.file.as_os_str().as_encoded_bytes().ends_with(b"/");
        let Some(name) = self.file.file_name().filter(|_| !is_folder) else {
            return Err(self.refused("that names a folder"));
        };
        let folder = match self.file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let folder = match folder.canonicalize() {
            Ok(real) if real.is_dir() => real,
            Ok(_) => return Err(self.refused(&format!("{} is no folder", folder.display()))),
            Err(error) => {
                return Err(self.refused(&format!("the folder {}: {error}", folder.display())));
            }
        };
        let file = folder.join(name);
        if belongs_to(&file, database) {
            return Err(self.refused("that is the database itself, or a part of it"));
        }
        // Whatever it is, and wherever a link leads to.
        if file.symlink_metadata().is_ok() {
            return Err(self.refused("that is there already"));
        }
        Ok(file)
    }

    /// Copies the database, and says how many bytes that took. Under the file's name there is nothing, or the
    /// whole copy on the disk.
    async fn copy(&self, pool: &Pool, file: &Path) -> Result<u64, Failure> {
        let failed = |error: io::Error| self.refused(&error.to_string());
        let folder = file.parent().unwrap_or(file);
        // SQLite puts a journal beside what it writes: it is as private in there, and goes with the rest.
        let beside = private_folder(folder).map_err(failed)?;
        let copy = NamedTempFile::new_in(&beside).map_err(failed)?;
        let path = (copy.path().to_str()).ok_or_else(|| self.refused("a path has to be UTF-8"))?;

        let mut db = pool.connect_long().await?;
        let written = copy::write_into(&mut db, path).await;
        written.map_err(|error| self.refused(&error.to_string()))?;
        db.close().await?;

        copy.as_file().sync_all().map_err(failed)?;
        let bytes = copy.as_file().metadata().map_err(failed)?.len();
        // It does not replace what came there meanwhile.
        let persisted = copy.persist_noclobber(file);
        persisted.map_err(|error| failed(error.error))?;
        sync_folder(folder).map_err(|error| {
            let file = self.file.display();
            Failure::Refused(format!(
                "{file} is there, but may not outlive a power cut: {error}"
            ))
        })?;
        Ok(bytes)
    }

    fn refused(&self, why: &str) -> Failure {
        let file = self.file.display();
        Failure::Refused(format!("nothing was written to {file}: {why}"))
    }

    fn for_postgres(&self, target: &Target) -> Failure {
        let url = target.server().map(Server::url_for_tools);
        let url = url.unwrap_or_default();
        Failure::Refused(format!(
            "PostgreSQL has a tool of its own for this; it asks for the password, or takes it from \
             ~/.pgpass or PGPASSWORD:\n\n    pg_dump --format=custom --file={} --dbname={}\n",
            quoted(&self.file.to_string_lossy()),
            quoted(&url)
        ))
    }
}

/// Whether a file is the database, or one that SQLite or this application keeps beside it, there or not.
fn belongs_to(file: &Path, database: &Path) -> bool {
    let Ok(real) = database.canonicalize() else {
        return false;
    };
    let parts = ["", "-wal", "-shm", "-journal", ".lock"];
    parts.iter().any(|part| {
        let mut path = real.clone().into_os_string();
        path.push(part);
        file == Path::new(&path)
    })
}

/// A folder that goes when it is dropped, with all that is in it.
fn private_folder(within: &Path) -> io::Result<TempDir> {
    let mut builder = Builder::new();
    builder.prefix(".backup-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(within)
}

/// Makes sure that the names in a folder are on the disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder can't be opened, and its names need no care.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// A text as a shell takes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Ends when somebody wants the process to end.
async fn stopped() {
    #[cfg(unix)]
    {
        use rocket::tokio::signal::unix::{SignalKind, signal};
        let waiting = |kind| async move {
            match signal(kind) {
                Ok(mut signal) => drop(signal.recv().await),
                // Then it ends the process as it always did.
                Err(_) => pending().await,
            }
        };
        select! {
            () = waiting(SignalKind::interrupt()) => {}
            () = waiting(SignalKind::terminate()) => {}
        }
    }
    #[cfg(not(unix))]
    if rocket::tokio::signal::ctrl_c().await.is_err() {
        pending::<()>().await;
    }
}
