//! Guarded requests: with the cache and without, beside a route that does nothing.

use multitoken::db::Engine;

use crate::database::Database;
use crate::figures::{number, ratio};
use crate::options::Options;
use crate::report::{Bound, Report, Unit};
use crate::server::{Server, Settings};
use crate::wrk::{Load, Requests, Run, get};
use crate::{Bench, Outcome};

/// Requests under way at a time.
pub const CONNECTIONS: u32 = 32;
/// Tokens that many clients have.
const MANY: usize = 10_000;

/// Measures all of it in turns.
pub fn measure(bench: &Bench<'_>, report: &mut Report) -> Outcome {
    let Bench {
        options,
        small,
        large,
    } = bench;
    let with = Server::start(large, Settings::Default)?;
    let without = Server::start(large, Settings::WithoutCache)?;
    let without_small = Server::start(small, Settings::WithoutCache)?;
    let many = large.known.len().min(MANY);
    // As many on both, so that the table's size is all that differs.
    let few = small.known.len().min(many);
    let loads = [
        healthz(&with, options)?,
        me(&with, "with cache", large, 1, options)?,
        me(&with, "with cache", large, many, options)?,
        me(&without, "without", large, 1, options)?,
        me(&without, "without", large, many, options)?,
        me(&without, "without", large, few, options)?,
        me(&without_small, "without", small, few, options)?,
    ];
    let mut runs: [Vec<Run>; 7] = Default::default();
    for _ in 0..options.rounds() {
        for (load, runs) in loads.iter().zip(&mut runs) {
            runs.push(load.run(options)?);
        }
    }
    for (load, of_load) in loads.iter().zip(&runs) {
        let ratio = ratio(of_load, &runs[0]);
        report.measured(large.engine, &load.what, of_load, Some(ratio));
    }

    let [
        healthz,
        one,
        many,
        one_without,
        _,
        few_without,
        small_without,
    ] = &runs;
    let gain = match large.engine {
        Engine::Sqlite => 2.0,
        Engine::Postgres => 3.0,
    };
    let mut hold = |what: &str, ones, others, least| {
        let (ratio, bound) = (ratio(ones, others), Bound::AtLeast(least));
        report.hold(large.engine, what, ratio, Unit::Ratio, bound);
    };
    let what = "`/auth/me/` with cache ÷ `/healthz`, one token";
    hold(what, one, healthz, 0.90);
    let what = "`/auth/me/` with cache ÷ `/healthz`, many tokens in turn";
    hold(what, many, healthz, 0.85);
    let what = "`/auth/me/` with cache ÷ without, one token";
    hold(what, one, one_without, gain);
    let what = "`/auth/me/` without cache, the large database ÷ the small";
    hold(what, few_without, small_without, 0.90);
    Ok(())
}

/// The bare route.
fn healthz<'a>(server: &'a Server, options: &Options) -> Outcome<Load<'a>> {
    Ok(Load {
        what: "`/healthz`".into(),
        server,
        requests: Requests::write(&options.folder, &[get("/healthz", &[])])?,
        connections: CONNECTIONS,
    })
}

/// Guarded requests, with one token after another of the first so many that are known.
pub fn me<'a>(
    server: &'a Server,
    cache: &str,
    database: &Database,
    tokens: usize,
    options: &Options,
) -> Outcome<Load<'a>> {
    let requests: Vec<String> = database.known[..tokens]
        .iter()
        .map(|token| {
            get(
                "/auth/me/",
                &[("Authorization", &format!("Bearer {token}"))],
            )
        })
        .collect();
    let each = if tokens == 1 {
        "one token".into()
    } else {
        format!("{} in turn", number(tokens))
    };
    Ok(Load {
        what: format!("`/auth/me/` {cache}, {each} of {}", number(database.size)),
        server,
        requests: Requests::write(&options.folder, &requests)?,
        connections: CONNECTIONS,
    })
}
