//! Logging to stderr: text for people, JSON lines with `MUSTER_LOG_FORMAT=json`; `MUSTER_LOG` is the filter.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging. `default` is the filter when `MUSTER_LOG` is unset or makes no sense.
pub fn start(default: &str) {
    let filter = std::env::var("MUSTER_LOG")
        .ok()
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second call, in a test say, keeps the first.
    let _ = if std::env::var("MUSTER_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
}
