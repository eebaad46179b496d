//! The application in this process, called through Rocket's local client.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rocket::figment::Figment;
use rocket::figment::providers::Serialized;
use rocket::http::{Cookie, Header, Method, Status};
use rocket::local::asynchronous::Client;
use rocket_multitoken::auth::Auth;
use rocket_multitoken::db::Engine;
use rocket_multitoken::identity::address::Address;
use rocket_multitoken::identity::{UserId, Username};
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::user::Role;
use rocket_multitoken::password::Password;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use super::postgres::Postgres;

/// The client address of all test requests.
pub const PROXY: &str = "203.0.113.5";
/// Every test user's password.
pub const PASSWORD: &str = "correct horse battery";

/// An address as it is stored in the database.
pub fn address_key(text: &str) -> String {
    Address::from(text.parse::<IpAddr>().unwrap()).key()
}

pub struct App {
    pub client: Client,
    _folder: TempDir,
    _postgres: Option<Postgres>,
}

pub struct Response {
    pub status: Status,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

/// Runs `test` on a fresh SQLite database, then on a fresh PostgreSQL database.
pub fn on_both(test: impl AsyncFn(App)) {
    on_both_with(json!({}), test);
}

/// `on_both` with settings for the `app` table.
pub fn on_both_with(settings: Value, test: impl AsyncFn(App)) {
    let postgres = Postgres::get();
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/data/test.db", folder.path().display());
        eprintln!("on SQLite");
        test(App::start(&url, &settings, folder, None).await).await;
        if let Some(postgres) = postgres {
            eprintln!("on PostgreSQL");
            let (url, folder) = (postgres.database().await, tempfile::tempdir().unwrap());
            test(App::start(&url, &settings, folder, Some(postgres)).await).await;
        }
    });
}

/// Default settings, except that hashing takes almost no time.
pub fn figment(url: &str, settings: &Value) -> Figment {
    let mut app = json!({ "hash_memory_kib": 8, "hash_iterations": 1 });
    for (key, value) in settings.as_object().unwrap() {
        app[key] = value.clone();
    }
    Figment::from(rocket::Config::debug_default())
        .merge(("ident", false))
        .merge(("ip_header", false))
        .merge(Serialized::global(
            &format!("databases.{}.url", crate::NAME),
            url,
        ))
        .merge(Serialized::global("app", app))
}

impl App {
    /// Starts the application on the database at `url`. The `App` keeps `folder` and `postgres` alive.
    pub async fn start(
        url: &str,
        settings: &Value,
        folder: TempDir,
        postgres: Option<Postgres>,
    ) -> Self {
        let rocket = crate::rocket(figment(url, settings)).unwrap();
        let client = Client::untracked(rocket).await.unwrap();
        Self {
            client,
            _folder: folder,
            _postgres: postgres,
        }
    }

    pub fn auth(&self) -> &Auth {
        self.client.rocket().state().unwrap()
    }

