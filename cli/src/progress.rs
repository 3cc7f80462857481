//! Waiting for an operation, with its steps as they happen.

use crate::{
    api::Client,
    error::{Error, Result},
    output::{clean, text},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    io::IsTerminal,
    time::{Duration, Instant},
};

/// Pause between two looks: short while things are likely to happen, longer the longer it takes.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// How long a coordinator may be away before waiting ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shows the steps of an operation on stderr until it ends, and returns its last document.
///
/// # Errors
/// What the API refuses, or a coordinator that stays away for a minute.
pub async fn follow(client: &mut Client, operation: &str) -> Result<Value> {
    let path = format!("/api/v1/operations/{operation}");
    let mut shown = Shown::new();
    let (mut pause, mut seen) = (PAUSE.0, Instant::now());
    loop {
        match client.get(&path).await {
            Ok(document) => {
                seen = Instant::now();
                shown.update(&document);
                if ended(&document) {
                    shown.finish();
                    return Ok(document);
                }
            }
            Err(error) if error.exit_code() == crate::error::exit::SERVER && seen.elapsed() < PATIENCE => {
                client.disconnect();
                shown.note("waiting for the coordinator");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = pause.mul_f64(1.2).min(PAUSE.1);
    }
}

/// Whether an operation is over.
#[must_use]
pub fn ended(document: &Value) -> bool {
    matches!(document["state"].as_str(), Some("succeeded" | "failed" | "cancelled"))
}

/// The failure of an operation that did not succeed.
///
/// # Errors
/// [`Error::Failed`] unless it succeeded.
pub fn outcome(document: &Value) -> Result<()> {
    if document["state"] == "succeeded" {
        return Ok(());
    }
    let reason = ["failure_reason", "failure", "error", "reason"]
        .iter()
        .map(|name| &document[*name])
        .find(|value| !value.is_null());
    let reason = reason.map_or_else(String::new, |value| match (value["code"].as_str(), value["detail"].as_str()) {
        (Some(code), Some(detail)) => format!(": {detail} ({code})"),
        (Some(code), None) => format!(": {code}"),
        _ => format!(": {}", crate::output::show(value)),
    });
    let failed = format!("{} {} {}{reason}", text(document, "kind"), text(document, "id"), text(document, "state"));
    Err(Error::Failed(failed))
}

struct Shown {
    bar: Option<ProgressBar>,
    said: BTreeSet<(usize, String)>,
}

impl Shown {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, said: BTreeSet::new() }
    }

    fn update(&mut self, document: &Value) {
        let steps = document["steps"].as_array().map_or(&[][..], Vec::as_slice);
        for (index, step) in steps.iter().enumerate() {
            let (name, state) = (clean(&text(step, "name")), text(step, "state"));
            match state.as_str() {
                "active" => {
                    if let Some(bar) = &self.bar {
                        bar.set_message(name.clone());
                    }
                }
                "completed" => self.say(index, format!("done    {name}")),
                "failed" => self.say(index, format!("failed  {name}: {}", clean(&text(step, "detail")))),
                "skipped" => self.say(index, format!("skipped {name}")),
                _ => {}
            }
        }
    }

    fn say(&mut self, index: usize, text: String) {
        if self.said.insert((index, text.clone())) {
            match &self.bar {
                Some(bar) => bar.println(text),
                None => eprintln!("{text}"),
            }
        }
    }

    fn note(&self, text: &'static str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text);
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn failures_name_their_reason() {
        assert!(outcome(&json!({"state": "succeeded"})).is_ok());
        let failed = json!({"id": "op_1", "kind": "launch", "state": "failed", "failure_reason": {"code": "cell_ended", "detail": "PID 1 ended"}});
        assert_eq!(outcome(&failed).unwrap_err().to_string(), "launch op_1 failed: PID 1 ended (cell_ended)");
    }
}
