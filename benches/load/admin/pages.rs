//! Lists of the admin that are hard to make: every filter in every order, on the first page and on the
//! last, with values that find much, little and nothing; and where their pages lead.

use multitoken::models::event::Action;
use multitoken::models::now;
use rocket::time::{Duration, OffsetDateTime};
use sqlx::AnyConnection;
use url::form_urlencoded::Serializer;

use crate::Outcome;
use crate::database::{ADMIN, Database, connect};

/// The first page and the last.
const PAGES: [&str; 2] = ["1", "500"];
const NOTHING: &str = "nobody has such a name";

type Pairs = Vec<(&'static str, String)>;

/// Paths of all of them.
pub async fn all(database: &Database) -> Outcome<Vec<String>> {
    let mut db = connect(&database.url).await?;
    let lists = [
        (
            "/admin/users",
            users(),
            ["name", "created", "last_seen"].as_slice(),
        ),
        (
            "/admin/tokens",
            tokens(&Values::find(&mut db).await?),
            &["client", "user", "created", "last_used", "expires"],
        ),
        ("/admin/audit", audit()?, &[]),
    ];
    let mut paths = vec![];
    for (path, filters, orders) in lists {
        let falling = orders.iter().map(|order| format!("-{order}"));
        let rising = orders.iter().map(|order| (*order).to_owned());
        let orders: Vec<Option<String>> = [None]
            .into_iter()
            .chain(rising.chain(falling).map(Some))
            .collect();
        for filter in &filters {
            for order in &orders {
                if !is_offered(filter, order.as_deref()) {
                    continue;
                }
                for page in PAGES {
                    let mut query = Serializer::new(String::new());
                    query.extend_pairs(filter);
                    if let Some(order) = order {
                        query.append_pair("sort", order);
                    }
                    query.append_pair("page", page);
                    paths.push(format!("{path}?{}", query.finish()));
                }
            }
        }
    }
    Ok(paths)
}

/// Unused tokens are not to be had in the order of their ends, last first.
fn is_offered(filter: &Pairs, order: Option<&str>) -> bool {
    let unused = filter.iter().any(|(name, _)| *name == "unused");
    !unused || order != Some("-expires")
}

/// The query that a page's link of that relation leads to.
pub fn link(page: &str, relation: &str) -> Option<String> {
    let (before, _) = page.split_once(&format!("\" rel=\"{relation}\""))?;
    let (_, query) = before.rsplit_once("href=\"")?;
    // A query has nothing else that HTML would escape.
    Some(query.replace("&amp;", "&"))
}

fn users() -> Vec<Pairs> {
    let one = |name, value: &str| vec![(name, value.to_owned())];
    vec![
        vec![],
        one("q", "a"),
        one("q", "bench-"),
        one("q", "mar"),
        one("q", NOTHING),
        one("status", "active"),
        one("status", "disabled"),
        one("role", "user"),
        one("role", "admin"),
        pairs(&[("q", "a"), ("status", "disabled"), ("role", "user")]),
        pairs(&[("status", "disabled"), ("role", "admin")]),
    ]
}

fn tokens(values: &Values) -> Vec<Pairs> {
    let one = |name, value: &str| vec![(name, value.to_owned())];
    let Values {
        user,
        common,
        rare,
        address,
    } = values;
    let many_addresses = address.split(['.', ':']).next().unwrap_or_default();
    vec![
        vec![],
        one("q", "a"),
        one("q", "i"),
        one("q", "mar"),
        one("q", NOTHING),
        one("user", user),
        one("user", NOTHING),
        one("client", common),
        one("client", rare),
        one("client", NOTHING),
        one("status", "live"),
        one("status", "expired"),
        one("unused", "0"),
        one("unused", "7"),
        one("unused", "60"),
        one("unused", "300"),
        one("address", address),
        one("address", many_addresses),
        one("address", "1"),
        pairs(&[("q", "a"), ("status", "live"), ("unused", "60")]),
        pairs(&[("q", "a"), ("client", common), ("status", "live")]),
        pairs(&[("client", common), ("status", "expired"), ("unused", "7")]),
        pairs(&[("client", common), ("unused", "60"), ("address", "1")]),
        pairs(&[("q", "i"), ("address", "2"), ("unused", "300")]),
        pairs(&[("user", user), ("status", "live"), ("unused", "0")]),
    ]
}

fn audit() -> Outcome<Vec<Pairs>> {
    let one = |name, value: &str| vec![(name, value.to_owned())];
    let today = OffsetDateTime::from_unix_timestamp(now())?.date();
    let day = |days| (today - Duration::days(days)).to_string();
    let mut filters = vec![
        vec![],
        one("q", "a"),
        one("q", "mar"),
        one("q", "client"),
        one("q", NOTHING),
        one("actor", ADMIN),
        one("actor", NOTHING),
        one("from", &day(1)),
        one("to", &day(300)),
        pairs(&[("from", &day(200)), ("to", &day(100))]),
        pairs(&[("q", "a"), ("from", &day(200)), ("to", &day(100))]),
        pairs(&[("actor", ADMIN), ("action", "token.ended")]),
        pairs(&[("q", "a"), ("action", "user.deleted")]),
        pairs(&[("q", "a"), ("actor", ADMIN), ("to", &day(100))]),
        pairs(&[("q", NOTHING), ("action", "token.issued")]),
    ];
    let actions = Action::ALL.iter();
    filters.extend(actions.map(|action| one("action", action.as_str())));
    Ok(filters)
}

fn pairs(pairs: &[(&'static str, &str)]) -> Pairs {
    let owned = pairs
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    owned.collect()
}

/// Values that are found.
struct Values {
    user: String,
    /// The client that most tokens are of, and the one that fewest are of.
    common: String,
    rare: String,
    address: String,
}

impl Values {
    async fn find(db: &mut AnyConnection) -> Outcome<Self> {
        let mut clients = vec![];
        for order in ["DESC", "ASC"] {
            let sql = format!(
                "SELECT client_key FROM tokens WHERE kind = 'api'
                 GROUP BY client_key ORDER BY COUNT(*) {order} LIMIT 1"
            );
            let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql));
            clients.push(query.fetch_one(&mut *db).await?);
        }
        let (user, address) = sqlx::query_as(
            "SELECT username_key, last_address FROM tokens
             WHERE kind = 'api' AND last_address IS NOT NULL ORDER BY id LIMIT 1",
        )
        .fetch_one(&mut *db)
        .await?;
        let rare = clients.pop().unwrap_or_default();
        let common = clients.pop().unwrap_or_default();
        Ok(Self {
            user,
            common,
            rare,
            address,
        })
    }
}
