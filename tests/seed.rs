//! `multitoken seed`: demonstration data, as the command line makes it.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use multitoken::identity::{self, EventId, TokenId, UserId};
use multitoken::models::now;
use rocket::tokio::time::sleep;
use serde_json::Value;
use sqlx::{AnyConnection, Connection};

use crate::support::PASSWORD;
use crate::support::server::{Server, command, on_each_url, run, sqlite, stderr, stdout};

const DAY: i64 = 24 * 60 * 60;

fn seed(url: &str, users: &str, tokens: &str) -> Output {
    let args = ["seed", "--users", users, "--tokens-per-user", tokens];
    run(url, &[&args[..], &["--password", PASSWORD]].concat(), "")
}

fn json(url: &str, args: &[&str]) -> Vec<Value> {
    let list = run(url, args, "");
    let list: Value = serde_json::from_str(&stdout(&list)).unwrap();
    list.as_array().unwrap().clone()
}

async fn open(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

async fn number(db: &mut AnyConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

/// Rows of a query of texts, or of none where there is none.
async fn rows<const N: usize>(
    db: &mut AnyConnection,
    sql: &'static str,
) -> Vec<[Option<String>; N]> {
    use sqlx::Row;
    let rows = sqlx::query(sql).fetch_all(db).await.unwrap();
    let row = |row: &sqlx::any::AnyRow| std::array::from_fn(|column| row.get(column));
    rows.iter().map(row).collect()
}

async fn texts<const N: usize>(db: &mut AnyConnection, sql: &'static str) -> Vec<[String; N]> {
    let rows = rows::<N>(db, sql).await.into_iter();
    rows.map(|row| row.map(Option::unwrap)).collect()
}

#[test]
fn as_many_are_made_as_were_asked_for_and_one_can_sign_in() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        let output = seed(&url, "120", "5");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        // No terminal, no bar.
        assert_eq!(stderr(&output), "");
        assert_eq!(
            stdout(&output),
            "Seeded 120 users and 600 tokens.\nSign in to the admin as demo-admin.\n"
        );

        let users = json(&url, &["user", "list", "--json"]);
        let tokens = json(&url, &["token", "list", "--json"]);
        assert_eq!((users.len(), tokens.len()), (120, 600));
        let disabled: Vec<&Value> = users.iter().filter(|u| u["status"] == "disabled").collect();
        assert!((1..12).contains(&disabled.len()), "{disabled:?}");
        assert!(disabled.iter().all(|user| user["live_tokens"] == 0));
        let admins = users.iter().filter(|user| user["role"] == "admin").count();
        assert!((2..=6).contains(&admins), "{admins} admins");

        // Any of them, and the admin; the rest of the token's user stays.
        let active = users
            .iter()
            .find(|u| u["status"] == "active" && u["role"] == "user");
        let name = active.unwrap()["username"].as_str().unwrap();
        for name in [name, "demo-admin"] {
            let token = server.login(name, "a new client").await;
            assert_eq!(server.me(&token).await, 200);
            assert_eq!(server.try_login(name, "correct horse").await, 400);
        }
        let disabled = disabled[0]["username"].as_str().unwrap();
        assert_eq!(server.try_login(disabled, PASSWORD).await, 400);
        assert_eq!(json(&url, &["token", "list", "--json"]).len(), 602);
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn again_adds_more_and_leaves_what_is_there_alone() {
    on_each_url(async |url| {
        let make = ["user", "create", "Demo-Admin", "--password-stdin"];
        assert!(run(&url, &make, "another password").status.success());
        let shown = stdout(&run(&url, &["user", "show", "demo-admin", "--json"], ""));
        let mut db = open(&url).await;
        let hash = "SELECT password_hash FROM users WHERE username = 'Demo-Admin'";
        let before = rows::<1>(&mut db, hash).await;

        // The name is taken, so it is nobody's to be told of.
        let said = stdout(&seed(&url, "40", "2"));
        assert_eq!(said, "Seeded 40 users and 80 tokens.\n");
        let everything = "SELECT username, id, disabled_at || '', last_seen_at || '' FROM users
                          ORDER BY id";
        let first: HashSet<_> = rows::<4>(&mut db, everything).await.into_iter().collect();
        assert_eq!(
            stdout(&seed(&url, "1", "1")),
            "Seeded 1 user and 1 token.\n"
        );
        assert_eq!(
            stdout(&seed(&url, "60", "0")),
            "Seeded 60 users and 0 tokens.\n"
        );
        let then: HashSet<_> = rows::<4>(&mut db, everything).await.into_iter().collect();
        assert_eq!((first.len(), then.len()), (41, 102));
        assert!(first.is_subset(&then));
        assert_eq!(number(&mut db, "SELECT COUNT(*) FROM tokens").await, 81);

        assert_eq!(rows::<1>(&mut db, hash).await, before);
        let still = stdout(&run(&url, &["user", "show", "demo-admin", "--json"], ""));
        assert_eq!(still, shown);
        let seeded = "SELECT COUNT(DISTINCT password_hash) FROM users
                      WHERE username <> 'Demo-Admin'";
        assert_eq!(number(&mut db, seeded).await, 3, "one hash a run");
    });
}

#[test]
fn what_is_refused_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    for (users, tokens, password, code) in [
        ("0", "1", PASSWORD, 2),
        ("1000001", "1", PASSWORD, 2),
        ("-1", "1", PASSWORD, 2),
        ("many", "1", PASSWORD, 2),
        ("1", "-1", PASSWORD, 2),
        ("1", "1001", PASSWORD, 2),
        ("10", "51", PASSWORD, 1),
        ("10", "1", "short", 1),
        ("10", "1", "password", 1),
        ("10", "1", "", 1),
    ] {
        let counts = [
            format!("--users={users}"),
            format!("--tokens-per-user={tokens}"),
        ];
        let output = run(
            &url,
            &["seed", &counts[0], &counts[1], "--password", password],
            "",
        );
        assert_eq!(
            output.status.code(),
            Some(code),
            "{users} {tokens} {password}"
        );
        assert!(stdout(&output).is_empty() && !stderr(&output).is_empty());
    }
    for missing in [
        &["seed", "--users", "1", "--tokens-per-user", "1"][..],
        &["seed", "--users", "1", "--password", PASSWORD],
        &["seed", "--tokens-per-user", "1", "--password", PASSWORD],
    ] {
        assert_eq!(run(&url, missing, "").status.code(), Some(2), "{missing:?}");
    }
    let full = stderr(&seed(&url, "10", "51"));
    assert!(
        full.contains("50 tokens") && full.contains("tokens_per_user"),
        "{full}"
    );
    assert!(json(&url, &["user", "list", "--json"]).is_empty());
    // As many as that are possible.
    assert_eq!(
        stdout(&seed(&url, "2", "50")).lines().next(),
        Some("Seeded 2 users and 100 tokens.")
    );
}

/// Created, last used, expires, ends; the user was created, and disabled.
type Times = (i64, Option<i64>, i64, i64, i64, Option<i64>);

#[test]
fn tokens_are_such_as_could_have_been_issued() {
    on_each_url(async |url| {
        let start = now();
        assert!(seed(&url, "150", "8").status.success());
        let mut db = open(&url).await;
        let tokens: Vec<Times> = sqlx::query_as(
            "SELECT t.created_at, t.last_used_at, t.expires_at, t.ends_at, u.created_at,
                    u.disabled_at
             FROM tokens t JOIN users u ON u.id = t.user_id",
        )
        .fetch_all(&mut db)
        .await
        .unwrap();
        assert_eq!(tokens.len(), 1200);
        let (mut expired, mut unused, mut soon) = (0, 0, 0);
        for (created, used, expires, ends, born, disabled) in tokens {
            let last = used.unwrap_or(created);
            assert!(born <= created && created <= last && last <= now());
            assert_eq!(expires, created + 90 * DAY);
            assert_eq!(ends, expires.min(last + 30 * DAY));
            assert_eq!(disabled, None);
            assert!(ends > start - 3 * DAY, "the expired ones have only just");
            expired += usize::from(ends <= start);
            unused += usize::from(used.is_none());
            soon += usize::from(ends > now() && ends < now() + 7 * DAY);
        }
        assert!(
            (6..=24).contains(&expired),
            "{expired} of 1200 have expired"
        );
        assert!(
            (30..=120).contains(&unused),
            "{unused} of 1200 were never used"
        );
        assert!(
            (24..=400).contains(&soon),
            "{soon} of 1200 expire within a week"
        );

        let seen = "SELECT COUNT(*) FROM users u WHERE last_seen_at <> (
                        SELECT MAX(COALESCE(last_used_at, created_at)) FROM tokens
                        WHERE user_id = u.id) AND last_seen_at < (
                        SELECT MAX(COALESCE(last_used_at, created_at)) FROM tokens
                        WHERE user_id = u.id)";
        assert_eq!(number(&mut db, seen).await, 0);
        let logged_in = "SELECT COUNT(*) FROM users u WHERE last_login_at > last_seen_at
                            OR last_login_at < (SELECT MAX(created_at) FROM tokens
                                                WHERE user_id = u.id)
                            OR disabled_at < last_seen_at OR created_at > last_login_at";
        assert_eq!(number(&mut db, logged_in).await, 0);

        let sql = "SELECT id, user_id, client, client_key, hint, last_address, user_agent, digest
                     FROM tokens";
        let (mut clients, mut names, mut digests) =
            (HashSet::new(), HashSet::new(), HashSet::new());
        for [id, user, client, key, hint, address, agent, digest] in texts::<8>(&mut db, sql).await
        {
            assert!(TokenId::parse(&id).is_some() && UserId::parse(&user).is_some());
            assert_eq!(key, identity::key(&client));
            assert_eq!((hint.len(), digest.len()), (4, 64));
            assert!(agent.contains('/'), "{agent}");
            documented(&address);
            assert!(clients.insert((user, client.clone())), "{client} twice");
            names.insert(client);
            digests.insert(digest);
        }
        assert_eq!(digests.len(), 1200);
        assert!(names.len() > 40, "{} clients", names.len());
        ids_are_of_their_time(&mut db, "SELECT id, created_at || '' FROM tokens").await;
        ids_are_of_their_time(&mut db, "SELECT id, created_at || '' FROM users").await;
    });
}

