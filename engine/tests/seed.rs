//! `multitoken seed`, which creates demonstration data.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::process::{Output, Stdio};
use std::time::Duration;

use rocket::tokio::time::sleep;
use rocket_multitoken::identity::address::{Address, Network};
use rocket_multitoken::identity::device::Device;
use rocket_multitoken::identity::email::EmailAddress;
use rocket_multitoken::identity::{self, id_bound};
use rocket_multitoken::models::now;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection, Row};

use crate::support::PASSWORD;
use crate::support::server::{Server, command, on_each_url, run, sqlite, stderr, stdout};

const DAY: i64 = 24 * 60 * 60;

fn seed(url: &str, users: &str, tokens: &str) -> Output {
    let args = ["seed", "--users", users, "--tokens-per-user", tokens];
    run(url, &[&args[..], &["--password", PASSWORD]].concat(), "")
}

async fn open(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

async fn number(db: &mut AnyConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

async fn texts(db: &mut AnyConnection, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(db).await.unwrap()
}

async fn rows(db: &mut AnyConnection, sql: &'static str) -> Vec<AnyRow> {
    sqlx::query(sql).fetch_all(db).await.unwrap()
}

#[test]
fn the_requested_numbers_are_created_and_users_can_sign_in() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        let output = seed(&url, "120", "5");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        // Without a terminal there is no progress bar.
        assert_eq!(stderr(&output), "");
        assert_eq!(
            stdout(&output),
            "Seeded 120 users and 600 tokens.\nSign in to the admin as demo-admin.\n"
        );
        let mut db = open(&url).await;
        assert_eq!(number(&mut db, "SELECT COUNT(*) FROM users").await, 120);
        assert_eq!(number(&mut db, "SELECT COUNT(*) FROM tokens").await, 600);

        let disabled = "SELECT username FROM users WHERE disabled_at IS NOT NULL";
        let disabled = texts(&mut db, disabled).await;
        assert!((1..12).contains(&disabled.len()), "{disabled:?}");
        let locked = "SELECT username FROM users WHERE 'user:' || id IN (SELECT key FROM attempts)";
        let locked = texts(&mut db, locked).await;
        assert!((1..12).contains(&locked.len()), "{locked:?}");
        let users = "SELECT username FROM users
                     WHERE role = 'user' AND disabled_at IS NULL AND password_hash IS NOT NULL";
        let users = texts(&mut db, users).await;
        let free: Vec<_> = users.iter().filter(|name| !locked.contains(name)).collect();
        for name in ["demo-admin", free[0], free[free.len() - 1]] {
            let token = server.login(name, "a new client").await;
            assert_eq!(server.me(&token).await, 200);
            assert_eq!(server.try_login(name, "correct horse").await, 400);
        }
        server.admin_cookie("demo-admin").await;
        assert_eq!(server.try_login(&disabled[0], PASSWORD).await, 400);
        for name in &locked {
            assert_eq!(server.try_login(name, PASSWORD).await, 429, "{name}");
        }
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn seeding_again_adds_rows_and_changes_no_existing_ones() {
    on_each_url(async |url| {
        let create = ["user", "create", "Demo-Admin", "--password-stdin"];
        assert!(run(&url, &create, "another password").status.success());
        let mut db = open(&url).await;
        let everything =
            "SELECT username || id || COALESCE(password_hash, '') || role || created_at || last_seen_at
                          FROM users ORDER BY id";
        let before = texts(&mut db, everything).await;

        // demo-admin existed before, so the message about it is missing.
        let printed = stdout(&seed(&url, "40", "2"));
        assert_eq!(printed, "Seeded 40 users and 80 tokens.\n");
        let first: HashSet<_> = texts(&mut db, everything).await.into_iter().collect();
        assert!(first.contains(&before[0]));
        let printed = stdout(&seed(&url, "1", "1"));
        assert_eq!(printed, "Seeded 1 user and 1 token.\n");
        let printed = stdout(&seed(&url, "60", "0"));
        assert_eq!(printed, "Seeded 60 users and 0 tokens.\n");
        let then: HashSet<_> = texts(&mut db, everything).await.into_iter().collect();
        assert_eq!((first.len(), then.len()), (41, 102));
        assert!(first.is_subset(&then));
        assert_eq!(number(&mut db, "SELECT COUNT(*) FROM tokens").await, 81);
        let hashes = "SELECT COUNT(DISTINCT password_hash) FROM users";
        assert_eq!(number(&mut db, hashes).await, 4, "one more hash per seed");
    });
}

#[test]
fn refused_arguments_change_nothing() {
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
        let users = format!("--users={users}");
        let tokens = format!("--tokens-per-user={tokens}");
        let args = ["seed", &users, &tokens, "--password", password];
        let output = run(&url, &args, "");
        assert_eq!(output.status.code(), Some(code), "{args:?}");
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
    let why = "A user can have at most 50 tokens (app.tokens_per_user).";
    assert!(full.contains(why), "{full}");
    let list = stdout(&run(&url, &["user", "list", "--json"], ""));
    assert_eq!(list.trim(), "[]");
    // The maximum is accepted.
    let printed = stdout(&seed(&url, "40", "50"));
    assert!(printed.starts_with("Seeded 40 users and 2,000 tokens.\n"));
}

#[test]
fn every_state_of_users_and_tokens_occurs() {
    on_each_url(async |url| {
        assert!(seed(&url, "300", "6").status.success());
        let mut db = open(&url).await;
        let now = now();
        let admins = "SELECT COUNT(*) FROM users WHERE role = 'admin'";
        assert_eq!(number(&mut db, admins).await, 6);
        let disabled = "SELECT COUNT(*) FROM users WHERE disabled_at IS NOT NULL";
        assert!((5..20).contains(&number(&mut db, disabled).await));
        let of_disabled = "SELECT COUNT(*) FROM tokens JOIN users ON users.id = user_id
                           WHERE disabled_at IS NOT NULL";
        assert_eq!(number(&mut db, of_disabled).await, 0);
        let attempts = rows(
            &mut db,
            "SELECT failures, ends_at, kept_until FROM attempts",
        )
        .await;
        assert!((3..20).contains(&attempts.len()));
        for row in attempts {
            assert!(row.get::<i64, _>(0) >= 10 && row.get::<i64, _>(1) > now + DAY / 2);
            assert!(row.get::<i64, _>(2) > row.get::<i64, _>(1));
        }

        assert_addresses_and_invitations(&mut db, now).await;

        let tokens = rows(&mut db, "SELECT last_used_at, ends_at FROM tokens").await;
        assert_eq!(tokens.len(), 1800);
        let count = |is: &dyn Fn(i64, i64) -> bool| {
            let found = tokens.iter().filter(|row| is(row.get(0), row.get(1)));
            found.count()
        };
        let unused = count(&|used, ends| used == 0 && ends > now);
        let expired = count(&|_, ends| ends <= now);
        let soon = count(&|_, ends| (now..now + 7 * DAY).contains(&ends));
        let recent = count(&|used, _| used > now - DAY);
        let long_ago = count(&|used, ends| used > 0 && used < now - 14 * DAY && ends > now);
        for (state, tokens, expected) in [
            ("unused", unused, 18..180),
            ("expired", expired, 1..21),
            ("expiring", soon, 36..600),
            ("used lately", recent, 360..1500),
            ("used long ago", long_ago, 36..600),
        ] {
            assert!(expected.contains(&tokens), "{tokens} of 1800 are {state}");
        }

        let names = texts(&mut db, "SELECT username FROM users").await;
        let has = |is: &dyn Fn(&String) -> bool| names.iter().any(is);
        assert!(has(&|name| name.chars().count() == 150));
        assert!(
            has(&|name| name.contains('م'))
                && has(&|name| name.contains('佐') || name.contains('王'))
        );
        let domains = names.iter().filter_map(|name| name.split_once('@'));
        let domains: BTreeSet<_> = domains.map(|(_, domain)| domain).collect();
        assert!(
            domains
                .iter()
                .eq(&["example.com", "example.net", "example.org"])
        );
    });
}

async fn assert_addresses_and_invitations(db: &mut AnyConnection, now: i64) {
    for (state, condition, expected) in [
        (
            "verified",
            "email_key IS NOT NULL AND email_verified_at IS NOT NULL",
            150..250,
        ),
        (
            "not verified",
            "email IS NOT NULL AND email_key IS NULL",
            30..90,
        ),
        ("without an address", "email IS NULL", 20..100),
        (
            "invited",
            "password_hash IS NULL AND last_login_at IS NULL",
            5..15,
        ),
        ("reminded", "notices <> 0", 0..1),
    ] {
        let sql = format!("SELECT COUNT(*) FROM users WHERE {condition}");
        let users: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&mut *db)
            .await
            .unwrap();
        assert!(expected.contains(&users), "{users} of 300 are {state}");
    }
    let usable = format!(
        "SELECT COUNT(*) FROM links l JOIN users u ON u.id = l.user_id
         WHERE l.purpose = 'invite' AND u.password_hash IS NULL AND l.ends_at > {now}"
    );
    let usable: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(usable))
        .fetch_one(&mut *db)
        .await
        .unwrap();
    let invited = "SELECT COUNT(*) FROM users WHERE password_hash IS NULL";
    assert_eq!(usable, number(db, invited).await);
    for (email, key) in rows(
        db,
        "SELECT email, email_key FROM users WHERE email IS NOT NULL",
    )
    .await
    .iter()
    .map(|row| (row.get::<String, _>(0), row.get::<Option<String>, _>(1)))
    {
        let address = EmailAddress::parse(&email).unwrap();
        assert!(key.is_none_or(|key| key == address.key()), "{email}");
    }
}

