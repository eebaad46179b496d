//! Sources of a new password: the terminal, stdin or a generator.

use std::fmt::Display;
use std::io::{self, IsTerminal, Read};

use clap::Args;
use zeroize::Zeroizing;

use super::{Failure, output};
use crate::error::Error;
use crate::password::Password;

/// The source of a password. Without an option, the terminal asks for it twice.
#[derive(Args)]
#[group(multiple = false)]
pub struct PasswordSource {
    /// Read the password from stdin, ignoring a byte order mark and one line ending
    #[arg(long)]
    password_stdin: bool,
    /// Generate a password and print it once
    #[arg(long)]
    generate_password: bool,
}

impl PasswordSource {
    pub fn read(&self) -> Result<Password, Failure> {
        if self.generate_password {
            Ok(Password::generate())
        } else if self.password_stdin {
            from_stdin()
        } else if io::stdin().is_terminal() {
            from_terminal()
        } else {
            Err(Failure::Usage(
                "cannot ask for the password without a terminal; use --password-stdin or \
                 --generate-password"
                    .into(),
            ))
        }
    }

    /// Prints a generated password. It is shown only once, so call this before the password is stored.
    pub fn show(&self, password: &Password) -> Result<(), Failure> {
        if self.generate_password {
            output::secret(password.reveal())
        } else {
            Ok(())
        }
    }

    /// The failure for an error that kept the password from being set. Warns that a printed password is void.
    pub fn not_set(&self, error: Error) -> Failure {
        if self.generate_password {
            output::message("The password printed above was not set. Do not use it.");
        }
        error.into()
    }
}

fn from_stdin() -> Result<Password, Failure> {
    let unreadable =
        |reason: &dyn Display| Failure::Refused(format!("cannot read the password: {reason}"));
    // Room for the longest password, a byte order mark and a line ending. One more byte detects a longer password.
    let max_bytes = BYTE_ORDER_MARK.len() + Password::MAX + "\r\n".len();
    let limit = u64::try_from(max_bytes + 1).unwrap_or(u64::MAX);
    // Never reallocated, because that would leave a copy of the password in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(max_bytes + 2));
    let read = io::stdin().lock().take(limit).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&error))?;
    if bytes.len() > max_bytes {
        let limit = Password::MAX;
        return Err(unreadable(&format!("it is longer than {limit} bytes")));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| unreadable(&"it is not UTF-8 (a file from Windows may be UTF-16)"))?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let text = text
        .strip_suffix('\n')
        .map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(Password::new(text))
}

/// The byte order mark, which some editors put at the beginning of a file.
const BYTE_ORDER_MARK: &str = "\u{feff}";

fn from_terminal() -> Result<Password, Failure> {
    let read_password = |prompt| {
        rpassword::prompt_password(prompt)
            .map_err(|error| Failure::Refused(format!("cannot read the password: {error}")))
    };
    let first = Password::new(read_password("Password: ")?);
    let repeated = Password::new(read_password("Repeat password: ")?);
    if first.reveal() == repeated.reveal() {
        Ok(first)
    } else {
        Err(Failure::Refused("the passwords do not match".into()))
    }
}
