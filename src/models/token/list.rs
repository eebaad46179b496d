//! The admin's list of tokens: which ones, and in which order.

use super::{COLUMNS, Kind};
use crate::identity::address::Network;
use crate::identity::device::Device;
use crate::identity::{TokenId, id_bound};
use crate::models::condition::Condition;
use crate::models::list::{List, Span, Table};

const DAY: i64 = 24 * 60 * 60;
/// Seconds before its end in which a token is expiring.
pub const SOON: i64 = 7 * DAY;

/// Which tokens a list is narrowed to; all of them where nothing is set.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The id of the user whose they are; an empty one has none.
    pub user: Option<String>,
    /// Where they were last used from.
    pub address: Option<Network>,
    /// The key of their client.
    pub client: Option<String>,
    /// The app that they were last used with.
    pub device: Option<String>,
    /// A version of that app: theirs is older.
    pub older: Option<String>,
    /// Where they are accepted.
    pub kind: Option<Kind>,
    /// How they stand.
    pub status: Option<Status>,
    /// Not used for so many days.
    pub unused: Option<i64>,
    /// Not that one.
    pub except: Option<TokenId>,
    /// Not those issued after that one.
    pub up_to: Option<String>,
}

/// How a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Its time is not up.
    Live,
    /// Its time is up.
    Expired,
    /// It was never used.
    Unused,
    /// Its time is up within a week.
    Expiring,
}

/// What tokens are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// When they were issued.
    Created,
    /// When they were last used; those that never were come first.
    LastUsed,
    /// When they end.
    Expires,
}

/// The filter that leads, and so the order.
struct Lead {
    filter: Leading,
    key: Option<&'static str>,
    spans: Vec<Span>,
    /// What that order is, if it has a name.
    sort: Option<Sort>,
    descending: bool,
}

/// Filters that can lead, in the order of precedence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leading {
    User,
    Address,
    Client,
    Device,
    Status,
    Unused,
    Kind,
    None,
}

impl Filter {
    /// The list at `now`, unix seconds: in the order that is asked for, where it can be had.
    pub fn list(&self, asked: Option<(Sort, bool)>, now: i64) -> List {
        let lead = self.lead(asked.map(|(sort, _)| sort), now);
        let descending = match asked {
            Some((sort, descending)) if lead.sort == Some(sort) => descending,
            _ => lead.descending,
        };
        List {
            table: Table::of("tokens AS t"),
            columns: COLUMNS.to_owned(),
            key: lead.key,
            filters: self.others(lead.filter, now),
            spans: lead.spans,
            descending,
        }
    }

    /// Until when a token may have been used last to be unused, if that is asked for; unix seconds.
    pub fn used_until(&self, now: i64) -> Option<i64> {
        let never = (self.status == Some(Status::Unused)).then_some(0);
        never.or(self.unused.map(|days| now - days * DAY))
    }

    /// The orders that can be had.
    pub fn sorts(&self) -> Vec<Sort> {
        let lead = self.lead(None, 0);
        match lead.filter {
            Leading::None => vec![Sort::Created, Sort::LastUsed, Sort::Expires],
            _ => lead.sort.into_iter().collect(),
        }
    }

    /// The order that the list is in, if it has a name.
    pub fn sorted(&self, asked: Option<(Sort, bool)>) -> Option<(Sort, bool)> {
        let lead = self.lead(asked.map(|(sort, _)| sort), 0);
        let falls = |sort| match asked {
            Some((asked, descending)) if asked == sort => descending,
            _ => lead.descending,
        };
        lead.sort.map(|sort| (sort, falls(sort)))
    }