/// For documentation only (RFC 5737, RFC 3849).
fn documented(address: &str) {
    let parsed: IpAddr = address.parse().unwrap();
    assert_eq!(parsed.to_string(), address);
    let networks = ["192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:"];
    assert!(
        networks.iter().any(|net| address.starts_with(net)),
        "{address}"
    );
}

async fn ids_are_of_their_time(db: &mut AnyConnection, sql: &'static str) {
    for [id, at] in texts::<2>(db, sql).await {
        let hex: String = id.replace('-', "").chars().take(12).collect();
        let milliseconds = i64::from_str_radix(&hex, 16).unwrap();
        assert_eq!(milliseconds / 1000, at.parse::<i64>().unwrap(), "{id}");
    }
}

#[test]
fn usernames_are_of_many_kinds_and_nobodys_address() {
    on_each_url(async |url| {
        assert!(seed(&url, "1500", "0").status.success());
        let mut db = open(&url).await;
        let (mut domains, mut longest, mut foreign) = (HashSet::new(), 0, 0);
        for [name, key] in texts::<2>(&mut db, "SELECT username, username_key FROM users").await {
            assert_eq!(key, identity::key(&name));
            assert_eq!(name.trim(), name);
            longest = longest.max(name.chars().count());
            foreign += usize::from(name.chars().all(|char| char > '\u{250}' || char == ' '));
            if let Some((_, domain)) = name.split_once('@') {
                domains.insert(domain.to_owned());
            }
        }
        let reserved = ["example.com", "example.net", "example.org"].map(String::from);
        assert_eq!(domains, HashSet::from(reserved));
        assert_eq!(longest, 150);
        assert!(
            (100..500).contains(&foreign),
            "{foreign} of 1500 in other scripts"
        );
    });
}

