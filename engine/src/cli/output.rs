//! Output of commands: results on stdout, messages on stderr.

use std::io::{self, Write};

use serde::Serialize;

use super::Failure;

/// Prints a line of the result.
///
/// # Errors
/// [`Failure::Output`], because a command whose result is lost has failed.
pub fn line(text: &str) -> Result<(), Failure> {
    print(text).map_err(Failure::Output)
}

/// Prints a line that is shown only once, such as a generated password. Call it before committing the change.
///
/// # Errors
/// It can't be printed. The message says that nothing was changed.
pub fn secret(text: &str) -> Result<(), Failure> {
    let printed = if is_closed() {
        Err(io::Error::other("it is closed"))
    } else {
        print(text)
    };
    printed.map_err(|error| {
        Failure::Refused(format!(
            "nothing was changed, because the secret that is shown only once could not be written to stdout: {error}"
        ))
    })
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Whether stdout was closed when the process started. Rust then opens `/dev/null` for reading and writing. A shell's
/// `> /dev/null` is open for writing only.
#[cfg(unix)]
fn is_closed() -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};
    let (Ok(flags), Ok(own), Ok(null)) = (
        fcntl_getfl(io::stdout()),
        fstat(io::stdout()),
        stat("/dev/null"),
    ) else {
        return true;
    };
    flags & OFlags::RWMODE == OFlags::RDWR && own.st_rdev == null.st_rdev
}

#[cfg(not(unix))]
fn is_closed() -> bool {
    false
}

/// Prints a message to stderr.
pub fn message(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A number with its noun, such as "2 users".
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// Prints a record or a list as JSON.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Failure::Refused(error.to_string()))?;
    line(&text)
}

/// Prints a table with aligned columns.
pub fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([heading[column].len()])
            .max()
            .unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let print = |cells: [&str; N]| {
        let padded = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        line(padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    print(heading)?;
    for row in rows {
        print(std::array::from_fn(|column| row[column].as_str()))?;
    }
    Ok(())
}