    fn lead(&self, asked: Option<Sort>, now: i64) -> Lead {
        let by = |filter, key, span, sort, descending| Lead {
            filter,
            key: Some(key),
            spans: vec![span],
            sort,
            descending,
        };
        let created = Some(Sort::Created);
        if let Some(user) = &self.user {
            let span = Span::of(user.as_str());
            return by(Leading::User, "t.user_id", span, created, true);
        }
        if let Some(network) = self.address {
            let [first, last] = network.keys();
            let sort = created.filter(|_| first == last);
            let span = Span::between(first, last);
            return by(Leading::Address, "t.address", span, sort, true);
        }
        if let Some(client) = &self.client {
            let span = Span::of(client.as_str());
            return by(Leading::Client, "t.client_key", span, created, true);
        }
        if let Some([first, end]) = self.devices() {
            let span = Span::before(first, end);
            return by(Leading::Device, "t.device_key", span, None, true);
        }
        let ends = "t.ends_at";
        let expires = Some(Sort::Expires);
        let used = "t.last_used_at";
        match self.status {
            Some(Status::Expired) => {
                return by(Leading::Status, ends, Span::between(0, now), expires, true);
            }
            Some(Status::Expiring) => {
                let span = Span::between(now + 1, now + SOON);
                return by(Leading::Status, ends, span, expires, false);
            }
            Some(Status::Unused) => {
                return by(Leading::Status, used, Span::of(0), created, true);
            }
            Some(Status::Live) | None => {}
        }
        if let Some(days) = self.unused {
            let since = now - days * DAY;
            let never = Span::of(0).with_ids("", id_bound((since + 1) * 1000));
            return Lead {
                filter: Leading::Unused,
                key: Some(used),
                spans: vec![never, Span::between(1, since)],
                sort: Some(Sort::LastUsed),
                descending: false,
            };
        }
        if let Some(kind) = self.kind {
            let span = Span::of(kind.as_str());
            return by(Leading::Kind, "t.kind", span, created, true);
        }
        let far = i64::MAX;
        let (key, span) = match asked {
            Some(Sort::LastUsed) => (Some(used), Span::between(0, far)),
            Some(Sort::Expires) => (Some(ends), Span::between(0, far)),
            Some(Sort::Created) | None => (None, Span::all()),
        };
        Lead {
            filter: Leading::None,
            key,
            spans: vec![span],
            sort: asked.or(created),
            descending: true,
        }
    }

    /// The filters but for the one that leads.
    fn others(&self, leading: Leading, now: i64) -> Condition {
        let mut filters = Condition::default();
        // What the user has, no other filter that leads finds.
        if let (Some(network), true) = (self.address, leading != Leading::Address) {
            let keys = network.keys().map(Into::into);
            filters.and("t.address >= ? AND t.address <= ?", keys);
        }
        if let (Some(client), true) = (&self.client, leading != Leading::Client) {
            filters.and("t.client_key = ?", [client.as_str().into()]);
        }
        if let (Some(keys), true) = (self.devices(), leading != Leading::Device) {
            let keys = keys.map(Into::into);
            filters.and("t.device_key >= ? AND t.device_key < ?", keys);
        }
        if let (Some(status), true) = (self.status, leading != Leading::Status) {
            match status {
                Status::Live => filters.and("t.ends_at > ?", [now.into()]),
                Status::Expired => filters.and("t.ends_at <= ?", [now.into()]),
                Status::Unused => filters.and("t.last_used_at = 0", []),
                Status::Expiring => {
                    let times = [now.into(), (now + SOON).into()];
                    filters.and("t.ends_at > ? AND t.ends_at <= ?", times);
                }
            }
        }
        if let (Some(days), true) = (self.unused, leading != Leading::Unused) {
            let since = now - days * DAY;
            filters.and(
                "(t.last_used_at > 0 AND t.last_used_at <= ? OR t.last_used_at = 0 AND t.id < ?)",
                [since.into(), id_bound((since + 1) * 1000).into()],
            );
        }
        if let (Some(kind), true) = (self.kind, leading != Leading::Kind) {
            filters.and("t.kind = ?", [kind.as_str().into()]);
        }
        if let Some(id) = self.except {
            filters.and("t.id <> ?", [id.to_string().into()]);
        }
        if let Some(id) = &self.up_to {
            filters.and("t.id <= ?", [id.as_str().into()]);
        }
        filters
    }

    /// The keys of the devices: from the first on, before the second.
    fn devices(&self) -> Option<[String; 2]> {
        let app = self.device.as_ref()?;
        Some(match &self.older {
            Some(version) => Device::older_keys(app, version),
            None => Device::keys(app),
        })
    }
}
