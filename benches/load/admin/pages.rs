//! Lists of the admin: every filter that is offered in every order, with values that find much, little and nothing;
//! and where their pages lead.

use multitoken::identity::address::Address;
use multitoken::models::event::Action;
use multitoken::models::now;
use rocket::time::{Duration, OffsetDateTime};
use sqlx::AnyConnection;
use url::form_urlencoded::Serializer;

use crate::Outcome;
use crate::database::{ADMIN, Database, connect};

const NOTHING: &str = "nobody has such a name";

type Pairs = Vec<(&'static str, String)>;

/// Paths of all of them.
pub async fn all(database: &Database) -> Outcome<Vec<String>> {
    let mut db = connect(&database.url).await?;
    let values = Values::find(&mut db).await?;
    let lists = [
        (
            "/admin/users",
            users(),
            ["name", "created", "last_seen"].as_slice(),
        ),
        (
            "/admin/tokens",
            tokens(&values),
            &["created", "last_used", "expires"],
        ),
        ("/admin/audit", audit(&values)?, &[]),
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
                let mut query = Serializer::new(String::new());
                query.extend_pairs(filter);
                if let Some(order) = order {
                    query.append_pair("sort", order);
                }
                paths.push(format!("{path}?{}", query.finish()));
            }
        }
    }
    Ok(paths)
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
        app,
    } = values;
    let network = format!("{address}/16");
    vec![
        vec![],
        one("user", user),
        one("user", NOTHING),
        one("client", common),
        one("client", rare),
        one("client", NOTHING),
        one("kind", "api"),
        one("kind", "admin"),
        one("device", app),
        one("status", "live"),
        one("status", "expired"),
        one("status", "unused"),
        one("status", "expiring"),
        one("unused", "0"),
        one("unused", "7"),
        one("unused", "60"),
        one("unused", "300"),
        one("address", address),
        one("address", &network),
        one("address", "0.0.0.0/0"),
        pairs(&[("device", app), ("older", "4.12")]),
        pairs(&[("status", "live"), ("unused", "60")]),
        pairs(&[("client", common), ("status", "live")]),
        pairs(&[("client", common), ("status", "expired"), ("unused", "7")]),
        pairs(&[("client", common), ("unused", "60"), ("address", &network)]),
        pairs(&[("client", common), ("device", NOTHING)]),
        pairs(&[("address", "0.0.0.0/0"), ("unused", "300")]),
        pairs(&[("kind", "api"), ("status", "expired")]),
        pairs(&[("user", user), ("status", "live"), ("unused", "0")]),
    ]
}

fn audit(values: &Values) -> Outcome<Vec<Pairs>> {
    let Values {
        user,
        common,
        address,
        ..
    } = values;
    let one = |name, value: &str| vec![(name, value.to_owned())];
    let today = OffsetDateTime::from_unix_timestamp(now())?.date();
    let day = |days| (today - Duration::days(days)).to_string();
    let mut filters = vec![
        vec![],
        one("subject", user),
        one("subject", NOTHING),
        one("actor", ADMIN),
        one("actor", NOTHING),
        one("client", common),
        one("address", address),
        one("address", "0.0.0.0/0"),
        one("reason", "deleted"),
        one("via", "cli"),
        one("last", "24h"),
        one("from", &day(1)),
        one("to", &day(300)),
        pairs(&[("from", &day(200)), ("to", &day(100))]),
        pairs(&[("subject", user), ("from", &day(200)), ("to", &day(100))]),
        pairs(&[("actor", ADMIN), ("action", "token.revoked")]),
        pairs(&[("client", common), ("action", "user.deleted")]),
        pairs(&[
            ("client", common),
            ("reason", "disabled"),
            ("to", &day(100)),
        ]),
        pairs(&[("action", "token.issued"), ("via", "admin")]),
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
    /// The app of most tokens.
    app: String,
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
        let (user, address): (String, String) = sqlx::query_as(
            "SELECT u.username, t.address FROM tokens t JOIN users u ON u.id = t.user_id
             WHERE t.kind = 'api' AND t.address LIKE '4%' ORDER BY t.id LIMIT 1",
        )
        .fetch_one(&mut *db)
        .await?;
        let address = Address::try_from(address)?.to_string();
        let app = sqlx::query_scalar(
            "SELECT app FROM tokens WHERE app IS NOT NULL GROUP BY app ORDER BY COUNT(*) DESC LIMIT 1",
        );
        let app = app.fetch_one(&mut *db).await?;
        let rare = clients.pop().unwrap_or_default();
        let common = clients.pop().unwrap_or_default();
        Ok(Self {
            user,
            common,
            rare,
            address,
            app,
        })
    }
}
