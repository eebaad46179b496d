//! `multitoken user …`.

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Read};

use clap::{Args, Subcommand};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Failure, output};
use crate::auth::Auth;
use crate::auth::accounts::{NAME_TAKEN, Tokens};
use crate::error::Error;
use crate::identity::Username;
use crate::models::event::Actor;
use crate::models::list::Start;
use crate::models::now;
use crate::models::user::{self, Filter, Listed, Role, Sort};
use crate::password::Password;
use crate::web::time::rfc3339;

#[derive(Subcommand)]
pub enum User {
    /// Create a user
    Create {
        /// The username
        name: String,
        /// Make the user an admin
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// List all users
    List {
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one user
    Show {
        /// The username
        name: String,
        /// Print the record as JSON
        #[arg(long)]
        json: bool,
    },
    /// Disable a user and end their tokens
    Disable {
        /// The username
        name: String,
    },
    /// Enable a user again
    Enable {
        /// The username
        name: String,
    },
    /// Clear the limits that failed logins imposed on a user
    Unlock {
        /// The username
        name: String,
    },
    /// Make a user an admin
    Promote {
        /// The username
        name: String,
    },
    /// Make an admin a user and end their admin sessions
    Demote {
        /// The username
        name: String,
    },
    /// Delete a user and their tokens
    Delete {
        /// The username
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Set a user's password and end their tokens
    SetPassword {
        /// The username
        name: String,
        /// Let the user's tokens go on
        #[arg(long)]
        keep_tokens: bool,
        #[command(flatten)]
        password: PasswordSource,
    },
}

/// Where a password comes from; without an option it is asked for, twice.
#[derive(Args)]
#[group(multiple = false)]
pub struct PasswordSource {
    /// Read the password from stdin; a byte order mark and one line end are dropped
    #[arg(long)]
    password_stdin: bool,
    /// Make a password and print it, once
    #[arg(long)]
    generate_password: bool,
}

#[derive(Serialize)]
struct Record {
    id: String,
    username: String,
    role: &'static str,
    status: &'static str,
    live_tokens: i64,
    created_at: Option<String>,
    disabled_at: Option<String>,
    last_login_at: Option<String>,
}

impl From<Listed> for Record {
    fn from(Listed { user, tokens }: Listed) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username,
            role: user.role.as_str(),
            status: if user.disabled_at.is_some() {
                "disabled"
            } else {
                "active"
            },
            live_tokens: tokens,
            created_at: rfc3339(user.created_at),
            disabled_at: user.disabled_at.and_then(rfc3339),
            last_login_at: user.last_login_at.and_then(rfc3339),
        }
    }
}

impl User {
    pub async fn run(self, auth: &Auth) -> Result<(), Failure> {
        let actor = Actor::command_line();
        match self {
            Self::Create {
                name,
                admin,
                password,
            } => {
                let name = parse(&name)?;
                // Before a password is printed that would count for nothing.
                if look_up(auth, &name).await?.is_some() {
                    return Err(Failure::Refused(NAME_TAKEN.into()));
                }
                let made = password.take()?;
                let role = if admin { Role::Admin } else { Role::User };
                password.show(&made)?;
                let created = auth.create_user(&name, &made, role, &actor).await;
                created.map_err(|error| password.void(error))?;
                output::message(&format!("User {} created.", name.as_str()));
            }
            Self::List { json } => list(auth, json).await?,
            Self::Show { name, json } => show(auth, &name, json).await?,
            Self::Disable { name } => {
                let ended = auth.disable(find(auth, &name).await?.id, &actor).await?;
                output::message(&format!("User {name} disabled, {ended} tokens ended."));
            }
            Self::Enable { name } => {
                auth.enable(find(auth, &name).await?.id, &actor).await?;
                output::message(&format!("User {name} enabled."));
            }
            Self::Unlock { name } => {
                auth.unlock(find(auth, &name).await?.id, &actor).await?;
                output::message(&format!("User {name} unlocked."));
            }
            Self::Promote { name } => {
                auth.promote(find(auth, &name).await?.id, &actor).await?;
                output::message(&format!("User {name} is an admin."));
            }
            Self::Demote { name } => {
                auth.demote(find(auth, &name).await?.id, &actor).await?;
                output::message(&format!("User {name} is no admin."));
            }
            Self::Delete { name, yes } => {
                let user = find(auth, &name).await?;
                if !yes {
                    confirm(&name)?;
                }
                let ended = auth.delete_user(user.id, &actor).await?;
                output::message(&format!("User {name} deleted, {ended} tokens ended."));
            }
            Self::SetPassword {
                name,
                keep_tokens,
                password,
            } => {
                let user = find(auth, &name).await?;
                let made = password.take()?;
                let tokens = if keep_tokens {
                    Tokens::Keep
                } else {
                    Tokens::EndAllBut(None)
                };
                password.show(&made)?;
                let set = auth.set_password(&user, &made, tokens, &actor).await;
                let ended = set.map_err(|error| password.void(error))?;
                output::message(&format!("Password of {name} set, {ended} tokens ended."));
            }
        }
        Ok(())
    }
}

async fn list(auth: &Auth, json: bool) -> Result<(), Failure> {
    const AT_ONCE: usize = 1000;
    let mut records: Vec<Record> = vec![];
    let everyone = Filter::default().list(Some((Sort::Name, false)), now());
    let mut start = Some(Start::First);
    while let Some(from) = start {
        let mut db = auth.pool().read().await?;
        let page = everyone.page::<Listed>(&mut db, from, AT_ONCE).await?;
        records.extend(page.rows.into_iter().map(Record::from));
        start = page.next.map(Start::After);
    }
    if json {
        return output::json(&records);
    }
    let cells = |record: Record| {
        [
            record.username,
            record.role.to_owned(),
            record.status.to_owned(),
            record.live_tokens.to_string(),
            record.created_at.unwrap_or_default(),
            record.last_login_at.unwrap_or_else(|| "never".into()),
        ]
    };
    let rows: Vec<_> = records.into_iter().map(cells).collect();
    output::table(
        [
            "USERNAME",
            "ROLE",
            "STATUS",
            "TOKENS",
            "CREATED",
            "LAST LOGIN",
        ],
        &rows,
    )
}

/// One user's record, with what failed logins have closed.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    record: Record,
    /// Until when strangers are blocked.
    locked_until: Option<String>,
}

