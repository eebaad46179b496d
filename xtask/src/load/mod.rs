//! Load test of the release build: `cargo xtask load`. See `--help` for its options.
//!
//! It fills databases with tokens, starts the server on them, and drives it with wrk. It uses SQLite, and PostgreSQL if
//! its binaries are installed. It prints throughput, latencies, ratios, memory, start-up time, and whether the targets
//! are reached. A full run writes the tables to `benches/RESULTS.md`.
//!
//! Workloads that are compared run in turn in each round, each after a short warm-up. The median of the rounds counts.
//! The load generator uses one thread on the server's machine. An error response ends the whole test, because
//! measurements of errors are worthless.

mod admin;
mod bare_rocket;
mod command;
mod database;
mod fill;
mod guard;
mod logins;
mod machine;
mod memory;
mod mixed;
mod options;
mod postgres;
mod report;
mod server;
mod startup;
mod statistics;
mod wrk;

use std::fs;

use database::{Backend, SMALL_DATABASE_TOKENS, SeededDatabase};
pub use options::LoadOptions;
use options::Section;
use report::LoadReport;
use rocket_multitoken::db::Engine;
use rocket_multitoken::web::templates::grouped;

pub use crate::Result;

const RESULTS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/RESULTS.md");

/// The options of the load test, and the databases of one engine.
pub struct Bench<'a> {
    pub options: &'a LoadOptions,
    /// Some thousand tokens.
    pub small: SeededDatabase,
    /// More than a million tokens by default.
    pub large: SeededDatabase,
}

/// Runs the selected sections.
pub fn run(options: &LoadOptions) -> Result {
    match options.bare {
        Some(port) => rocket::execute(bare_rocket::serve(port)),
        None => rocket::execute(measure(options)),
    }
}

async fn measure(options: &LoadOptions) -> Result {
    wrk::require_installed()?;
    sqlx::any::install_default_drivers();
    fs::create_dir_all(&options.folder)?;
    let mut report = LoadReport::default();
    for engine in options.engines() {
        let Some(backend) = Backend::start(engine, options).await? else {
            report.add_database_note(&format!(
                "{} was not measured, because its server is not installed (on Debian: apt-get install postgresql).",
                engine.name()
            ));
            continue;
        };
        let bench = Bench {
            options,
            small: backend.database(options, SMALL_DATABASE_TOKENS).await?,
            large: backend.database(options, options.tokens()).await?,
        };
        bench.run(&mut report).await?;
    }
    if options.is_selected(Section::Mixed) && options.engines().contains(&Engine::Sqlite) {
        mixed::measure(options, &mut report).await?;
    }
    let text = report.markdown(&machine::description()?, &methodology(options));
    println!("{text}");
    if options.writes_results() {
        fs::write(RESULTS_FILE, text)?;
    }
    Ok(())
}

impl Bench<'_> {
    async fn run(&self, report: &mut LoadReport) -> Result {
        for SeededDatabase { engine, rows, .. } in [&self.small, &self.large] {
            report.add_database_note(&format!(
                "{}: {} users, {} tokens, {} audit events.",
                engine.name(),
                grouped(rows.users),
                grouped(rows.tokens),
                grouped(rows.events)
            ));
        }
        let is_selected = |section| self.options.is_selected(section);
        if is_selected(Section::Start) {
            startup::measure(self, report)?;
        }
        if is_selected(Section::Guard) {
            guard::measure(self, report)?;
        }
        if is_selected(Section::Admin) {
            admin::measure(self, report).await?;
        }
        if is_selected(Section::Logins) {
            logins::measure(self, report).await?;
        }
        if is_selected(Section::Memory) {
            memory::measure(self, report).await?;
        }
        Ok(())
    }
}

fn methodology(options: &LoadOptions) -> String {
    let quick = if options.quick {
        "**A quick run: these results are meaningless.** "
    } else {
        ""
    };
    format!(
        "{quick}Printed by `cargo xtask load`: medians of {} rounds. In each round, everything that is \
         compared runs in turn for {} s, after a warm-up of at least {} s. The server is a release build with \
         default settings, and its log is discarded. It shares the machine with the load generator and, if \
         used, with PostgreSQL. MB are millions of bytes.",
        options.rounds(),
        options.seconds(),
        options.warm_up()
    )
}
