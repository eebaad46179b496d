//! Latency of the admin's lists, one request at a time: all lists in turn, and the slowest list alone.
//!
//! A few requests to every page find the slowest candidates. Longer runs then measure these, in turn.

mod pages;

use rand::seq::SliceRandom;

use crate::load::command::ServerSettings;
use crate::load::database::SeededDatabase;
use crate::load::options::LoadOptions;
use crate::load::report::{LoadReport, Target, Unit};
use crate::load::server::{ServerProcess, http_client};
use crate::load::statistics::{format_count, median};
use crate::load::wrk::{RequestFile, RunResult, Workload, get};
use crate::load::{Bench, Result};

/// Measures both databases.
pub async fn measure(bench: &Bench<'_>, report: &mut LoadReport) -> Result {
    for (database, has_target) in [(&bench.small, false), (&bench.large, true)] {
        let server = ServerProcess::start(database, ServerSettings::Default)?;
        let benchmark = ListBenchmark {
            database,
            options: bench.options,
            cookie: server.admin_cookie().await?,
            server: &server,
        };
        let (path, p99) = benchmark.measure(report).await?;
        if has_target {
            let label = format!("slowest admin list, p99: `{path}`");
            let target = Target::Max(40.0);
            report.add_with_target(database.engine, &label, p99, Unit::Milliseconds, target);
        }
    }
    Ok(())
}

/// The paths of the first three pages of all lists.
pub async fn list_paths(
    database: &SeededDatabase,
    server: &ServerProcess,
    cookie: &str,
) -> Result<Vec<String>> {
    let client = http_client()?;
    let first_pages = pages::list_paths(database).await?;
    let mut paths = first_pages.clone();
    for path in &first_pages {
        let mut current = path.clone();
        for _ in 0..2 {
            let (page, _) = server.page(&client, &current, cookie).await?;
            let Some(next) = pages::link_query(&page, "next") else {
                break;
            };
            let list = path.split('?').next().unwrap_or_default();
            current = format!("{list}{next}");
            paths.push(current.clone());
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

struct ListBenchmark<'a> {
    database: &'a SeededDatabase,
    options: &'a LoadOptions,
    server: &'a ServerProcess,
    cookie: String,
}

impl<'a> ListBenchmark<'a> {
    /// Measures the lists. Returns the slowest one with its 99th percentile in milliseconds.
    async fn measure(&self, report: &mut LoadReport) -> Result<(String, f64)> {
        let SeededDatabase {
            engine,
            token_count,
            ..
        } = self.database;
        let mut paths = list_paths(self.database, self.server, &self.cookie).await?;
        // In random order, because a run may end before every path was requested.
        paths.shuffle(&mut rand::rng());
        let slowest_paths = self.slowest_paths(&paths).await?;
        let count = format_count(paths.len());
        let combined = self.workload(&format!("admin lists, {count} in turn"), &paths)?;
        let single = slowest_paths.iter().map(|path| {
            let path = std::slice::from_ref(path);
            self.workload(&format!("`{}`", path[0]), path)
        });
        let single = single.collect::<Result<Vec<_>>>()?;

        let mut combined_runs = vec![];
        let mut runs_per_path = vec![vec![]; single.len()];
        for _ in 0..self.options.rounds() {
            combined_runs.push(combined.run(self.options)?);
            for (workload, runs) in single.iter().zip(&mut runs_per_path) {
                runs.push(workload.run(self.options)?);
            }
        }
        // wrk counts the redirect to sign-in as a success, so check that the session is still live.
        let client = http_client()?;
        self.server.page(&client, &paths[0], &self.cookie).await?;

        let label = |workload: &Workload<'_>| {
            format!("{}, {} tokens", workload.label, format_count(*token_count))
        };
        report.add_runs(*engine, &label(&combined), &combined_runs, None);
        let p99 = |runs: &Vec<RunResult>| median(runs.iter().map(RunResult::p99));
        let slowest = (0..single.len())
            .max_by(|&a, &b| p99(&runs_per_path[a]).total_cmp(&p99(&runs_per_path[b])));
        let slowest = slowest.ok_or("there are no lists")?;
        report.add_runs(
            *engine,
            &label(&single[slowest]),
            &runs_per_path[slowest],
            None,
        );
        Ok((slowest_paths[slowest].clone(), p99(&runs_per_path[slowest])))
    }

    /// The paths with the slowest median of a few requests each.
    async fn slowest_paths(&self, paths: &[String]) -> Result<Vec<String>> {
        let (samples, limit) = if self.options.quick { (3, 2) } else { (5, 5) };
        let client = http_client()?;
        let mut by_median = vec![];
        for path in paths {
            let mut durations = vec![];
            for _ in 0..samples {
                let page = self.server.page(&client, path, &self.cookie);
                durations.push(page.await?.1);
            }
            durations.sort();
            by_median.push((durations[samples / 2], path));
        }
        by_median.sort();
        let slowest_paths = by_median.into_iter().rev().take(limit);
        Ok(slowest_paths.map(|(_, path)| path.clone()).collect())
    }

    fn workload(&self, label: &str, paths: &[String]) -> Result<Workload<'a>> {
        let cookie = [("Cookie", self.cookie.as_str())];
        let requests: Vec<String> = paths.iter().map(|path| get(path, &cookie)).collect();
        Ok(Workload {
            label: label.into(),
            server: self.server,
            requests: RequestFile::write(&self.options.folder, &requests)?,
            connections: 1,
        })
    }
}
