//! What a command prints.

use std::io::{self, Write};

use serde::Serialize;

use super::Failure;

/// A line of the result.
///
/// # Errors
/// [`Failure::Output`]: a result that is lost is no success.
pub fn line(text: &str) -> Result<(), Failure> {
    print(text).map_err(Failure::Output)
}

/// A line of the result that is printed this once: print it before the change that makes it count.
///
/// # Errors
/// It can't be printed; the message says that nothing was changed.
pub fn once(text: &str) -> Result<(), Failure> {
    let printed = if is_closed() {
        Err(io::Error::other("it is closed"))
    } else {
        print(text)
    };
    printed.map_err(|error| {
        Failure::Refused(format!(
            "nothing was changed, for what is printed only once can't be written to stdout: {error}"
        ))
    })
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Whether stdout was closed when the process began. Rust opens `/dev/null` in its place, for reading and
/// writing, where a shell's `> /dev/null` is for writing only.
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

/// A line about what is going on.
pub fn message(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A number of things, in words.
pub fn count(number: u64, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

/// A record or a list as JSON.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Failure::Refused(error.to_string()))?;
    line(&text)
}

/// Rows under a heading, in columns as wide as their widest cell.
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
