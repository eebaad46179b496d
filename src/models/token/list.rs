//! Lists of tokens: narrowed, sorted, a page at a time, however many there are.
//!
//! The index of the order is walked, and holds whatever filters ask for: what they let through comes
//! soon where it is much of the table. Where a filter finds few rows, those are found and put in order.

use sqlx::AnyConnection;

use super::{Owned, Token};
use crate::db::Engine;
use crate::identity::{TokenId, UserId};
use crate::models::condition::Condition;

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

/// More rows than this are not put in order for a page.
const FEW: i64 = 40_000;
/// As [`FEW`] for several filters: how few rows meet them all is not known before.
const FEW_OF_SEVERAL: i64 = 200_000;

/// What filters and orders ask of a token.
const ASKED: &str = "t.id, t.user_id, t.client_key, t.username_key, t.created_at, t.ends_at, \
                     t.last_used_at, t.last_address";

const CLIENT: &str = "(t.client_key >= * AND t.client_key < ^)";
const USERNAME: &str = "(t.username_key >= * AND t.username_key < ^)";

impl Filter {
    fn condition(&self, now: i64) -> Condition {
        let mut condition = Condition::default();
        if !self.name.is_empty() {
            condition.and_beginning(&format!("({CLIENT} OR {USERNAME})"), &self.name);
        }
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
            // The sign keeps SQLite from an index that would leave next to nothing out.
            Some(true) => condition.and("+t.ends_at > ?", [now.into()]),
            Some(false) => condition.and("t.ends_at <= ?", [now.into()]),
            None => {}
        }
        if let Some(since) = self.unused_since {
            condition.and(
                "COALESCE(t.last_used_at, t.created_at) <= ?",
                [since.into()],
            );
        }
        if let Some(time) = self.issued_by {
            condition.and("t.created_at <= ?", [time.into()]);
        }
        if let Some(id) = self.except {
            condition.and("t.id <> ?", [id.to_string().into()]);
        }
        condition
    }

    /// Each of the filters that an index serves, alone, with the order that has the same index.
    fn each(&self) -> Vec<(Self, Option<Sort>)> {
        let none = Self::default;
        let mut each = vec![];
        if self.user.is_some() {
            let user = self.user;
            each.push((Self { user, ..none() }, None));
        }
        if self.client.is_some() {
            let client = self.client.clone();
            each.push((Self { client, ..none() }, Some(Sort::Client)));
        }
        if self.address.is_some() {
            let address = self.address.clone();
            each.push((Self { address, ..none() }, None));
        }
        if self.live == Some(false) {
            let live = self.live;
            each.push((Self { live, ..none() }, Some(Sort::Expires)));
        }
        if self.unused_since.is_some() {
            let unused_since = self.unused_since;
            let unused = Self {
                unused_since,
                ..none()
            };
            each.push((unused, Some(Sort::LastUsed)));
        }
        if !self.name.is_empty() {
            let name = self.name.clone();
            each.push((Self { name, ..none() }, None));
        }
        each
    }

    /// How many rows are put in order at most.
    fn few(&self, sort: Sort, engine: Engine) -> i64 {
        // PostgreSQL reads the table for each row that it puts in order, SQLite the index alone.
        if engine == Engine::Postgres {
            return FEW;
        }
        // What begins alike stands together in these orders, perhaps at the far end of them.
        let together = !self.name.is_empty() && matches!(sort, Sort::Client | Sort::User);
        if together || self.each().len() > 1 {
            FEW_OF_SEVERAL
        } else {
            FEW
        }
    }

    /// The filter that finds fewest rows, alone, if they are few and not what an index of `sort` has
    /// in order already.
    async fn fewest(
        &self,
        db: &mut AnyConnection,
        now: i64,
        sort: Sort,
        few: i64,
    ) -> sqlx::Result<Option<Self>> {
        let (mut fewest, mut best) = (few, None);
        for (one, in_order) in self.each() {
            let found = if one.name.is_empty() {
                one.condition(now).count(db, "tokens AS t", fewest).await?
            } else {
                one.count_named(db, fewest).await?
            };
            if found < fewest {
                fewest = found;
                best = (in_order != Some(sort)).then_some(one);
            }
        }
        Ok(best)
    }

    async fn count_named(&self, db: &mut AnyConnection, most: i64) -> sqlx::Result<i64> {
        let mut count = 0;
        for range in [CLIENT, USERNAME] {
            let mut found = Condition::default();
            found.and_beginning(range, &self.name);
            count += found.count(db, "tokens AS t", most).await?;
        }
        Ok(count)
    }

    /// What this filter finds, as a table `t`. The limit is never reached: it keeps databases from walking
    /// some other index instead.
    fn rows(&self, now: i64, most: i64) -> (String, Condition) {
        let asked = format!("SELECT {ASKED} FROM tokens AS t");
        if self.name.is_empty() {
            let mut condition = self.condition(now);
            let clauses = condition.sql();
            let rows = format!("({asked} WHERE {clauses} LIMIT {most}) AS t");
            return (rows, condition);
        }
        let mut condition = Condition::default();
        let [client, user, other_client] = [CLIENT, USERNAME, CLIENT].map(|range| {
            condition.and_beginning(range, &self.name);
            condition.sql()
        });
        let rows = format!(
            "({asked} WHERE {client} UNION ALL {asked} WHERE {user} AND NOT {other_client}
              LIMIT {most}) AS t"
        );
        (rows, condition)
    }
}

