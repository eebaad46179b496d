//! Actors of audit events.

use crate::identity::address::Address;
use crate::identity::{EventId, UserId};

/// The channel that an actor used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The JSON API.
    Api,
    /// The admin pages.
    Admin,
    /// The account pages.
    Account,
    /// The command line.
    CommandLine,
    /// The server itself.
    Server,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 5] = [
        Self::Api,
        Self::Admin,
        Self::Account,
        Self::CommandLine,
        Self::Server,
    ];

    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Admin => "admin",
            Self::Account => "account",
            Self::CommandLine => "cli",
            Self::Server => "server",
        }
    }
}

/// Who acted, and from where.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The channel.
    pub via: Channel,
    /// The signed-in user, with their name at that time.
    pub user: Option<(UserId, String)>,
    /// The IP address.
    pub address: Option<Address>,
    /// The request's id, as in the log and the response.
    pub request_id: Option<String>,
    /// The event of the bulk action that this is part of.
    pub cause: Option<EventId>,
    /// The admin's note.
    pub note: Option<String>,
}

impl Actor {
    /// The operator, on the command line.
    pub fn command_line() -> Self {
        Self {
            via: Channel::CommandLine,
            user: None,
            address: None,
            request_id: None,
            cause: None,
            note: None,
        }
    }

    /// The server, in a background task.
    pub fn server() -> Self {
        Self {
            via: Channel::Server,
            user: None,
            address: None,
            request_id: None,
            cause: None,
            note: None,
        }
    }
}