    pub async fn user(&self, name: &str, role: Role) -> UserId {
        let name = Username::parse(name).unwrap();
        let password = Password::new(PASSWORD);
        self.auth()
            .accounts
            .create_user(&name, &password, role, &Actor::command_line())
            .await
            .unwrap()
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Response {
        let mut request = self.client.req(method, path.to_owned()).body(body);
        request.set_remote(SocketAddr::new(PROXY.parse().unwrap(), 4711));
        for (name, value) in headers {
            request.add_header(Header::new((*name).to_owned(), (*value).to_owned()));
            if *name == "Cookie" {
                // The local client ignores a `Cookie` header and takes cookies one by one.
                let pairs = Cookie::split_parse_encoded((*value).to_owned()).flatten();
                request = request.cookies(pairs.map(Cookie::into_owned).collect::<Vec<_>>());
            }
        }
        let response = request.dispatch().await;
        let headers = response.headers().iter();
        let headers = headers.map(|h| (h.name().as_str().to_lowercase(), h.value().to_owned()));
        Response {
            status: response.status(),
            headers: headers.collect(),
            text: response.into_string().await.unwrap_or_default(),
        }
    }

    pub async fn get(&self, path: &str, token: &str) -> Response {
        self.send(
            Method::Get,
            path,
            &[("Authorization", &format!("Bearer {token}"))],
            "",
        )
        .await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Response {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        self.send(Method::Post, path, &headers, body.to_string())
            .await
    }

    pub async fn try_login(&self, name: &str, password: &str, client: &str) -> Response {
        let body = json!({ "username": name, "password": password, "client": client });
        let json = [("Content-Type", "application/json")];
        self.send(Method::Post, "/auth/login/", &json, body.to_string())
            .await
    }

    /// Tries to sign in through a proxy that reports `address` as the client. Set `trusted_proxies` to [`PROXY`].
    pub async fn try_login_from(&self, address: &str, name: &str, password: &str) -> Response {
        let body = json!({ "username": name, "password": password, "client": "laptop" });
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Forwarded-For", address),
        ];
        self.send(Method::Post, "/auth/login/", &headers, body.to_string())
            .await
    }

    /// Signs in and returns the token.
    pub async fn login(&self, name: &str, client: &str) -> String {
        let response = self.try_login(name, PASSWORD, client).await;
        assert_eq!(response.status, Status::Ok, "{}", response.text);
        response.json()["auth_token"].as_str().unwrap().to_owned()
    }

    /// Whether the API accepts the token.
    pub async fn works(&self, token: &str) -> bool {
        let response = self.get("/auth/me/", token).await;
        assert!(
            [Status::Ok, Status::Unauthorized].contains(&response.status),
            "{}",
            response.text
        );
        response.status == Status::Ok
    }

    /// Signs in to the admin and returns the `Cookie` header.
    pub async fn admin_login(&self, name: &str) -> String {
        let fields = [("username", name), ("password", PASSWORD)];
        let response = self.submit("/admin/login", "", &fields).await;
        assert_eq!(response.status, Status::SeeOther, "{}", response.text);
        response.cookie()
    }

    /// Signs a user in on the account pages and returns the `Cookie` header.
    pub async fn account_login(&self, name: &str) -> String {
        let fields = [("username", name), ("password", PASSWORD)];
        let response = self.submit("/account/login", "", &fields).await;
        assert_eq!(response.status, Status::SeeOther, "{}", response.text);
        response.cookie()
    }

    pub async fn page(&self, path: &str, cookie: &str) -> Response {
        self.send(Method::Get, path, &[("Cookie", cookie)], "")
            .await
    }

    /// Submits a form like a browser on the same origin.
    pub async fn submit(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Response {
        let headers = [
            ("Cookie", cookie),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        self.send(Method::Post, path, &headers, form(fields)).await
    }

    /// Returns the rows of a query for one text column.
    pub async fn texts(&self, sql: impl Into<String>) -> Vec<String> {
        let mut db = self.auth().pool().read().await.unwrap();
        let query = sqlx::query_scalar(AssertSqlSafe(sql.into()));
        query.fetch_all(&mut db).await.unwrap()
    }

    /// Every table except SQLx's own, with its columns.
    pub async fn tables(&self) -> BTreeMap<String, Vec<String>> {
        let sql = match self.auth().pool().engine() {
            Engine::Sqlite => {
                "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'
                   AND t.name <> '_sqlx_migrations'"
            }
            Engine::Postgres => {
                "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT)
                 FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'"
            }
        };
        let mut db = self.auth().pool().read().await.unwrap();
        let columns: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut db).await.unwrap();
        let mut tables: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (table, column) in columns {
            tables.entry(table).or_default().push(column);
        }
        tables
    }

    /// All rows of all tables except `tables`, as text.
    pub async fn rows_except(&self, tables: &[&str]) -> Vec<String> {
        let mut rows = vec![];
        for (table, columns) in self.tables().await {
            if tables.contains(&table.as_str()) {
                continue;
            }
            let text = |column: &String| format!("COALESCE(CAST({column} AS TEXT), '-')");
            let texts: Vec<_> = columns.iter().map(text).collect();
            let sql = format!(
                "SELECT {} FROM {table} ORDER BY 1",
                texts.join(" || ' ' || ")
            );
            let mut db = self.auth().pool().read().await.unwrap();
            let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
                .fetch_all(&mut db)
                .await
                .unwrap();
            rows.extend(found.iter().map(|row| format!("{table} {row}")));
        }
        rows
    }

    /// Returns the result of a query for one number.
    pub async fn number(&self, sql: &'static str) -> i64 {
        let mut db = self.auth().pool().read().await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
    }

    /// Runs a statement and waits until all processes have dropped their cached tokens.
    pub async fn execute(&self, sql: impl Into<String>) {
        let mut tx = self.auth().pool().write().await.unwrap();
        // After another connection's ALTER, SQLite uses a cached schema until the next read. ALTER itself does not
        // refresh it.
        let refresh = sqlx::query("SELECT COUNT(*) FROM users");
        refresh.fetch_one(&mut *tx).await.unwrap();
        let statement = sqlx::query(AssertSqlSafe(sql.into()));
        statement.execute(&mut *tx).await.unwrap();
        sqlx::query(FORGET_ALL_TOKENS)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        rocket::tokio::time::sleep(FOLLOW_TIME).await;
    }
}

/// Makes every process forget its cached tokens. A manual change of the database requires it, too.
pub const FORGET_ALL_TOKENS: &str = "INSERT INTO endings (stripe, count)
    WITH RECURSIVE stripes (stripe) AS
        (SELECT 0 UNION ALL SELECT stripe + 1 FROM stripes WHERE stripe < 255)
    SELECT stripe, 1 FROM stripes WHERE 1 = 1
    ON CONFLICT (stripe) DO UPDATE SET count = endings.count + 1";
/// The maximum time until every process has followed [`FORGET_ALL_TOKENS`].
pub const FOLLOW_TIME: Duration = Duration::from_millis(250);

/// Encodes fields like a browser.
pub fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(other, _)| other == &name.to_lowercase());
        found.map(|(_, value)| value.as_str())
    }

    /// The cookies that the response sets, as a `Cookie` header.
    pub fn cookie(&self) -> String {
        let set = self.headers.iter().filter(|(name, _)| name == "set-cookie");
        let pairs: Vec<&str> = set
            .map(|(_, value)| value.split(';').next().unwrap())
            .collect();
        pairs.join("; ")
    }

    /// The JSON body without its request id, so that two responses can be compared.
    pub fn without_request_id(&self) -> Value {
        let mut body = self.json();
        body.as_object_mut()
            .unwrap()
            .remove("request_id")
            .expect("a request_id");
        body
    }
}
