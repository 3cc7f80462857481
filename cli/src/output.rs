//! How answers look: tables for people, the API's own document for programs.

use crate::error::Result;
use comfy_table::{ContentArrangement, Table, presets};
use muster_protocol::money::Currency;
use serde_json::Value;
use std::io::{IsTerminal, Write};

/// Prints a document as the API gave it, one line if nobody looks.
///
/// # Errors
/// If stdout is closed.
pub fn json(document: &Value) -> Result<()> {
    let text = if std::io::stdout().is_terminal() {
        serde_json::to_string_pretty(document)?
    } else {
        serde_json::to_string(document)?
    };
    line(&text)
}

/// Prints a line; a reader that went away is no failure of ours.
///
/// # Errors
/// Any other failure to write.
pub fn line(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Prints a table, or one sentence if there is nothing in it.
///
/// # Errors
/// If stdout is closed.
pub fn table(head: &[&str], rows: Vec<Vec<String>>, nothing: &str) -> Result<()> {
    if rows.is_empty() {
        eprintln!("{nothing}");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)));
    }
    let text = table.to_string();
    // The table pads its cells on both sides; the first column needs no margin.
    let flush = |line: &str| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned();
    line(&text.lines().map(flush).collect::<Vec<_>>().join("\n"))
}

/// Prints names and values below each other.
///
/// # Errors
/// If stdout is closed.
pub fn facts(rows: &[(&str, String)]) -> Result<()> {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows {
        line(&format!("{name:width$}  {}", clean(value)))?;
    }
    Ok(())
}

/// Text of others without what could steer the terminal.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A field as text: `-` if it is absent or null, nested fields by dots.
#[must_use]
pub fn text(document: &Value, path: &str) -> String {
    let mut value = document;
    for key in path.split('.') {
        value = &value[key];
    }
    show(value)
}

/// A value as text, lists by commas.
#[must_use]
pub fn show(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) if text.is_empty() => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".into(),
        Value::Object(fields) if fields.is_empty() => "-".into(),
        Value::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(","),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name}={}", show(value))).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// Bytes in binary units, `-` if unknown.
#[must_use]
pub fn bytes(value: &Value) -> String {
    let Some(bytes) = value.as_u64() else { return "-".into() };
    let mut units = ["KiB", "MiB", "GiB", "TiB"].into_iter();
    let Some(mut unit) = units.next().filter(|_| bytes >= 1024) else { return format!("{bytes} B") };
    let mut size = bytes as f64 / 1024.0;
    for next in units {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, next);
    }
    if size >= 100.0 || size.fract() < 0.05 { format!("{size:.0} {unit}") } else { format!("{size:.1} {unit}") }
}

/// What something costs, like `2.49 USD`, from the document of a price; none if it has no price.
#[must_use]
pub fn price(currency: &Value, minor: &Value) -> Option<String> {
    let (code, minor) = (currency.as_str()?, minor.as_i64()?);
    // A coordinator that is newer than this command may count in a currency that it does not know.
    let currency: Currency = code.parse().ok()?;
    Some(format!("{} {code}", currency.write(minor)))
}

/// An RFC 3339 time without its fraction, `-` if absent.
#[must_use]
pub fn time(document: &Value, path: &str) -> String {
    let text = text(document, path);
    match (text.split_once('.'), text.ends_with('Z')) {
        (Some((seconds, _)), true) => format!("{seconds}Z"),
        _ => text,
    }
}

/// The items of a list answer.
#[must_use]
pub fn items(document: &Value) -> &[Value] {
    document["items"].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_for_people() {
        let document = json!({"a": {"b": 3}, "n": null, "t": "2026-11-23T09:00:00.123Z", "l": ["x", "y"]});
        assert_eq!(text(&document, "a.b"), "3");
        assert_eq!(text(&document, "n"), "-");
        assert_eq!(text(&document, "missing.deep"), "-");
        assert_eq!(text(&document, "l"), "x,y");
        assert_eq!(time(&document, "t"), "2026-11-23T09:00:00Z");
        assert_eq!(bytes(&json!(80u64 << 30)), "80 GiB");
        assert_eq!(bytes(&json!(1536)), "1.5 KiB");
        assert_eq!(bytes(&json!(12)), "12 B");
        assert_eq!(bytes(&json!(null)), "-");
        assert_eq!(clean("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
    }
}