#[test]
fn the_trail_tells_of_a_year() {
    on_each_url(async |url| {
        assert!(seed(&url, "200", "6").status.success());
        let mut db = open(&url).await;
        let issued = "SELECT COUNT(*) FROM tokens t WHERE NOT EXISTS (
                          SELECT 1 FROM events e
                          WHERE e.token_id = t.id AND e.action = 'token.issued'
                            AND e.at = t.created_at AND e.client = t.client
                            AND e.subject_id = t.user_id AND e.actor_id = t.user_id)";
        assert_eq!(number(&mut db, issued).await, 0);
        let untold = "SELECT COUNT(*) FROM users u WHERE NOT EXISTS (
                          SELECT 1 FROM events e WHERE e.subject_id = u.id
                            AND e.action = 'user.created' AND e.at = u.created_at)";
        assert_eq!(number(&mut db, untold).await, 0);
        let disabled = "SELECT COUNT(*) FROM users u WHERE disabled_at IS NOT NULL AND NOT EXISTS (
                            SELECT 1 FROM events e WHERE e.subject_id = u.id
                              AND e.action = 'user.disabled' AND e.at = u.disabled_at)";
        assert_eq!(number(&mut db, disabled).await, 0);
        let undead = "SELECT COUNT(*) FROM tokens t JOIN events e ON e.token_id = t.id
                      WHERE e.action = 'token.ended'";
        assert_eq!(number(&mut db, undead).await, 0);
        // Whatever ended was issued, and before.
        let unborn = "SELECT COUNT(*) FROM events e WHERE action = 'token.ended' AND NOT EXISTS (
                          SELECT 1 FROM events i WHERE i.token_id = e.token_id AND i.id < e.id
                            AND i.action = 'token.issued' AND i.client = e.client)";
        assert_eq!(number(&mut db, unborn).await, 0);
        let twice = "SELECT COUNT(*) FROM (SELECT token_id FROM events WHERE token_id IS NOT NULL
                         GROUP BY token_id, action HAVING COUNT(*) > 1) AS found";
        assert_eq!(number(&mut db, twice).await, 0);
        // Disabling a user, or another password, ends what is there: none of it is left.
        let survived = "SELECT COUNT(*) FROM tokens t JOIN events e ON e.subject_id = t.user_id
                        WHERE e.at > t.created_at AND e.action IN
                            ('user.disabled', 'password.changed', 'password.reset')";
        assert_eq!(number(&mut db, survived).await, 0);

        what_happened(&mut db).await;
        let events = number(&mut db, "SELECT COUNT(*) FROM events").await;
        assert!(
            (5 * 1200 - 600..=7 * 1200).contains(&events),
            "{events} events of 1200 tokens"
        );
        let span = "SELECT MAX(at) - MIN(at) FROM events";
        assert!(number(&mut db, span).await > 340 * DAY);
        let future = number(&mut db, "SELECT MAX(at) FROM events").await;
        assert!(future <= now());
        lines_are_whole(&mut db).await;
        ids_are_of_their_time(&mut db, "SELECT id, at || '' FROM events").await;
    });
}

