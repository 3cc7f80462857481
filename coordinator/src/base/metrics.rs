//! The metrics registry. A room registers its families once and keeps the handles.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How a door answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    door: &'static str,
    method: String,
    status: u16,
}

/// All metrics of this process.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    requests: Family<Answered, Counter>,
    seconds: Histogram,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        // From a quick read to the deadline of a slow body.
        let buckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
        let metrics = Self {
            registry: Arc::new(Mutex::new(Registry::with_prefix("coordinator"))),
            requests: Family::default(),
            seconds: Histogram::new(buckets),
        };
        metrics.register("http_requests", "Requests answered, by door, method and status", metrics.requests.clone());
        metrics.register("http_request_seconds", "Time from the headers to the answer", metrics.seconds.clone());
        metrics
    }
}

impl Metrics {
    /// Registers any metric; names are `<room>_<what>`, without the prefix `coordinator_`.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).register(name, help, metric.clone());
        metric
    }

    /// A counter; `_total` is appended by the encoding.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.register(name, help, Counter::default())
    }

    /// A gauge.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(name, help, Gauge::default())
    }

    /// Counts one answered request. `method` is one of HTTP's own.
    pub(in crate::base) fn answered(
        &self,
        door: &'static str,
        method: &axum::http::Method,
        status: u16,
        took: Duration,
    ) {
        // An invented method must not make a new series.
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let method = known.iter().find(|name| **name == method.as_str()).map_or("other", |name| *name).to_owned();
        self.requests.get_or_create(&Answered { door, method, status }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut out, &self.registry.lock().unwrap_or_else(PoisonError::into_inner));
        out
    }
}
