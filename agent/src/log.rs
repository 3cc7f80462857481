//! Logging to stderr: text for people, JSON lines with `MUSTER_LOG_FORMAT=json`; `MUSTER_LOG` is the filter.
//! The last lines are kept for `collect_logs`.

use std::{
    collections::VecDeque,
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Lines kept.
const KEPT_LINES: usize = 1000;
/// Longest line kept, in bytes.
const KEPT_LINE: usize = 1024;

static KEPT: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Starts logging. `default` is the filter when `MUSTER_LOG` is unset or makes no sense.
pub fn start(default: &str) {
    let filter = std::env::var("MUSTER_LOG")
        .ok()
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    // A line that stderr does not take, for its disk is full say, is lost; complaining about it there would panic.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Both)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false);
    // A second call, in a test say, keeps the first.
    let _ = if std::env::var("MUSTER_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
}

/// The last lines, oldest first.
#[must_use]
pub fn recent(lines: usize) -> Vec<String> {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.iter().skip(kept.len().saturating_sub(lines)).cloned().collect()
}

fn keep(line: &[u8]) {
    let text = String::from_utf8_lossy(&line[..line.len().min(KEPT_LINE)]).trim_end().to_owned();
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= KEPT_LINES {
        kept.pop_front();
    }
    kept.push_back(text);
}

/// Writes each line to stderr and keeps it.
#[derive(Debug, Clone, Copy)]
struct Both;

impl Write for Both {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        keep(line);
        io::stderr().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for Both {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        for n in 0..KEPT_LINES + 5 {
            keep(format!("line {n}\n").as_bytes());
        }
        let lines = recent(usize::MAX);
        assert_eq!(lines.len(), KEPT_LINES);
        assert_eq!(recent(1), [format!("line {}", KEPT_LINES + 4)]);
    }
}
