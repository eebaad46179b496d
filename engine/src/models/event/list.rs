//! Filters of audit events.

use super::{Action, COLUMNS, Channel};
use crate::identity::address::{Address, Network};
use crate::identity::{EventId, TokenId, UserId, id_bound, key};
use crate::models::list::{List, Span, Table};
use crate::models::user::UserRow;

/// A filter of audit events. An empty one matches all.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// About this token.
    pub token: Option<TokenId>,
    /// Part of this bulk action.
    pub cause: Option<EventId>,
    /// About a user whose name had this key.
    pub subject: Option<String>,
    /// About this user.
    pub subject_id: Option<UserId>,
    /// By a user whose name had this key.
    pub actor: Option<String>,
    /// By this user.
    pub actor_id: Option<UserId>,
    /// From this address or network.
    pub address: Option<Network>,
    /// About a client with this key.
    pub client: Option<String>,
    /// With this action.
    pub action: Option<Action>,
    /// With this reason.
    pub reason: Option<String>,
    /// Through this channel.
    pub via: Option<Channel>,
    /// Only what users did to others.
    pub to_other_users: bool,
    /// Only what the server did not do itself.
    pub without_server: bool,
    /// Not before this time, unix seconds.
    pub from: Option<i64>,
    /// Before this time, unix seconds.
    pub until: Option<i64>,
}

impl EventFilter {
    /// Events about a user.
    pub fn about(user: &UserRow) -> Self {
        Self {
            subject: Some(key(&user.username)),
            subject_id: Some(user.id),
            ..Self::default()
        }
    }

    /// Events by a user about anything but themselves.
    pub fn by(user: &UserRow) -> Self {
        Self {
            actor: Some(key(&user.username)),
            actor_id: Some(user.id),
            to_other_users: true,
            ..Self::default()
        }
    }

    /// The list, newest first. A network's events are ordered by address.
    pub fn list(&self) -> List {
        // SQLite uses the partial index only if the query repeats its condition.
        let table = Table::new(if self.cause.is_some() {
            "(SELECT * FROM events WHERE cause_id IS NOT NULL) AS t"
        } else {
            "events AS t"
        });
        let from = self.from.map_or(String::new(), |at| id_bound(at * 1000));
        let until = self.until.map_or("g".to_owned(), |at| id_bound(at * 1000));
        let mut list = List::new(table, COLUMNS).with_ids(from, until);
        let single = self.address.and_then(Network::single);
        for (column, value) in [
            ("t.cause_id", self.cause.map(|id| id.to_string())),
            ("t.token_id", self.token.map(|id| id.to_string())),
            ("t.subject_key", self.subject.clone()),
            ("t.actor_key", self.actor.clone()),
            ("t.address", single.map(Address::key)),
            ("t.client_key", self.client.clone()),
            (
                "t.action",
                self.action.map(|action| action.as_str().to_owned()),
            ),
        ] {
            if let Some(value) = value {
                list.filter_by_key(column, value);
            }
        }
        if let (Some(network), None) = (self.address, single) {
            let [first, last] = network.keys();
            list.filter_by_spans("t.address", Span::between(first, last), None);
        }
        if let Some(id) = self.subject_id {
            list.filter_unindexed("t.subject_id = ?", [id.to_string().into()]);
        }
        if let Some(id) = self.actor_id {
            list.filter_unindexed("t.actor_id = ?", [id.to_string().into()]);
        }
        if let Some(reason) = &self.reason {
            list.filter_unindexed("t.reason = ?", [reason.as_str().into()]);
        }
        if let Some(via) = self.via {
            list.filter_unindexed("t.via = ?", [via.as_str().into()]);
        }
        if self.to_other_users {
            list.filter_unindexed("COALESCE(t.subject_id, '') <> t.actor_id", []);
        }
        if self.without_server {
            list.filter_unindexed("t.via <> 'server'", []);
        }
        list
    }
}