#[test]
fn clients_are_realistic_and_addresses_are_reserved_for_documentation() {
    on_each_url(async |url| {
        assert!(seed(&url, "100", "20").status.success());
        let mut db = open(&url).await;
        let documented = [
            "192.0.2.0/24",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "2001:db8::/32",
        ];
        let documented = documented.map(|network| Network::parse(network).unwrap().keys());
        let in_use = "SELECT DISTINCT address FROM tokens
                      UNION SELECT address FROM events WHERE address IS NOT NULL";
        let mut used = HashSet::new();
        for key in texts(&mut db, in_use).await {
            let network = documented
                .iter()
                .position(|[first, last]| *first <= key && key <= *last);
            used.insert(network.unwrap_or_else(|| panic!("{key}")));
            assert_eq!(Address::try_from(key.clone()).unwrap().key(), key);
        }
        assert_eq!(used.len(), 4);
        let shared = "SELECT COUNT(*) FROM (SELECT address FROM tokens GROUP BY address
                                            HAVING COUNT(DISTINCT user_id) > 1) AS found";
        assert!(number(&mut db, shared).await > 10);

        let sql = "SELECT client, client_key, user_agent, app, app_version, device_key FROM tokens";
        let mut versions: HashMap<String, HashSet<String>> = HashMap::new();
        for row in rows(&mut db, sql).await {
            let text = |column: usize| row.get::<Option<String>, _>(column).unwrap();
            assert_eq!(text(1), identity::key(&text(0)));
            let device = Device::parse(&text(2)).unwrap();
            assert_eq!((device.key(), device.app.clone()), (text(5), text(3)));
            assert_eq!(device.version, Some(text(4)));
            versions.entry(device.app).or_default().insert(text(4));
        }
        assert!(versions["Inventory"].len() > 3 && versions["Firefox"].len() > 1);
        assert!(versions.len() > 8, "{versions:?}");
    });
}