async fn show(auth: &Auth, name: &str, json: bool) -> Result<(), Failure> {
    let user = find(auth, name).await?;
    let locks = auth.locks(user.id).await?;
    let tokens = {
        let mut db = auth.pool().read().await?;
        crate::models::token::list_live(&mut db, user.id, now())
            .await?
            .len()
    };
    let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
    let shown = Shown {
        record: Record::from(Listed { user, tokens }),
        locked_until: locks.strangers.and_then(rfc3339),
    };
    if json {
        return output::json(&shown);
    }
    let Shown {
        record,
        locked_until,
    } = shown;
    for (name, value) in [
        ("id", record.id),
        ("username", record.username),
        ("role", record.role.to_owned()),
        ("status", record.status.to_owned()),
        ("live tokens", record.live_tokens.to_string()),
        ("created", record.created_at.unwrap_or_default()),
        (
            "last login",
            record.last_login_at.unwrap_or_else(|| "never".into()),
        ),
        (
            "locked until",
            locked_until.unwrap_or_else(|| "not locked".into()),
        ),
    ] {
        output::line(&format!("{name:12} {value}"))?;
    }
    Ok(())
}

fn parse(name: &str) -> Result<Username, Failure> {
    Username::parse(name).map_err(|why| Failure::Refused(format!("the username: {why}")))
}

/// The user with that name.
pub async fn find(auth: &Auth, name: &str) -> Result<user::User, Failure> {
    let username = parse(name)?;
    let found = look_up(auth, &username).await?;
    found.ok_or_else(|| Failure::Refused(format!("there is no user {}", username.as_str())))
}

async fn look_up(auth: &Auth, username: &Username) -> Result<Option<user::User>, Failure> {
    let mut db = auth.pool().read().await?;
    Ok(user::find_by_name(&mut db, username).await?)
}

fn confirm(name: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "deleting asks first; say --yes where nobody can answer".into(),
        ));
    }
    output::message(&format!("Delete {name} for good? Type the username:"));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == name {
        Ok(())
    } else {
        Err(Failure::Refused("nothing was deleted".into()))
    }
}

impl PasswordSource {
    fn take(&self) -> Result<Password, Failure> {
        if self.generate_password {
            Ok(Password::generate())
        } else if self.password_stdin {
            from_stdin()
        } else if io::stdin().is_terminal() {
            from_terminal()
        } else {
            Err(Failure::Usage(
                "there is no terminal to ask for the password on; say --password-stdin or \
                 --generate-password"
                    .into(),
            ))
        }
    }

    /// Prints a generated password, which is shown this once: call it before the password is set.
    fn show(&self, password: &Password) -> Result<(), Failure> {
        if self.generate_password {
            output::once(password.reveal())
        } else {
            Ok(())
        }
    }

    /// Why the password was not set.
    fn void(&self, error: Error) -> Failure {
        if self.generate_password {
            output::message("The password that was printed is void: it was not set.");
        }
        error.into()
    }
}

fn from_stdin() -> Result<Password, Failure> {
    let unreadable =
        |why: &dyn Display| Failure::Refused(format!("the password can't be read: {why}"));
    // Room for a mark and a line end beside the longest password, and a byte more to tell a longer one by.
    let most = MARK.len() + Password::MAX + "\r\n".len();
    let limit = u64::try_from(most + 1).unwrap_or(u64::MAX);
    // With room for all of it: bytes that have to move leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 2));
    let read = io::stdin().lock().take(limit).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&error))?;
    if bytes.len() > most {
        let limit = Password::MAX;
        return Err(unreadable(&format!("it has more than {limit} bytes")));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| unreadable(&"it is no UTF-8 (a file that Windows wrote may be UTF-16)"))?;
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let text = text
        .strip_suffix('\n')
        .map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(Password::new(text))
}

/// UTF-8's byte order mark, with which some editors begin a file.
const MARK: &str = "\u{feff}";

fn from_terminal() -> Result<Password, Failure> {
    let ask = |prompt| {
        rpassword::prompt_password(prompt)
            .map_err(|error| Failure::Refused(format!("the password can't be read: {error}")))
    };
    let first = Password::new(ask("Password: ")?);
    let again = Password::new(ask("Again: ")?);
    if first.reveal() == again.reveal() {
        Ok(first)
    } else {
        Err(Failure::Refused("the two passwords differ".into()))
    }
}
