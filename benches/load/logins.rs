//! Logins beside what one verification takes alone, what is left for others meanwhile, and logouts.

use std::time::{Duration, Instant};

use multitoken::config::Settings as AppSettings;
use multitoken::password::{Hasher, Password, Rank, Verdict};
use rocket::futures::future::try_join_all;
use serde_json::json;

use crate::database::{CLIENT, Database, PASSWORD};
use crate::figures::median;
use crate::guard::{CONNECTIONS, me};
use crate::options::Options;
use crate::report::{Bound, Report, Unit};
use crate::server::{Server, Settings};
use crate::wrk::{Load, Requests, Run, post};
use crate::{Bench, Outcome, machine};

/// Clients that hammer the login.
pub const HAMMERS: u32 = 64;
/// Verifications of which the median counts.
const VERIFICATIONS: usize = 20;
/// Nobody else hashes with the same hasher.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Measures all of it in turns.
pub async fn measure(bench: &Bench<'_>, report: &mut Report) -> Outcome {
    let Bench { options, large, .. } = bench;
    let server = Server::start(large, Settings::Default)?;
    let cores = machine::cores();
    let login = login(&server, large, 2 * cores, options)?;
    let hammer = self::login(&server, large, HAMMERS, options)?;
    let guarded = me(&server, "beside 64 that sign in", large, 1, options)?;

    let verification = Verification::prepare().await?;
    let (mut alone, mut abreast) = (vec![], vec![]);
    let (mut to_alone, mut to_abreast) = (vec![], vec![]);
    let (mut logins, mut beside, mut logouts) = (vec![], vec![], vec![]);
    let mut stock = Stock::new(&server, bench);
    for _ in 0..options.rounds() {
        alone.push(f64::from(cores) * verification.rate(1).await?);
        abreast.push(verification.rate(cores).await?);
        let run = login.run(options)?;
        to_alone.push(run.rate() / alone[alone.len() - 1]);
        to_abreast.push(run.rate() / abreast[abreast.len() - 1]);
        logins.push(run);

        let hammering = hammer.start(options.warm_up() + options.seconds() + 2)?;
        beside.push(guarded.run(options)?);
        hammering.wait()?;

        logouts.push(stock.run().await?);
    }
    large.remove_leavers().await?;

    let engine = large.engine;
    report.measured(engine, &login.what, &logins, None);
    report.measured(engine, "`/auth/logout/`, a token each", &logouts, None);
    report.measured(engine, &guarded.what, &beside, None);
    let what = "cores ÷ seconds of one Argon2id verification alone";
    report.note(engine, what, median(alone), Unit::PerSecond);
    let what = "Argon2id verifications, as many at once as there are cores";
    report.note(engine, what, median(abreast), Unit::PerSecond);
    let what = "logins/s ÷ verifications/s, as many at once as there are cores";
    let ratio = median(to_abreast);
    report.hold(engine, what, ratio, Unit::Ratio, Bound::AtLeast(0.95));
    let what = "logins/s ÷ (cores ÷ seconds of one verification alone)";
    report.note(engine, what, median(to_alone), Unit::Ratio);
    let what = "`/auth/me/` while 64 clients hammer login, p99";
    let p99 = median(beside.iter().map(Run::p99));
    report.hold(engine, what, p99, Unit::Milliseconds, Bound::AtMost(50.0));
    Ok(())
}

/// Logins of one user after another, each as the same client, whose token each replaces.
pub fn login<'a>(
    server: &'a Server,
    database: &Database,
    connections: u32,
    options: &Options,
) -> Outcome<Load<'a>> {
    let users = database.users().into_iter();
    let requests: Vec<String> = users
        .map(|name| {
            let body = json!({"username": name, "password": PASSWORD, "client": CLIENT});
            let json = [("Content-Type", "application/json")];
            post("/auth/login/", &json, &body.to_string())
        })
        .collect();
    Ok(Load {
        what: format!("`/auth/login/`, {connections} clients"),
        server,
        requests: Requests::write(&options.folder, &requests)?,
        connections,
    })
}

/// Verifications in this process, of which nothing but other verifications is beside.
struct Verification {
    hash: String,
}

impl Verification {
    async fn prepare() -> Outcome<Self> {
        let hasher = Hasher::new(&AppSettings::default())?;
        let hash = hasher.hash(&Password::new(PASSWORD)).await?;
        Ok(Self { hash })
    }

    /// How many are done in a second, so many at once.
    async fn rate(&self, at_once: u32) -> Outcome<f64> {
        // A hasher each, as if each had a core to itself; its memory is there from the first on.
        let hashers = (0..at_once).map(|_| Hasher::new(&AppSettings::default()));
        let hashers: Vec<Hasher> = hashers.collect::<Result<_, _>>()?;
        let warm_up = hashers.iter().map(|hasher| self.seconds(hasher, 2));
        try_join_all(warm_up).await?;
        let measured = hashers
            .iter()
            .map(|hasher| self.seconds(hasher, VERIFICATIONS));
        let seconds = try_join_all(measured).await?;
        Ok(f64::from(at_once) / median(seconds))
    }

    /// What one takes, the median of so many one after another.
    async fn seconds(&self, hasher: &Hasher, times: usize) -> Outcome<f64> {
        let mut taken = vec![];
        for _ in 0..times {
            let deadline = Instant::now() + PERMIT_TIMEOUT;
            let permit = hasher.enter(Rank::Known)?.permit(deadline.into()).await?;
            let (password, hash) = (Password::new(PASSWORD), self.hash.clone());
            let start = Instant::now();
            let verdict = permit.verify(&password, Some(hash)).await?;
            taken.push(start.elapsed().as_secs_f64());
            if verdict != Verdict::Right {
                return Err("the password is not verified".into());
            }
        }
        Ok(median(taken))
    }
}

/// Tokens to sign out with, each once.
struct Stock<'a> {
    server: &'a Server,
    bench: &'a Bench<'a>,
    /// Logouts a second that are to be expected.
    rate: f64,
}

impl<'a> Stock<'a> {
    fn new(server: &'a Server, bench: &'a Bench<'a>) -> Self {
        Self {
            server,
            bench,
            // A guess, for the short run that tells.
            rate: 2000.0,
        }
    }

    /// A run, after a short one to warm up.
    async fn run(&mut self) -> Outcome<Run> {
        let options = self.bench.options;
        let warm = self.sign_out(options.warm_up()).await?;
        self.rate = warm.rate();
        self.sign_out(options.seconds()).await
    }

    async fn sign_out(&self, seconds: u32) -> Outcome<Run> {
        let large = &self.bench.large;
        // So many more that the time is up sooner than they are.
        let most = self.rate * f64::from(seconds) * 1.5;
        // A rate is far below what this would cut off.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let tokens = large.leavers(most.ceil() as usize).await?;
        let requests: Vec<String> = tokens
            .iter()
            .map(|token| {
                let bearer = format!("Bearer {token}");
                post("/auth/logout/", &[("Authorization", &bearer)], "")
            })
            .collect();
        let folder = &self.bench.options.folder;
        let load = Load {
            what: "`/auth/logout/`".into(),
            server: self.server,
            requests: Requests::write(folder, &requests)?.once(),
            connections: CONNECTIONS,
        };
        load.start(seconds)?.wait()
    }
}
