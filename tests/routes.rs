//! Every mounted route against everybody who must not use it. A route that is added later is walked
//! too: it has to refuse strangers, or to be named in `PUBLIC`.

use multitoken::identity::UserId;
use multitoken::models::event::Actor;
use multitoken::models::user::Role;
use multitoken::secret::Secret;
use rocket::http::{Method, Status};
use serde_json::json;

use crate::support::app::{Answer, form};
use crate::support::{App, PASSWORD, on_both, on_both_with};

/// What anybody may ask for.
const PUBLIC: [(Method, &str); 13] = [
    (Method::Get, "/healthz"),
    (Method::Get, "/readyz"),
    (Method::Get, "/openapi.json"),
    (Method::Get, "/docs"),
    (Method::Get, "/favicon.ico"),
    (Method::Get, "/robots.txt"),
    (Method::Get, "/static/<path..>"),
    (Method::Post, "/auth/login"),
    (Method::Post, "/auth/obtain-token"),
    (Method::Get, "/admin/login"),
    (Method::Post, "/admin/login"),
    (Method::Get, "/admin/setup"),
    (Method::Post, "/admin/setup"),
];
/// What an admin does to a user.
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
const OURS: &str = "http://127.0.0.1:8000";

/// A route with something real in each of its parameters.
struct Asked {
    method: Method,
    path: String,
    public: bool,
    /// Whether it names a row of alice's.
    names_a_row: bool,
}

/// The users that the walk is about, and what they hold.
struct Cast {
    alice: UserId,
    alices_token: String,
    bobs_token: String,
    admins_cookie: String,
    demoted_cookie: String,
    admins_token: String,
}

impl Cast {
    async fn of(app: &App) -> Self {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let former = app.user("former", Role::Admin).await;
        let demoted_cookie = app.admin_login("former").await;
        app.execute("UPDATE users SET role = 'user' WHERE username = 'former'")
            .await;
        let actor = Actor::command_line();
        assert!(app.auth().enable(former, &actor).await.is_ok());
        let alices_token = app.login("alice", "laptop").await;
        crate::notes::write(app, &alices_token, "hers").await; // example: notes
        Self {
            alice,
            alices_token,
            bobs_token: app.login("bob", "laptop").await,
            admins_cookie: app.admin_login("root").await,
            demoted_cookie,
            admins_token: app.login("root", "script").await,
        }
    }
}

/// Every route that something is mounted at, but those that only refuse a method.
async fn routes(app: &App, cast: &Cast) -> Vec<Asked> {
    let token = "SELECT t.id FROM tokens t JOIN users u ON u.id = t.user_id
                 WHERE u.username = 'alice'";
    let token = app.texts(token).await.remove(0);
    let rows = [
        // What an id names below these.
        ("/users/", cast.alice.to_string()),
        ("/notes/", app.texts("SELECT id FROM notes").await.remove(0)), // example: notes
        ("/tokens/", token),
        (
            "/audit/",
            app.texts("SELECT id FROM events").await.remove(0),
        ),
    ];
    let mut asked = vec![];
    for route in app.client.rocket().routes().filter(|r| r.rank < 1000) {
        let pattern = route.uri.path();
        let names_a_row = pattern.contains("<id>");
        let row = rows.iter().find(|(below, _)| pattern.contains(below));
        let id = match row {
            Some((_, id)) => id,
            None if names_a_row => panic!("say in `rows` whose id stands in {pattern}"),
            None => "",
        };
        for action in ACTIONS {
            let path = pattern
                .replace("<id>", id)
                .replace("<action>", action)
                .replace("<_path..>", "no/such/page")
                .replace("addresses/<path..>", "addresses/203.0.113.0/24")
                .replace("<path..>", "admin.css");
            assert!(!path.contains('<'), "say here what stands in {pattern}");
            asked.push(Asked {
                method: route.method,
                path,
                public: PUBLIC.contains(&(route.method, pattern)),
                names_a_row,
            });
            if !pattern.contains("<action>") {
                break;
            }
        }
    }
    assert!(asked.len() > 30, "{} routes", asked.len());
    asked
}

/// Tables that change also when somebody is refused or looks at something; of the first two, what may not
/// is read apart.
const WRITTEN_BY_ALL: [&str; 7] = [
    "users",
    "tokens",
    "events",
    "attempts",
    "logins",
    "known_addresses",
    "endings",
];

