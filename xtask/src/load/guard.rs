//! Throughput of guarded requests with and without the cache, compared with an empty route and a bare Rocket
//! application.

use rocket_multitoken::db::Engine;

use crate::load::command::ServerSettings;
use crate::load::database::SeededDatabase;
use crate::load::options::LoadOptions;
use crate::load::report::{LoadReport, Target, Unit};
use crate::load::server::ServerProcess;
use crate::load::statistics::{format_count, rate_ratio};
use crate::load::wrk::{RequestFile, RunResult, Workload, get};
use crate::load::{Bench, Result};

/// Concurrent requests.
pub const CONNECTIONS: u32 = 32;
/// The maximum number of tokens in workloads with many tokens.
const MANY_TOKENS: usize = 2_000;

pub fn measure(bench: &Bench<'_>, report: &mut LoadReport) -> Result {
    let Bench {
        options,
        small,
        large,
    } = bench;
    let (bare, control) = (ServerProcess::bare()?, ServerProcess::bare()?);
    let cached = ServerProcess::start(large, ServerSettings::Default)?;
    let uncached = ServerProcess::start(large, ServerSettings::WithoutCache)?;
    let uncached_small = ServerProcess::start(small, ServerSettings::WithoutCache)?;
    let many = large.known_tokens.len().min(MANY_TOKENS);
    // The same number of tokens for both databases, so that only the size of the table differs.
    let few = small.known_tokens.len().min(many);
    let workloads = [
        healthz_requests(&bare, "a bare Rocket application", options)?,
        healthz_requests(&control, "a second copy, as a control", options)?,
        healthz_requests(&cached, "`/healthz`", options)?,
        guarded_requests(&cached, "with cache", large, 1, options)?,
        guarded_requests(&cached, "with cache", large, many, options)?,
        guarded_requests(&uncached, "without", large, 1, options)?,
        guarded_requests(&uncached, "without", large, many, options)?,
        guarded_requests(&uncached, "without", large, few, options)?,
        guarded_requests(&uncached_small, "without", small, few, options)?,
    ];
    let mut runs: [Vec<RunResult>; 9] = Default::default();
    for _ in 0..options.rounds() {
        for (workload, runs) in workloads.iter().zip(&mut runs) {
            runs.push(workload.run(options)?);
        }
    }
    for (workload, workload_runs) in workloads.iter().zip(&runs) {
        let ratio = rate_ratio(workload_runs, &runs[0]);
        report.add_runs(large.engine, &workload.label, workload_runs, Some(ratio));
    }

    let [
        bare,
        control,
        healthz,
        one_token,
        many_tokens,
        uncached_one,
        _,
        uncached_few,
        uncached_few_small,
    ] = &runs;
    let noise = rate_ratio(control, bare);
    let label = "a bare Rocket application ÷ a second copy (outside 0.95 to 1.05, the ratios are unreliable)";
    report.add_figure(large.engine, label, noise, Unit::Ratio);
    let mut add_with_target = |label: &str, numerators, denominators, min| {
        let (ratio, target) = (rate_ratio(numerators, denominators), Target::Min(min));
        report.add_with_target(large.engine, label, ratio, Unit::Ratio, target);
    };
    let label = "`/healthz` ÷ a bare Rocket application";
    add_with_target(label, healthz, bare, 0.88);
    let label = "`/auth/me/` with cache ÷ a bare Rocket application, one token";
    add_with_target(label, one_token, bare, 0.80);
    let label = "`/auth/me/` with cache ÷ a bare Rocket application, many tokens in turn";
    add_with_target(label, many_tokens, bare, 0.70);
    let label = "`/auth/me/` without cache, large database ÷ small database";
    if large.engine == Engine::Postgres {
        add_with_target(label, uncached_few, uncached_few_small, 0.95);
    } else {
        // The large database exceeds SQLite's page cache.
        report.add_figure(
            large.engine,
            label,
            rate_ratio(uncached_few, uncached_few_small),
            Unit::Ratio,
        );
    }
    let label = "`/auth/me/` with cache ÷ without, one token";
    report.add_figure(
        large.engine,
        label,
        rate_ratio(one_token, uncached_one),
        Unit::Ratio,
    );
    Ok(())
}

/// Requests to the empty route.
fn healthz_requests<'a>(
    server: &'a ServerProcess,
    label: &str,
    options: &LoadOptions,
) -> Result<Workload<'a>> {
    Ok(Workload {
        label: label.into(),
        server,
        requests: RequestFile::write(&options.folder, &[get("/healthz", &[])])?,
        connections: CONNECTIONS,
    })
}

/// Guarded requests with each of the first `tokens` known tokens in turn.
pub fn guarded_requests<'a>(
    server: &'a ServerProcess,
    cache: &str,
    database: &SeededDatabase,
    tokens: usize,
    options: &LoadOptions,
) -> Result<Workload<'a>> {
    let requests: Vec<String> = database.known_tokens[..tokens]
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
        format!("{} in turn", format_count(tokens))
    };
    Ok(Workload {
        label: format!(
            "`/auth/me/` {cache}, {each} of {}",
            format_count(database.token_count)
        ),
        server,
        requests: RequestFile::write(&options.folder, &requests)?,
        connections: CONNECTIONS,
    })
}
