//! What Prometheus is told of sign-ins, tokens, hashes and connections.

use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::Auth;
use crate::error::Error;
use crate::models::now;
use crate::models::token::{self, Kind};
use crate::web::metrics::Metrics;

/// Counted whether anybody asks or not: it takes some nanoseconds.
pub(super) struct Counts {
    metrics: Metrics,
    logins: IntCounterVec,
    hits: IntCounter,
    misses: IntCounter,
    live_tokens: IntGaugeVec,
    cached_tokens: IntGauge,
    hashes: IntGaugeVec,
    connections: IntGaugeVec,
}

impl Counts {
    pub(super) fn new() -> Result<Self, Error> {
        let metrics = Metrics::new()?;
        let counters = |name, help, labels| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels);
            metrics.add(counters)
        };
        let gauges = |name, help, label| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &[label]);
            metrics.add(gauges)
        };
        let lookups = counters(
            "token_lookups_total",
            "Tokens presented whose checksum is right, by who knew of them.",
            &["source"],
        )?;
        Ok(Self {
            logins: counters(
                "logins_total",
                "Attempts to sign in, by the kind of token that was asked for and by how they ended.",
                &["kind", "outcome"],
            )?,
            hits: lookups.with_label_values(&["cache"]),
            misses: lookups.with_label_values(&["database"]),
            live_tokens: gauges("live_tokens", "Live tokens, counted once a minute.", "kind")?,
            cached_tokens: metrics.add(IntGauge::new(
                "cached_tokens",
                "Tokens that the cache remembers.",
            ))?,
            hashes: gauges(
                "password_hashes",
                "Passwords that are being hashed, that wait for it, and that may be either.",
                "state",
            )?,
            connections: gauges(
                "database_connections",
                "Connections of the pool that are in use, that are idle, and that may be open.",
                "state",
            )?,
            metrics,
        })
    }

    /// Counts an attempt to sign in.
    pub(super) fn login<T>(&self, kind: Kind, outcome: &Result<T, Error>) {
        let outcome = match outcome {
            Ok(_) => "success",
            Err(Error::InvalidCredentials) => "refused",
            Err(Error::Throttled(_)) => "throttled",
            Err(Error::Overloaded) => "overloaded",
            Err(Error::TooManyTokens) => "full",
            Err(_) => "failed",
        };
        (self.logins)
            .with_label_values(&[kind.as_str(), outcome])
            .inc();
    }

    /// Counts a token that was presented.
    pub(super) fn lookup(&self, is_cached: bool) {
        if is_cached { &self.hits } else { &self.misses }.inc();
    }
}

impl Auth {
    /// All metrics of this process as they stand.
    pub fn metrics(&self) -> Vec<MetricFamily> {
        let counts = &self.counts;
        let cached = self.cache.as_ref().map_or(0, |cache| cache.len());
        counts.cached_tokens.set(saturating(cached));
        let (hashes, connections) = (self.hasher.load(), self.pool.load());
        for (gauges, load) in [(&counts.hashes, hashes), (&counts.connections, connections)] {
            for (state, number) in load {
                gauges.with_label_values(&[state]).set(saturating(number));
            }
        }
        counts.metrics.gather()
    }

    /// Counts live tokens anew. With a million of them that takes a while, so it is not done when
    /// somebody asks.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub(super) async fn count_live_tokens(&self) -> Result<(), Error> {
        let mut db = self.pool.read().await?;
        for (kind, number) in token::count_by_kind(&mut db, now()).await? {
            let live_tokens = &self.counts.live_tokens;
            live_tokens.with_label_values(&[kind.as_str()]).set(number);
        }
        Ok(())
    }
}

fn saturating(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