#[test]
fn times_ids_and_events_are_consistent() {
    on_each_url(async |url| {
        assert!(seed(&url, "200", "6").status.success());
        let (mut db, now) = (open(&url).await, now());
        for sql in [
            "SELECT id, created_at FROM users",
            "SELECT id, created_at FROM tokens",
            "SELECT id, at FROM events",
        ] {
            for row in rows(&mut db, sql).await {
                let (id, at): (String, i64) = (row.get(0), row.get(1));
                let [first, last] = [at, at + 1].map(|second| id_bound(second * 1000));
                assert!(first <= id && id < last && at <= now, "{sql}: {id} {at}");
            }
        }
        let tokens = "SELECT u.created_at, t.created_at, t.last_used_at, t.expires_at, t.ends_at,
                             u.last_login_at, u.last_seen_at
                      FROM tokens t JOIN users u ON u.id = t.user_id";
        for row in rows(&mut db, tokens).await {
            let [born, created, used, expires, ends, login, seen] =
                std::array::from_fn(|column| row.get::<i64, _>(column));
            let last = used.max(created);
            assert!(born <= created && created <= login && last <= seen && seen <= now);
            assert!(used == 0 || used >= created);
            assert_eq!(expires, created + 90 * DAY);
            assert_eq!(ends, expires.min(last + 30 * DAY));
        }
        for (what, sql) in [
            (
                "tokens without the event that issued them",
                "SELECT COUNT(*) FROM tokens t WHERE NOT EXISTS (
                     SELECT 1 FROM events e
                     WHERE e.token_id = t.id AND e.action = 'token.issued' AND e.at = t.created_at
                       AND e.hint = t.hint AND e.client_key = t.client_key AND e.via = 'api'
                       AND e.subject_id = t.user_id AND e.actor_id = t.user_id)",
            ),
            (
                "tokens that have ended, and live",
                "SELECT COUNT(*) FROM tokens t JOIN events e ON e.token_id = t.id
                 WHERE e.action <> 'token.issued'",
            ),
            (
                "tokens that ended before they were issued",
                "SELECT COUNT(*) FROM events e WHERE token_id IS NOT NULL AND action <> 'token.issued'
                   AND NOT EXISTS (
                     SELECT 1 FROM events i WHERE i.token_id = e.token_id AND i.at <= e.at
                       AND i.action = 'token.issued' AND i.client = e.client AND i.hint = e.hint)",
            ),
            (
                "users without the event that created them",
                "SELECT COUNT(*) FROM users u WHERE NOT EXISTS (
                     SELECT 1 FROM events e WHERE e.subject_id = u.id AND e.subject_name = u.username
                       AND e.action = 'user.created' AND e.at = u.created_at)",
            ),
            (
                "disabled users without the event that disabled them",
                "SELECT COUNT(*) FROM users u WHERE disabled_at IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM events e WHERE e.subject_id = u.id
                       AND e.action = 'user.disabled' AND e.at = u.disabled_at)",
            ),
            (
                "verified addresses without the event that verified them",
                "SELECT COUNT(*) FROM users u WHERE email_verified_at IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM events e WHERE e.subject_id = u.id
                       AND e.action = 'email.verified' AND e.at = u.email_verified_at)",
            ),
            (
                "invitations without their event",
                "SELECT COUNT(*) FROM links l WHERE NOT EXISTS (
                     SELECT 1 FROM events e WHERE e.subject_id = l.user_id AND e.reason = l.purpose
                       AND e.action = 'user.invited' AND e.at = l.ends_at - 7 * 86400)",
            ),
            (
                "locked users without the event that locked them",
                "SELECT COUNT(*) FROM attempts a WHERE NOT EXISTS (
                     SELECT 1 FROM events e WHERE a.key = 'user:' || e.subject_id
                       AND e.action = 'login.throttled' AND e.at = a.failed_at)",
            ),
        ] {
            assert_eq!(number(&mut db, sql).await, 0, "{what}");
        }
        assert_all_kinds_of_events(&mut db, now).await;
    });
}

