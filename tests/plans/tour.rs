//! Requests to every route that uses the database, with every parameter that changes its statements.

use std::collections::HashSet;

use rocket::http::Method;
use serde_json::{Value, json};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions};

use crate::routes::ACTIONS;
use crate::support::admin::link;
use crate::support::app::{Response, form};
use crate::support::{App, PASSWORD};
pub mod account;
pub mod resources;

pub const TOKENS_PER_USER: usize = 5;
/// The prefix of a statement that announces a step.
const STEP_PREFIX: &str = "SELECT 'step: ";

/// Existing users and tokens, each used once.
pub struct Fixtures {
    /// Ids and names of active users.
    users: Vec<(String, String)>,
    /// Ids of other users' tokens.
    tokens: Vec<String>,
    /// A client that few users have.
    client: String,
}

impl Fixtures {
    /// Selects them from the database at `url`.
    pub async fn select(url: &str) -> Self {
        sqlx::any::install_default_drivers();
        let options: AnyConnectOptions = url.parse().unwrap();
        // These statements are not the application's.
        let mut db = options.disable_statement_logging().connect().await.unwrap();
        let users = "SELECT id, username FROM users
                     WHERE role = 'user' AND disabled_at IS NULL
                       AND NOT EXISTS (SELECT 1 FROM attempts WHERE key = 'user:' || users.id)
                     ORDER BY id LIMIT 20";
        let tokens = "SELECT id, client FROM tokens ORDER BY id DESC LIMIT 5";
        let client = "SELECT client, client FROM tokens GROUP BY client ORDER BY COUNT(*) LIMIT 1";
        let tokens = pairs(&mut db, tokens).await.into_iter();
        Self {
            users: pairs(&mut db, users).await,
            tokens: tokens.map(|(id, _)| id).collect(),
            client: pairs(&mut db, client).await.remove(0).0,
        }
    }

    fn user(&mut self) -> (String, String) {
        self.users.pop().expect("enough users")
    }

    fn token(&mut self) -> String {
        self.tokens.pop().expect("enough tokens")
    }
}

async fn pairs(db: &mut AnyConnection, sql: &'static str) -> Vec<(String, String)> {
    sqlx::query_as(sql).fetch_all(db).await.unwrap()
}

/// The step that a statement announces, if it does.
pub fn step(statement: &str) -> Option<&str> {
    statement
        .trim()
        .strip_prefix(STEP_PREFIX)?
        .strip_suffix('\'')
}

/// The last step.
pub const LAST_STEP: &str = "nothing comes after this";

/// Announces a step by a statement in the application's own pool. The statements after it belong to that step, or to
/// the background tasks.
pub async fn announce(app: &App, step: &str) {
    let statement = format!("{STEP_PREFIX}{}'", step.replace('\'', " "));
    let mut db = app.auth().pool().read().await.unwrap();
    let query = sqlx::query(AssertSqlSafe(statement)).persistent(false);
    query.execute(&mut db).await.unwrap();
}

pub struct Tour<'a> {
    app: &'a App,
    fixtures: &'a mut Fixtures,
    cookie: String,
    requested: HashSet<(Method, String)>,
}