async fn what_happened(db: &mut AnyConnection) {
    let sql = "SELECT DISTINCT action, reason FROM events";
    let told: HashSet<String> = (rows::<2>(db, sql).await.into_iter())
        .map(|[action, reason]| {
            let reason = reason
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default();
            action.unwrap() + reason.as_str()
        })
        .collect();
    for expected in [
        "user.created",
        "user.disabled",
        "user.enabled",
        "user.promoted",
        "user.demoted",
        "user.deleted",
        "password.changed",
        "password.reset",
        "login.failed: wrong password",
        "login.failed: unknown user",
        "login.failed: user disabled",
        "login.throttled: too many failures for the account",
        "token.issued",
        "token.ended: logout",
        "token.ended: revoked",
        "token.ended: replaced by a new login",
        "token.ended: too many tokens",
        "token.ended: password changed",
        "token.ended: user disabled",
        "token.ended: no longer an admin",
        "token.ended: user deleted",
        "token.ended: expired",
    ] {
        assert!(told.contains(expected), "no {expected}");
    }
}

async fn lines_are_whole(db: &mut AnyConnection) {
    let sql =
        "SELECT id, via, actor_name, actor_key, subject_name, subject_key, client, client_key,
                      address, request_id, action, reason
               FROM events";
    let mut vias = BTreeMap::new();
    for row in rows::<12>(db, sql).await {
        let [
            id,
            via,
            actor,
            actor_key,
            subject,
            subject_key,
            client,
            client_key,
            ..,
        ] = &row;
        let [.., address, request, action, reason] = &row;
        assert!(EventId::parse(id.as_ref().unwrap()).is_some());
        for (name, key) in [
            (actor, actor_key),
            (subject, subject_key),
            (client, client_key),
        ] {
            assert_eq!(name.as_deref().map(identity::key), *key);
        }
        assert_eq!(address.is_some(), request.is_some());
        if let Some(address) = address {
            documented(address);
        }
        let via = via.as_deref().unwrap();
        assert_eq!(address.is_some(), ["api", "admin"].contains(&via), "{via}");
        // Names that no account has are not written down.
        let nobody = reason.as_deref() == Some("unknown user");
        assert_eq!(subject.is_none(), nobody, "{action:?}");
        *vias.entry(via.to_owned()).or_insert(0) += 1;
    }
    let vias: Vec<&str> = vias.keys().map(String::as_str).collect();
    assert_eq!(vias, ["admin", "api", "command line", "server"]);
}

