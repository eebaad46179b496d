//! Every mounted route, requested by clients that must not use it. A new route is included automatically: it has to
//! refuse unauthenticated clients or be listed in `PUBLIC`.

use rocket::http::{Method, Status};
use rocket_multitoken::identity::UserId;
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::user::Role;
use rocket_multitoken::secret::Secret;
use serde_json::json;

use crate::resources::{RESOURCES, Resource, borrowed};
use crate::support::app::{Response, form};
use crate::support::{App, PASSWORD, on_both, on_both_with};

/// Routes that need no credentials.
const PUBLIC: [(Method, &str); 30] = [
    (Method::Get, "/healthz"),
    (Method::Get, "/readyz"),
    (Method::Get, "/openapi.json"),
    (Method::Get, "/docs"),
    (Method::Get, "/favicon.ico"),
    (Method::Get, "/robots.txt"),
    (Method::Get, "/static/<path..>"),
    (Method::Post, "/auth/login"),
    (Method::Post, "/auth/obtain-token"),
    (Method::Post, "/auth/sign-up"),
    (Method::Post, "/auth/reset"),
    (Method::Post, "/auth/reset/confirm"),
    (Method::Post, "/auth/email/confirm"),
    (Method::Get, "/"),
    (Method::Get, "/.well-known/change-password"),
    (Method::Get, "/account/login"),
    (Method::Post, "/account/login"),
    (Method::Get, "/account/sign-up"),
    (Method::Post, "/account/sign-up"),
    (Method::Get, "/account/forgot"),
    (Method::Post, "/account/forgot"),
    (Method::Get, "/account/set-password"),
    (Method::Post, "/account/set-password"),
    (Method::Get, "/account/verify"),
    (Method::Post, "/account/verify"),
    // In debug builds, for loopback clients.
    (Method::Get, "/dev/mail"),
    (Method::Get, "/admin/login"),
    (Method::Post, "/admin/login"),
    (Method::Get, "/admin/setup"),
    (Method::Post, "/admin/setup"),
];
/// The actions of an admin on a user.
pub const ACTIONS: [&str; 8] = [
    "disable",
    "enable",
    "unlock",
    "promote",
    "demote",
    "password",
    "revoke-tokens",
    "delete",
];
const ORIGIN: &str = "http://127.0.0.1:8000";

/// A route with real values for its parameters.
struct RouteRequest {
    method: Method,
    path: String,
    public: bool,
    /// Whether the path contains the id of one of alice's rows.
    has_row_id: bool,
}

/// The users of these tests, and their credentials.
struct TestUsers {
    alice: UserId,
    alices_token: String,
    bobs_token: String,
    bobs_cookie: String,
    admins_cookie: String,
    demoted_cookie: String,
    admins_token: String,
}

impl TestUsers {
    async fn create(app: &App) -> Self {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let former = app.user("former", Role::Admin).await;
        let demoted_cookie = app.admin_login("former").await;
        app.execute("UPDATE users SET role = 'user' WHERE username = 'former'")
            .await;
        let actor = Actor::command_line();
        assert!(app.auth().accounts.enable(former, &actor).await.is_ok());
        let alices_token = app.login("alice", "laptop").await;
        for resource in RESOURCES {
            resource.write(app, &alices_token).await;
        }
        Self {
            alice,
            alices_token,
            bobs_token: app.login("bob", "laptop").await,
            bobs_cookie: app.account_login("bob").await,
            admins_cookie: app.admin_login("root").await,
            demoted_cookie,
            admins_token: app.login("root", "script").await,
        }
    }
}

