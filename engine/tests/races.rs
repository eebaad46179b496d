//! Concurrent operations: limits hold, and transactions neither deadlock nor let a revoked token through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rocket::futures::future::{join, join_all};
use rocket::http::Status;
use rocket::tokio::spawn;
use rocket::tokio::time::sleep;
use rocket_multitoken::auth::background_tasks;
use rocket_multitoken::auth::revocation::{Reason, TokenSelector};
use rocket_multitoken::db::Conn;
use rocket_multitoken::error::Error;
use rocket_multitoken::identity::Username;
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::user::{self, Role};
use rocket_multitoken::password::Password;
use serde_json::{Value, json};

use crate::support::app::PROXY;
use crate::support::server::{Server, on_each_url};
use crate::support::{PASSWORD, on_both, on_both_with};

#[test]
fn concurrent_logins_of_one_client_leave_one_row_and_one_valid_token() {
    // More logins are hashed at once than may fail. The queue has room for all.
    let settings = json!({
        "hash_threads": 8, "hash_memory_kib": 1024, "login_failures_per_account": 5,
        "login_failures_per_address": 6,
    });
    on_both_with(settings, async |app| {
        app.user("alice", Role::User).await;
        let responses = join_all((0..60).map(|_| app.try_login("alice", PASSWORD, "laptop"))).await;
        let mut working = 0;
        for response in &responses {
            assert_eq!(response.status, Status::Ok, "{}", response.text);
            working += i32::from(
                app.works(response.json()["auth_token"].as_str().unwrap())
                    .await,
            );
        }
        assert_eq!(
            (working, app.number("SELECT COUNT(*) FROM tokens").await),
            (1, 1)
        );
    });
}

#[test]
fn concurrent_logins_do_not_exceed_the_token_limit() {
    on_both_with(
        json!({"tokens_per_user": 3, "tokens_full": "reject"}),
        async |app| {
            app.user("alice", Role::User).await;
            let clients: Vec<String> = (0..20).map(|number| format!("client {number}")).collect();
            let logins = clients
                .iter()
                .map(|client| app.try_login("alice", PASSWORD, client));
            let responses = join_all(logins).await;
            let accepted = responses
                .iter()
                .filter(|response| response.status == Status::Ok)
                .count();
            assert_eq!(
                (accepted, app.number("SELECT COUNT(*) FROM tokens").await),
                (3, 3)
            );
        },
    );
}

#[test]
fn of_the_last_two_admins_only_one_can_be_removed() {
    on_both(async |app| {
        let (one, two) = (
            app.user("one", Role::Admin).await,
            app.user("two", Role::Admin).await,
        );
        let actor = Actor::command_line();
        let (first, second) = join(
            app.auth().accounts.disable(one, &actor),
            app.auth().accounts.demote(two, &actor),
        )
        .await;
        let refused = [first.map(|_| ()).is_err(), second.is_err()];
        assert_eq!(
            refused.iter().filter(|&&refused| refused).count(),
            1,
            "{refused:?}"
        );
        let left = "SELECT COUNT(*) FROM users WHERE role = 'admin' AND disabled_at IS NULL";
        assert_eq!(app.number(left).await, 1);
    });
}

#[test]
fn of_many_concurrent_first_admins_only_one_is_created() {
    on_both(async |app| {
        let actor = Actor::command_line();
        let names: Vec<_> = (0..8)
            .map(|n| Username::parse(&format!("boss {n}")).unwrap())
            .collect();
        let password = Password::new(PASSWORD);
        let created = join_all(names.iter().map(|name| {
            app.auth()
                .accounts
                .create_first_admin(name, &password, &actor)
        }))
        .await;
        for result in &created {
            assert!(
                matches!(result, Ok(_) | Err(Error::Conflict(_))),
                "{result:?}"
            );
        }
        assert_eq!(created.iter().filter(|result| result.is_ok()).count(), 1);
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 1);
    });
}

