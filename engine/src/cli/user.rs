//! The command `user …`.

use std::io::{self, BufRead, IsTerminal};

use clap::Subcommand;
use serde::Serialize;

use super::password_source::PasswordSource;
use super::{Failure, invite, output, parse_username};
use crate::auth::Auth;
use crate::auth::accounts::{ExistingTokens, NAME_TAKEN};
use crate::identity::Username;
use crate::identity::email::EmailAddress;
use crate::models::event::Actor;
use crate::models::list::{PagePosition, Sort, SortBy};
use crate::models::user::{self, Role, UserFilter, UserListRow};
use crate::models::{now, token};
use crate::web::time::rfc3339;

#[derive(Subcommand)]
pub enum UserCommand {
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
    /// Invite a user: prints a link, and emails it if --email is given
    Invite {
        /// The username. Without it, the link allows one sign-up
        name: Option<String>,
        /// The email address to send the link to
        #[arg(long)]
        email: Option<String>,
        /// Make the user an admin
        #[arg(long, requires = "name")]
        admin: bool,
    },
    /// List all users
    List {
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one user
    Show {
        /// The username or the user's verified email address
        name: String,
        /// Print the record as JSON
        #[arg(long)]
        json: bool,
    },
    /// Disable a user and revoke their tokens
    Disable {
        /// The username
        name: String,
    },
    /// Enable a disabled user
    Enable {
        /// The username
        name: String,
    },
    /// Unlock a user who is locked after failed logins
    Unlock {
        /// The username
        name: String,
    },
    /// Make a user an admin
    Promote {
        /// The username
        name: String,
    },
    /// Remove a user's admin role and revoke their admin sessions
    Demote {
        /// The username
        name: String,
    },
    /// Delete a user and their tokens
    Delete {
        /// The username
        name: String,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Set a user's password and revoke their tokens
    SetPassword {
        /// The username
        name: String,
        /// Do not revoke the user's tokens
        #[arg(long)]
        keep_tokens: bool,
        #[command(flatten)]
        password: PasswordSource,
    },
}

#[derive(Serialize)]
struct UserRecord {
    id: String,
    username: String,
    email: Option<String>,
    email_verified: bool,
    /// False until an invited user sets a password.
    has_password: bool,
    role: &'static str,
    status: &'static str,
    live_tokens: i64,
    created_at: Option<String>,
    disabled_at: Option<String>,
    last_login_at: Option<String>,
}

impl UserRecord {
    fn new(
        user: user::UserRow,
        email: Option<(String, bool)>,
        has_password: bool,
        tokens: i64,
    ) -> Self {
        let (email, email_verified) = email.unzip();
        let status = user.status(has_password);
        Self {
            id: user.id.to_string(),
            username: user.username,
            email,
            email_verified: email_verified.unwrap_or_default(),
            has_password,
            role: user.role.as_str(),
            status,
            live_tokens: tokens,
            created_at: rfc3339(user.created_at),
            disabled_at: user.disabled_at.and_then(rfc3339),
            last_login_at: user.last_login_at.and_then(rfc3339),
        }
    }

    fn address(&self) -> String {
        match &self.email {
            Some(email) if self.email_verified => email.clone(),
            Some(email) => format!("{email} (not verified)"),
            None => "none".into(),
        }
    }
}

impl From<UserListRow> for UserRecord {
    fn from(listed: UserListRow) -> Self {
        let email = listed
            .email
            .map(|email| (email, listed.email_verified_at.is_some()));
        Self::new(listed.user, email, listed.has_password != 0, listed.tokens)
    }
}

impl UserCommand {
    pub async fn run(self, auth: &Auth) -> Result<(), Failure> {
        let actor = Actor::command_line();
        match self {
            Self::Create {
                name,
                admin,
                password,
            } => {
                let name = parse_username(&name)?;
                // Checked first, so that no useless password is printed.
                if find_by_name(auth, &name).await?.is_some() {
                    return Err(Failure::Refused(NAME_TAKEN.into()));
                }
                let new_password = password.read()?;
                let role = if admin { Role::Admin } else { Role::User };
                password.show(&new_password)?;
                let created = auth
                    .accounts
                    .create_user(&name, &new_password, role, &actor)
                    .await;
                created.map_err(|error| password.not_set(error))?;
                output::message(&format!("User {} created.", name.as_str()));
            }
            Self::Invite { name, email, admin } => {
                invite::run(auth, name.as_deref(), email.as_deref(), admin).await?;
            }
            Self::List { json } => list(auth, json).await?,
            Self::Show { name, json } => show(auth, &name, json).await?,
            Self::Disable { name } => {
                let ended = auth
                    .accounts
                    .disable(find(auth, &name).await?.id, &actor)
                    .await?;
                let ended = output::count(ended, "token");
                output::message(&format!("User {name} disabled, {ended} revoked."));
            }
            Self::Enable { name } => {
                auth.accounts
                    .enable(find(auth, &name).await?.id, &actor)
                    .await?;
                output::message(&format!("User {name} enabled."));
            }
            Self::Unlock { name } => {
                auth.throttle
                    .unlock(find(auth, &name).await?.id, &actor)
                    .await?;
                output::message(&format!("User {name} unlocked."));
            }
            Self::Promote { name } => {
                auth.accounts
                    .promote(find(auth, &name).await?.id, &actor)
                    .await?;
                output::message(&format!("User {name} is now an admin."));
            }
            Self::Demote { name } => {
                auth.accounts
                    .demote(find(auth, &name).await?.id, &actor)
                    .await?;
                output::message(&format!("User {name} is no longer an admin."));
            }
            Self::Delete { name, yes } => {
                let user = find(auth, &name).await?;
                if !yes {
                    confirm(&name)?;
                }
                let ended = auth.accounts.delete_user(user.id, &actor).await?;
                let ended = output::count(ended, "token");
                output::message(&format!("User {name} deleted, {ended} revoked."));
            }
            Self::SetPassword {
                name,
                keep_tokens,
                password,
            } => {
                let user = find(auth, &name).await?;
                let new_password = password.read()?;
                let tokens = if keep_tokens {
                    ExistingTokens::Keep
                } else {
                    ExistingTokens::RevokeAllExcept(None)
                };
                password.show(&new_password)?;
                let set = auth
                    .accounts
                    .set_password(&user, &new_password, tokens, &actor)
                    .await;
                let ended = set.map_err(|error| password.not_set(error))?;
                let ended = output::count(ended, "token");
                output::message(&format!("Password of {name} set, {ended} revoked."));
            }
        }
        Ok(())
    }
}

async fn list(auth: &Auth, json: bool) -> Result<(), Failure> {
    const BATCH_SIZE: usize = 1000;
    let mut records: Vec<UserRecord> = vec![];
    let users = UserFilter::default().list(Some(Sort::ascending(SortBy::Name)), now());
    let mut next = Some(PagePosition::First);
    while let Some(position) = next {
        let mut db = auth.pool().read().await?;
        let page = users
            .page::<UserListRow>(&mut db, position, BATCH_SIZE)
            .await?;
        records.extend(page.rows.into_iter().map(UserRecord::from));
        next = page.next.map(PagePosition::After);
    }
    if json {
        return output::json(&records);
    }
    let cells = |record: UserRecord| {
        let address = record.address();
        [
            record.username,
            address,
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
            "EMAIL",
            "ROLE",
            "STATUS",
            "TOKENS",
            "CREATED",
            "LAST LOGIN",
        ],
        &rows,
    )
}

#[derive(Serialize)]
struct UserOutput {
    #[serde(flatten)]
    record: UserRecord,
    /// The time until which strangers are blocked.
    locked_until: Option<String>,
}

async fn show(auth: &Auth, name: &str, json: bool) -> Result<(), Failure> {
    let user = match find_by_email(auth, name).await? {
        Some(user) if find_by_name(auth, &parse_username(name)?).await?.is_none() => user,
        _ => find(auth, name).await?,
    };
    let locks = auth.throttle.locks(user.id).await?;
    let (email, has_password, tokens) = {
        let mut db = auth.pool().read().await?;
        let tokens = token::list_live(&mut db, user.id, now()).await?.len();
        let email = user::email(&mut db, user.id).await?;
        (email, user::has_password(&mut db, user.id).await?, tokens)
    };
    let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
    let details = UserOutput {
        record: UserRecord::new(user, email, has_password, tokens),
        locked_until: locks.strangers_until.and_then(rfc3339),
    };
    if json {
        return output::json(&details);
    }
    let UserOutput {
        record,
        locked_until,
    } = details;
    let address = record.address();
    for (name, value) in [
        ("id", record.id),
        ("username", record.username),
        ("email", address),
        (
            "password",
            if record.has_password {
                "set"
            } else {
                "not set"
            }
            .to_owned(),
        ),
        ("role", record.role.to_owned()),
        ("status", record.status.to_owned()),
        ("live tokens", record.live_tokens.to_string()),
        ("created", record.created_at.unwrap_or_default()),
        (
            "last login",
            record.last_login_at.unwrap_or_else(|| "never".into()),
        ),
        ("locked until", locked_until.unwrap_or_else(|| "-".into())),
    ] {
        output::line(&format!("{name:12} {value}"))?;
    }
    Ok(())
}

/// Finds a user by name.
pub async fn find(auth: &Auth, name: &str) -> Result<user::UserRow, Failure> {
    let username = parse_username(name)?;
    let found = find_by_name(auth, &username).await?;
    found.ok_or_else(|| Failure::Refused(format!("there is no user {}", username.as_str())))
}

/// Finds the user who verified the address.
async fn find_by_email(auth: &Auth, address: &str) -> Result<Option<user::UserRow>, Failure> {
    let Ok(email) = EmailAddress::parse(address) else {
        return Ok(None);
    };
    let mut db = auth.pool().read().await?;
    Ok(user::find_by_email(&mut db, email.key()).await?)
}

async fn find_by_name(auth: &Auth, username: &Username) -> Result<Option<user::UserRow>, Failure> {
    let mut db = auth.pool().read().await?;
    Ok(user::find_by_name(&mut db, username).await?)
}

fn confirm(name: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "cannot ask for confirmation without a terminal; use --yes".into(),
        ));
    }
    output::message(&format!("Type the username to permanently delete {name}:"));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == name {
        Ok(())
    } else {
        Err(Failure::Refused("nothing was deleted".into()))
    }
}
