//! Peak memory of a server after increasing loads.

use crate::load::command::ServerSettings;
use crate::load::guard::guarded_requests;
use crate::load::logins::{CONCURRENT_LOGINS, login_requests};
use crate::load::report::{LoadReport, Target, Unit};
use crate::load::server::ServerProcess;
use crate::load::statistics::{format_count, to_f64};
use crate::load::{Bench, Result};

pub async fn measure(bench: &Bench<'_>, report: &mut LoadReport) -> Result {
    let Bench { options, large, .. } = bench;
    let engine = large.engine;
    let server = ServerProcess::start(large, ServerSettings::Default)?;
    guarded_requests(&server, "with cache", large, 1, options)?.run(options)?;
    let label = "peak resident memory, guarded requests";
    report.add_figure(engine, label, server.peak_memory()?, Unit::Megabytes);

    // There are more known tokens than the cache holds.
    let tokens = large.known_tokens.len();
    let workload = guarded_requests(&server, "with cache", large, tokens, options)?;
    let mut seconds = options.seconds();
    while workload.start(seconds)?.wait()?.requests < to_f64(tokens)? {
        seconds *= 2;
    }
    let label = format!(
        "peak resident memory, {} different tokens",
        format_count(tokens)
    );
    let peak = server.peak_memory()?;
    report.add_with_target(engine, &label, peak, Unit::Megabytes, Target::Max(150.0));

    login_requests(&server, large, CONCURRENT_LOGINS, options)?
        .start(options.seconds())?
        .wait()?;
    large.remove_run_data().await?;
    let label = "peak resident memory, then 64 clients signing in";
    report.add_figure(engine, label, server.peak_memory()?, Unit::Megabytes);
    Ok(())
}