#[test]
fn concurrent_logins_that_renew_a_hash_both_succeed() {
    on_both_with(json!({"hash_memory_kib": 64}), async |app| {
        let id = app.user("alice", Role::User).await;
        for _ in 0..5 {
            // The same password, hashed with other parameters.
            let weak = rocket_multitoken::config::Settings {
                hash_memory_kib: 8,
                hash_iterations: 1,
                ..app.auth().settings().clone()
            };
            let weak = rocket_multitoken::auth::Auth::new(app.auth().pool().clone(), weak).unwrap();
            let user = {
                let mut db = app.auth().pool().read().await.unwrap();
                rocket_multitoken::models::user::find(&mut db, id)
                    .await
                    .unwrap()
                    .unwrap()
            };
            let keep = rocket_multitoken::auth::accounts::ExistingTokens::Keep;
            let password = Password::new(PASSWORD);
            weak.accounts
                .set_password(&user, &password, keep, &Actor::command_line())
                .await
                .unwrap();
            let (one, two) = join(
                app.try_login("alice", PASSWORD, "one"),
                app.try_login("alice", PASSWORD, "two"),
            )
            .await;
            assert_eq!((one.status, two.status), (Status::Ok, Status::Ok));
            let hash = app.texts("SELECT password_hash FROM users").await;
            assert!(hash[0].contains("m=64,"), "{hash:?}");
        }
    });
}

#[test]
#[ignore = "slow"]
fn concurrent_operations_on_one_users_tokens_do_not_deadlock() {
    let settings = json!({
        "tokens_per_user": 3, "token_idle_ttl": "2s", "login_failures_per_account": 999,
        "login_failures_per_address": 999,
    });
    on_both_with(settings, async |app| {
        let alice = app.user("alice", Role::User).await;
        app.user("root", Role::Admin).await;
        let (app, actor) = (&app, &Actor::command_line());
        let logins = join_all((0..6).map(async |number| {
            for round in 0..15 {
                let client = format!("client {}", (number + round) % 6);
                let response = app.try_login("alice", PASSWORD, &client).await;
                // The user may be disabled between two attempts.
                let status = response.status;
                assert!(
                    [Status::Ok, Status::BadRequest].contains(&status),
                    "{status}"
                );
                if let Some(token) = response.json()["auth_token"].as_str() {
                    app.works(token).await;
                    app.post("/auth/logout/others/", token, json!({})).await;
                }
            }
        }));
        let background_tasks = async {
            for _ in 0..30 {
                app.execute("UPDATE tokens SET ends_at = 1 WHERE client = 'client 1'")
                    .await;
                app.auth().last_uses.flush().await.unwrap();
                app.auth().sessions.prune(actor).await.unwrap();
                background_tasks::prune_attempts(app.auth().pool())
                    .await
                    .unwrap();
            }
        };
        let admins = async {
            for _ in 0..20 {
                app.auth().accounts.disable(alice, actor).await.unwrap();
                app.auth().accounts.enable(alice, actor).await.unwrap();
                app.auth().accounts.promote(alice, actor).await.unwrap();
                app.auth().accounts.demote(alice, actor).await.unwrap();
                app.auth().throttle.unlock(alice, actor).await.unwrap();
                let all = TokenSelector::ByUser(alice, None);
                app.auth()
                    .sessions
                    .revoke(all, Reason::Revoked, actor)
                    .await
                    .unwrap();
            }
        };
        join(logins, join(background_tasks, admins)).await;
        assert!(app.number("SELECT COUNT(*) FROM tokens").await <= 3);
    });
}

#[test]
fn ending_several_tokens_locks_the_user_row_first() {
    on_both(async |app| {
        let alice = app.user("alice", Role::User).await;
        app.login("alice", "laptop").await;
        app.login("alice", "phone").await;
        let mut holder = app.auth().pool().write().await.unwrap();
        user::lock(&mut holder, alice).await.unwrap();
        let auth = app.auth().clone();
        let ending = spawn(async move {
            let all = TokenSelector::ByUser(alice, None);
            auth.sessions
                .revoke(all, Reason::Revoked, &Actor::command_line())
                .await
        });
        sleep(Duration::from_millis(300)).await;
        assert!(!ending.is_finished(), "it waits for the row lock");
        let touch = "UPDATE tokens SET hint = hint";
        sqlx::query(touch).execute(&mut *holder).await.unwrap();
        holder.commit().await.unwrap();
        assert_eq!(ending.await.unwrap().unwrap(), 2);
    });
}