#[test]
fn settings_are_kept_to() {
    on_each_url(async |url| {
        let settings = "{hash_memory_kib=8,hash_iterations=1,token_ttl=\"never\",events_ttl=\"30d\",\
                        token_idle_ttl=\"5d\",token_prefix=\"acme\",tokens_per_user=80}";
        let output = command(&url, &["seed", "--users", "50", "--tokens-per-user", "70"])
            .args(["--password", PASSWORD])
            .env("ROCKET_APP", settings)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let mut db = open(&url).await;
        let start = now();
        let unlike = "SELECT COUNT(*) FROM tokens WHERE expires_at IS NOT NULL
                        OR ends_at <> COALESCE(last_used_at, created_at) + 5 * 86400";
        assert_eq!(number(&mut db, unlike).await, 0);
        assert_eq!(number(&mut db, "SELECT COUNT(*) FROM tokens").await, 3500);
        let most =
            "SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM tokens GROUP BY user_id) AS counts";
        assert!(number(&mut db, most).await <= 71);
        let first = number(&mut db, "SELECT MIN(at) FROM events").await;
        assert!(first > start - 30 * DAY, "it would be pruned at once");
    });
}

#[test]
fn a_server_beside_goes_on_answering() {
    on_each_url(async |url| {
        let settings = "{hash_memory_kib=8,hash_iterations=1,logins_per_account=1000000}";
        let server = Server::start_with(&url, &[("ROCKET_APP", settings)]).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let mut seeding = command(&url, &["seed", "--users", "4000", "--tokens-per-user", "5"])
            .args(["--password", PASSWORD])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (begun, mut logins, mut slowest) = (Instant::now(), 0, Duration::ZERO);
        while seeding.try_wait().unwrap().is_none() {
            let start = Instant::now();
            let token = server.login("alice", "laptop").await;
            slowest = slowest.max(start.elapsed());
            assert_eq!(server.me(&token).await, 200);
            logins += 1;
            sleep(Duration::from_millis(20)).await;
        }
        let whole = begun.elapsed();
        assert!(seeding.wait().unwrap().success());
        assert!(
            logins > 2 && slowest < whole / 2,
            "{logins}, {slowest:?} of {whole:?}"
        );
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn an_empty_database_is_filled_at_once_and_keeps_its_indexes() {
    rocket::async_test(async {
        // Where nobody has it open, without SQLite's log.
        for beside in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let url = sqlite(folder.path());
            assert!(run(&url, &["migrate"], "").status.success());
            let mut db = open(&url).await;
            let indexes = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
                           ORDER BY sql";
            let before = rows::<1>(&mut db, indexes).await;
            assert!(before.len() > 10);
            if !beside {
                db.close().await.unwrap();
            }
            let output = seed(&url, "25001", "1");
            assert!(stdout(&output).starts_with("Seeded 25,001 users and 25,001 tokens."));
            let mut db = open(&url).await;
            assert_eq!(rows::<1>(&mut db, indexes).await, before);
            for (sql, expected) in [
                ("PRAGMA integrity_check", "ok"),
                ("PRAGMA journal_mode", "wal"),
            ] {
                let found = rows::<1>(&mut db, sql).await;
                assert_eq!(found, [[Some(expected.into())]], "{beside}");
            }
            let known = "SELECT COUNT(*) FROM sqlite_stat1 WHERE tbl = 'tokens'";
            assert!(number(&mut db, known).await > 0);
            let log = folder.path().join("data/test.db-wal");
            assert_eq!(log.metadata().map_or(0, |file| file.len()), 0);
        }
    });
}

#[test]
fn an_empty_postgresql_keeps_its_indexes_too() {
    on_each_url(async |url| {
        if url.starts_with("sqlite") {
            return;
        }
        assert!(run(&url, &["migrate"], "").status.success());
        let mut db = open(&url).await;
        let indexes = "SELECT indexdef FROM pg_indexes WHERE tablename IN ('tokens', 'events')
                       ORDER BY indexdef";
        let before = texts::<1>(&mut db, indexes).await;
        assert!(before.len() > 10);
        let output = seed(&url, "25001", "1");
        assert!(stdout(&output).starts_with("Seeded 25,001 users and 25,001 tokens."));
        assert_eq!(texts::<1>(&mut db, indexes).await, before);
    });
}
