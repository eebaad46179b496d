//! Lists of tokens: narrowed, sorted, a page at a time, however many there are.
//!
//! A page costs the same however deep it lies (the last one is the 500th), and however large the table
//! is. Where a filter finds few rows they are put in order; where it finds many, the index of the
//! order is walked and what the filter lets through is bound to come soon.

use sqlx::AnyConnection;

use super::{Owned, Token};
use crate::db::Engine;
use crate::identity::{TokenId, UserId};
use crate::models::condition::{Condition, after};

/// Which tokens; all of them where nothing is set.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The beginning of the user's name or of the client's, canonical.
    pub name: String,
    /// Those of that user.
    pub user: Option<UserId>,
    /// Those of that client, canonical.
    pub client: Option<String>,
    /// The beginning of the address that they were last used from.
    pub address: Option<String>,
    /// Live ones, or expired ones.
    pub live: Option<bool>,
    /// Not used after this time, nor issued after it; unix seconds.
    pub unused_since: Option<i64>,
    /// Not issued after this time, unix seconds.
    pub issued_by: Option<i64>,
    /// Not this one.
    pub except: Option<TokenId>,
}

/// What tokens are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The client's name, canonical.
    Client,
    /// The user's name, canonical.
    User,
    /// When they were issued.
    Created,
    /// When they were last used; those that never were come first.
    LastUsed,
    /// When they end, by age or by disuse.
    Expires,
}

/// More rows than this, found by a filter that the indexes of orders hold too, are not put in order:
/// one that matches comes up soon on the way through the index.
const FEW: i64 = 50_000;
/// As [`FEW`] for a filter that they don't hold, where each row on the way costs more; and more for
/// each row that a page skips, since the way is longer by as much.
const FEW_ELSEWHERE: i64 = 100_000;
const FEW_PER_SKIPPED: i64 = 4;
/// As [`FEW`] for several filters: how few rows meet them all is not known before.
const FEW_OF_SEVERAL: i64 = 300_000;

/// What filters and orders ask of a token, beside the address.
const ASKED: &str = "t.id, t.user_id, t.client_key, t.created_at, t.ends_at, t.last_used_at";

const CLIENT: &str = "(t.client_key >= * AND t.client_key < ^)";
const USERNAME: &str = "(u.username_key >= * AND u.username_key < ^)";

/// Where rows come from, and what they have to meet.
#[derive(Clone)]
struct Source {
    /// `tokens` as `t`, or the few of them that come into question.
    tokens: String,
    few: bool,
    condition: Condition,
    /// Whether the condition asks for the user's name.
    names: bool,
}

impl Filter {
    /// How many rows are put in order at most.
    fn few(&self, skipped: i64) -> i64 {
        match self.each().as_slice() {
            [one] if one.unused_since.is_some() || one.live.is_some() => FEW,
            [] | [_] => FEW_ELSEWHERE + FEW_PER_SKIPPED * skipped,
            _ => FEW_OF_SEVERAL,
        }
    }

    async fn source(&self, db: &mut AnyConnection, now: i64, skipped: i64) -> sqlx::Result<Source> {
        let most = self.few(skipped);
        let fewest = self.fewest(db, now, most).await?;
        let few = fewest.is_some();
        let by_name = fewest
            .as_ref()
            .is_some_and(|filter| !filter.name.is_empty());
        let (tokens, mut condition) = match fewest {
            Some(filter) => filter.rows(now, most, self.address.is_some()),
            None => ("tokens AS t".into(), Condition::default()),
        };
        // What the rows were found by needs no second look.
        let names = !(self.name.is_empty() || by_name);
        if names {
            condition.and_beginning(&format!("({CLIENT} OR {USERNAME})"), &self.name);
        }
        self.narrow(&mut condition, now);
        Ok(Source {
            tokens,
            few,
            condition,
            names,
        })
    }

