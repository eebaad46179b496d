//! Lists of tokens: narrowed, sorted, a page at a time, however many there are.

use super::{Owned, Token};
use crate::db::{Conn, Engine};
use crate::identity::TokenId;
use crate::models::condition::Condition;
use crate::models::place::{Count, Key, Order, Part, Place};
use crate::models::search::{Clause, Indexed, Search, Table, rows_of_any};

/// Which tokens; all of them where nothing is set.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The beginning of the user's key or of the client's.
    pub name: String,
    /// Those of that user, by the key.
    pub user: Option<String>,
    /// Those of that client, by the key.
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

/// What filters and orders ask of a token: each index of an order has it all.
const TABLE: Table = Table {
    name: "tokens AS t",
    columns: "t.id, t.client_key, t.username_key, t.created_at, t.ends_at, t.last_used_at, \
              t.last_address",
};

const CLIENT: &str = "t.client_key >= * AND t.client_key < ^";
const USERNAME: &str = "t.username_key >= * AND t.username_key < ^";
const BY_END: &str = "tokens_by_end";
const BY_CREATION: &str = "tokens_by_creation";
const BY_LAST_USE: &str = "tokens_by_last_use";
const BY_CLIENT: &str = "tokens_by_client";
const BY_USER: &str = "tokens_by_user";
const BY_ADDRESS: &str = "tokens_by_address";
const BY_DISUSE: &str = "tokens_by_disuse";

impl Filter {
    fn clauses(&self, now: i64) -> Vec<Clause> {
        let mut clauses = vec![];
        if let Some(user) = &self.user {
            let clause = Clause::new("t.username_key = ?", user.as_str());
            clauses.push(clause.leading(BY_USER));
        }
        if let Some(client) = &self.client {
            let clause = Clause::new("t.client_key = ?", client.as_str());
            clauses.push(clause.leading(BY_CLIENT));
        }
        if let Some(since) = self.unused_since {
            let disused = "COALESCE(t.last_used_at, t.created_at) <= ?";
            clauses.push(Clause::new(disused, since).leading(BY_DISUSE));
            // Both follow from it, and tell an index where to begin.
            let used = Clause::up_to("COALESCE(t.last_used_at, 0)", since);
            clauses.push(used.along(BY_LAST_USE));
            clauses.push(Clause::up_to("t.created_at", since).along(BY_CREATION));
        }
        if let Some(address) = &self.address {
            let beginning = "t.last_address >= * AND t.last_address < ^";
            let clause = Clause::beginning(beginning, address);
            clauses.push(clause.leading(BY_ADDRESS));
        }
        match self.live {
            Some(true) => clauses.push(Clause::past("t.ends_at", now).along(BY_END)),
            Some(false) => {
                let clause = Clause::up_to("t.ends_at", now);
                clauses.push(clause.leading(BY_END));
            }
            None => {}
        }
        if let Some(time) = self.issued_by {
            clauses.push(Clause::up_to("t.created_at", time).along(BY_CREATION));
        }
        if let Some(id) = self.except {
            clauses.push(Clause::new("t.id <> ?", id.to_string()));
        }
        clauses
    }

    /// Begins to look for what this filter lets through at `now`, unix seconds.
    ///
    /// # Errors
    /// The database failed.
    pub async fn search(&self, db: &mut Conn, engine: Engine, now: i64) -> sqlx::Result<Tokens> {
        let begins = |name: &Option<String>| Some(name.as_ref()?.starts_with(&self.name));
        let mut ways = vec![];
        match (begins(&self.client), begins(&self.user)) {
            _ if self.name.is_empty() => ways.push(self.clauses(now)),
            (Some(true), _) | (_, Some(true)) => ways.push(self.clauses(now)),
            (Some(false), Some(false)) => {}
            (client, user) => {
                let [by_client, by_user] =
                    [CLIENT, USERNAME].map(|sql| Clause::beginning(sql, &self.name));
                if client.is_none() {
                    let mut clauses = self.clauses(now);
                    clauses.insert(0, by_client.leading(BY_CLIENT));
                    ways.push(clauses);
                }
                if user.is_none() {
                    let mut clauses = self.clauses(now);
                    clauses.insert(0, by_user.leading(BY_USER));
                    ways.push(clauses);
                }
            }
        }
        let mut searches = vec![];
        for clauses in ways {
            searches.push(Search::begin(db, engine, TABLE, clauses).await?);
        }
        let mut new = Condition::default();
        if searches.len() > 1 {
            new.and_beginning(&format!("NOT ({CLIENT})"), &self.name);
        }
        Ok(Tokens { searches, new })
    }
}

