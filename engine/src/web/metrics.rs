//! Prometheus metrics: registry, text format and the metrics of HTTP.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};
use rocket::Request;
use rocket::http::Status;

use super::fallbacks::route_pattern;
use crate::application::application;
use crate::error::Error;

/// Histogram buckets of a request's duration, in seconds. A cached token takes 0.1 ms, a list about 10 ms, and a login
/// waits for its hash.
const DURATION_BUCKETS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// A registry with the application's name as prefix.
pub(crate) struct Metrics(Registry);

impl Metrics {
    /// # Errors
    /// [`Error::Internal`] if Prometheus does not accept the application's name.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new_custom(Some(application().identifier()), None);
        registry.map(Self).map_err(|_| invalid_metric())
    }

    /// Registers a metric, named without the prefix.
    ///
    /// # Errors
    /// [`Error::Internal`] if the name is in use, or Prometheus does not accept it or a label.
    pub fn add<M: Collector + Clone + 'static>(
        &self,
        metric: prometheus::Result<M>,
    ) -> Result<M, Error> {
        let metric = metric.map_err(|_| invalid_metric())?;
        let added = self.0.register(Box::new(metric.clone()));
        added.map(|()| metric).map_err(|_| invalid_metric())
    }

    pub fn gather(&self) -> Vec<MetricFamily> {
        self.0.gather()
    }
}

fn invalid_metric() -> Error {
    Error::Internal("invalid metric")
}

/// Formats metrics as text (Prometheus exposition format, version 0.0.4).
///
/// # Errors
/// [`Error::Internal`].
pub fn text(metrics: &[MetricFamily]) -> Result<String, Error> {
    TextEncoder::new()
        .encode_to_string(metrics)
        .map_err(|_| Error::Internal("metrics could not be written"))
}

/// Metrics of HTTP requests, as managed state if metrics are enabled. `web::access_log` records each request.
pub struct RequestMetrics {
    metrics: Metrics,
    requests: IntCounterVec,
    duration: HistogramVec,
}

impl RequestMetrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn new() -> Result<Self, Error> {
        let metrics = Metrics::new()?;
        let requests = Opts::new("http_requests_total", "Number of HTTP requests.");
        let duration = HistogramOpts::new(
            "http_request_duration_seconds",
            "Seconds from the headers of a request to the headers of its response.",
        );
        Ok(Self {
            requests: metrics.add(IntCounterVec::new(requests, &["method", "route", "status"]))?,
            duration: metrics.add(HistogramVec::new(
                duration.buckets(DURATION_BUCKETS.to_vec()),
                &["method", "route"],
            ))?,
            metrics,
        })
    }

    /// Records a request. All unknown paths share one label, so that strangers cannot create any number of series.
    pub(crate) fn record(&self, request: &Request<'_>, status: Status, duration: Option<Duration>) {
        let (method, route) = (request.method().as_str(), route_pattern(request));
        let status = status.code.to_string();
        (self.requests)
            .with_label_values(&[method, route, &status])
            .inc();
        if let Some(duration) = duration {
            (self.duration)
                .with_label_values(&[method, route])
                .observe(duration.as_secs_f64());
        }
    }

    /// The current values.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.metrics.gather()
    }
}
