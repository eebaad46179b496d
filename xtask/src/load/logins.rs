//! Throughput of logins relative to one verification, latency of other requests during logins, and logouts.

use std::thread;
use std::time::Instant;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use rocket_multitoken::config::Settings;
use serde_json::json;

use crate::load::command::ServerSettings;
use crate::load::database::{LOGIN_CLIENT, SeededDatabase};
use crate::load::fill::PASSWORD;
use crate::load::guard::{CONNECTIONS, guarded_requests};
use crate::load::options::LoadOptions;
use crate::load::report::{LoadReport, Target, Unit};
use crate::load::server::ServerProcess;
use crate::load::statistics::median;
use crate::load::wrk::{RequestFile, RunResult, Workload, post};
use crate::load::{Bench, Result, machine};

/// Clients that sign in concurrently.
pub const CONCURRENT_LOGINS: u32 = 64;
/// Verifications per measurement.
const VERIFICATION_SAMPLES: usize = 20;
const WARM_UP_VERIFICATIONS: usize = 2;

pub async fn measure(bench: &Bench<'_>, report: &mut LoadReport) -> Result {
    let Bench { options, large, .. } = bench;
    let server = ServerProcess::start(large, ServerSettings::Default)?;
    let cores = machine::cores();
    let logins = login_requests(&server, large, 2 * cores, options)?;
    let concurrent_logins = login_requests(&server, large, CONCURRENT_LOGINS, options)?;
    let guarded = guarded_requests(&server, "while 64 clients sign in", large, 1, options)?;

    let verification = Verification::prepare()?;
    let (mut sequential_rates, mut parallel_rates) = (vec![], vec![]);
    let (mut sequential_ratios, mut parallel_ratios) = (vec![], vec![]);
    let (mut login_runs, mut guarded_runs, mut logout_runs) = (vec![], vec![], vec![]);
    let mut logouts = LogoutWorkload::new(&server, bench);
    for _ in 0..options.rounds() {
        sequential_rates.push(f64::from(cores) * verification.rate(1)?);
        parallel_rates.push(verification.rate(cores)?);
        let run = logins.run(options)?;
        sequential_ratios.push(run.rate() / sequential_rates[sequential_rates.len() - 1]);
        parallel_ratios.push(run.rate() / parallel_rates[parallel_rates.len() - 1]);
        login_runs.push(run);

        let login_process = concurrent_logins.start(options.warm_up() + options.seconds() + 2)?;
        guarded_runs.push(guarded.run(options)?);
        login_process.wait()?;

        logout_runs.push(logouts.run().await?);
    }
    large.remove_run_data().await?;

    let engine = large.engine;
    report.add_runs(engine, &logins.label, &login_runs, None);
    report.add_runs(
        engine,
        "`/auth/logout/`, one token per request",
        &logout_runs,
        None,
    );
    report.add_runs(engine, &guarded.label, &guarded_runs, None);
    let label = "cores ÷ seconds of a single Argon2id verification";
    report.add_figure(engine, label, median(sequential_rates), Unit::PerSecond);
    let label = "Argon2id verifications, one per core at a time";
    report.add_figure(engine, label, median(parallel_rates), Unit::PerSecond);
    let label = "logins/s ÷ verifications/s, one per core at a time";
    let ratio = median(parallel_ratios);
    report.add_with_target(engine, label, ratio, Unit::Ratio, Target::Min(0.95));
    let label = "logins/s ÷ (cores ÷ seconds of a single verification)";
    report.add_figure(engine, label, median(sequential_ratios), Unit::Ratio);
    let label = "`/auth/me/` while 64 clients sign in, p99";
    let p99 = median(guarded_runs.iter().map(RunResult::p99));
    report.add_with_target(engine, label, p99, Unit::Milliseconds, Target::Max(50.0));
    Ok(())
}

