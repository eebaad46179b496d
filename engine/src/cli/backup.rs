//! The command `backup`.

use std::fs::File;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use figment::Figment;
use indicatif::HumanCount;
use tempfile::{Builder, NamedTempFile, TempDir};
use tokio::select;

use super::{Failure, output};
use crate::db::{self, Pool, Server, Target};
use crate::models::backup;

/// Back up the SQLite database to a file
///
/// The backup is a consistent copy in one file. The server can keep running. For PostgreSQL, this prints the pg_dump
/// command to use instead.
#[derive(Args)]
pub struct Backup {
    /// The file to create, in an existing folder
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Backup {
    pub async fn run(self, figment: &Figment) -> Result<(), Failure> {
        if self.file == Path::new("-") {
            return Err(self.refusal(
                "stdout cannot guarantee a complete copy on disk; name a file (./- for a file called -)",
            ));
        }
        let target = Target::from_figment(figment)?;
        let Some(database) = target.file() else {
            return Err(self.postgres_refusal(&target));
        };
        let file = self.destination(database)?;
        let pool = Pool::open_existing(figment).await?;
        if !db::migrations(figment).await?.iter().any(|row| row.applied) {
            let location = target.place();
            return Err(self.refusal(&format!("{location} is not a database of this application")));
        }
        let bytes = select! {
            biased;
            // The copy ends with the process.
            () = interrupted() => return Err(self.refusal("the backup was interrupted")),
            copied = self.copy(&pool, &file) => copied?,
        };
        pool.close_all().await;
        output::line(&format!(
            "Copied {} to {}: {} bytes.",
            database.display(),
            self.file.display(),
            HumanCount(bytes)
        ))
    }

    /// The absolute path of the new file. Refuses existing files and those of the database.
    fn destination(&self, database: &Path) -> Result<PathBuf, Failure> {
        let is_folder = self.file.as_os_str().as_encoded_bytes().ends_with(b"/");
        let Some(name) = self.file.file_name().filter(|_| !is_folder) else {
            return Err(self.refusal("this is a folder; name a file in it"));
        };
        let folder = match self.file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let folder = match folder.canonicalize() {
            Ok(real) if real.is_dir() => real,
            Ok(_) => return Err(self.refusal(&format!("{} is not a folder", folder.display()))),
            Err(error) => {
                return Err(self.refusal(&format!(
                    "cannot open the folder {}: {error}",
                    folder.display()
                )));
            }
        };
        let file = folder.join(name);
        if is_part_of(&file, database) {
            return Err(
                self.refusal("this is the database itself or one of its files; name another file")
            );
        }
        // This includes a dangling symbolic link.
        if file.symlink_metadata().is_ok() {
            return Err(self.refusal("the file already exists; name a new file"));
        }
        Ok(file)
    }

    /// Copies the database and returns the size in bytes. The file appears only when the copy is complete and on the
    /// disk.
    async fn copy(&self, pool: &Pool, file: &Path) -> Result<u64, Failure> {
        let failed = |error: io::Error| self.refusal(&error.to_string());
        let folder = file.parent().unwrap_or(file);
        // SQLite writes a journal beside the copy. The private folder protects it, and is removed with it.
        let temp_folder = private_folder(folder).map_err(failed)?;
        let copy = NamedTempFile::new_in(&temp_folder).map_err(failed)?;
        let path =
            (copy.path().to_str()).ok_or_else(|| self.refusal("the path is not valid UTF-8"))?;

        let mut db = pool.connect_long().await?;
        let written = backup::write_into(&mut db, path).await;
        written.map_err(|error| self.refusal(&error.to_string()))?;
        db.close().await?;

        copy.as_file().sync_all().map_err(failed)?;
        let bytes = copy.as_file().metadata().map_err(failed)?.len();
        // Does not replace a file created meanwhile.
        let persisted = copy.persist_noclobber(file);
        persisted.map_err(|error| failed(error.error))?;
        sync_folder(folder).map_err(|error| {
            let file = self.file.display();
            Failure::Refused(format!(
                "{file} was written, but may be lost in a power failure: {error}"
            ))
        })?;
        Ok(bytes)
    }

    fn refusal(&self, reason: &str) -> Failure {
        let file = self.file.display();
        Failure::Refused(format!("nothing was written to {file}: {reason}"))
    }

    fn postgres_refusal(&self, target: &Target) -> Failure {
        let url = target.server().map(Server::url_for_tools);
        let url = url.unwrap_or_default();
        Failure::Refused(format!(
            "this command backs up SQLite only; for PostgreSQL, run pg_dump, which asks for the password \
             or reads it from ~/.pgpass or PGPASSWORD:\n\n    pg_dump --format=custom --file={} --dbname={}\n",
            quoted(&self.file.to_string_lossy()),
            quoted(&url)
        ))
    }
}

/// Whether `file` is the database or a file that SQLite or this application keeps beside it. It need not exist.
fn is_part_of(file: &Path, database: &Path) -> bool {
    let Ok(real) = database.canonicalize() else {
        return false;
    };
    let suffixes = ["", "-wal", "-shm", "-journal", ".lock"];
    suffixes.iter().any(|suffix| {
        let mut path = real.clone().into_os_string();
        path.push(suffix);
        file == Path::new(&path)
    })
}

/// A folder for the owner only, removed with its contents on drop.
fn private_folder(within: &Path) -> io::Result<TempDir> {
    let mut builder = Builder::new();
    builder.prefix(".backup-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(within)
}

/// Flushes a folder's entries to the disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere, folders can't be opened and need no flush.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Quotes a text for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns on SIGINT or SIGTERM.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let wait_for = |kind| async move {
            match signal(kind) {
                Ok(mut signal) => drop(signal.recv().await),
                // Without a handler, the signal ends the process.
                Err(_) => pending().await,
            }
        };
        select! {
            () = wait_for(SignalKind::interrupt()) => {}
            () = wait_for(SignalKind::terminate()) => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        pending::<()>().await;
    }
}
