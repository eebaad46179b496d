//! Description of the machine and its software.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use rocket::time::OffsetDateTime;

use crate::load::{Result, postgres, wrk};

pub fn cores() -> u32 {
    let cores = available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(1)
}

/// The machine, its software and the date, as a Markdown list.
pub fn description() -> Result<String> {
    let processor = field_value("/proc/cpuinfo", "model name")?;
    let memory: u64 = field_value("/proc/meminfo", "MemTotal")?
        .trim_end_matches("kB")
        .trim()
        .parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let rustc = output_of("rustc", &["--version"]).unwrap_or_else(|| "rustc unknown".into());
    let commit = output_of("git", &["describe", "--always", "--dirty"]);
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

/// The value of a line `name : value` in a file.
fn field_value(file: &str, name: &str) -> Result<String> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    Ok(value.map_or_else(|| "unknown".into(), |(_, value)| value.trim().to_owned()))
}

fn output_of(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
