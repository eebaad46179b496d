//! What is asked for on the command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use multitoken::db::Engine;

/// Measures the release build under load, and holds it against what it has to reach.
// Flags are what a command line has.
#[allow(clippy::struct_excessive_bools)]
#[derive(Parser)]
#[command(bin_name = "cargo bench --bench load --")]
pub struct Options {
    /// Small data and short runs, to try that everything works: the figures are worthless
    #[arg(long)]
    pub quick: bool,
    /// Measure on this database only
    #[arg(long, value_enum)]
    database: Option<Database>,
    /// Measure this only; may be given several times
    #[arg(long, value_enum)]
    section: Vec<Section>,
    /// Tokens that are seeded in the large database; a quarter more are known [default: 1,000,000; with --quick 20,000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1000..=5_000_000))]
    tokens: Option<u32>,
    /// Seconds of a run [default: 5; with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: Option<u32>,
    /// Runs of each kind, of which the median counts [default: 5; with --quick 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=101))]
    rounds: Option<u32>,
    /// Minutes that everything is done at once [default: 20; with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    minutes: Option<u32>,
    /// Make the databases anew, as is done where the figures are to be kept
    #[arg(long)]
    pub fresh: bool,
    /// Where the databases are kept from one time to the next, some 20 GB
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench"))]
    pub folder: PathBuf,
    /// Write benches/RESULTS.md, as a full run does by itself
    #[arg(long)]
    write: bool,
    /// Given by `cargo bench`; without it, as with `cargo test --benches`, nothing is measured
    #[arg(long, hide = true)]
    pub bench: bool,
    /// Be the bare application, on that port: this program starts itself so
    #[arg(long, hide = true)]
    pub bare: Option<u16>,
    /// Given by whoever wants to know whether a bench runs at all
    #[arg(long, hide = true)]
    pub test: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

/// What is measured.
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
    /// Memory after everything at once for a long while, on SQLite
    Mixed,
}

impl Options {
    /// Whether that is to be measured.
    pub fn wants(&self, section: Section) -> bool {
        self.section.is_empty() || self.section.contains(&section)
    }

    /// The databases that are to be measured on.
    pub fn engines(&self) -> Vec<Engine> {
        match self.database {
            Some(Database::Sqlite) => vec![Engine::Sqlite],
            Some(Database::Postgres) => vec![Engine::Postgres],
            None => vec![Engine::Sqlite, Engine::Postgres],
        }
    }

    /// Tokens in the large database.
    pub fn tokens(&self) -> u32 {
        self.tokens
            .unwrap_or(if self.quick { 20_000 } else { 1_000_000 })
    }

    /// Seconds of a run.
    pub fn seconds(&self) -> u32 {
        self.seconds.unwrap_or(if self.quick { 1 } else { 5 })
    }

    /// Seconds of the run before it that warms up.
    pub fn warm_up(&self) -> u32 {
        self.seconds().div_ceil(3)
    }

    /// Minutes of everything at once.
    pub fn minutes(&self) -> u32 {
        self.minutes.unwrap_or(if self.quick { 1 } else { 20 })
    }

    /// Runs of each kind.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 })
    }

    /// Whether the figures are to be kept: those of everything at its full size are.
    pub fn writes(&self) -> bool {
        let narrowed = self.quick
            || self.database.is_some()
            || !self.section.is_empty()
            || self.tokens.is_some()
            || self.seconds.is_some()
            || self.rounds.is_some()
            || self.minutes.is_some();
        self.write || !narrowed
    }
}