impl Sort {
    fn indexed(self, descending: bool) -> Indexed {
        let (key, index, numeric) = match self {
            Self::Client => ("t.client_key", BY_CLIENT, false),
            Self::User => ("t.username_key", BY_USER, false),
            Self::Created => ("t.created_at", BY_CREATION, true),
            Self::LastUsed => ("COALESCE(t.last_used_at, 0)", BY_LAST_USE, true),
            Self::Expires => ("t.ends_at", BY_END, true),
        };
        let id = "t.id";
        Indexed {
            order: Order {
                key,
                id,
                descending,
            },
            numeric,
            index,
        }
    }

    /// The key of a place in this order, as `text` has it.
    pub fn key(self, text: &str) -> Option<Key> {
        if self.indexed(false).numeric {
            return text.parse().ok().map(Key::Number);
        }
        Some(Key::Text(text.to_owned()))
    }
}

/// Tokens that are looked for.
#[derive(Debug)]
pub struct Tokens {
    /// By the client's name, and by the user's.
    searches: Vec<Search>,
    /// What the second has found and the first has not.
    new: Condition,
}

impl Tokens {
    /// How many there are, counted up to `most`; unless `all` are to be looked at, perhaps not that far.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count(&self, db: &mut Conn, most: i64, all: bool) -> sqlx::Result<Count> {
        let (mut count, mut further) = (Count::default(), Condition::default());
        for search in &self.searches {
            count = count.and(search.count(db, &further, most, all).await?);
            further = self.new.clone();
        }
        Ok(count.up_to(most))
    }

    /// A part of them, sorted, each with its place.
    ///
    /// # Errors
    /// The database failed.
    pub async fn part(
        &self,
        db: &mut Conn,
        (sort, descending): (Sort, bool),
        part: &Part,
    ) -> sqlx::Result<Vec<(Place, Token)>> {
        let order = sort.indexed(descending);
        let select = "SELECT t.id, t.user_id, u.username, t.kind, t.client, t.hint, t.created_at,
                              t.last_used_at, t.expires_at, t.ends_at, t.last_address, t.user_agent
                       FROM tokens AS t JOIN users AS u ON u.id = t.user_id";
        let id = |token: &Token| token.id.to_string();
        rows_of_any(db, &self.searches, order, part, (select, id)).await
    }

    /// Up to `limit` of them, user by user.
    ///
    /// # Errors
    /// The database failed.
    pub async fn some(&self, db: &mut Conn, limit: i64) -> sqlx::Result<Vec<Owned>> {
        let (order, part) = (Sort::Created.indexed(false), Part::first(limit));
        let select = "SELECT t.id, t.user_id FROM tokens AS t";
        let id = |token: &Owned| token.id.to_string();
        let owned = rows_of_any(db, &self.searches, order, &part, (select, id)).await?;
        let mut owned: Vec<Owned> = owned.into_iter().map(|(_, token)| token).collect();
        owned.sort_by_key(|token| token.user_id);
        Ok(owned)
    }
}

#[cfg(test)]
mod tests {
    use rocket::figment::Figment;

    use super::*;
    use crate::db::Pool;
    use crate::models::place::Start;
    use crate::models::search::{Limits, places_of_any};
    use crate::postgres::Postgres;