async fn assert_all_kinds_of_events(db: &mut AnyConnection, now: i64) {
    let kinds = "SELECT DISTINCT action || ' ' || via || ' ' || COALESCE(reason, '-') FROM events";
    let kinds = texts(db, kinds).await;
    for kind in [
        "user.created cli -",
        "user.created admin -",
        "user.invited admin invite",
        "email.verified api -",
        "user.disabled admin -",
        "password.changed api -",
        "login.failed api password",
        "login.failed api disabled",
        "login.throttled api account",
        "token.issued api -",
        "token.replaced api replaced",
        "token.revoked api logout",
        "token.revoked api password",
        "token.revoked admin revoked",
        "token.revoked admin disabled",
        "token.expired server expired",
    ] {
        assert!(kinds.iter().any(|found| found == kind), "no {kind}");
    }
    let names = "SELECT actor_name, actor_key, subject_name, subject_key, address, request_id, via
                 FROM events";
    for row in rows(db, names).await {
        let text = |column: usize| row.get::<Option<String>, _>(column);
        for name in [0, 2] {
            assert_eq!(text(name).map(|name| identity::key(&name)), text(name + 1));
        }
        let is_request = ["api", "admin"].map(Some).contains(&text(6).as_deref());
        assert_eq!(
            (text(4).is_some(), text(5).is_some()),
            (is_request, is_request)
        );
    }
    let failures = "SELECT at, address, subject_id FROM events WHERE action = 'login.failed'";
    let mut recent: HashMap<String, HashSet<String>> = HashMap::new();
    let mut earlier = 0;
    for row in rows(db, failures).await {
        let at: i64 = row.get(0);
        assert!(at > now - 31 * DAY);
        if at > now - DAY {
            recent.entry(row.get(1)).or_default().insert(row.get(2));
        } else {
            earlier += 1;
        }
    }
    assert!(earlier > 20, "{earlier}");
    let max = recent.values().map(HashSet::len).max();
    assert!(max > Some(4), "one address tries {max:?} accounts");
}

