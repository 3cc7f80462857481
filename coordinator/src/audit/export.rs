//! Events as files: CSV for people with a spreadsheet, JSON lines for programs. Pure.

use super::model::Entry;
use crate::base::clock::rfc3339;
use serde::Deserialize;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// RFC 4180, with a head line.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/x-ndjson",
        }
    }
}

/// The head line of a CSV.
pub(super) const HEAD: &str = "id,at,actor_kind,actor_id,actor_name,action,target,tenant_id,project_id,outcome,\
                               reason,correlation_id,source_ip,before,after,seq,hash\r\n";

/// A cell: quoted where it must be. What a spreadsheet would take for a formula gets an apostrophe before it.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// An event as one line of a CSV.
pub(super) fn csv(entry: &Entry) -> String {
    let may = |text: &Option<String>| text.clone().unwrap_or_default();
    let cells = [
        entry.id.clone(),
        rfc3339(entry.at_ms),
        entry.actor_kind.clone(),
        entry.actor_id.clone(),
        entry.actor_name.clone(),
        entry.action.clone(),
        entry.target.clone(),
        may(&entry.tenant_id),
        may(&entry.project_id),
        entry.outcome.clone(),
        may(&entry.reason),
        entry.correlation_id.clone(),
        may(&entry.source_ip),
        may(&entry.before_json),
        may(&entry.after_json),
        entry.seq.map(|seq| seq.to_string()).unwrap_or_default(),
        entry.hash.map(hex::encode).unwrap_or_default(),
    ];
    cells.map(|text| cell(&text)).join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_one_cell_and_is_no_formula() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"hi\"\n"), "\"say \"\"hi\"\"\n\"");
        assert_eq!(cell("=1+1"), "'=1+1");
    }
}
