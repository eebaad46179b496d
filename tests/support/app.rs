//! The application in this process, spoken to through Rocket's local client.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use multitoken::auth::Auth;
use multitoken::db::Engine;
use multitoken::identity::address::Address;
use multitoken::identity::{UserId, Username};
use multitoken::models::event::Actor;
use multitoken::models::user::Role;
use multitoken::password::Password;
use rocket::figment::Figment;
use rocket::figment::providers::Serialized;
use rocket::http::{Cookie, Header, Method, Status};
use rocket::local::asynchronous::Client;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use super::postgres::Postgres;

/// Where the requests of tests come from.
pub const PROXY: &str = "203.0.113.5";
/// Every test user's password.
pub const PASSWORD: &str = "correct horse battery";

/// An address as tables have it.
pub fn address_key(text: &str) -> String {
    Address::from(text.parse::<IpAddr>().unwrap()).key()
}

pub struct App {
    pub client: Client,
    _folder: TempDir,
    _postgres: Option<Postgres>,
}

/// What came back.
pub struct Answer {
    pub status: Status,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

/// Runs `test` on a fresh SQLite and on a fresh PostgreSQL.
pub fn on_both(test: impl AsyncFn(App)) {
    on_both_with(json!({}), test);
}

/// The same, with settings for the `app` table.
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

/// Settings as `multitoken` itself would have them, but for hashes that take no time.
pub fn figment(url: &str, settings: &Value) -> Figment {
    let mut app = json!({ "hash_memory_kib": 8, "hash_iterations": 1 });
    for (key, value) in settings.as_object().unwrap() {
        app[key] = value.clone();
    }
    Figment::from(rocket::Config::debug_default())
        .merge(("ident", false))
        .merge(("ip_header", false))
        .merge(Serialized::global("databases.multitoken.url", url))
        .merge(Serialized::global("app", app))
}

impl App {
    /// Starts it on the database at `url`; it keeps the folder and the server for as long as it lives.
    pub async fn start(
        url: &str,
        settings: &Value,
        folder: TempDir,
        postgres: Option<Postgres>,
    ) -> Self {
        let rocket = multitoken::rocket(figment(url, settings)).unwrap();
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
    ) -> Answer {
        let mut request = self.client.req(method, path.to_owned()).body(body);
        request.set_remote(SocketAddr::new(PROXY.parse().unwrap(), 4711));
        for (name, value) in headers {
            request.add_header(Header::new((*name).to_owned(), (*value).to_owned()));
            if *name == "Cookie" {
                // The local client takes cookies one by one; it does not read the header.
                let pairs = Cookie::split_parse_encoded((*value).to_owned()).flatten();
                request = request.cookies(pairs.map(Cookie::into_owned).collect::<Vec<_>>());
            }
        }
        let response = request.dispatch().await;
        let headers = response.headers().iter();
        let headers = headers.map(|h| (h.name().as_str().to_lowercase(), h.value().to_owned()));
        Answer {
            status: response.status(),
            headers: headers.collect(),
            text: response.into_string().await.unwrap_or_default(),
        }
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(
            Method::Get,
            path,
            &[("Authorization", &format!("Bearer {token}"))],
            "",
        )
        .await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        self.send(Method::Post, path, &headers, body.to_string())
            .await
    }

    /// Tries to sign in over JSON.
    pub async fn try_login(&self, name: &str, password: &str, client: &str) -> Answer {
        let body = json!({ "username": name, "password": password, "client": client });
        let json = [("Content-Type", "application/json")];
        self.send(Method::Post, "/auth/login/", &json, body.to_string())
            .await
    }

    /// The same by way of a proxy that says where it comes from; `trusted_proxies` has to name
    /// [`PROXY`].
    pub async fn try_login_from(&self, address: &str, name: &str, password: &str) -> Answer {
        let body = json!({ "username": name, "password": password, "client": "laptop" });
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Forwarded-For", address),
        ];
        self.send(Method::Post, "/auth/login/", &headers, body.to_string())
            .await
    }

