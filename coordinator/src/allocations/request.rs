//! What a launch may ask for: the body, checked as far as it can be without the database. Pure.

use crate::base::http::FieldError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Most allocations of one launch.
pub(super) const COUNT_MAX: u32 = 64;
/// Longest name; it becomes a host name.
const NAME_MAX: usize = 63;
/// Most bytes of environment, names and values together.
const ENV_BYTES: usize = 32 << 10;
/// Most bytes of a command, all arguments together.
const COMMAND_BYTES: usize = 32 << 10;
/// Most arguments of a command.
const COMMAND_WORDS: usize = 1024;
/// Most labels.
const LABELS: usize = 32;
/// Longest run of a command: a year.
const RUNTIME_MAX_S: u64 = 366 * 24 * 3600;

/// A launch.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub(super) struct LaunchRequest {
    /// Id or name of a SKU.
    pub sku: String,
    /// How many allocations; 1 when left out. All of them or none.
    pub count: Option<u32>,
    /// Letters, digits and dashes; the host name inside. With `count` a number is added.
    pub name: Option<String>,
    /// The tenant's default project when left out.
    pub project_id: Option<String>,
    /// All own keys when left out; `[]`: no SSH.
    pub ssh_key_ids: Option<Vec<String>>,
    /// Batch command, run once when the cell is up.
    pub command: Option<Vec<String>>,
    /// Environment of every session.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Ends the command after so many seconds.
    pub max_runtime_s: Option<u64>,
    /// Released by itself when the command has ended.
    #[serde(default)]
    pub release_on_exit: bool,
    /// For people.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Id or name of an OS image; `host` when left out.
    pub image: Option<String>,
}

fn wrong(field: &str, code: &str, detail: &str) -> FieldError {
    FieldError { field: field.to_owned(), code: code.to_owned(), detail: detail.to_owned() }
}

fn env_name_ok(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl LaunchRequest {
    /// How many allocations.
    #[must_use]
    pub(super) fn count(&self) -> u32 {
        self.count.unwrap_or(1)
    }

    /// What is wrong with it; empty if nothing is.
    #[must_use]
    pub(super) fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.sku.is_empty() {
            errors.push(wrong("sku", "required", "Say which SKU."));
        }
        if !(1..=COUNT_MAX).contains(&self.count()) {
            errors.push(wrong("count", "out_of_range", "count must be 1 to 64."));
        }
        if self.name.as_ref().is_some_and(|name| !name_ok(name)) {
            let detail = "A name has 1 to 63 letters, digits and dashes, and neither begins nor ends with a dash.";
            errors.push(wrong("name", "invalid", detail));
        }
        if let Some(command) = &self.command {
            let bytes: usize = command.iter().map(String::len).sum();
            let empty = command.first().is_none_or(String::is_empty);
            if empty
                || command.len() > COMMAND_WORDS
                || bytes > COMMAND_BYTES
                || command.iter().any(|word| word.contains('\0'))
            {
                let detail = "A command is a program and its arguments, at most 1024 words of together 32 KiB.";
                errors.push(wrong("command", "invalid", detail));
            }
        } else {
            for (given, field) in
                [(self.release_on_exit, "release_on_exit"), (self.max_runtime_s.is_some(), "max_runtime_s")]
            {
                if given {
                    errors.push(wrong(field, "needs_command", &format!("{field} needs a command.")));
                }
            }
        }
        if self.max_runtime_s.is_some_and(|seconds| !(1..=RUNTIME_MAX_S).contains(&seconds)) {
            errors.push(wrong("max_runtime_s", "out_of_range", "max_runtime_s must be 1 to 31622400."));
        }
        let env_bytes: usize = self.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        if env_bytes > ENV_BYTES || self.env.iter().any(|(name, value)| !env_name_ok(name) || value.contains('\0')) {
            errors.push(wrong("env", "invalid", "Names are letters, digits and underscores; all together 32 KiB."));
        }
        errors.extend(labels_wrong(&self.labels));
        errors
    }

    /// The name of one of its allocations; `fallback` when none was given.
    #[must_use]
    pub(super) fn name_of(&self, index: u32, fallback: &str) -> String {
        match &self.name {
            Some(name) if self.count() == 1 => name.clone(),
            Some(name) => {
                let tail = format!("-{}", index + 1);
                format!("{}{tail}", &name[..name.len().min(NAME_MAX - tail.len())])
            }
            None => fallback.to_owned(),
        }
    }
}

/// What is wrong with labels, if anything is. A name without `=` can be told from its value.
pub(super) fn labels_wrong(labels: &BTreeMap<String, String>) -> Option<FieldError> {
    let ok = |text: &str| text.len() <= 128 && !text.contains(char::is_control);
    let bad = labels.iter().any(|(name, value)| name.is_empty() || name.contains('=') || !ok(name) || !ok(value));
    let detail = "At most 32 labels; names without `=`, names and values of at most 128 characters.";
    (bad || labels.len() > LABELS).then(|| wrong("labels", "invalid", detail))
}

/// A host name of one part.
fn name_ok(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(body: serde_json::Value) -> Vec<String> {
        let request: LaunchRequest = serde_json::from_value(body).expect("shape");
        request.check().into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn each_fault_has_its_field() {
        assert!(fields(serde_json::json!({"sku": "a"})).is_empty());
        let cases = [
            (serde_json::json!({"sku": ""}), "sku"),
            (serde_json::json!({"sku": "a", "count": 0}), "count"),
            (serde_json::json!({"sku": "a", "count": 65}), "count"),
            (serde_json::json!({"sku": "a", "name": "a_b"}), "name"),
            (serde_json::json!({"sku": "a", "name": "-a"}), "name"),
            (serde_json::json!({"sku": "a", "command": []}), "command"),
            (serde_json::json!({"sku": "a", "command": ["a\u{0}"]}), "command"),
            (serde_json::json!({"sku": "a", "release_on_exit": true}), "release_on_exit"),
            (serde_json::json!({"sku": "a", "max_runtime_s": 5}), "max_runtime_s"),
            (serde_json::json!({"sku": "a", "command": ["a"], "max_runtime_s": 0}), "max_runtime_s"),
            (serde_json::json!({"sku": "a", "env": {"1A": "x"}}), "env"),
            (serde_json::json!({"sku": "a", "labels": {"": "x"}}), "labels"),
            (serde_json::json!({"sku": "a", "labels": {"a=b": "x"}}), "labels"),
        ];
        for (body, field) in cases {
            assert_eq!(fields(body.clone()), vec![field.to_owned()], "{body}");
        }
    }

    proptest! {
        #[test]
        fn names_of_many_are_host_names(name in "[a-z][a-z0-9-]{0,61}[a-z0-9]", count in 2u32..65, index in 0u32..64) {
            let request = LaunchRequest { name: Some(name), count: Some(count), ..LaunchRequest::default() };
            prop_assert!(name_ok(&request.name_of(index % count, "x")));
        }
    }
}