    fn narrow(&self, condition: &mut Condition, now: i64) {
        if let Some(user) = self.user {
            condition.and("t.user_id = ?", [user.to_string().into()]);
        }
        if let Some(client) = &self.client {
            condition.and("t.client_key = ?", [client.as_str().into()]);
        }
        if let Some(address) = &self.address {
            condition.and_beginning("t.last_address >= * AND t.last_address < ^", address);
        }
        match self.live {
            Some(true) => condition.and("t.ends_at > ?", [now.into()]),
            Some(false) => condition.and("t.ends_at <= ?", [now.into()]),
            None => {}
        }
        if let Some(since) = self.unused_since {
            condition.and(
                "COALESCE(t.last_used_at, t.created_at) <= ?",
                [since.into()],
            );
            // Both follow from it, and say so to the indexes.
            condition.and("COALESCE(t.last_used_at, 0) <= ?", [since.into()]);
            condition.and("t.created_at <= ?", [since.into()]);
        }
        if let Some(time) = self.issued_by {
            condition.and("t.created_at <= ?", [time.into()]);
        }
        if let Some(id) = self.except {
            condition.and("t.id <> ?", [id.to_string().into()]);
        }
    }

    /// The filter that finds fewest rows, alone, if they are few.
    async fn fewest(
        &self,
        db: &mut AnyConnection,
        now: i64,
        most: i64,
    ) -> sqlx::Result<Option<Self>> {
        let mut fewest = most;
        let mut best = None;
        for one in self.each() {
            let mut alone = Condition::default();
            one.narrow(&mut alone, now);
            let found = if one.user.is_some() {
                0
            } else if one.name.is_empty() {
                alone.count(db, "tokens AS t", fewest).await?
            } else {
                one.count_named(db, fewest).await?
            };
            if found < fewest {
                fewest = found;
                best = Some(one);
            }
        }
        Ok(best)
    }

    /// Each of the filters that an index serves, alone.
    fn each(&self) -> Vec<Self> {
        let none = Self::default;
        let mut each = vec![];
        if self.user.is_some() {
            each.push(Self {
                user: self.user,
                ..none()
            });
        }
        if let Some(client) = &self.client {
            each.push(Self {
                client: Some(client.clone()),
                ..none()
            });
        }
        if let Some(address) = &self.address {
            each.push(Self {
                address: Some(address.clone()),
                ..none()
            });
        }
        if self.live == Some(false) {
            each.push(Self {
                live: self.live,
                ..none()
            });
        }
        if self.unused_since.is_some() {
            each.push(Self {
                unused_since: self.unused_since,
                ..none()
            });
        }
        if !self.name.is_empty() {
            each.push(Self {
                name: self.name.clone(),
                ..none()
            });
        }
        each
    }

    async fn count_named(&self, db: &mut AnyConnection, most: i64) -> sqlx::Result<i64> {
        let mut clients = Condition::default();
        clients.and_beginning(CLIENT, &self.name);
        let clients = clients.count(db, "tokens AS t", most).await?;
        let mut users = Condition::default();
        users.and_beginning(USERNAME, &self.name);
        let theirs = "users AS u JOIN tokens AS t ON t.user_id = u.id";
        Ok(clients + users.count(db, theirs, most).await?)
    }

    /// What this filter finds, as a table `t`. The limit is never reached: it keeps the databases from
    /// walking some other index instead.
    fn rows(&self, now: i64, most: i64, addresses: bool) -> (String, Condition) {
        let address = if addresses { ", t.last_address" } else { "" };
        let mut condition = Condition::default();
        if self.name.is_empty() {
            self.narrow(&mut condition, now);
            let clauses = condition.take_sql();
            let rows = format!(
                "(SELECT {ASKED}{address} FROM tokens AS t WHERE {clauses} LIMIT {most}) AS t"
            );
            return (rows, condition);
        }
        let first = condition.bind(self.name.as_str());
        let last = condition.bind(after(&self.name));
        let ends = |sql: &str| sql.replace('*', &first).replace('^', &last);
        let rows = format!(
            "(SELECT {ASKED}{address} FROM tokens AS t WHERE {} UNION ALL
              SELECT {ASKED}{address} FROM users AS u JOIN tokens AS t ON t.user_id = u.id
              WHERE {} AND NOT {} LIMIT {most}) AS t",
            ends(CLIENT),
            ends(USERNAME),
            ends(CLIENT),
        );
        (rows, condition)
    }
}

impl Sort {
    fn order(self, descending: bool) -> String {
        let way = if descending { "DESC" } else { "ASC" };
        let columns: &[&str] = match self {
            Self::Client => &["t.client_key", "t.id"],
            Self::User => &["u.username_key", "t.id"],
            Self::Created => &["t.created_at", "t.id"],
            Self::LastUsed => &["COALESCE(t.last_used_at, 0)", "t.id"],
            Self::Expires => &["t.ends_at", "t.id"],
        };
        let columns: Vec<_> = columns
            .iter()
            .map(|column| format!("{column} {way}"))
            .collect();
        columns.join(", ")
    }