/// All that a route might change, a resource's own tables among it.
async fn state(app: &App) -> Vec<String> {
    let mut rows = app
        .texts(
            "SELECT id || role || password_hash || COALESCE(CAST(disabled_at AS TEXT), '')
             FROM users ORDER BY id",
        )
        .await;
    let tokens = "SELECT id || digest FROM tokens ORDER BY id";
    rows.extend(app.texts(tokens).await);
    rows.extend(app.rows_but_of(&WRITTEN_BY_ALL).await);
    rows
}

async fn ask(app: &App, asked: &Asked, credentials: &[(&str, &str)]) -> Answer {
    let mut headers = credentials.to_vec();
    headers.push(("Content-Type", "application/x-www-form-urlencoded"));
    if asked.path.starts_with("/admin") {
        headers.push(("Sec-Fetch-Site", "same-origin"));
    }
    let body = form(&[("confirm", "yes"), ("password", PASSWORD), ("text", "x")]);
    app.send(asked.method, &asked.path, &headers, body).await
}

fn is_refused(answer: &Answer) -> bool {
    match answer.status {
        Status::Unauthorized => answer.header("WWW-Authenticate").is_some(),
        Status::SeeOther => answer
            .header("Location")
            .is_some_and(|to| to.starts_with("/admin/login")),
        _ => false,
    }
}

#[test]
fn every_route_but_the_public_ones_refuses_who_has_no_business_there() {
    on_both(async |app| {
        let cast = Cast::of(&app).await;
        let before = state(&app).await;
        let unknown = Secret::generate("mtk").reveal().to_owned();
        let bearer = |token: &str| format!("Bearer {token}");
        let cookie = |token: &str| format!("multitoken_admin_8000={token}");
        let admins_secret = cast.admins_cookie.split_once('=').unwrap().1;
        for asked in routes(&app, &cast).await.iter().filter(|a| !a.public) {
            let is_api = !asked.path.starts_with("/admin");
            let mut strangers = vec![
                vec![],
                vec![("Authorization", bearer("nonsense"))],
                vec![("Authorization", bearer(&unknown))],
                vec![("Authorization", "Basic cm9vdDpyb290".to_owned())],
                vec![("Cookie", cookie("nonsense"))],
                vec![("Cookie", cookie(&unknown))],
                vec![("Cookie", cast.demoted_cookie.clone())],
                // Each kind of token in the other's place.
                vec![("Cookie", cookie(&cast.admins_token))],
                vec![("Authorization", bearer(admins_secret))],
            ];
            if is_api {
                strangers.push(vec![("Cookie", cast.admins_cookie.clone())]);
            } else {
                // Users of the API, an admin among them: the header opens nothing here.
                strangers.push(vec![("Authorization", bearer(&cast.bobs_token))]);
                strangers.push(vec![("Authorization", bearer(&cast.admins_token))]);
            }
            for credentials in strangers {
                let credentials: Vec<_> =
                    credentials.iter().map(|(n, v)| (*n, v.as_str())).collect();
                let answer = ask(&app, asked, &credentials).await;
                let what = format!("{} {} {credentials:?}", asked.method, asked.path);
                assert!(is_refused(&answer), "{what}: {}", answer.status);
                assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{what}");
            }
        }
        assert_eq!(state(&app).await, before);
        assert!(app.works(&cast.alices_token).await);
    });
}

#[test]
fn what_belongs_to_another_user_does_not_exist_for_this_one() {
    on_both(async |app| {
        let cast = Cast::of(&app).await;
        let before = state(&app).await;
        let bearer = format!("Bearer {}", cast.bobs_token);
        let mut walked = 0;
        for asked in routes(&app, &cast).await {
            if asked.names_a_row && !asked.path.starts_with("/admin") {
                let answer = ask(&app, &asked, &[("Authorization", &bearer)]).await;
                assert_eq!(answer.status, Status::NotFound, "{}", asked.path);
                walked += 1;
            }
        }
        assert!(walked > 0);
        assert_eq!(state(&app).await, before);
    });
}

#[test]
fn nothing_changes_for_a_page_of_another_origin() {
    on_both(async |app| {
        let cast = Cast::of(&app).await;
        let before = state(&app).await;
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
        for asked in routes(&app, &cast).await {
            if asked.method == Method::Get || !asked.path.starts_with("/admin") {
                continue;
            }
            for headers in provenances().iter().filter(|(_, ours)| !ours) {
                for (kind, body) in bodies {
                    let mut headers = headers.0.clone();
                    headers.extend([
                        ("Cookie", cast.admins_cookie.as_str()),
                        ("Content-Type", kind),
                    ]);
                    let answer = app.send(asked.method, &asked.path, &headers, body).await;
                    let what = format!("{} {headers:?} {body}", asked.path);
                    assert_eq!(answer.status, Status::Forbidden, "{what}");
                }
            }
        }
        assert_eq!(state(&app).await, before);
    });
}

