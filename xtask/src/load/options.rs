//! Command-line options.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rocket_multitoken::db::Engine;

/// Measures the release build under load and compares the results with their targets.
// A command line consists of flags.
#[allow(clippy::struct_excessive_bools)]
#[derive(Args)]
pub struct LoadOptions {
    /// Small data and short runs, to test that everything works. The results are meaningless
    #[arg(long)]
    pub quick: bool,
    /// Measure on this database only
    #[arg(long, value_enum)]
    database: Option<EngineChoice>,
    /// Measure only this section. May be given several times
    #[arg(long, value_enum)]
    section: Vec<Section>,
    /// Number of seeded tokens in the large database. A quarter as many known tokens are added [default: 1,000,000;
    /// with --quick 20,000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1000..=5_000_000))]
    tokens: Option<u32>,
    /// Seconds per run [default: 5; with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: Option<u32>,
    /// Number of runs of each kind, of which the median is reported [default: 5; with --quick 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=101))]
    rounds: Option<u32>,
    /// Minutes of mixed load [default: 20; with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    minutes: Option<u32>,
    /// Recreate the databases, as a full run does
    #[arg(long)]
    pub fresh: bool,
    /// The folder that keeps the databases between runs (about 14 GB)
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"))]
    pub folder: PathBuf,
    /// Write benches/RESULTS.md, as a full run does
    #[arg(long)]
    write: bool,
    /// Serve the bare application on this port (used internally)
    #[arg(long, hide = true)]
    pub bare: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum EngineChoice {
    Sqlite,
    Postgres,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Section {
    /// Start-up time and memory at rest
    Start,
    /// Guarded requests, with the cache and without
    Guard,
    /// Logins and logouts
    Logins,
    /// The admin's lists
    Admin,
    /// Memory under load
    Memory,
    /// Memory after a long mixed load, on SQLite
    Mixed,
}

impl LoadOptions {
    /// Whether the section is selected.
    pub fn is_selected(&self, section: Section) -> bool {
        self.section.is_empty() || self.section.contains(&section)
    }

    /// The selected databases.
    pub fn engines(&self) -> Vec<Engine> {
        match self.database {
            Some(EngineChoice::Sqlite) => vec![Engine::Sqlite],
            Some(EngineChoice::Postgres) => vec![Engine::Postgres],
            None => vec![Engine::Sqlite, Engine::Postgres],
        }
    }

    /// Tokens in the large database.
    pub fn tokens(&self) -> u32 {
        self.tokens
            .unwrap_or(if self.quick { 20_000 } else { 1_000_000 })
    }

    /// Seconds per run.
    pub fn seconds(&self) -> u32 {
        self.seconds.unwrap_or(if self.quick { 1 } else { 5 })
    }

    /// Seconds of the warm-up.
    pub fn warm_up(&self) -> u32 {
        self.seconds().div_ceil(3)
    }

    /// Minutes of mixed load.
    pub fn minutes(&self) -> u32 {
        self.minutes.unwrap_or(if self.quick { 1 } else { 20 })
    }

    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 })
    }

    /// Whether to write the results, as after a full run.
    pub fn writes_results(&self) -> bool {
        let is_partial = self.quick
            || self.database.is_some()
            || !self.section.is_empty()
            || self.tokens.is_some()
            || self.seconds.is_some()
            || self.rounds.is_some()
            || self.minutes.is_some();
        self.write || !is_partial
    }
}