    const NOW: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    /// Runs a test on a database of either engine, with the same tokens in both.
    fn on_both(test: impl AsyncFn(Pool)) {
        rocket::async_test(async {
            let folder = tempfile::tempdir().unwrap();
            test(populated(format!("sqlite:{}/x.db", folder.path().display())).await).await;
            if let Some(server) = Postgres::get() {
                test(populated(server.database().await).await).await;
            }
        });
    }

    async fn populated(url: String) -> Pool {
        let figment = Figment::from(("databases.multitoken.url", url));
        let pool = Pool::open(&figment).await.unwrap();
        let mut tx = pool.write().await.unwrap();
        for (place, number) in (0..120_i64).enumerate() {
            // A user each, since each has one token for a client; the tokens are what is searched.
            let client = ["laptop", "phone", "lab", "tv"][place % 4];
            let name = ["ann", "lars", "bob", "la", "zoe", "tim"][place % 6];
            sqlx::query(
                "INSERT INTO users (id, username, username_key, password_hash, role, created_at)
                 VALUES ($1, $2, $2, 'x', 'user', 0)",
            )
            .bind(id(number))
            .bind(format!("{name}{number}"))
            .execute(&mut *tx)
            .await
            .unwrap();
            let created = NOW - (number * 7 % 60) * DAY;
            sqlx::query(
                "INSERT INTO tokens (id, user_id, username_key, kind, client, client_key, digest, hint,
                                     created_at, last_used_at, ends_at, last_address)
                 VALUES ($1, $2, $3, 'api', $4, $5, $1, '', $6, $7, $8, $9)",
            )
            .bind(id(1000 + number))
            .bind(id(number))
            .bind(name)
            .bind(format!("{client}{number}"))
            .bind(client)
            .bind(created)
            .bind((number % 5 > 0).then_some(created + number % 9 * DAY))
            .bind(NOW + (number % 11 - 3) * DAY)
            .bind(format!("192.0.2.{}", number % 13))
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
        pool
    }

    fn id(number: i64) -> String {
        format!("01a20d5a-0000-7000-8000-{number:012}")
    }

    /// Every combination of some value and none.
    fn filters() -> Vec<Filter> {
        let filter = |set: u32| {
            let has = |bit: u32| set & (1 << bit) > 0;
            Filter {
                name: if has(0) { "la".into() } else { String::new() },
                user: has(1).then(|| "lars".into()),
                client: has(2).then(|| "lab".into()),
                address: has(3).then(|| "192.0.2.1".into()),
                live: has(4).then_some(set.is_multiple_of(3)),
                unused_since: has(5).then_some(NOW - 9 * DAY),
                ..Filter::default()
            }
        };
        (0..1 << 6).map(filter).collect()
    }

    /// Ways to the same rows: walking on and on, putting in order after a step or two, or first.
    const WAYS: [(Limits, bool); 5] = [
        (limits(1_000_000, 0), false),
        (limits(30, 1_000_000), false),
        (limits(1, 1_000_000), false),
        (limits(1, 0), false),
        (limits(0, 0), true),
    ];

    const fn limits(walked: i64, many: i64) -> Limits {
        let few = 1_000_000;
        Limits { few, walked, many }
    }

    async fn places(
        db: &mut Conn,
        found: &Tokens,
        (sort, descending): (Sort, bool),
        start: Start,
        limit: i64,
    ) -> Vec<Place> {
        let part = Part { start, limit };
        let order = sort.indexed(descending);
        places_of_any(db, &found.searches, order, &part)
            .await
            .unwrap()
    }

    const SORTS: [Sort; 5] = [
        Sort::Client,
        Sort::User,
        Sort::Created,
        Sort::LastUsed,
        Sort::Expires,
    ];

