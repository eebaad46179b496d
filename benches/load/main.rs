//! The release build under load: `cargo bench --bench load`, and `… -- --help` for its options.
//!
//! On SQLite, and on PostgreSQL where its binaries are installed, it fills databases with tokens,
//! starts the server on them, drives it with wrk, and prints tables: requests a second and
//! latencies, ratios, memory, start-up time, and whether what is to be reached is. A full run
//! writes them to `benches/RESULTS.md`.
//!
//! What is compared is measured in turns, round by round, after a short warm-up each; the median of
//! the rounds counts. The generator takes one thread of the machine that the server is on. An answer
//! that is no success ends the whole run: the figures of errors are worthless.

mod admin;
mod bare;
mod database;
mod figures;
mod guard;
mod logins;
mod machine;
mod memory;
mod mixed;
// Of the tests' support: where binaries are.
#[allow(dead_code)]
#[path = "../../tests/support/needs.rs"]
mod needs;
mod options;
mod postgres;
mod report;
mod server;
mod start;
mod wrk;

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use clap::Parser;
use database::{Database, Place, SMALL};
use multitoken::db::Engine;
use multitoken::web::templates::grouped;
use options::{Options, Section};
use report::Report;

/// What may fail here; where it does, all ends.
pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/RESULTS.md");

/// What a section measures on.
pub struct Bench<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// Some thousand tokens.
    pub small: Database,
    /// A million and more, unless other were asked for.
    pub large: Database,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(port) = options.bare {
        return exit_code(rocket::execute(bare::serve(port)));
    }
    if !options.bench || options.test {
        println!("load: not measured; that takes cargo bench --bench load");
        return ExitCode::SUCCESS;
    }
    exit_code(rocket::execute(run(&options)))
}

fn exit_code(done: Outcome) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Outcome {
    wrk::demand()?;
    sqlx::any::install_default_drivers();
    fs::create_dir_all(&options.folder)?;
    let mut report = Report::default();
    for engine in options.engines() {
        let Some(place) = Place::of(engine, options).await? else {
            report.remark(&format!(
                "{} is not measured: its server is not installed (on Debian: apt-get install postgresql).",
                engine.name()
            ));
            continue;
        };
        let bench = Bench {
            options,
            small: place.database(options, SMALL).await?,
            large: place.database(options, options.tokens()).await?,
        };
        bench.run(&mut report).await?;
    }
    if options.wants(Section::Mixed) && options.engines().contains(&Engine::Sqlite) {
        mixed::measure(options, &mut report).await?;
    }
    let text = report.markdown(&machine::description()?, &how(options));
    println!("{text}");
    if options.writes() {
        fs::write(RESULTS, text)?;
    }
    Ok(())
}

impl Bench<'_> {
    async fn run(&self, report: &mut Report) -> Outcome {
        for Database { engine, rows, .. } in [&self.small, &self.large] {
            report.remark(&format!(
                "{}: {} users, {} tokens, {} audit events.",
                engine.name(),
                grouped(rows.users),
                grouped(rows.tokens),
                grouped(rows.events)
            ));
        }
        let wants = |section| self.options.wants(section);
        if wants(Section::Start) {
            start::measure(self, report)?;
        }
        if wants(Section::Guard) {
            guard::measure(self, report)?;
        }
        if wants(Section::Admin) {
            admin::measure(self, report).await?;
        }
        if wants(Section::Logins) {
            logins::measure(self, report).await?;
        }
        if wants(Section::Memory) {
            memory::measure(self, report).await?;
        }
        Ok(())
    }
}

fn how(options: &Options) -> String {
    let quick = if options.quick {
        "**A quick run: these figures say nothing.** "
    } else {
        ""
    };
    format!(
        "{quick}Printed by `cargo bench --bench load`: medians of {} rounds, in which all that is \
         compared takes its turn for {} s after a warm-up of at least {} s. The server, a release build with \
         its default settings and its log going nowhere, shares the machine with the generator, and \
         with PostgreSQL where it is on that. MB are millions of bytes.",
        options.rounds(),
        options.seconds(),
        options.warm_up()
    )
}