#[test]
fn writing_last_uses_holds_no_row_lock_while_waiting_for_another() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        for client in ["one", "two"] {
            let token = app.login("alice", client).await;
            assert!(app.works(&token).await);
        }
        let mut holder = app.auth().pool().write().await.unwrap();
        let touch = async |holder: &mut Conn, client: &str| {
            let touch = sqlx::query("UPDATE tokens SET hint = hint WHERE client = $1");
            touch.bind(client.to_owned()).execute(holder).await
        };
        touch(&mut holder, "two").await.unwrap();
        let auth = app.auth().clone();
        let flushing = spawn(async move { auth.last_uses.flush().await });
        sleep(Duration::from_millis(300)).await;
        touch(&mut holder, "one").await.unwrap();
        holder.commit().await.unwrap();
        flushing.await.unwrap().unwrap();
    });
}

#[test]
fn an_attempt_locks_the_account_count_before_the_network_counts_narrowest_first() {
    let settings = json!({"trusted_proxies": [PROXY.to_owned() + "/32"]});
    on_both_with(settings, async |app| {
        app.user("alice", Role::User).await;
        let guess = async || {
            let address = "2001:db8:1:203::9";
            let response = app.try_login_from(address, "alice", "wrong").await;
            assert_eq!(response.status, Status::BadRequest, "{}", response.text);
        };
        guess().await;
        let rows = ["user:%", "from:%/64", "from:%/56", "from:%/48"];
        for (number, first) in rows.iter().enumerate() {
            let mut holder = app.auth().pool().write().await.unwrap();
            let touch = async |holder: &mut Conn, key: &str| {
                let touch =
                    sqlx::query("UPDATE attempts SET failures = failures WHERE key LIKE $1");
                let done = touch.bind(key.to_owned()).execute(holder).await.unwrap();
                assert_eq!(done.rows_affected(), 1, "{key}");
            };
            touch(&mut holder, first).await;
            let hold = async {
                sleep(Duration::from_millis(300)).await;
                for later in &rows[number + 1..] {
                    touch(&mut holder, later).await;
                }
                holder.commit().await.unwrap();
            };
            join(guess(), hold).await;
        }
    });
}

#[test]
fn no_request_that_starts_after_a_revocation_was_answered_is_accepted() {
    on_each_url(async |url| {
        let server = Arc::new(Server::start(&url).await);
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let (victim, other) = (
            server.login("alice", "phone").await,
            server.login("alice", "laptop").await,
        );
        let seen = Arc::new((AtomicUsize::new(0), AtomicBool::new(false)));
        let (accepted, is_over) = (&seen.0, &seen.1);
        let clients: Vec<_> = (0..20)
            .map(|_| {
                spawn(send_until_revoked(
                    server.clone(),
                    victim.clone(),
                    seen.clone(),
                ))
            })
            .collect();
        let client = reqwest::Client::new();
        let revoke = client.post(format!("{}/auth/logout/others/", server.origin));
        let start = Instant::now();
        while accepted.load(Ordering::Relaxed) < 50 {
            assert!(start.elapsed() < Duration::from_mins(1));
            sleep(Duration::from_millis(5)).await;
        }
        let revoked = revoke.bearer_auth(&other).send().await.unwrap();
        let answered = Instant::now();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(
            revoked.json::<Value>().await.unwrap(),
            json!({"revoked": 1})
        );

        let (mut before, mut after) = (0, 0);
        for (started, status) in join_all(clients).await.into_iter().flat_map(Result::unwrap) {
            if started > answered {
                assert_eq!(status, 401, "accepted after the revocation was answered");
                after += 1;
            } else if status == 200 {
                before += 1;
            }
        }
        assert!(
            before >= 50 && after > 100,
            "{before} before, {after} after"
        );
        assert_eq!(Arc::into_inner(server).unwrap().terminate(), Some(0));
    });
}

/// Sends at least 50 requests, 10 of them after the revocation. Returns the start and the status of each.
async fn send_until_revoked(
    server: Arc<Server>,
    token: String,
    seen: Arc<(AtomicUsize, AtomicBool)>,
) -> Vec<(Instant, u16)> {
    let client = reqwest::Client::new();
    let (accepted, is_over) = (&seen.0, &seen.1);
    let (mut results, mut afterwards) = (vec![], 0);
    while results.len() < 50 || afterwards < 10 {
        afterwards += u32::from(is_over.load(Ordering::Relaxed));
        let get = client.get(format!("{}/auth/me/", server.origin));
        let started = Instant::now();
        let response = get.bearer_auth(&token).send().await.unwrap();
        let status = response.status().as_u16();
        accepted.fetch_add(usize::from(status == 200), Ordering::Relaxed);
        results.push((started, status));
    }
    results
}