    /// The index that has this order; none for an order of two tables.
    fn index(self) -> Option<&'static str> {
        match self {
            Self::Client => Some("tokens_by_client"),
            Self::User => None,
            Self::Created => Some("tokens_by_creation"),
            Self::LastUsed => Some("tokens_by_last_use"),
            Self::Expires => Some("tokens_by_end"),
        }
    }
}

impl Source {
    /// The rows, in no order.
    fn joined(&self) -> String {
        let tokens = &self.tokens;
        if self.names {
            format!("{tokens} JOIN users AS u ON u.id = t.user_id")
        } else {
            tokens.clone()
        }
    }

    /// The rows, for reading them in the order of `sort`, and how the tables are joined.
    fn sorted_by(&self, sort: Sort, engine: Engine) -> (String, &'static str) {
        let tokens = match (sort.index(), engine) {
            // SQLite would take an index of the filter, and put what it finds in order.
            (Some(index), Engine::Sqlite) if !self.few => format!("tokens AS t INDEXED BY {index}"),
            _ => self.tokens.clone(),
        };
        let by_user = sort == Sort::User;
        // SQLite keeps to the order of a CROSS JOIN: users in theirs, and each one's tokens.
        let from = match (by_user, self.few) {
            (true, true) => format!("{tokens} CROSS JOIN users AS u"),
            (true, false) => format!("users AS u CROSS JOIN {tokens}"),
            (false, _) if self.names => format!("{tokens} CROSS JOIN users AS u"),
            (false, _) => return (tokens, "1 = 1"),
        };
        (from, "t.user_id = u.id")
    }
}

/// The tokens that a filter lets through.
pub struct Matches {
    source: Source,
    engine: Engine,
    skipped: i64,
}

impl Matches {
    /// Looks for what `filter` lets through at `now`, for a page that skips so many rows.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(
        db: &mut AnyConnection,
        engine: Engine,
        filter: &Filter,
        now: i64,
        skipped: i64,
    ) -> sqlx::Result<Self> {
        Ok(Self {
            source: filter.source(db, now, skipped).await?,
            engine,
            skipped,
        })
    }

    /// How many there are, counted up to `most`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count(&self, db: &mut AnyConnection, most: i64) -> sqlx::Result<i64> {
        let from = self.source.joined();
        self.source.condition.clone().count(db, &from, most).await
    }

    /// Up to `limit` of them, sorted, behind those that are skipped.
    ///
    /// # Errors
    /// The database failed.
    pub async fn page(
        self,
        db: &mut AnyConnection,
        (sort, descending): (Sort, bool),
        limit: i64,
    ) -> sqlx::Result<Vec<Token>> {
        let (from, joined) = self.source.sorted_by(sort, self.engine);
        let mut condition = self.source.condition;
        let clauses = condition.sql();
        let order = sort.order(descending);
        let (limit, offset) = (condition.bind(limit), condition.bind(self.skipped));
        // First which ones, then what there is to say of them.
        let sql = format!(
            "SELECT t.id, t.user_id, u.username, t.kind, t.client, t.hint, t.created_at,
                    t.last_used_at, t.expires_at, t.ends_at, t.last_address, t.user_agent
             FROM (SELECT t.id FROM {from} WHERE {joined} AND {clauses} ORDER BY {order}
                   LIMIT {limit} OFFSET {offset}) AS p
             JOIN tokens AS t ON t.id = p.id
             JOIN users AS u ON u.id = t.user_id
             ORDER BY {order}"
        );
        condition.fetch(db, sql).await
    }
}

/// Up to `limit` tokens that `filter` lets through, user by user.
///
/// # Errors
/// The database failed.
pub async fn some(
    db: &mut AnyConnection,
    filter: &Filter,
    now: i64,
    limit: i64,
) -> sqlx::Result<Vec<Owned>> {
    let source = filter.source(db, now, 0).await?;
    let from = source.joined();
    let mut condition = source.condition;
    let clauses = condition.sql();
    let limit = condition.bind(limit);
    let sql = format!("SELECT t.id, t.user_id FROM {from} WHERE {clauses} LIMIT {limit}");
    let mut owned: Vec<Owned> = condition.fetch(db, sql).await?;
    owned.sort_by_key(|token| token.user_id);
    Ok(owned)
}
