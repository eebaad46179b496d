//! Prometheus metrics: how they are made and written, and those of HTTP itself.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};
use rocket::Request;
use rocket::http::Status;

use super::methods::pattern_of;
use crate::error::Error;

/// What the name of every metric begins with.
const PREFIX: &str = env!("CARGO_CRATE_NAME");
/// Bounds of a request's duration in seconds: what the cache answers takes a tenth of a millisecond, a
/// list some ten, a login waits for its hash.
const SECONDS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// Metrics that are told of together.
pub struct Metrics(Registry);

impl Metrics {
    /// None so far.
    ///
    /// # Errors
    /// [`Error::Internal`]: the prefix is no name that Prometheus takes.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new_custom(Some(PREFIX.into()), None);
        registry.map(Self).map_err(|_| unfit())
    }

    /// Adds one. Its name is given without the prefix.
    ///
    /// # Errors
    /// [`Error::Internal`]: its name or a label's is taken, or none that Prometheus takes.
    pub fn add<M: Collector + Clone + 'static>(
        &self,
        metric: prometheus::Result<M>,
    ) -> Result<M, Error> {
        let metric = metric.map_err(|_| unfit())?;
        let added = self.0.register(Box::new(metric.clone()));
        added.map(|()| metric).map_err(|_| unfit())
    }

    /// All of them as they stand.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.0.gather()
    }
}

fn unfit() -> Error {
    Error::Internal("a metric's name")
}

/// The text that Prometheus reads (its exposition format, version 0.0.4).
///
/// # Errors
/// [`Error::Internal`].
pub fn text(metrics: &[MetricFamily]) -> Result<String, Error> {
    TextEncoder::new()
        .encode_to_string(metrics)
        .map_err(|_| Error::Internal("metrics could not be written"))
}

/// Counts requests. Managed where metrics are wanted; [`super::observe`] tells it of each.
pub struct Requests {
    metrics: Metrics,
    number: IntCounterVec,
    duration: HistogramVec,
}

impl Requests {
    /// None so far.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn new() -> Result<Self, Error> {
        let metrics = Metrics::new()?;
        let number = Opts::new("http_requests_total", "Requests that were answered.");
        let duration = HistogramOpts::new(
            "http_request_duration_seconds",
            "Time from a request's head to the head of its answer.",
        );
        Ok(Self {
            number: metrics.add(IntCounterVec::new(number, &["method", "route", "status"]))?,
            duration: metrics.add(HistogramVec::new(
                duration.buckets(SECONDS.to_vec()),
                &["method", "route"],
            ))?,
            metrics,
        })
    }

    /// Counts a request that was answered. Paths that nobody mounted are one, so that strangers can't
    /// make ever more of them.
    pub fn count(&self, request: &Request<'_>, status: Status, duration: Option<Duration>) {
        let (method, route) = (request.method().as_str(), pattern_of(request));
        let status = status.code.to_string();
        (self.number)
            .with_label_values(&[method, route, &status])
            .inc();
        if let Some(duration) = duration {
            (self.duration)
                .with_label_values(&[method, route])
                .observe(duration.as_secs_f64());
        }
    }

    /// All of them as they stand.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.metrics.gather()
    }
}
