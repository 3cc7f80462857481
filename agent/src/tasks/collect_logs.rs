//! `collect_logs {lines?}`: the agent's own last log lines.

use super::result;
use crate::{journal::KeptResult, log};
use serde::Deserialize;
use serde_json::json;

/// Lines given if none are asked for.
const LINES_DEFAULT: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Arguments {
    lines: Option<usize>,
}

pub(super) fn run(arguments: &str) -> KeptResult {
    let arguments: Arguments = match serde_json::from_str(if arguments.is_empty() { "{}" } else { arguments }) {
        Ok(arguments) => arguments,
        Err(error) => return result("failed", format!("bad arguments: {error}")),
    };
    let lines = log::recent(arguments.lines.unwrap_or(LINES_DEFAULT));
    KeptResult { result_json: json!({ "lines": lines }).to_string(), ..result("ok", format!("{} lines", lines.len())) }
}
