//! The admin's lists, asked for one at a time: all of them in turn, and the slowest by itself.
//!
//! Which is the slowest is found by asking for every page some times over; the slowest of these are then
//! measured at length, in turns.

mod pages;

use rand::seq::SliceRandom;

use crate::database::Database;
use crate::figures::{median, number};
use crate::options::Options;
use crate::report::{Bound, Report, Unit};
use crate::server::{Server, Settings, no_browser};
use crate::wrk::{Load, Requests, Run, get};
use crate::{Bench, Outcome};

/// Measures on both databases.
pub async fn measure(bench: &Bench<'_>, report: &mut Report) -> Outcome {
    for (database, held) in [(&bench.small, false), (&bench.large, true)] {
        let server = Server::start(database, Settings::Default)?;
        let lists = Lists {
            database,
            options: bench.options,
            cookie: server.admin_cookie().await?,
            server: &server,
        };
        let (path, p99) = lists.measure(report).await?;
        if held {
            let what = format!("the slowest of the admin's lists, p99: `{path}`");
            let bound = Bound::AtMost(40.0);
            report.hold(database.engine, &what, p99, Unit::Milliseconds, bound);
        }
    }
    Ok(())
}

/// The paths of all lists of a database, and of pages further down.
pub async fn lists(database: &Database, server: &Server, cookie: &str) -> Outcome<Vec<String>> {
    let client = no_browser()?;
    let first = pages::all(database).await?;
    let mut paths = first.clone();
    for path in &first {
        let mut at = path.clone();
        for _ in 0..2 {
            let (page, _) = server.page(&client, &at, cookie).await?;
            let Some(next) = pages::link(&page, "next") else {
                break;
            };
            let list = path.split('?').next().unwrap_or_default();
            at = format!("{list}{next}");
            paths.push(at.clone());
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

struct Lists<'a> {
    database: &'a Database,
    options: &'a Options,
    server: &'a Server,
    cookie: String,
}

impl<'a> Lists<'a> {
    /// Measures and gives the slowest list with its 99th percentile in milliseconds.
    async fn measure(&self, report: &mut Report) -> Outcome<(String, f64)> {
        let Database { engine, size, .. } = self.database;
        let mut paths = lists(self.database, self.server, &self.cookie).await?;
        // A run may be over before all had their turn.
        paths.shuffle(&mut rand::rng());
        let slowest = self.slowest(&paths).await?;
        let many = number(paths.len());
        let all = self.load(&format!("the admin's lists, {many} in turn"), &paths)?;
        let each = slowest.iter().map(|path| {
            let path = std::slice::from_ref(path);
            self.load(&format!("`{}`", path[0]), path)
        });
        let each = each.collect::<Outcome<Vec<_>>>()?;

        let mut together = vec![];
        let mut apart = vec![vec![]; each.len()];
        for _ in 0..self.options.rounds() {
            together.push(all.run(self.options)?);
            for (load, runs) in each.iter().zip(&mut apart) {
                runs.push(load.run(self.options)?);
            }
        }
        // wrk takes being sent away for a success: the session has to be good still.
        let client = no_browser()?;
        self.server.page(&client, &paths[0], &self.cookie).await?;

        let what = |load: &Load<'_>| format!("{}, {} tokens", load.what, number(*size));
        report.measured(*engine, &what(&all), &together, None);
        let p99 = |runs: &Vec<Run>| median(runs.iter().map(Run::p99));
        let slow = (0..each.len()).max_by(|&a, &b| p99(&apart[a]).total_cmp(&p99(&apart[b])));
        let slow = slow.ok_or("there are no lists")?;
        report.measured(*engine, &what(&each[slow]), &apart[slow], None);
        Ok((slowest[slow].clone(), p99(&apart[slow])))
    }

    /// The lists that take longest, by the median of some requests for each.
    async fn slowest(&self, paths: &[String]) -> Outcome<Vec<String>> {
        let (times, most) = if self.options.quick { (3, 2) } else { (5, 5) };
        let client = no_browser()?;
        let mut by_time = vec![];
        for path in paths {
            let mut taken = vec![];
            for _ in 0..times {
                let page = self.server.page(&client, path, &self.cookie);
                taken.push(page.await?.1);
            }
            taken.sort();
            by_time.push((taken[times / 2], path));
        }
        by_time.sort();
        let slowest = by_time.into_iter().rev().take(most);
        Ok(slowest.map(|(_, path)| path.clone()).collect())
    }

    fn load(&self, what: &str, paths: &[String]) -> Outcome<Load<'a>> {
        let cookie = [("Cookie", self.cookie.as_str())];
        let requests: Vec<String> = paths.iter().map(|path| get(path, &cookie)).collect();
        Ok(Load {
            what: what.into(),
            server: self.server,
            requests: Requests::write(&self.options.folder, &requests)?,
            connections: 1,
        })
    }
}
