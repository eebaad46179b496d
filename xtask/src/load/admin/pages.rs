//! The paths of the admin's lists: every filter in every sort order, with values that match many, few or no rows.

use rocket::time::{Duration, OffsetDateTime};
use rocket_multitoken::identity::address::Address;
use rocket_multitoken::models::event::Action;
use rocket_multitoken::models::now;
use sqlx::AnyConnection;
use url::form_urlencoded::Serializer;

use crate::load::Result;
use crate::load::database::{SeededDatabase, connect};
use crate::load::fill::ADMIN;

const NO_MATCH: &str = "no user has such a name";

type QueryPairs = Vec<(&'static str, String)>;

/// The paths of all lists.
pub async fn list_paths(database: &SeededDatabase) -> Result<Vec<String>> {
    let mut db = connect(&database.url).await?;
    let values = FilterValues::find(&mut db).await?;
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
        let descending = orders.iter().map(|order| format!("-{order}"));
        let ascending = orders.iter().map(|order| (*order).to_owned());
        let orders: Vec<Option<String>> = [None]
            .into_iter()
            .chain(ascending.chain(descending).map(Some))
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

/// The query string of the page's link with that relation.
pub fn link_query(page: &str, relation: &str) -> Option<String> {
    let (before, _) = page.split_once(&format!("\" rel=\"{relation}\""))?;
    let (_, query) = before.rsplit_once("href=\"")?;
    // In a query string, HTML escapes only `&`.
    Some(query.replace("&amp;", "&"))
}

fn users() -> Vec<QueryPairs> {
    let single = |name, value: &str| vec![(name, value.to_owned())];
    vec![
        vec![],
        single("q", "a"),
        single("q", "bench-"),
        single("q", "mar"),
        single("q", NO_MATCH),
        single("status", "active"),
        single("status", "disabled"),
        single("role", "user"),
        single("role", "admin"),
        pairs(&[("q", "a"), ("status", "disabled"), ("role", "user")]),
        pairs(&[("status", "disabled"), ("role", "admin")]),
    ]
}

fn tokens(values: &FilterValues) -> Vec<QueryPairs> {
    let single = |name, value: &str| vec![(name, value.to_owned())];
    let FilterValues {
        user,
        common,
        rare,
        address,
        app,
    } = values;
    let network = format!("{address}/16");
    vec![
        vec![],
        single("user", user),
        single("user", NO_MATCH),
        single("client", common),
        single("client", rare),
        single("client", NO_MATCH),
        single("kind", "api"),
        single("kind", "admin"),
        single("device", app),
        single("status", "live"),
        single("status", "expired"),
        single("status", "unused"),
        single("status", "expiring"),
        single("unused", "0"),
        single("unused", "7"),
        single("unused", "60"),
        single("unused", "300"),
        single("address", address),
        single("address", &network),
        single("address", "0.0.0.0/0"),
        pairs(&[("device", app), ("older", "4.12")]),
        pairs(&[("status", "live"), ("unused", "60")]),
        pairs(&[("client", common), ("status", "live")]),
        pairs(&[("client", common), ("status", "expired"), ("unused", "7")]),
        pairs(&[("client", common), ("unused", "60"), ("address", &network)]),
        pairs(&[("client", common), ("device", NO_MATCH)]),
        pairs(&[("address", "0.0.0.0/0"), ("unused", "300")]),
        pairs(&[("kind", "api"), ("status", "expired")]),
        pairs(&[("user", user), ("status", "live"), ("unused", "0")]),
    ]
}

fn audit(values: &FilterValues) -> Result<Vec<QueryPairs>> {
    let FilterValues {
        user,
        common,
        address,
        ..
    } = values;
    let single = |name, value: &str| vec![(name, value.to_owned())];
    let today = OffsetDateTime::from_unix_timestamp(now())?.date();
    let day = |days| (today - Duration::days(days)).to_string();
    let mut filters = vec![
        vec![],
        single("subject", user),
        single("subject", NO_MATCH),
        single("actor", ADMIN),
        single("actor", NO_MATCH),
        single("client", common),
        single("address", address),
        single("address", "0.0.0.0/0"),
        single("reason", "deleted"),
        single("via", "cli"),
        single("last", "24h"),
        single("from", &day(1)),
        single("to", &day(300)),
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
    let actions = Action::all();
    filters.extend(actions.map(|action| single("action", action.as_str())));
    Ok(filters)
}

fn pairs(pairs: &[(&'static str, &str)]) -> QueryPairs {
    let owned = pairs
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    owned.collect()
}

/// Filter values that match rows.
struct FilterValues {
    user: String,
    /// The client of most tokens.
    common: String,
    /// The client of the fewest tokens.
    rare: String,
    address: String,
    /// The app of most tokens.
    app: String,
}

impl FilterValues {
    async fn find(db: &mut AnyConnection) -> Result<Self> {
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
