//! What holds around an allocation, in one line for people.

use crate::output::text;
use serde_json::Value;

/// Words of `not_enforced` that are no limit but something that is not there.
const MISSING: [(&str, &str); 2] = [("ssh", "no SSH"), ("network_out", "no network but the allocation's own loopback")];
/// The limits, as people call them.
const LIMITS: [(&str, &str); 2] = [("cpu", "CPU"), ("pids", "processes")];

/// Level of isolation of a node or an allocation, with everything that does not hold there; `-` if it is unknown.
#[must_use]
pub fn said(of: &Value) -> String {
    let level = text(of, "isolation");
    if level == "none" {
        return "none: NO WALLS, what runs there is an ordinary process of the agent's user; for development only"
            .into();
    }
    let words: Vec<&str> = of["not_enforced"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let known = |table: &[(&str, &'static str)], word: &str| {
        table.iter().find(|(name, _)| *name == word).map(|(_, shown)| *shown)
    };
    let (missing, limits): (Vec<&str>, Vec<&str>) = words.into_iter().partition(|word| known(&MISSING, word).is_some());
    let mut parts = Vec::new();
    if !limits.is_empty() {
        let limits: Vec<&str> = limits.iter().map(|word| known(&LIMITS, word).unwrap_or(word)).collect();
        parts.push(format!("not enforced: {}", limits.join(", ")));
    }
    parts.extend(missing.iter().filter_map(|word| known(&MISSING, word)).map(str::to_owned));
    if parts.is_empty() { level } else { format!("{level}, {}", parts.join("; ")) }
}

/// The same where people have to be told of it: something does not hold.
#[must_use]
pub fn weak(of: &Value) -> Option<String> {
    let whole = of["isolation"] != "none" && of["not_enforced"].as_array().is_none_or(Vec::is_empty);
    (!whole).then(|| said(of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_hold_is_said_in_words() {
        let node = |level: &str, words: &[&str]| json!({"isolation": level, "not_enforced": words});
        assert_eq!(said(&node("cell", &[])), "cell");
        assert_eq!(weak(&node("cell", &[])), None);
        assert_eq!(said(&json!({"isolation": null})), "-");
        let weaker = node("userns", &["cpu", "memory", "pids", "disk", "network_out"]);
        let words = "userns, not enforced: CPU, memory, processes, disk; no network but the allocation's own loopback";
        assert_eq!((said(&weaker).as_str(), weak(&weaker).as_deref()), (words, Some(words)));
        assert_eq!(said(&node("cell", &["ssh"])), "cell, no SSH");
        assert!(weak(&node("none", &[])).is_some_and(|words| words.contains("NO WALLS")));
    }
}
