//! Start-up time, and memory at rest.

use std::thread::sleep;
use std::time::Duration;

use rocket_multitoken::db::Engine;

use crate::load::command::ServerSettings;
use crate::load::report::{LoadReport, Target, Unit};
use crate::load::server::ServerProcess;
use crate::load::statistics::median;
use crate::load::{Bench, Result};

/// The time after start-up until memory is measured.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// Starts servers one after another on the large database. The first one runs the migrations and is not measured.
pub fn measure(bench: &Bench<'_>, report: &mut LoadReport) -> Result {
    let (engine, rounds) = (bench.large.engine, bench.options.rounds());
    drop(ServerProcess::start(&bench.large, ServerSettings::Default)?);
    let (mut times, mut memory) = (vec![], vec![]);
    for _ in 0..rounds {
        let server = ServerProcess::start(&bench.large, ServerSettings::Default)?;
        times.push(server.startup_time.as_secs_f64() * 1e3);
        sleep(SETTLE_TIME);
        memory.push(server.resident_memory()?);
    }
    let time = median(times);
    let target = Target::Max(match engine {
        Engine::Sqlite => 50.0,
        Engine::Postgres => 100.0,
    });
    let label = "start to first response, migrated database";
    report.add_with_target(engine, label, time, Unit::Milliseconds, target);
    let memory = median(memory);
    let label = "resident memory at rest";
    report.add_with_target(engine, label, memory, Unit::Megabytes, Target::Max(35.0));
    Ok(())
}
