//! The most memory that a server has held so far, after one load and then after another.

use crate::figures::{exact, number};
use crate::guard::me;
use crate::logins::{HAMMERS, login};
use crate::report::{Bound, Report, Unit};
use crate::server::{Server, Settings};
use crate::{Bench, Outcome};

/// Loads one server with ever more.
pub async fn measure(bench: &Bench<'_>, report: &mut Report) -> Outcome {
    let Bench { options, large, .. } = bench;
    let engine = large.engine;
    let server = Server::start(large, Settings::Default)?;
    me(&server, "with cache", large, 1, options)?.run(options)?;
    let what = "peak of resident memory, guarded requests";
    report.note(engine, what, server.peak()?, Unit::Megabytes);

    // All that are known: they have to be more than the cache holds.
    let known = large.known.len();
    let load = me(&server, "with cache", large, known, options)?;
    let mut seconds = options.seconds();
    while load.start(seconds)?.wait()?.requests < exact(known)? {
        seconds *= 2;
    }
    let what = format!(
        "peak of resident memory, {} tokens presented",
        number(known)
    );
    let peak = server.peak()?;
    report.hold(engine, &what, peak, Unit::Megabytes, Bound::AtMost(150.0));

    login(&server, large, HAMMERS, options)?
        .start(options.seconds())?
        .wait()?;
    large.remove_leavers().await?;
    let what = "peak of resident memory, and then 64 clients hammering login";
    report.note(engine, what, server.peak()?, Unit::Megabytes);
    Ok(())
}