#[test]
fn seeded_tokens_obey_the_settings() {
    on_each_url(async |url| {
        let settings = "{hash_memory_kib=8,hash_iterations=1,token_ttl=\"never\",token_idle_ttl=\"5d\",\
                        tokens_per_user=80}";
        let output = command(&url, &["seed", "--users", "50", "--tokens-per-user", "70"])
            .args(["--password", PASSWORD])
            .env("ROCKET_APP", settings)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let mut db = open(&url).await;
        let others = "SELECT COUNT(*) FROM tokens WHERE expires_at IS NOT NULL
                        OR ends_at <> CASE last_used_at WHEN 0 THEN created_at ELSE last_used_at END
                                      + 5 * 86400";
        assert_eq!(number(&mut db, others).await, 0);
        assert_eq!(number(&mut db, "SELECT COUNT(*) FROM tokens").await, 3500);
        let expired = format!("SELECT COUNT(*) FROM tokens WHERE ends_at <= {}", now());
        let expired = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(expired));
        assert!(expired.fetch_one(&mut db).await.unwrap() <= 20);
        let max =
            "SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM tokens GROUP BY user_id) AS counts";
        assert!(number(&mut db, max).await <= 80);
    });
}

#[test]
#[ignore = "slow"]
fn a_running_server_keeps_responding_while_seeding() {
    on_each_url(async |url| {
        let settings = "{hash_memory_kib=8,hash_iterations=1,logins_per_account=1000000}";
        let server = Server::start_with(&url, &[("ROCKET_APP", settings)]).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let mut seeding = command(&url, &["seed", "--users", "4000", "--tokens-per-user", "5"])
            .args(["--password", PASSWORD])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut logins = 0;
        while seeding.try_wait().unwrap().is_none() {
            let token = server.login("alice", "laptop").await;
            assert_eq!(server.me(&token).await, 200);
            logins += 1;
            sleep(Duration::from_millis(20)).await;
        }
        assert!(seeding.wait().unwrap().success());
        assert!(logins > 5, "{logins} logins meanwhile");
        let mut db = open(&url).await;
        assert_eq!(number(&mut db, "SELECT COUNT(*) FROM users").await, 4001);
        assert_eq!(number(&mut db, "SELECT COUNT(*) FROM tokens").await, 20_001);
        assert_eq!(server.terminate(), Some(0));
    });
}
