//! From starting the process to its first answer, and the memory that it holds then.

use std::thread::sleep;
use std::time::Duration;

use multitoken::db::Engine;

use crate::figures::median;
use crate::report::{Bound, Report, Unit};
use crate::server::{Server, Settings};
use crate::{Bench, Outcome};

/// What a start leaves to be done comes to its end in this time.
const SETTLED: Duration = Duration::from_secs(1);

/// Starts one server after another on the large database, which the first has migrated.
pub fn measure(bench: &Bench<'_>, report: &mut Report) -> Outcome {
    let (engine, rounds) = (bench.large.engine, bench.options.rounds());
    drop(Server::start(&bench.large, Settings::Default)?);
    let (mut times, mut memory) = (vec![], vec![]);
    for _ in 0..rounds {
        let server = Server::start(&bench.large, Settings::Default)?;
        times.push(server.start_up.as_secs_f64() * 1e3);
        sleep(SETTLED);
        memory.push(server.resident()?);
    }
    let time = median(times);
    let most = Bound::AtMost(match engine {
        Engine::Sqlite => 50.0,
        Engine::Postgres => 100.0,
    });
    let what = "start to the first answer, migrated database";
    report.hold(engine, what, time, Unit::Milliseconds, most);
    let memory = median(memory);
    let what = "resident memory at rest";
    report.hold(engine, what, memory, Unit::Megabytes, Bound::AtMost(35.0));
    Ok(())
}