    #[test]
    fn every_bound_along_an_order_gives_way_to_a_place() {
        let orders = SORTS.map(|sort| sort.indexed(false));
        let numeric = orders.iter().filter(|order| order.numeric);
        let numeric: Vec<_> = numeric.map(|order| order.index).collect();
        let clauses = filters().into_iter().flat_map(|filter| {
            let issued_by = Some(NOW);
            let filter = Filter {
                issued_by,
                ..filter
            };
            filter.clauses(NOW)
        });
        let mut bounds = 0;
        for clause in clauses {
            if clause.along.is_some_and(|index| numeric.contains(&index)) {
                // Else SQLite may begin at the bound, and walk from there to the place.
                assert!(clause.range.is_some(), "{clause:?}");
                bounds += 1;
            }
        }
        assert!(bounds > 100, "{bounds}");
    }

    #[test]
    fn what_finds_many_on_postgresql_is_known_without_counting() {
        let Some(server) = Postgres::get() else {
            return;
        };
        rocket::async_test(async {
            let pool = populated(server.database().await).await;
            let mut db = pool.read().await.unwrap();
            sqlx::query("ANALYZE tokens")
                .execute(&mut db)
                .await
                .unwrap();
            let clauses = filters().into_iter().flat_map(|filter| filter.clauses(NOW));
            let (mut seen, mut sure) = (0, 0);
            for clause in clauses.filter(|clause| clause.leads) {
                let found = clause.count(&mut db, TABLE, 1000).await.unwrap();
                let few = clause.finds_many(&mut db, TABLE, found).await.unwrap();
                assert!(!few, "{clause:?}: {found}");
                seen += 1;
                sure += usize::from(clause.finds_many(&mut db, TABLE, found / 4).await.unwrap());
            }
            assert!(seen > 100 && sure > seen / 2, "{sure} of {seen}");
        });
    }

    #[test]
    fn all_ways_lead_to_the_same_rows() {
        on_both(async |pool| {
            let mut db = pool.read().await.unwrap();
            let mut seen = 0;
            for filter in filters() {
                let mut found = filter.search(&mut db, pool.engine(), NOW).await.unwrap();
                let leaders: Vec<_> = found.searches.iter().map(|search| search.leader).collect();
                for order in SORTS
                    .iter()
                    .flat_map(|sort| [(*sort, false), (*sort, true)])
                {
                    let mut parts = vec![];
                    for (limits, leads) in WAYS {
                        for (search, leader) in found.searches.iter_mut().zip(&leaders) {
                            search.limits = limits;
                            search.leader = leader.filter(|_| leads);
                        }
                        parts.push(places(&mut db, &found, order, Start::Row(2), 9).await);
                    }
                    assert!(
                        parts.iter().all(|part| *part == parts[0]),
                        "{filter:?} {order:?}"
                    );
                    seen += parts[0].len();
                }
            }
            assert!(seen > 1000, "{seen}");
        });
    }

    #[test]
    fn parts_lie_around_a_place_as_they_do_in_the_whole() {
        on_both(async |pool| {
            let mut db = pool.read().await.unwrap();
            for filter in filters() {
                let found = filter.search(&mut db, pool.engine(), NOW).await.unwrap();
                for order in SORTS
                    .iter()
                    .flat_map(|sort| [(*sort, false), (*sort, true)])
                {
                    let whole = places(&mut db, &found, order, Start::Row(0), 1000).await;
                    let rows = i64::try_from(whole.len()).unwrap();
                    let count = found.count(&mut db, 1000, true).await.unwrap();
                    assert_eq!(count, Count { rows, more: false }, "{filter:?}");
                    let middle = whole.len() / 2;
                    let Some(place) = whole.get(middle) else {
                        continue;
                    };
                    let after = Start::After(place.clone());
                    let after = places(&mut db, &found, order, after, 5).await;
                    let wanted = &whole[middle + 1..whole.len().min(middle + 6)];
                    assert_eq!(after, wanted, "{filter:?} {order:?}");
                    let before = Start::Before(place.clone());
                    let before = places(&mut db, &found, order, before, 5).await;
                    let wanted = &whole[middle.saturating_sub(5)..middle];
                    assert_eq!(before, wanted, "{filter:?} {order:?}");
                }
            }
        });
    }
}