/// Every mounted route, except routes that only refuse a method.
async fn routes(app: &App, users: &TestUsers) -> Vec<RouteRequest> {
    let token = "SELECT t.id FROM tokens t JOIN users u ON u.id = t.user_id
                 WHERE u.username = 'alice'";
    let token = app.texts(token).await.remove(0);
    let event = app.texts("SELECT id FROM events").await.remove(0);
    // Whose id a path below this prefix contains.
    let mut rows = vec![
        ("/users/".to_owned(), users.alice.to_string()),
        ("/tokens/".to_owned(), token),
        ("/audit/".to_owned(), event),
    ];
    for resource in RESOURCES {
        let own = app.texts(format!("SELECT id FROM {}", resource.name)).await;
        rows.push((resource.path(), own[0].clone()));
    }
    let mut requests = vec![];
    for route in app.client.rocket().routes().filter(|r| r.rank < 1000) {
        let pattern = route.uri.path();
        let has_row_id = pattern.contains("<id>");
        let row = rows
            .iter()
            .find(|(below, _)| pattern.contains(below.as_str()));
        let id = match row {
            Some((_, id)) => id,
            None if has_row_id => panic!("add the row for {pattern} to `rows`"),
            None => "",
        };
        for action in ACTIONS {
            let path = pattern
                .replace("<id>", id)
                .replace("<action>", action)
                .replace("<_path..>", "no/such/page")
                .replace("addresses/<path..>", "addresses/203.0.113.0/24")
                .replace("<path..>", "admin.css");
            assert!(
                !path.contains('<'),
                "replace the parameters of {pattern} here"
            );
            requests.push(RouteRequest {
                method: route.method,
                path,
                public: PUBLIC.contains(&(route.method, pattern)),
                has_row_id,
            });
            if !pattern.contains("<action>") {
                break;
            }
        }
    }
    assert!(requests.len() > 30, "{} routes", requests.len());
    requests
}

/// Tables that also change when a request is refused or only reads. `database_state` compares parts of the first two.
const VOLATILE_TABLES: [&str; 8] = [
    "users",
    "tokens",
    "events",
    "attempts",
    "logins",
    "known_addresses",
    "known_devices",
    "endings",
];

/// Everything that a route might change, including the tables of resources.
async fn database_state(app: &App) -> Vec<String> {
    let mut rows = app
        .texts(
            "SELECT id || role || password_hash || COALESCE(CAST(disabled_at AS TEXT), '')
             FROM users ORDER BY id",
        )
        .await;
    let tokens = "SELECT id || digest FROM tokens ORDER BY id";
    rows.extend(app.texts(tokens).await);
    rows.extend(app.rows_except(&VOLATILE_TABLES).await);
    rows
}

async fn send(app: &App, request: &RouteRequest, credentials: &[(&str, &str)]) -> Response {
    let mut headers = credentials.to_vec();
    headers.push(("Content-Type", "application/x-www-form-urlencoded"));
    if is_page(&request.path) {
        headers.push(("Sec-Fetch-Site", "same-origin"));
    }
    // Valid for any route of the resource.
    let is_of = |one: &&Resource| (request.path.clone() + "/").contains(&one.path());
    let resource = RESOURCES.iter().find(is_of).map(Resource::form);
    let resource = resource.unwrap_or_default();
    let usual = [("confirm", "yes"), ("password", PASSWORD)];
    let body = form(&[&usual[..], &borrowed(&resource)].concat());
    app.send(request.method, &request.path, &headers, body)
        .await
}

/// Whether the route is a page, which authenticates by cookie.
fn is_page(path: &str) -> bool {
    ["/admin", "/account"]
        .iter()
        .any(|base| path.starts_with(base))
}

fn is_refused(answer: &Response) -> bool {
    match answer.status {
        Status::Unauthorized => answer.header("WWW-Authenticate").is_some(),
        Status::SeeOther => answer.header("Location").is_some_and(|to| {
            ["/admin/login", "/account/login"]
                .iter()
                .any(|page| to.starts_with(page))
        }),
        _ => false,
    }
}

#[test]
fn every_route_except_the_public_ones_refuses_strangers() {
    on_both(async |app| {
        let users = TestUsers::create(&app).await;
        let before = database_state(&app).await;
        let unknown = Secret::generate("mtk").reveal().to_owned();
        let bearer = |token: &str| format!("Bearer {token}");
        let cookie = |token: &str| format!("multitoken_admin_8000={token}");
        let admins_secret = users.admins_cookie.split_once('=').unwrap().1;
        for request in routes(&app, &users).await.iter().filter(|r| !r.public) {
            let mut strangers = vec![
                vec![],
                vec![("Authorization", bearer("nonsense"))],
                vec![("Authorization", bearer(&unknown))],
                vec![("Authorization", "Basic cm9vdDpyb290".to_owned())],
                vec![("Cookie", cookie("nonsense"))],
                vec![("Cookie", cookie(&unknown))],
                // Each kind of token where the other kind belongs.
                vec![("Cookie", cookie(&users.admins_token))],
                vec![("Authorization", bearer(admins_secret))],
            ];
            if request.path.starts_with("/admin") {
                strangers.push(vec![("Cookie", users.demoted_cookie.clone())]);
                strangers.push(vec![("Cookie", users.bobs_cookie.clone())]);
            }
            if is_page(&request.path) {
                // Tokens of the API, even an admin's, are not accepted on pages.
                strangers.push(vec![("Authorization", bearer(&users.bobs_token))]);
                strangers.push(vec![("Authorization", bearer(&users.admins_token))]);
            } else {
                strangers.push(vec![("Cookie", users.admins_cookie.clone())]);
                strangers.push(vec![("Cookie", users.bobs_cookie.clone())]);
            }
            for credentials in strangers {
                let credentials: Vec<_> =
                    credentials.iter().map(|(n, v)| (*n, v.as_str())).collect();
                let answer = send(&app, request, &credentials).await;
                let what = format!("{} {} {credentials:?}", request.method, request.path);
                assert!(is_refused(&answer), "{what}: {}", answer.status);
                assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{what}");
            }
        }
        assert_eq!(database_state(&app).await, before);
        assert!(app.works(&users.alices_token).await);
    });
}