    /// Signs in and gives the token.
    pub async fn login(&self, name: &str, client: &str) -> String {
        let answer = self.try_login(name, PASSWORD, client).await;
        assert_eq!(answer.status, Status::Ok, "{}", answer.text);
        answer.json()["auth_token"].as_str().unwrap().to_owned()
    }

    /// Whether the token is let in.
    pub async fn works(&self, token: &str) -> bool {
        let answer = self.get("/auth/me/", token).await;
        assert!(
            [Status::Ok, Status::Unauthorized].contains(&answer.status),
            "{}",
            answer.text
        );
        answer.status == Status::Ok
    }

    /// Signs in to the admin and gives the `Cookie` header.
    pub async fn admin_login(&self, name: &str) -> String {
        let fields = [("username", name), ("password", PASSWORD)];
        let answer = self.submit("/admin/login", "", &fields).await;
        assert_eq!(answer.status, Status::SeeOther, "{}", answer.text);
        answer.cookie()
    }

    /// Opens a page of the admin.
    pub async fn page(&self, path: &str, cookie: &str) -> Answer {
        self.send(Method::Get, path, &[("Cookie", cookie)], "")
            .await
    }

    /// Submits a form of the admin as its own page does.
    pub async fn submit(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
        let headers = [
            ("Cookie", cookie),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        self.send(Method::Post, path, &headers, form(fields)).await
    }

    /// Rows of a query of one text column.
    pub async fn texts(&self, sql: &'static str) -> Vec<String> {
        let mut db = self.auth().pool().read().await.unwrap();
        sqlx::query_scalar(sql).fetch_all(&mut db).await.unwrap()
    }

    /// Every table of the application's, and its columns.
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

    /// All that stands in every table but those.
    pub async fn rows_but_of(&self, tables: &[&str]) -> Vec<String> {
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

    /// A query of one number.
    pub async fn number(&self, sql: &'static str) -> i64 {
        let mut db = self.auth().pool().read().await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
    }

    /// A statement.
    pub async fn execute(&self, sql: &'static str) {
        let mut tx = self.auth().pool().write().await.unwrap();
        // A connection to SQLite may remember the schema from before another one altered it, until it
        // reads something; ALTER by itself does not look.
        let look = sqlx::query("SELECT COUNT(*) FROM users");
        look.fetch_one(&mut *tx).await.unwrap();
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
        sqlx::query(ANYTHING_ENDED).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        rocket::tokio::time::sleep(FOLLOWED).await;
    }
}

/// What a hand at the database has to do, too: tell processes to forget the tokens that they remember.
pub const ANYTHING_ENDED: &str = "INSERT INTO endings (stripe, count)
    WITH RECURSIVE stripes (stripe) AS
        (SELECT 0 UNION ALL SELECT stripe + 1 FROM stripes WHERE stripe < 255)
    SELECT stripe, 1 FROM stripes WHERE 1 = 1
    ON CONFLICT (stripe) DO UPDATE SET count = endings.count + 1";
/// How long it takes until they all have, at most.
pub const FOLLOWED: Duration = Duration::from_millis(250);

/// Fields as a browser encodes them.
pub fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

impl Answer {
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

    /// The cookies that it sets, as a browser sends them back.
    pub fn cookie(&self) -> String {
        let set = self.headers.iter().filter(|(name, _)| name == "set-cookie");
        let pairs: Vec<&str> = set
            .map(|(_, value)| value.split(';').next().unwrap())
            .collect();
        pairs.join("; ")
    }

    /// The body without what differs from request to request.
    pub fn but_for_request_id(&self) -> Value {
        let mut body = self.json();
        body.as_object_mut()
            .unwrap()
            .remove("request_id")
            .expect("a request_id");
        body
    }
}