impl Sort {
    fn order(self, descending: bool) -> String {
        let way = if descending { "DESC" } else { "ASC" };
        let column = match self {
            Self::Client => "t.client_key",
            Self::User => "t.username_key",
            Self::Created => "t.created_at",
            Self::LastUsed => "COALESCE(t.last_used_at, 0)",
            Self::Expires => "t.ends_at",
        };
        format!("{column} {way}, t.id {way}")
    }

    /// The index that has this order.
    fn index(self) -> &'static str {
        match self {
            Self::Client => "tokens_by_client",
            Self::User => "tokens_by_user",
            Self::Created => "tokens_by_creation",
            Self::LastUsed => "tokens_by_last_use",
            Self::Expires => "tokens_by_end",
        }
    }
}

/// Tokens that `filter` lets through at `now`, sorted.
///
/// # Errors
/// The database failed.
pub async fn page(
    db: &mut AnyConnection,
    engine: Engine,
    filter: &Filter,
    (sort, descending): (Sort, bool),
    now: i64,
    some: (i64, i64),
) -> sqlx::Result<Vec<Token>> {
    let few = filter.few(sort, engine);
    page_where(db, engine, filter, (sort, descending), now, some, few).await
}

/// The same, with the most rows that are put in order.
async fn page_where(
    db: &mut AnyConnection,
    engine: Engine,
    filter: &Filter,
    (sort, descending): (Sort, bool),
    now: i64,
    (limit, offset): (i64, i64),
    few: i64,
) -> sqlx::Result<Vec<Token>> {
    let fewest = filter.fewest(db, now, sort, few).await?;
    let walks = fewest.is_none();
    let (from, mut condition) = match (fewest, engine) {
        (Some(one), _) => one.rows(now, few),
        // By itself SQLite takes an index of some filter, and puts all that it finds in order.
        (None, Engine::Sqlite) => {
            let walked = format!("tokens AS t INDEXED BY {}", sort.index());
            (walked, Condition::default())
        }
        (None, Engine::Postgres) => ("tokens AS t".into(), Condition::default()),
    };
    condition.and_all(filter.condition(now));
    if let (Some(since), true) = (filter.unused_since, walks) {
        // Both follow from the filter, and tell the index of the order where to begin.
        condition.and("COALESCE(t.last_used_at, 0) <= ?", [since.into()]);
        condition.and("t.created_at <= ?", [since.into()]);
    }
    let clauses = condition.sql();
    let order = sort.order(descending);
    let (limit, offset) = (condition.bind(limit), condition.bind(offset));
    // First which ones, then what there is to say of them.
    let sql = format!(
        "SELECT t.id, t.user_id, u.username, t.kind, t.client, t.hint, t.created_at,
                t.last_used_at, t.expires_at, t.ends_at, t.last_address, t.user_agent
         FROM (SELECT t.id FROM {from} WHERE {clauses} ORDER BY {order}
               LIMIT {limit} OFFSET {offset}) AS p
         JOIN tokens AS t ON t.id = p.id
         JOIN users AS u ON u.id = t.user_id
         ORDER BY {order}"
    );
    condition.fetch(db, sql).await
}

