//! Guarded requests, with the cache and without, beside a route that does nothing and a bare Rocket application.

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
const MANY: usize = 2_000;

/// Measures all of it in turns.
pub fn measure(bench: &Bench<'_>, report: &mut Report) -> Outcome {
    let Bench {
        options,
        small,
        large,
    } = bench;
    let (bare, control) = (Server::bare()?, Server::bare()?);
    let with = Server::start(large, Settings::Default)?;
    let without = Server::start(large, Settings::WithoutCache)?;
    let without_small = Server::start(small, Settings::WithoutCache)?;
    let many = large.known.len().min(MANY);
    // As many on both, so that the table's size is all that differs.
    let few = small.known.len().min(many);
    let loads = [
        healthz(&bare, "a bare Rocket application", options)?,
        healthz(&control, "the same, as a control", options)?,
        healthz(&with, "`/healthz`", options)?,
        me(&with, "with cache", large, 1, options)?,
        me(&with, "with cache", large, many, options)?,
        me(&without, "without", large, 1, options)?,
        me(&without, "without", large, many, options)?,
        me(&without, "without", large, few, options)?,
        me(&without_small, "without", small, few, options)?,
    ];
    let mut runs: [Vec<Run>; 9] = Default::default();
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
        bare,
        control,
        healthz,
        one,
        many,
        one_without,
        _,
        few_without,
        small_without,
    ] = &runs;
    let noise = ratio(control, bare);
    let what =
        "a bare Rocket application ÷ another (further than 0.05 from 1, the rest says little)";
    report.note(large.engine, what, noise, Unit::Ratio);
    let mut hold = |what: &str, ones, others, least| {
        let (ratio, bound) = (ratio(ones, others), Bound::AtLeast(least));
        report.hold(large.engine, what, ratio, Unit::Ratio, bound);
    };
    let what = "`/healthz` ÷ a bare Rocket application";
    hold(what, healthz, bare, 0.88);
    let what = "`/auth/me/` with cache ÷ a bare Rocket application, one token";
    hold(what, one, bare, 0.80);
    let what = "`/auth/me/` with cache ÷ a bare Rocket application, many tokens in turn";
    hold(what, many, bare, 0.70);
    let what = "`/auth/me/` without cache, the large database ÷ the small";
    if large.engine == Engine::Postgres {
        hold(what, few_without, small_without, 0.95);
    } else {
        // The large one is beyond SQLite's page cache.
        report.note(
            large.engine,
            what,
            ratio(few_without, small_without),
            Unit::Ratio,
        );
    }
    let what = "`/auth/me/` with cache ÷ without, one token";
    report.note(large.engine, what, ratio(one, one_without), Unit::Ratio);
    Ok(())
}

/// The route that does nothing.
fn healthz<'a>(server: &'a Server, what: &str, options: &Options) -> Outcome<Load<'a>> {
    Ok(Load {
        what: what.into(),
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
