//! CPU time of token operations: `cargo bench --bench token`.
//!
//! No operation queries the database, except the first lookup of the cached token. A request with a token costs
//! `parse and digest`. A request with an invented token costs only `refuse by its checksum`, because the checksum saves
//! the lookup.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use rocket::figment::Figment;
use rocket::local::asynchronous::Client;
use rocket::tokio::runtime::Runtime;
use rocket_multitoken::auth::Auth;
use rocket_multitoken::identity::{ClientName, Username};
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::token::TokenKind;
use rocket_multitoken::models::user::Role;
use rocket_multitoken::password::Password;
use rocket_multitoken::secret::{Digest, Secret};
use rocket_multitoken::web::caller::Caller;

criterion_group!(token, text_form, digest, cached_token);
criterion_main!(token);

fn text_form(criterion: &mut Criterion) {
    let secret = Secret::generate("mtk");
    let text = secret.reveal();
    // Well-formed except for the last character, so that only the checksum reveals the error.
    let last_character = if text.ends_with('x') { "y" } else { "x" };
    let invalid = format!("{}{last_character}", &text[..text.len() - 1]);
    assert!(Digest::parse_presented(text).is_some() && Digest::parse_presented(&invalid).is_none());

    criterion.bench_function("token: parse and digest", |bench| {
        bench.iter(|| Digest::parse_presented(black_box(text)));
    });
    criterion.bench_function("token: refuse by its checksum", |bench| {
        bench.iter(|| Digest::parse_presented(black_box(&invalid)));
    });
    criterion.bench_function("token: generate, with its checksum", |bench| {
        bench.iter(|| Secret::generate(black_box("mtk")));
    });
}

fn digest(criterion: &mut Criterion) {
    let secret = Secret::generate("mtk");
    criterion.bench_function("token: digest", |bench| {
        bench.iter(|| black_box(&secret).digest());
    });
}

/// Everything that a guard does for a cached token.
fn cached_token(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/bench.db", folder.path().display());
    let figment = Figment::from(rocket::Config::debug_default())
        .merge(("databases.multitoken.url", url))
        .merge(("app.hash_memory_kib", 8));
    let runtime = Runtime::new().unwrap();
    let (client, token) = runtime.block_on(async {
        // The server's background tasks start with it. One of them reads the counter in the database, without which the
        // cache trusts no entry.
        let client = Client::untracked(multitoken::rocket(figment).unwrap()).await;
        let client = client.unwrap();
        let token = sign_in(client.rocket().state().unwrap()).await;
        (client, token)
    });
    let auth: &Auth = client.rocket().state().unwrap();
    criterion.bench_function("token: cache hit", |bench| {
        bench.iter_custom(|iterations| runtime.block_on(authenticate(auth, &token, iterations)));
    });
}

async fn sign_in(auth: &Auth) -> Secret {
    let (name, password) = (Username::parse("alice").unwrap(), "correct horse battery");
    let (password, actor) = (Password::new(password), Actor::command_line());
    let created = auth
        .accounts
        .create_user(&name, &password, Role::User, &actor)
        .await;
    created.unwrap();
    let client = ClientName::parse("laptop").unwrap();
    let issued = auth
        .logins
        .sign_in(&name, &password, client, &caller())
        .await;
    issued.unwrap().secret
}

async fn authenticate(auth: &Auth, token: &Secret, iterations: u64) -> Duration {
    let caller = caller();
    let start = Instant::now();
    for _ in 0..iterations {
        let session =
            auth.sessions
                .authenticate(TokenKind::Api, black_box(token.reveal()), &caller);
        black_box(session.await.unwrap());
    }
    start.elapsed()
}

fn caller() -> Caller {
    Caller {
        address: None,
        user_agent: None,
        request_id: "bench".into(),
    }
}
