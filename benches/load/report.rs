//! The figures, and what they have to reach, as Markdown.

use std::fmt::Write as _;

use multitoken::db::Engine;

use crate::figures::median;
use crate::wrk::Run;

/// What a figure has to be.
#[derive(Clone, Copy)]
pub enum Bound {
    /// That much or more.
    AtLeast(f64),
    /// That much or less.
    AtMost(f64),
}

/// What a figure is counted in.
#[derive(Clone, Copy)]
pub enum Unit {
    /// One figure to another.
    Ratio,
    /// Thousandths of a second.
    Milliseconds,
    /// A million bytes.
    Megabytes,
    /// How often in a second.
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

/// All that was measured.
#[derive(Default)]
pub struct Report {
    held: String,
    measured: String,
    databases: String,
    missed: usize,
}

impl Report {
    /// Notes a figure that has something to reach.
    pub fn hold(&mut self, engine: Engine, what: &str, value: f64, unit: Unit, bound: Bound) {
        let (sign, wanted, reached) = match bound {
            Bound::AtLeast(least) => ("≥", least, value >= least),
            Bound::AtMost(most) => ("≤", most, value <= most),
        };
        self.missed += usize::from(!reached);
        let wanted = format!("{sign} {}", unit.write(wanted));
        let reached = if reached { "yes" } else { "**no**" };
        self.figure(engine, what, &unit.write(value), &wanted, reached);
    }

    /// Notes a figure that has nothing to reach.
    pub fn note(&mut self, engine: Engine, what: &str, value: f64, unit: Unit) {
        self.figure(engine, what, &unit.write(value), "", "");
    }

    fn figure(&mut self, engine: Engine, what: &str, value: &str, wanted: &str, reached: &str) {
        let name = engine.name();
        let row = format!("| {what} | {name} | {value} | {wanted} | {reached} |");
        eprintln!("{row}");
        let _ = writeln!(self.held, "{row}");
    }

    /// Notes the runs of one kind of load; `ratio` is what its rate is to that of the bare application.
    pub fn measured(&mut self, engine: Engine, what: &str, runs: &[Run], ratio: Option<f64>) {
        let rate = median(runs.iter().map(Run::rate));
        let p50 = median(runs.iter().map(Run::p50));
        let p99 = median(runs.iter().map(Run::p99));
        let ratio = ratio.map(|ratio| Unit::Ratio.write(ratio));
        let row = format!(
            "| {what} | {} | {rate:.0} | {} | {p50:.2} ms | {p99:.2} ms |",
            engine.name(),
            ratio.unwrap_or_default(),
        );
        eprintln!("{row}");
        let _ = writeln!(self.measured, "{row}");
    }

    /// Notes something about what was measured on, a sentence.
    pub fn remark(&mut self, sentence: &str) {
        eprintln!("{sentence}");
        let _ = writeln!(self.databases, "- {sentence}");
    }

    /// All of it, with what the machine is.
    pub fn markdown(&self, machine: &str, how: &str) -> String {
        let mut text = format!("# Under load\n\n{how}\n\n{machine}{}", self.databases);
        if !self.held.is_empty() {
            let missed = match self.missed {
                0 => "All is reached.".to_owned(),
                missed => format!("Not reached: {missed}."),
            };
            let _ = write!(
                text,
                "\n## To reach\n\n| what | on | figure | to reach | reached |\n\
                 | --- | --- | --- | --- | --- |\n{}\n{missed}\n",
                self.held
            );
        }
        if !self.measured.is_empty() {
            let _ = write!(
                text,
                "\n## Measured\n\n| what | on | requests/s | ÷ bare | p50 | p99 |\n\
                 | --- | --- | --- | --- | --- | --- |\n{}",
                self.measured
            );
        }
        text
    }
}
