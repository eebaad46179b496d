//! The command `token …`.

use std::io::{self, BufRead, Read};

use clap::Subcommand;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Failure, output, user};
use crate::auth::find::SearchResult;
use crate::auth::revocation::{Reason, TokenSelector};
use crate::auth::{Auth, background_tasks, find};
use crate::identity::{ClientName, TokenId};
use crate::models::event::Actor;
use crate::models::{now, token};
use crate::web::time::rfc3339;

/// Bytes read from stdin: far more than a token has.
const MAX_LINE_BYTES: u64 = 4096;

#[derive(Subcommand)]
pub enum TokenCommand {
    /// List the records of tokens (the tokens themselves are not stored)
    List {
        /// Only tokens of this user
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Only tokens of this client
        #[arg(long)]
        client: Option<String>,
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Find a token: reads the token or its last four characters from stdin
    Find {
        /// Print the records as JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke one token or all tokens of a user
    Revoke {
        /// The token's ID, as printed by `token list`
        #[arg(required_unless_present = "user", conflicts_with = "user")]
        id: Option<String>,
        /// Revoke all tokens of this user
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Only tokens of this client
        #[arg(long, requires = "user")]
        client: Option<String>,
    },
    /// Delete expired tokens
    Prune {
        /// Delete even if the clock may be wrong
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Serialize)]
struct TokenOutput {
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
    /// When it expires if it is not used again, which is never after `expires_at`.
    #[serde(skip)]
    ends_at: Option<String>,
}

impl TokenOutput {
    fn new(token: token::TokenRow, now: i64) -> Self {
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
            ends_at: rfc3339(token.ends_at),
        }
    }
}

impl TokenCommand {
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
                    require_plausible_clock(auth).await?;
                }
                let pruned = auth.sessions.prune(&Actor::command_line()).await?;
                output::line(&format!(
                    "{} deleted",
                    output::count(pruned, "expired token")
                ))
            }
        }
    }
}

/// Reads a line from stdin, because others on the machine can see the command line.
async fn find(auth: &Auth, json: bool) -> Result<(), Failure> {
    let mut line = Zeroizing::new(String::new());
    let read = io::stdin().lock().take(MAX_LINE_BYTES).read_line(&mut line);
    read.map_err(|error| Failure::Refused(format!("cannot read stdin: {error}")))?;
    let found = find::search(auth.pool(), &line).await?.into_iter();
    let tokens = found.filter_map(|found| match found {
        SearchResult::Token(token) => Some(*token),
        _ => None,
    });
    let now = now();
    let records: Vec<_> = tokens.map(|token| TokenOutput::new(token, now)).collect();
    if records.is_empty() {
        return Err(Failure::Refused(
            "no such token; it may have expired or been revoked".into(),
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
        .map(|token| TokenOutput::new(token, now))
        .collect();
    print(records, json)
}

fn print(records: Vec<TokenOutput>, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(&records);
    }
    let cells = |record: TokenOutput| {
        [
            record.id,
            record.user,
            record.kind.to_owned(),
            record.client,
            format!("…{}", record.hint),
            record.status.to_owned(),
            record.last_used_at.unwrap_or_else(|| "never".into()),
            record.ends_at.unwrap_or_else(|| "never".into()),
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
            let not_found = || Failure::Refused(format!("there is no token {id}"));
            let found = TokenId::parse(id).ok_or_else(not_found)?;
            match auth
                .sessions
                .revoke(TokenSelector::ById(found), Reason::Revoked, &actor)
                .await?
            {
                0 => return Err(not_found()),
                revoked => revoked,
            }
        }
        (None, Some(name)) => {
            let user = user::find(auth, name).await?.id;
            let client = client.map(parse_client).transpose()?;
            let selector = match &client {
                Some(client) => TokenSelector::ByClient(user, client),
                None => TokenSelector::ByUser(user, None),
            };
            auth.sessions
                .revoke(selector, Reason::Revoked, &actor)
                .await?
        }
        (None, None) => return Err(Failure::Usage("give a token's ID or --user".into())),
    };
    output::line(&format!("{} revoked", output::count(revoked, "token")))
}

/// Refuses if the clock is so far ahead of the newest stored row that it may be wrong. A wrong clock would delete live
/// tokens as expired.
async fn require_plausible_clock(auth: &Auth) -> Result<(), Failure> {
    let Some(newest) = background_tasks::newest_if_behind(auth.pool(), now()).await? else {
        return Ok(());
    };
    let time = |at| rfc3339(at).unwrap_or_default();
    Err(Failure::Refused(format!(
        "the system clock says {}, but the newest entry in the database is from {}; a wrong clock would delete \
         live tokens, so check it, and use --yes if it is right",
        time(now()),
        time(newest),
    )))
}

fn parse_client(client: &str) -> Result<ClientName, Failure> {
    ClientName::parse(client)
        .map_err(|reason| Failure::Refused(format!("invalid client name: {reason}")))
}
