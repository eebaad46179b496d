//! What a token costs in computing alone: `cargo bench --bench token`.
//!
//! Nothing here asks a database. A request with a token pays for `parse and digest`; one with a
//! made-up token for `refuse` only, which is all that the checksum is for.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use multitoken::secret::{Digest, Secret};

criterion_group!(token, written_form, digest);
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
