//! Filters and sort orders of tokens.

use super::{COLUMNS, TokenKind};
use crate::identity::address::Network;
use crate::identity::device::Device;
use crate::identity::{TokenId, id_bound};
use crate::models::list::{List, NEWEST_FIRST, Sort, SortBy, Span, Table};

const DAY: i64 = 24 * 60 * 60;
/// Seconds before its end in which a token counts as expiring.
pub const EXPIRING_PERIOD: i64 = 7 * DAY;

/// A filter of tokens. An empty one matches all.
#[derive(Debug, Clone, Default)]
pub struct TokenFilter {
    /// Id of the user. An empty id matches nothing.
    pub user: Option<String>,
    /// Address or network of the last use.
    pub address: Option<Network>,
    /// Key of the client.
    pub client: Option<String>,
    /// App of the last use.
    pub device: Option<String>,
    /// Only versions of that app before this one.
    pub older: Option<String>,
    /// Kind of the tokens.
    pub kind: Option<TokenKind>,
    /// Status of the tokens.
    pub status: Option<TokenStatus>,
    /// Not used for this many days.
    pub unused: Option<i64>,
    /// Not this token.
    pub except: Option<TokenId>,
    /// Not issued after the token with this id.
    pub max_id: Option<String>,
}

/// The status of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStatus {
    /// Not expired.
    Live,
    /// Expired.
    Expired,
    /// Never used.
    Unused,
    /// Expires within a week.
    Expiring,
}

impl TokenFilter {
    /// The list at `now` (unix seconds), in the requested order if the list offers it.
    pub fn list(&self, requested: Option<Sort>, now: i64) -> List {
        let (used, ends, any_time) = ("t.last_used_at", "t.ends_at", Span::between(0, i64::MAX));
        let mut list = List::new(Table::new("tokens AS t"), COLUMNS)
            .offer(SortBy::LastUsed, used, any_time.clone())
            .offer(SortBy::Expires, ends, any_time);
        if let Some(user) = &self.user {
            list.filter_by_key("t.user_id", user.as_str());
        }
        if let Some(network) = self.address {
            let [first, last] = network.keys();
            let sort = (first == last).then_some(NEWEST_FIRST);
            list.filter_by_spans("t.address", Span::between(first, last), sort);
        }
        if let Some(client) = &self.client {
            list.filter_by_key("t.client_key", client.as_str());
        }
        if let Some(app) = &self.device {
            let [first, end] = match &self.older {
                Some(version) => Device::older_keys(app, version),
                None => Device::keys(app),
            };
            list.filter_by_spans("t.device_key", Span::half_open(first, end), None);
        }
        match self.status {
            Some(TokenStatus::Live) => list.filter_unindexed("t.ends_at > ?", [now.into()]),
            Some(TokenStatus::Expired) => {
                list.filter_by_spans(
                    ends,
                    Span::between(0, now),
                    Some(Sort::descending(SortBy::Expires)),
                );
            }
            Some(TokenStatus::Expiring) => {
                list.filter_by_spans(
                    ends,
                    Span::between(now + 1, now + EXPIRING_PERIOD),
                    Some(Sort::ascending(SortBy::Expires)),
                );
            }
            Some(TokenStatus::Unused) => list.filter_by_key(used, 0),
            None => {}
        }
        if let Some(days) = self.unused {
            let since = now - days * DAY;
            let never = Span::for_key(0).with_ids("", id_bound((since + 1) * 1000));
            let spans = [never, Span::between(1, since)];
            list.filter_by_spans(used, spans, Some(Sort::ascending(SortBy::LastUsed)));
        }
        if let Some(kind) = self.kind {
            list.filter_by_key("t.kind", kind.as_str());
        }
        if let Some(id) = self.except {
            list.filter_unindexed("t.id <> ?", [id.to_string().into()]);
        }
        if let Some(id) = &self.max_id {
            list.filter_unindexed("t.id <= ?", [id.as_str().into()]);
        }
        list.sorted(requested)
    }

    /// The latest use with which a token still counts as unused, unix seconds. None if the filter does not ask for
    /// unused tokens.
    pub fn used_until(&self, now: i64) -> Option<i64> {
        let never = (self.status == Some(TokenStatus::Unused)).then_some(0);
        never.or(self.unused.map(|days| now - days * DAY))
    }
}
