//! The report: figures and their targets, as Markdown.

use std::fmt::Write as _;

use rocket_multitoken::db::Engine;

use crate::load::statistics::median;
use crate::load::wrk::RunResult;

/// The target of a figure.
#[derive(Clone, Copy)]
pub enum Target {
    Min(f64),
    Max(f64),
}

#[derive(Clone, Copy)]
pub enum Unit {
    Ratio,
    Milliseconds,
    /// A million bytes.
    Megabytes,
    PerSecond,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::Ratio => format!("{value:.2}"),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::PerSecond => format!("{value:.1}/s"),
        }
    }
}

#[derive(Default)]
pub struct LoadReport {
    figures: String,
    measurements: String,
    database_notes: String,
    missed_targets: usize,
}

impl LoadReport {
    /// Adds a figure with a target.
    pub fn add_with_target(
        &mut self,
        engine: Engine,
        label: &str,
        value: f64,
        unit: Unit,
        target: Target,
    ) {
        let (sign, limit, reached) = match target {
            Target::Min(min) => ("≥", min, value >= min),
            Target::Max(max) => ("≤", max, value <= max),
        };
        self.missed_targets += usize::from(!reached);
        let limit = format!("{sign} {}", unit.write(limit));
        let reached = if reached { "yes" } else { "**no**" };
        self.add_row(engine, label, &unit.write(value), &limit, reached);
    }

    /// Adds a figure without a target.
    pub fn add_figure(&mut self, engine: Engine, label: &str, value: f64, unit: Unit) {
        self.add_row(engine, label, &unit.write(value), "", "");
    }

    fn add_row(&mut self, engine: Engine, label: &str, value: &str, limit: &str, reached: &str) {
        let name = engine.name();
        let row = format!("| {label} | {name} | {value} | {limit} | {reached} |");
        eprintln!("{row}");
        let _ = writeln!(self.figures, "{row}");
    }

    /// Adds the runs of a load. `ratio` is its rate divided by that of the bare application.
    pub fn add_runs(
        &mut self,
        engine: Engine,
        label: &str,
        runs: &[RunResult],
        ratio: Option<f64>,
    ) {
        let rate = median(runs.iter().map(RunResult::rate));
        let p50 = median(runs.iter().map(RunResult::p50));
        let p99 = median(runs.iter().map(RunResult::p99));
        let ratio = ratio.map(|ratio| Unit::Ratio.write(ratio));
        let row = format!(
            "| {label} | {} | {rate:.0} | {} | {p50:.2} ms | {p99:.2} ms |",
            engine.name(),
            ratio.unwrap_or_default(),
        );
        eprintln!("{row}");
        let _ = writeln!(self.measurements, "{row}");
    }

    /// Adds a sentence about the databases.
    pub fn add_database_note(&mut self, sentence: &str) {
        eprintln!("{sentence}");
        let _ = writeln!(self.database_notes, "- {sentence}");
    }

    /// The report, with the description of the machine.
    pub fn markdown(&self, machine: &str, how: &str) -> String {
        let mut text = format!("# Under load\n\n{how}\n\n{machine}{}", self.database_notes);
        if !self.figures.is_empty() {
            let missed = match self.missed_targets {
                0 => "All targets are met.".to_owned(),
                missed => format!("Targets not met: {missed}."),
            };
            let _ = write!(
                text,
                "\n## Targets\n\n| metric | database | result | target | met |\n\
                 | --- | --- | --- | --- | --- |\n{}\n{missed}\n",
                self.figures
            );
        }
        if !self.measurements.is_empty() {
            let _ = write!(
                text,
                "\n## Measurements\n\n| request | database | requests/s | ÷ bare | p50 | p99 |\n\
                 | --- | --- | --- | --- | --- | --- |\n{}",
                self.measurements
            );
        }
        text
    }
}
