//! `multitoken token …`.

use std::io::{self, BufRead, Read};

use clap::Subcommand;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Failure, output, user};
use crate::auth::Auth;
use crate::auth::find::Found;
use crate::auth::sessions::{Reason, Which};
use crate::identity::{ClientName, TokenId};
use crate::models::event::Actor;
use crate::models::{now, token};
use crate::web::time::rfc3339;

/// Bytes that are read of what is looked for: far more than a token has.
const MAX_LINE: u64 = 4096;

#[derive(Subcommand)]
pub enum Token {
    /// List tokens; what they consist of is not stored
    List {
        /// Only those of this user
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Only those of this client
        #[arg(long)]
        client: Option<String>,
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Find a token that was leaked or pasted: reads it, or its last four characters, from stdin
    Find {
        /// Print the records as JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke one token, or those of a user (of one client)
    Revoke {
        /// The token's id, as `token list` prints it
        #[arg(required_unless_present = "user", conflicts_with = "user")]
        id: Option<String>,
        /// All of this user's
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Only those of this client
        #[arg(long, requires = "user")]
        client: Option<String>,
    },
    /// Delete expired tokens
    Prune {
        /// Delete them even if the clock may be wrong
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Serialize)]
struct Record {
    id: String,
    user: String,
    kind: &'static str,
    client: String,
    hint: String,
    status: &'static str,
    created_at: Option<String>,
    last_used_at: Option<String>,
    last_address: Option<String>,
    user_agent: Option<String>,
    expires_at: Option<String>,
}

impl Record {
    fn new(token: token::Token, now: i64) -> Self {
        Self {
            id: token.id.to_string(),
            user: token.username,
            kind: token.kind.as_str(),
            client: token.client,
            hint: token.hint,
            status: if token.ends_at > now {
                "live"
            } else {
                "expired"
            },
            created_at: rfc3339(token.created_at),
            last_used_at: token.last_used_at.and_then(rfc3339),
            last_address: token.address.map(|address| address.to_string()),
            user_agent: token.user_agent,
            expires_at: token.expires_at.and_then(rfc3339),
        }
    }
}

impl Token {
    pub async fn run(self, auth: &Auth) -> Result<(), Failure> {
        match self {
            Self::List { user, client, json } => {
                list(auth, user.as_deref(), client.as_deref(), json).await
            }
            Self::Find { json } => find(auth, json).await,
            Self::Revoke { id, user, client } => {
                revoke(auth, id.as_deref(), user.as_deref(), client.as_deref()).await
            }
            Self::Prune { yes } => {
                if !yes {
                    demand_right_clock(auth).await?;
                }
                let pruned = auth.prune(&Actor::command_line()).await?;
                output::line(&format!(
                    "{} deleted",
                    output::count(pruned, "expired token")
                ))
            }
        }
    }
}

/// A line from stdin: on the command line, others on the machine would see it.
async fn find(auth: &Auth, json: bool) -> Result<(), Failure> {
    let mut typed = Zeroizing::new(String::new());
    let read = io::stdin().lock().take(MAX_LINE).read_line(&mut typed);
    read.map_err(|error| Failure::Refused(format!("stdin can't be read: {error}")))?;
    let found = auth.find(&typed).await?.into_iter();
    let tokens = found.filter_map(|found| match found {
        Found::Token(token) => Some(*token),
        _ => None,
    });
    let now = now();
    let records: Vec<_> = tokens.map(|token| Record::new(token, now)).collect();
    if records.is_empty() {
        return Err(Failure::Refused(
            "no such token: it has ended, or never was one".into(),
        ));
    }
    print(records, json)
}

async fn list(
    auth: &Auth,
    user: Option<&str>,
    client: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let user = match user {
        Some(name) => Some(user::find(auth, name).await?.id),
        None => None,
    };
    let client = client.map(parse_client).transpose()?;
    let now = now();
    let mut db = auth.pool().read().await?;
    let tokens = token::list(&mut db, user, client.as_ref()).await?;
    let records: Vec<_> = tokens
        .into_iter()
        .map(|token| Record::new(token, now))
        .collect();
    print(records, json)
}

fn print(records: Vec<Record>, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(&records);
    }
    let cells = |record: Record| {
        [
            record.id,
            record.user,
            record.kind.to_owned(),
            record.client,
            format!("…{}", record.hint),
            record.status.to_owned(),
            record.last_used_at.unwrap_or_else(|| "never".into()),
            record.expires_at.unwrap_or_else(|| "never".into()),
        ]
    };
    let rows: Vec<_> = records.into_iter().map(cells).collect();
    let heading = [
        "ID",
        "USER",
        "KIND",
        "CLIENT",
        "TOKEN",
        "STATUS",
        "LAST USED",
        "EXPIRES",
    ];
    output::table(heading, &rows)
}

async fn revoke(
    auth: &Auth,
    id: Option<&str>,
    user: Option<&str>,
    client: Option<&str>,
) -> Result<(), Failure> {
    let actor = Actor::command_line();
    let revoked = match (id, user) {
        (Some(id), _) => {
            let missing = || Failure::Refused(format!("there is no token {id}"));
            let found = TokenId::parse(id).ok_or_else(missing)?;
            match auth.end(Which::One(found), Reason::Revoked, &actor).await? {
                0 => return Err(missing()),
                revoked => revoked,
            }
        }
        (None, Some(name)) => {
            let user = user::find(auth, name).await?.id;
            let client = client.map(parse_client).transpose()?;
            let which = match &client {
                Some(client) => Which::OfClient(user, client),
                None => Which::OfUser(user, None),
            };
            auth.end(which, Reason::Revoked, &actor).await?
        }
        (None, None) => return Err(Failure::Usage("name a token or a --user".into())),
    };
    output::line(&format!("{} revoked", output::count(revoked, "token")))
}

/// Refuses where the clock is so far ahead of what was last stored that it may be wrong: live tokens would be
/// deleted as expired.
async fn demand_right_clock(auth: &Auth) -> Result<(), Failure> {
    let Some(newest) = auth.left_behind(now()).await? else {
        return Ok(());
    };
    let time = |at| rfc3339(at).unwrap_or_default();
    Err(Failure::Refused(format!(
        "it is {} by the clock, but the newest entry in the database is of {}. If the clock is wrong, live \
         tokens would be deleted. Check it, and say --yes if it is right",
        time(now()),
        time(newest),
    )))
}

fn parse_client(client: &str) -> Result<ClientName, Failure> {
    ClientName::parse(client).map_err(|why| Failure::Refused(format!("the client: {why}")))
}