impl<'a> Tour<'a> {
    /// Sends all requests.
    pub async fn run(app: &'a App, fixtures: &'a mut Fixtures) {
        let mut tour = Self {
            app,
            fixtures,
            cookie: String::new(),
            requested: HashSet::new(),
        };
        tour.sign_in().await;
        tour.own_tokens().await;
        tour.account().await;
        tour.admin().await;
        tour.lists().await;
        tour.user_and_token_pages().await;
        tour.bulk_actions().await;
        tour.resources().await;
        tour.form("/admin/logout", &[]).await;
        tour.assert_every_route_requested();
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        header: (&str, &str),
        kind: &str,
        body: &str,
    ) -> Response {
        announce(self.app, &format!("{method} {path} {body}")).await;
        let route = path.split('?').next().unwrap().trim_end_matches('/');
        self.requested.insert((method, route.to_owned()));
        let headers = [
            header,
            ("Content-Type", kind),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        let answer = self.app.send(method, path, &headers, body).await;
        assert!(answer.status.code < 500, "{path}: {}", answer.text);
        answer
    }

    async fn send_json(&mut self, method: Method, path: &str, token: &str, body: &str) -> Response {
        let bearer = format!("Bearer {token}");
        let header = ("Authorization", bearer.as_str());
        self.send(method, path, header, "application/json", body)
            .await
    }

    /// Sends a request that must succeed.
    async fn request(&mut self, method: Method, path: &str, token: &str, body: &str) -> Response {
        let answer = self.send_json(method, path, token, body).await;
        assert!(answer.status.code < 400, "{path}: {}", answer.text);
        answer
    }

    async fn try_login(&mut self, name: &str, password: &str, client: &str) -> Response {
        let body = json!({ "username": name, "password": password, "client": client });
        self.send_json(Method::Post, "/auth/login/", "", &body.to_string())
            .await
    }

    async fn login(&mut self, name: &str, client: &str) -> String {
        let answer = self.try_login(name, PASSWORD, client).await;
        let token = answer.json()["auth_token"].as_str().map(str::to_owned);
        token.unwrap_or_else(|| panic!("{}", answer.text))
    }

    async fn page(&mut self, path: &str) -> String {
        let cookie = self.cookie.clone();
        let header = ("Cookie", cookie.as_str());
        let answer = self.send(Method::Get, path, header, "text/html", "").await;
        assert_eq!(answer.status.code, 200, "{path}");
        answer.text
    }

    async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let (cookie, body) = (self.cookie.clone(), form(fields));
        let (header, kind) = (
            ("Cookie", cookie.as_str()),
            "application/x-www-form-urlencoded",
        );
        self.send(Method::Post, path, header, kind, &body).await
    }

    /// Submits a form that must succeed.
    async fn change(&mut self, path: &str, fields: &[(&str, &str)]) {
        let answer = self.form(path, fields).await;
        assert_eq!(answer.status.code, 303, "{path}: {}", answer.text);
    }

    async fn sign_in(&mut self) {
        let (_, name) = self.fixtures.user();
        for _ in 0..2 {
            self.login(&name, "laptop").await;
        }
        for number in 0..=TOKENS_PER_USER {
            self.login(&name, &format!("one of many {number}")).await;
        }
        for name in [name.as_str(), "nobody has that name"] {
            let refused = self.try_login(name, "a wrong password", "laptop").await;
            assert_eq!(refused.status.code, 400);
        }
    }

    async fn own_tokens(&mut self) {
        let (_, name) = self.fixtures.user();
        let token = self.login(&name, "laptop").await;
        // The first request reads the token from the database, the second from the cache.
        for _ in 0..2 {
            self.request(Method::Get, "/auth/me/", &token, "").await;
        }
        let other = self.login(&name, "phone").await;
        let own = self.request(Method::Get, "/auth/tokens/", &other, "").await;
        let own = own.json();
        let id = own["results"][0]["id"].as_str().unwrap();
        let path = format!("/auth/tokens/{id}/");
        self.send_json(Method::Delete, &path, &other, "").await;
        let token = self.login(&name, "tablet").await;
        self.request(Method::Post, "/auth/logout/others/", &token, "")
            .await;
        let change =
            json!({ "current_password": PASSWORD, "new_password": "another fine battery" });
        let change = Value::to_string(&change);
        self.request(Method::Post, "/auth/password/", &token, &change)
            .await;
        self.request(Method::Post, "/auth/logout/", &token, "")
            .await;
        let (_, name) = self.fixtures.user();
        let token = self.login(&name, "laptop").await;
        self.request(Method::Post, "/auth/logout/all/", &token, "")
            .await;
        let gone = self.send_json(Method::Get, "/auth/me/", &token, "").await;
        assert_eq!(gone.status.code, 401);
        let body = json!({ "username": name, "password": PASSWORD, "client": "laptop" });
        let body = body.to_string();
        let issued = self
            .request(Method::Post, "/auth/obtain-token/", "", &body)
            .await;
        let issued = issued.json();
        let token = issued["auth_token"].as_str().unwrap();
        self.request(Method::Post, "/auth/invalidate-token/", token, "")
            .await;
        self.send(Method::Get, "/readyz", ("Accept", "*/*"), "", "")
            .await;
    }

    async fn admin(&mut self) {
        self.page("/admin/login").await;
        for path in ["/admin/setup?key=x", "/admin/login"] {
            let fields = [("username", "demo-admin"), ("password", "a wrong password")];
            self.form(path, &fields).await;
        }
        let setup = ("Accept", "text/html");
        self.send(Method::Get, "/admin/setup?key=x", setup, "", "")
            .await;
        let fields = [("username", "demo-admin"), ("password", PASSWORD)];
        let answer = self.form("/admin/login", &fields).await;
        self.cookie = answer.cookie();
        assert!(!self.cookie.is_empty(), "{}", answer.text);
        self.page("/admin/").await;
        self.change("/admin/theme", &[("theme", "dark")]).await;
    }