/// How many tokens `filter` lets through at `now`, counted up to `most`.
///
/// # Errors
/// The database failed.
pub async fn count(
    db: &mut AnyConnection,
    filter: &Filter,
    now: i64,
    most: i64,
) -> sqlx::Result<i64> {
    filter.condition(now).count(db, "tokens AS t", most).await
}

/// Up to `limit` tokens that `filter` lets through at `now`, user by user.
///
/// # Errors
/// The database failed.
pub async fn some(
    db: &mut AnyConnection,
    filter: &Filter,
    now: i64,
    limit: i64,
) -> sqlx::Result<Vec<Owned>> {
    let mut condition = filter.condition(now);
    let clauses = condition.sql();
    let limit = condition.bind(limit);
    let sql = format!("SELECT t.id, t.user_id FROM tokens AS t WHERE {clauses} LIMIT {limit}");
    let mut owned: Vec<Owned> = condition.fetch(db, sql).await?;
    owned.sort_by_key(|token| token.user_id);
    Ok(owned)
}

#[cfg(test)]
mod tests {
    use rocket::figment::Figment;

    use super::*;
    use crate::db::Pool;

    const NOW: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    async fn populated(folder: &std::path::Path) -> Pool {
        let url = format!("sqlite:{}/x.db", folder.display());
        let figment = Figment::from(("databases.multitoken.url", url));
        let pool = Pool::open(&figment).await.unwrap();
        let mut tx = pool.write().await.unwrap();
        for (place, number) in (0..120_i64).enumerate() {
            let (user, client) = (number % 6, ["laptop", "phone", "lab", "tv"][place % 4]);
            let name = ["ann", "lars", "bob", "la", "zoe", "tim"][place % 6];
            sqlx::query(
                "INSERT INTO users (id, username, username_key, password_hash, role, created_at)
                 VALUES ($1, $2, $2, 'x', 'user', 0) ON CONFLICT DO NOTHING",
            )
            .bind(id(user))
            .bind(name)
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
            .bind(id(user))
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
        let user = UserId::parse(&id(1));
        let filter = |set: u32| {
            let has = |bit: u32| set & (1 << bit) > 0;
            Filter {
                name: if has(0) { "la".into() } else { String::new() },
                user: user.filter(|_| has(1)),
                client: has(2).then(|| "lab".into()),
                address: has(3).then(|| "192.0.2.1".into()),
                live: has(4).then_some(set.is_multiple_of(3)),
                unused_since: has(5).then_some(NOW - 9 * DAY),
                ..Filter::default()
            }
        };
        (0..1 << 6).map(filter).collect()
    }

    #[test]
    fn rows_are_the_same_whether_they_are_walked_to_or_put_in_order() {
        rocket::async_test(async {
            let folder = tempfile::tempdir().unwrap();
            let pool = populated(folder.path()).await;
            let mut db = pool.read().await.unwrap();
            let sorts = [
                Sort::Client,
                Sort::User,
                Sort::Created,
                Sort::LastUsed,
                Sort::Expires,
            ];
            let mut found = 0;
            for filter in filters() {
                for order in sorts
                    .into_iter()
                    .flat_map(|sort| [(sort, false), (sort, true)])
                {
                    let mut pages = vec![];
                    for few in [0, FEW] {
                        let engine = Engine::Sqlite;
                        let page = page_where(&mut db, engine, &filter, order, NOW, (9, 2), few);
                        let page = page.await.unwrap();
                        pages.push(page.iter().map(|token| token.id).collect::<Vec<_>>());
                    }
                    assert_eq!(pages[0], pages[1], "{filter:?} {order:?}");
                    found += pages[0].len();
                }
            }
            assert!(found > 1000, "{found}");
        });
    }
}