#[test]
fn a_page_of_ours_is_told_by_fetch_metadata_else_by_its_origin() {
    on_both(async |app| {
        let cast = Cast::of(&app).await;
        let path = format!("/admin/users/{}/enable", cast.alice);
        for (headers, ours) in provenances() {
            let mut headers = headers.clone();
            headers.push(("Cookie", cast.admins_cookie.as_str()));
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

/// Every combination of `Sec-Fetch-Site` and `Origin`, with whether it speaks for a page of ours.
fn provenances() -> Vec<(Vec<(&'static str, &'static str)>, bool)> {
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
        &[OURS],
        &["null"],
        &["http://evil.example"],
        &["https://127.0.0.1:8000"],
        &["http://127.0.0.1:80001"],
        &["http://127.0.0.1:8000.evil.example"],
        &[OURS, OURS],
    ];
    let mut all = vec![];
    for site in sites {
        for origin in origins {
            let named = site.iter().map(|value| ("Sec-Fetch-Site", *value));
            let headers = named.chain(origin.iter().map(|value| ("Origin", *value)));
            let ours = site == ["same-origin"] || (site.is_empty() && origin == [OURS]);
            all.push((headers.collect(), ours));
        }
    }
    all
}

#[test]
fn reading_changes_nothing() {
    on_both(async |app| {
        let cast = Cast::of(&app).await;
        let before = state(&app).await;
        let bearer = format!("Bearer {}", cast.alices_token);
        for asked in routes(&app, &cast).await {
            if asked.method == Method::Get {
                let credentials = [
                    ("Cookie", cast.admins_cookie.as_str()),
                    ("Authorization", bearer.as_str()),
                ];
                let answer = ask(&app, &asked, &credentials).await;
                assert!(answer.status.code < 500, "{}", asked.path);
            }
        }
        assert_eq!(state(&app).await, before);
    });
}

#[test]
fn every_route_answers_with_the_security_headers_and_grants_no_other_origin_anything() {
    on_both(async |app| {
        let cast = Cast::of(&app).await;
        let refusals = app.client.rocket().routes().filter(|r| r.rank >= 1000);
        let mut all: Vec<Asked> = refusals
            .map(|route| Asked {
                method: route.method,
                path: route.uri.path().replace(['<', '>'], ""),
                public: true,
                names_a_row: false,
            })
            .collect();
        all.extend(routes(&app, &cast).await);
        let nothing = [
            "/nothing",
            "/auth/nothing",
            "/admin/nothing",
            "/static/nothing",
        ];
        all.extend(nothing.map(|path| Asked {
            method: Method::Get,
            path: path.to_owned(),
            public: true,
            names_a_row: false,
        }));
        for asked in all {
            let bearer = format!("Bearer {}", cast.alices_token);
            let origin = ("Origin", "http://evil.example");
            let signed_in = [
                origin,
                ("Cookie", cast.admins_cookie.as_str()),
                ("Authorization", bearer.as_str()),
            ];
            // Signed in where that changes nothing: the walk goes on.
            let reads = asked.method == Method::Get;
            for credentials in [&signed_in[..1], &signed_in[..if reads { 3 } else { 1 }]] {
                let answer = ask(&app, &asked, credentials).await;
                let what = format!("{} {} {credentials:?}", asked.method, asked.path);
                assert_fortified(&answer, &what);
                // Of these a copy may be kept, and is asked for again each time.
                let is_kept = ["/openapi.json", "/docs", "/favicon.ico", "/robots.txt"];
                let is_kept = is_kept.contains(&asked.path.as_str());
                let kept = is_kept && asked.method == Method::Get;
                let wanted = if kept { "no-cache" } else { "no-store" };
                assert_eq!(answer.header("Cache-Control"), Some(wanted), "{what}");
            }
        }
    });
}

#[test]
fn https_is_demanded_for_two_years_where_browsers_come_by_https() {
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

/// Whether an answer carries what every answer has to, and nothing that it must not.
pub fn assert_fortified(answer: &Answer, what: &str) {
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