    async fn lists(&mut self) {
        let user = self.fixtures.users[0].1.clone();
        let sorts = ["name", "created", "last_seen"];
        let filters = [
            "q=ma",
            "status=active",
            "status=disabled",
            "role=admin",
            "role=user",
            "status=locked",
            "status=invited",
            "q=ma&status=active",
            "q=a&role=admin",
            "status=disabled&role=user",
            "q=nobody+has+that+name",
        ];
        self.list("/admin/users", &filters, &sorts).await;
        let of_user = form(&[("user", &user)]);
        let client = form(&[("client", &self.fixtures.client)]);
        let of_client = |filter: &str| format!("{client}&{filter}");
        let (live, unused) = (of_client("status=live"), of_client("unused=25"));
        let filters = [
            of_user.as_str(),
            "user=nobody+has+that+name",
            client.as_str(),
            "address=192.0.2.11",
            "address=192.0.2.0/24",
            "address=2001:db8::/32",
            "device=inventory",
            "device=inventory&older=4.12",
            "kind=api",
            "kind=admin",
            "status=live",
            "status=expired",
            "status=unused",
            "status=expiring",
            "unused=25",
            live.as_str(),
            unused.as_str(),
            "status=live&unused=25",
            "kind=api&status=unused",
            "status=expired&address=198.51.100.0/24",
        ];
        let sorts = ["created", "last_used", "expires"];
        self.list("/admin/tokens", &filters, &sorts).await;
        self.audit_log().await;
    }

    /// Requests a list with each filter and without, in every order.
    async fn list(&mut self, path: &str, filters: &[&str], sorts: &[&str]) {
        for filter in [&[""], filters].concat() {
            for sort in sorts {
                for way in ["", "-"] {
                    let path = format!("{path}?{filter}&sort={way}{sort}");
                    self.turn_pages(&path).await;
                }
            }
        }
    }

    /// Requests the first three pages, and the second again from the third.
    async fn turn_pages(&mut self, path: &str) {
        let first = self.page(path).await;
        let Some(second) = link(&first, path, "next") else {
            return;
        };
        let second = self.page(&second).await;
        let Some(third) = link(&second, path, "next") else {
            return;
        };
        let third = self.page(&third).await;
        let back = link(&third, path, "prev").unwrap();
        self.page(&back).await;
    }

    async fn audit_log(&mut self) {
        let actor = form(&[("actor", &self.fixtures.users[0].1)]);
        let today = time::OffsetDateTime::now_utc().date();
        let then = today - time::Duration::days(60);
        let (from, to) = (format!("from={then}"), format!("to={then}"));
        // Almost all events are older.
        let lately = today - time::Duration::days(2);
        let subject = actor.replace("actor", "subject");
        let client = form(&[("client", &self.fixtures.client)]);
        let token = format!("token={}", self.fixtures.tokens[0]);
        for filter in [
            "",
            "subject=nobody+has+that+name",
            "action=token.issued",
            "action=login.throttled",
            "action=login.failed&last=24h",
            "last=month&tz=Europe/Berlin",
            "actor=demo-admin",
            "address=203.0.113.0/24",
            "address=203.0.113.9",
            "address=203.0.113.0/24&last=7d",
            "reason=password",
            "via=cli",
            "reason=revoked&via=admin",
            "cause=01a20d5a-0000-7000-8000-000000000000",
            &actor,
            &subject,
            &client,
            &token,
            &from,
            &to,
            &format!("{from}&{to}"),
            &format!("{subject}&action=token.revoked"),
            &format!("{subject}&{from}"),
            &format!("{subject}&{actor}"),
            &format!("action=token.issued&{actor}"),
            &format!("action=token.issued&{from}"),
            &format!("action=token.issued&from={lately}&to={lately}"),
            "action=token.issued&via=server",
            &format!("{actor}&{to}"),
        ] {
            self.turn_pages(&format!("/admin/audit?&{filter}")).await;
        }
        for filter in ["action=login.throttled", &format!("{actor}&{from}")] {
            self.page(&format!("/admin/audit.csv?{filter}")).await;
        }
        self.page("/admin/users.csv?q=ma&status=disabled").await;
        self.page(&format!("/admin/tokens.csv?{client}&status=expired"))
            .await;
        let page = self.page("/admin/audit").await;
        let id = page.split("href=\"/admin/audit/").nth(1).unwrap();
        let id = id.split('"').next().unwrap().to_owned();
        self.page(&format!("/admin/audit/{id}")).await;
        for address in ["203.0.113.9", "203.0.113.0/24", "2001:db8::/32"] {
            self.page(&format!("/admin/addresses/{address}")).await;
        }
        let (user, token) = (
            self.fixtures.users[0].clone(),
            self.fixtures.tokens[0].clone(),
        );
        for typed in [
            &user.0,
            &user.1,
            &token,
            &id,
            "ABcd",
            "ma",
            "nobody has that name",
            "nobody@example.com",
            "203.0.113.9",
        ] {
            self.form("/admin/find", &[("q", typed)]).await;
        }
    }