/// Logins of all users in turn with the same client, so that each login replaces a token.
pub fn login_requests<'a>(
    server: &'a ServerProcess,
    database: &SeededDatabase,
    connections: u32,
    options: &LoadOptions,
) -> Result<Workload<'a>> {
    let users = database.users().into_iter();
    let requests: Vec<String> = users
        .map(|name| {
            let body = json!({"username": name, "password": PASSWORD, "client": LOGIN_CLIENT});
            let json = [("Content-Type", "application/json")];
            post("/auth/login/", &json, &body.to_string())
        })
        .collect();
    Ok(Workload {
        label: format!("`/auth/login/`, {connections} clients"),
        server,
        requests: RequestFile::write(&options.folder, &requests)?,
        connections,
    })
}

/// Password verification in this process, without a server.
struct Verification(Argon2<'static>);

impl Verification {
    /// With the application's default parameters.
    fn prepare() -> Result<Self> {
        let settings = Settings::default();
        let (memory, passes) = (settings.hash_memory_kib, settings.hash_iterations);
        let params = Params::new(memory, passes, settings.hash_lanes, None);
        let params = params.map_err(|error| error.to_string())?;
        Ok(Self(Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            params,
        )))
    }

    /// Verifications per second, `concurrency` concurrently.
    fn rate(&self, concurrency: u32) -> Result<f64> {
        let seconds: Vec<f64> = thread::scope(|scope| {
            let threads: Vec<_> = (0..concurrency)
                .map(|_| scope.spawn(|| self.seconds()))
                .collect();
            let results = threads.into_iter().map(thread::ScopedJoinHandle::join);
            results
                .map(|seconds| seconds.map_err(|_| "a verification panicked")?)
                .collect::<Result<_>>()
        })?;
        Ok(f64::from(concurrency) / median(seconds))
    }

    /// The median time of one verification. Its memory is allocated once.
    fn seconds(&self) -> Result<f64> {
        let mut memory = vec![Block::new(); self.0.params().block_count()];
        let (mut durations, mut output) = (vec![], [0; 32]);
        for _ in 0..WARM_UP_VERIFICATIONS + VERIFICATION_SAMPLES {
            let start = Instant::now();
            let (password, salt) = (PASSWORD.as_bytes(), [7; 16]);
            let result =
                self.0
                    .hash_password_into_with_memory(password, &salt, &mut output, &mut memory);
            result.map_err(|error| error.to_string())?;
            durations.push(start.elapsed().as_secs_f64());
        }
        Ok(median(durations.drain(WARM_UP_VERIFICATIONS..)))
    }
}

/// A workload of logouts. Each logout uses up a token.
struct LogoutWorkload<'a> {
    server: &'a ServerProcess,
    bench: &'a Bench<'a>,
    /// The expected logouts per second.
    rate: f64,
}

impl<'a> LogoutWorkload<'a> {
    fn new(server: &'a ServerProcess, bench: &'a Bench<'a>) -> Self {
        Self {
            server,
            bench,
            // A guess until the warm-up measures it.
            rate: 2000.0,
        }
    }

    /// A run after a short warm-up.
    async fn run(&mut self) -> Result<RunResult> {
        let options = self.bench.options;
        let warm_up = self.sign_out(options.warm_up()).await?;
        self.rate = warm_up.rate();
        self.sign_out(options.seconds()).await
    }

    async fn sign_out(&self, seconds: u32) -> Result<RunResult> {
        let large = &self.bench.large;
        // More tokens than the run can use, so that its duration ends it.
        let max_logouts = self.rate * f64::from(seconds) * 1.5;
        // Rates are far below `usize::MAX`.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let tokens = large
            .create_logout_tokens(max_logouts.ceil() as usize)
            .await?;
        let requests: Vec<String> = tokens
            .iter()
            .map(|token| {
                let bearer = format!("Bearer {token}");
                post("/auth/logout/", &[("Authorization", &bearer)], "")
            })
            .collect();
        let folder = &self.bench.options.folder;
        let workload = Workload {
            label: "`/auth/logout/`".into(),
            server: self.server,
            requests: RequestFile::write(folder, &requests)?.once(),
            connections: CONNECTIONS,
        };
        workload.start(seconds)?.wait()
    }
}