#[test]
fn another_users_rows_are_not_found_and_do_not_change() {
    on_both(async |app| {
        let users = TestUsers::create(&app).await;
        let before = database_state(&app).await;
        let bearer = format!("Bearer {}", users.bobs_token);
        let mut checked = 0;
        for request in routes(&app, &users).await {
            if request.has_row_id && !request.path.starts_with("/admin") {
                let credentials = [
                    ("Authorization", bearer.as_str()),
                    ("Cookie", &users.bobs_cookie),
                ];
                let answer = send(&app, &request, &credentials).await;
                // On a page, a token of another user looks like one that has already ended.
                let wanted = if is_page(&request.path) {
                    Status::SeeOther
                } else {
                    Status::NotFound
                };
                assert_eq!(answer.status, wanted, "{}", request.path);
                checked += 1;
            }
        }
        assert!(checked > 1);
        assert_eq!(database_state(&app).await, before);
    });
}

#[test]
#[ignore = "slow"]
fn requests_from_other_origins_change_nothing() {
    on_both(async |app| {
        let users = TestUsers::create(&app).await;
        let before = database_state(&app).await;
        let bodies = [
            ("application/x-www-form-urlencoded", "confirm=yes"),
            (
                "application/x-www-form-urlencoded",
                "_method=get&confirm=yes",
            ),
            ("application/x-www-form-urlencoded", "_method=put"),
            ("application/x-www-form-urlencoded", "&_method=delete"),
            ("application/x-www-form-urlencoded", "[_method]=get"),
            ("application/x-www-form-urlencoded", "._method=get"),
            ("application/json", "{\"confirm\": \"yes\"}"),
            ("text/plain", "confirm=yes"),
        ];
        for request in routes(&app, &users).await {
            if request.method == Method::Get || !is_page(&request.path) {
                continue;
            }
            for headers in origin_headers().iter().filter(|(_, ours)| !ours) {
                for (kind, body) in bodies {
                    let mut headers = headers.0.clone();
                    headers.extend([
                        ("Cookie", users.admins_cookie.as_str()),
                        ("Content-Type", kind),
                    ]);
                    let answer = app
                        .send(request.method, &request.path, &headers, body)
                        .await;
                    let what = format!("{} {headers:?} {body}", request.path);
                    assert_eq!(answer.status, Status::Forbidden, "{what}");
                }
            }
        }
        assert_eq!(database_state(&app).await, before);
    });
}

#[test]
fn fetch_metadata_or_else_the_origin_decides_what_is_same_origin() {
    on_both(async |app| {
        let users = TestUsers::create(&app).await;
        let path = format!("/admin/users/{}/enable", users.alice);
        for (headers, ours) in origin_headers() {
            let mut headers = headers.clone();
            headers.push(("Cookie", users.admins_cookie.as_str()));
            let answer = app.send(Method::Post, &path, &headers, "").await;
            let expected = if ours {
                Status::SeeOther
            } else {
                Status::Forbidden
            };
            assert_eq!(answer.status, expected, "{headers:?}");
        }
    });
}

/// Every combination of `Sec-Fetch-Site` and `Origin`, and whether it proves that the request is from this origin.
fn origin_headers() -> Vec<(Vec<(&'static str, &'static str)>, bool)> {
    let sites: [&[&str]; 7] = [
        &[],
        &["same-origin"],
        &["same-site"],
        &["cross-site"],
        &["none"],
        &["Same-Origin"],
        &["same-origin", "same-origin"],
    ];
    let origins: [&[&str]; 8] = [
        &[],
        &[ORIGIN],
        &["null"],
        &["http://evil.example"],
        &["https://127.0.0.1:8000"],
        &["http://127.0.0.1:80001"],
        &["http://127.0.0.1:8000.evil.example"],
        &[ORIGIN, ORIGIN],
    ];
    let mut all = vec![];
    for site in sites {
        for origin in origins {
            let named = site.iter().map(|value| ("Sec-Fetch-Site", *value));
            let headers = named.chain(origin.iter().map(|value| ("Origin", *value)));
            let ours = site == ["same-origin"] || (site.is_empty() && origin == [ORIGIN]);
            all.push((headers.collect(), ours));
        }
    }
    all
}

