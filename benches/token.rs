//! What a token costs in computing alone: `cargo bench --bench token`.
//!
//! Nothing here asks a database, but for the first time that a remembered token is asked for. A request
//! with a token pays for `parse and digest`; one with a made-up token for `refuse` only, which is all that
//! the checksum is for.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use multitoken::auth::Auth;
use multitoken::identity::{ClientName, Username};
use multitoken::models::event::Actor;
use multitoken::models::token::Kind;
use multitoken::models::user::Role;
use multitoken::password::Password;
use multitoken::secret::{Digest, Secret};
use multitoken::web::client::Caller;
use rocket::figment::Figment;
use rocket::local::asynchronous::Client;
use rocket::tokio::runtime::Runtime;

criterion_group!(token, written_form, digest, remembered);
criterion_main!(token);

fn written_form(criterion: &mut Criterion) {
    let secret = Secret::generate("mtk");
    let text = secret.reveal();
    // Well-formed up to its last character: nothing but the checksum finds it out.
    let last = if text.ends_with('x') { "y" } else { "x" };
    let wrong = format!("{}{last}", &text[..text.len() - 1]);
    assert!(Digest::of_presented(text).is_some() && Digest::of_presented(&wrong).is_none());

    criterion.bench_function("token: parse and digest", |bench| {
        bench.iter(|| Digest::of_presented(black_box(text)));
    });
    criterion.bench_function("token: refuse by its checksum", |bench| {
        bench.iter(|| Digest::of_presented(black_box(&wrong)));
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

/// All that a guard does for a token that is remembered.
fn remembered(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/bench.db", folder.path().display());
    let figment = Figment::from(rocket::Config::debug_default())
        .merge(("databases.multitoken.url", url))
        .merge(("app.hash_memory_kib", 8));
    let runtime = Runtime::new().unwrap();
    let (client, token) = runtime.block_on(async {
        // The server's upkeep runs with it, and sees to it that what is remembered is trusted.
        let client = Client::untracked(multitoken::rocket(figment).unwrap()).await;
        let client = client.unwrap();
        let token = sign_in(client.rocket().state().unwrap()).await;
        (client, token)
    });
    let auth: &Auth = client.rocket().state().unwrap();
    criterion.bench_function("token: authenticate, remembered", |bench| {
        bench.iter_custom(|times| runtime.block_on(authenticate(auth, &token, times)));
    });
}

async fn sign_in(auth: &Auth) -> Secret {
    let (name, password) = (Username::parse("alice").unwrap(), "correct horse battery");
    let (password, actor) = (Password::new(password), Actor::command_line());
    let created = auth.create_user(&name, &password, Role::User, &actor).await;
    created.unwrap();
    let client = ClientName::parse("laptop").unwrap();
    let issued = auth.sign_in(&name, &password, client, &caller()).await;
    issued.unwrap().secret
}

async fn authenticate(auth: &Auth, token: &Secret, times: u64) -> Duration {
    let caller = caller();
    let start = Instant::now();
    for _ in 0..times {
        let session = auth.authenticate(Kind::Api, black_box(token.reveal()), &caller);
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
