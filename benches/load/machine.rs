//! What it was measured on.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use rocket::time::OffsetDateTime;

use crate::{Outcome, postgres, wrk};

/// Cores that there are.
pub fn cores() -> u32 {
    let cores = available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(1)
}

/// The machine, what runs on it, and the day, as a list in Markdown.
pub fn description() -> Outcome<String> {
    let processor = line_of("/proc/cpuinfo", "model name")?;
    let memory: u64 = line_of("/proc/meminfo", "MemTotal")?
        .trim_end_matches("kB")
        .trim()
        .parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let rustc = said("rustc", &["--version"]).unwrap_or_else(|| "rustc unknown".into());
    let commit = said("git", &["describe", "--always", "--dirty"]);
    Ok(format!(
        "- {}, commit {}\n- {processor}, {} cores, {} GiB of memory, Linux {}\n- {rustc}, {}, {}\n",
        OffsetDateTime::now_utc().date(),
        commit.as_deref().unwrap_or("unknown"),
        cores(),
        (memory + 512 * 1024) / (1024 * 1024),
        kernel.trim(),
        wrk::version()?,
        postgres::version().unwrap_or_else(|| "no PostgreSQL".into()),
    ))
}

/// The value of a line `name : value` of a file.
fn line_of(file: &str, name: &str) -> Outcome<String> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    Ok(value.map_or_else(|| "unknown".into(), |(_, value)| value.trim().to_owned()))
}

fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