    async fn user_and_token_pages(&mut self) {
        let (id, _) = self.fixtures.user();
        self.page(&format!("/admin/users/{id}")).await;
        let password = [("password", "yet another battery")];
        for action in ACTIONS {
            let path = format!("/admin/users/{id}/{action}");
            self.page(&path).await;
            let fields = [&password[..], &[("confirm", "yes")]].concat();
            self.change(&path, &fields).await;
        }
        self.page("/admin/users/new").await;
        let invited = [("username", "invited"), ("email", "invited@example.com")];
        self.form("/admin/users/invite", &invited).await;
        let new = [("username", "somebody-new"), ("password", PASSWORD)];
        self.change(
            "/admin/users/new",
            &[&new[..], &[("role", "user")]].concat(),
        )
        .await;
        let path = format!("/admin/tokens/{}/revoke", self.fixtures.token());
        self.page(&path).await;
        self.change(&path, &[("confirm", "yes")]).await;
    }

    async fn bulk_actions(&mut self) {
        let yes = ("confirm", "yes");
        for path in ["/admin/users/revoke-tokens", "/admin/users/disable"] {
            let (first, second) = (self.fixtures.user().0, self.fixtures.user().0);
            let ids = [("id", first.as_str()), ("id", second.as_str())];
            self.form(path, &ids).await;
            self.change(path, &[&ids[..], &[yes]].concat()).await;
        }
        let path = "/admin/tokens/revoke";
        let (first, second) = (self.fixtures.token(), self.fixtures.token());
        let ids = [("id", first.as_str()), ("id", second.as_str())];
        let client = self.fixtures.client.clone();
        let matching = [("all", "1"), ("client", client.as_str())];
        for meant in [&ids[..], &matching] {
            self.page(&format!("{path}?{}", form(meant))).await;
            self.form(path, meant).await;
            let typed = [yes, ("typed", "revoke")];
            self.change(path, &[meant, &typed].concat()).await;
        }
        for filter in [("user", "ma"), ("status", "expired"), ("unused", "25")] {
            self.form(path, &[("all", "1"), filter]).await;
        }
    }

    /// Asserts that every route was requested, except routes without a database query.
    fn assert_every_route_requested(&self) {
        let quiet = [
            "/healthz",
            "/favicon.ico",
            "/robots.txt",
            "/openapi.json",
            "/docs",
            "/static/<path..>",
            "/admin/<_path..>",
            "/account/<_path..>",
            "/dev/mail",
            "/.well-known/change-password",
            "/",
        ];
        for route in self.app.client.rocket().routes().filter(|r| r.rank < 1000) {
            let path = route.uri.path();
            let toured = |(method, requested): &(Method, String)| {
                *method == route.method && matches_route(path, requested)
            };
            assert!(
                quiet.contains(&path) || self.requested.iter().any(toured),
                "{route} is not toured"
            );
        }
    }
}

/// Whether a path matches a route's pattern.
fn matches_route(route: &str, requested: &str) -> bool {
    let segments = |path: &str| path.trim_matches('/').split('/').count();
    if let Some((folder, _)) = route.split_once("/<path..>") {
        return requested.starts_with(&format!("{folder}/"));
    }
    let pairs = route.trim_matches('/').split('/');
    let mut pairs = pairs.zip(requested.trim_matches('/').split('/'));
    segments(route) == segments(requested)
        && pairs.all(|(wanted, given)| wanted.starts_with('<') || wanted == given)
}
