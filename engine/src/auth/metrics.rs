//! Prometheus metrics of sign-ins, tokens, mails, hashes and connections.

use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::db::Pool;
use crate::error::Error;
use crate::models::token::{self, TokenKind};
use crate::models::{now, outbox};
use crate::web::metrics::Metrics;

/// Counters and gauges. Counting takes nanoseconds, so it is never off.
pub(super) struct AuthMetrics {
    metrics: Metrics,
    logins: IntCounterVec,
    hits: IntCounter,
    misses: IntCounter,
    mails: IntCounterVec,
    waiting_mails: IntGauge,
    live_tokens: IntGaugeVec,
    cached_tokens: IntGauge,
    hashes: IntGaugeVec,
    connections: IntGaugeVec,
}

impl AuthMetrics {
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
        let mails = counters(
            "mails_total",
            "Attempts to send an email, by outcome.",
            &["outcome"],
        )?;
        for outcome in ["sent", "failed", "given_up"] {
            mails.with_label_values(&[outcome]);
        }
        let lookups = counters(
            "token_lookups_total",
            "Lookups of tokens with a valid checksum, by source.",
            &["source"],
        )?;
        Ok(Self {
            logins: counters(
                "logins_total",
                "Logins, by kind of token and outcome.",
                &["kind", "outcome"],
            )?,
            mails,
            waiting_mails: metrics.add(IntGauge::new(
                "waiting_mails",
                "Emails in the outbox, counted once a minute.",
            ))?,
            hits: lookups.with_label_values(&["cache"]),
            misses: lookups.with_label_values(&["database"]),
            live_tokens: gauges("live_tokens", "Live tokens, counted once a minute.", "kind")?,
            cached_tokens: metrics.add(IntGauge::new("cached_tokens", "Tokens in the cache."))?,
            hashes: gauges(
                "password_hashes",
                "Passwords being hashed, passwords waiting to be hashed, and the maximum of both.",
                "state",
            )?,
            connections: gauges(
                "database_connections",
                "Pool connections in use, idle connections, and their maximum.",
                "state",
            )?,
            metrics,
        })
    }

    pub(super) fn login<T>(&self, kind: TokenKind, outcome: &Result<T, Error>) {
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

    /// Counts an attempt to send a mail: `sent`, `failed` (to be retried) or `given_up`.
    pub(super) fn mail(&self, outcome: &str) {
        self.mails.with_label_values(&[outcome]).inc();
    }

    pub(super) fn lookup(&self, is_cached: bool) {
        if is_cached { &self.hits } else { &self.misses }.inc();
    }

    /// Current values of all metrics of this process.
    pub(super) fn gather(
        &self,
        cached: u64,
        hashes: [(&str, u64); 3],
        connections: [(&str, u64); 3],
    ) -> Vec<MetricFamily> {
        self.cached_tokens.set(saturating(cached));
        for (gauges, load) in [(&self.hashes, hashes), (&self.connections, connections)] {
            for (state, number) in load {
                gauges.with_label_values(&[state]).set(saturating(number));
            }
        }
        self.metrics.gather()
    }

    /// Updates the gauge of live tokens. With a million tokens this takes a while, so it is not done per scrape.
    pub(super) async fn count_live_tokens(&self, pool: &Pool) -> Result<(), Error> {
        let mut db = pool.read().await?;
        for (kind, number) in token::count_by_kind(&mut db, now()).await? {
            (self.live_tokens)
                .with_label_values(&[kind.as_str()])
                .set(number);
        }
        Ok(())
    }
}

impl AuthMetrics {
    pub(super) async fn count_mails(&self, pool: &Pool) -> Result<(), Error> {
        let mut db = pool.read().await?;
        self.waiting_mails.set(outbox::count(&mut db).await?);
        Ok(())
    }
}

fn saturating(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