#[test]
fn get_requests_change_nothing() {
    on_both(async |app| {
        let users = TestUsers::create(&app).await;
        let before = database_state(&app).await;
        let bearer = format!("Bearer {}", users.alices_token);
        for request in routes(&app, &users).await {
            if request.method == Method::Get {
                let credentials = [
                    ("Cookie", users.admins_cookie.as_str()),
                    ("Authorization", bearer.as_str()),
                ];
                let answer = send(&app, &request, &credentials).await;
                assert!(answer.status.code < 500, "{}", request.path);
            }
        }
        assert_eq!(database_state(&app).await, before);
    });
}

#[test]
fn every_response_has_the_security_headers_and_grants_other_origins_nothing() {
    on_both(async |app| {
        let users = TestUsers::create(&app).await;
        let refusals = app.client.rocket().routes().filter(|r| r.rank >= 1000);
        let mut all: Vec<RouteRequest> = refusals
            .map(|route| RouteRequest {
                method: route.method,
                path: route.uri.path().replace(['<', '>'], ""),
                public: true,
                has_row_id: false,
            })
            .collect();
        all.extend(routes(&app, &users).await);
        let nothing = [
            "/nothing",
            "/auth/nothing",
            "/admin/nothing",
            "/static/nothing",
        ];
        all.extend(nothing.map(|path| RouteRequest {
            method: Method::Get,
            path: path.to_owned(),
            public: true,
            has_row_id: false,
        }));
        for request in all {
            let bearer = format!("Bearer {}", users.alices_token);
            let origin = ("Origin", "http://evil.example");
            let signed_in = [
                origin,
                ("Cookie", users.admins_cookie.as_str()),
                ("Authorization", bearer.as_str()),
            ];
            // Only GET requests carry credentials here, so that nothing changes.
            let reads = request.method == Method::Get;
            for credentials in [&signed_in[..1], &signed_in[..if reads { 3 } else { 1 }]] {
                let answer = send(&app, &request, credentials).await;
                let what = format!("{} {} {credentials:?}", request.method, request.path);
                assert_security_headers(&answer, &what);
                // These may be cached, and are revalidated each time.
                let is_kept = ["/openapi.json", "/docs", "/favicon.ico", "/robots.txt"];
                let is_kept = is_kept.contains(&request.path.as_str());
                let kept = is_kept && request.method == Method::Get;
                let wanted = if kept { "no-cache" } else { "no-store" };
                assert_eq!(answer.header("Cache-Control"), Some(wanted), "{what}");
            }
        }
    });
}

#[test]
fn hsts_lasts_two_years_and_is_sent_only_with_an_https_url() {
    let https = json!({"public_url": "https://app.example.com"});
    for (settings, demanded) in [(https, true), (json!({}), false)] {
        on_both_with(settings, async |app| {
            for path in ["/healthz", "/admin/login", "/auth/me", "/nothing"] {
                let answer = app.send(Method::Get, path, &[], "").await;
                let hsts = answer.header("Strict-Transport-Security");
                let wanted = demanded.then_some("max-age=63072000; includeSubDomains");
                assert_eq!(hsts, wanted, "{path}");
            }
        });
    }
}

/// Asserts that a response has all security headers and grants nothing to other origins.
pub fn assert_security_headers(answer: &Response, what: &str) {
    let csp = answer.header("Content-Security-Policy").expect(what);
    for directive in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(csp.contains(directive), "{what}: {csp}");
    }
    assert!(!csp.contains("unsafe") && !csp.contains('*'), "{what}");
    for (name, value) in [
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{what}");
    }
    assert_eq!(answer.header("Server"), None, "{what}");
    assert_eq!(answer.header("Access-Control-Allow-Origin"), None, "{what}");
    assert!(answer.header("X-Request-Id").is_some(), "{what}");
    if !answer.text.is_empty() {
        let kind = answer.header("Content-Type").expect(what);
        assert!(
            kind.contains("json") || kind.contains("charset=utf-8"),
            "{what}: {kind}"
        );
    }
}
