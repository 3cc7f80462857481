//! The file of a backup: lines of JSON, so that it can be looked at with the tools that are at hand.
//!
//! ```text
//! {"muster_backup":1,"fleet_id":"f…","made_ms":…,"schema":[[1,"sha256"]]}
//! {"columns":["name","value"],"table":"settings"}
//! ["fleet_id","f…"]                       null, numbers, texts, and bytes as {"b":"base64"}
//! {"bytes":"base64","key":"ca.key","private":true}
//! {"rows":123,"sha256":"…"}               of every byte before this line
//! ```

use super::Values;
use crate::base::store::Value;
use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The number of this format.
pub(super) const FORMAT: u32 = 1;
/// The longest line that is read, bytes: far above the largest row.
const LINE_MAX: u64 = 64 << 20;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// [`FORMAT`].
    pub(super) muster_backup: u32,
    /// Whose.
    pub(super) fleet_id: String,
    /// When, ms since 1970.
    pub(super) made_ms: i64,
    /// The schema that its rows fit.
    pub(super) schema: Vec<(i64, String)>,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
struct Tail {
    rows: u64,
    sha256: String,
}

/// Any other line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The rows of this table follow.
    Table { name: String, columns: Vec<String> },
    /// One row.
    Row(Values),
    /// A file of the folder of keys.
    Key { name: String, private: bool, bytes: Vec<u8> },
}

/// Writes a file that gets its name when it is whole.
#[derive(Debug)]
pub(super) struct Writer {
    out: BufWriter<File>,
    hash: Sha256,
    unfinished: PathBuf,
    to: PathBuf,
}

impl Writer {
    /// Begins a new file, for its owner alone.
    pub(super) fn create(to: &Path) -> anyhow::Result<Self> {
        if to.try_exists().unwrap_or(true) {
            bail!("{} exists already: a backup never overwrites one", to.display());
        }
        let mut name = to.as_os_str().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let unfinished = PathBuf::from(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
        let file = file.with_context(|| format!("cannot write {}", unfinished.display()))?;
        Ok(Self { out: BufWriter::new(file), hash: Sha256::new(), unfinished, to: to.to_owned() })
    }

    fn line(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.hash.update(&text);
        self.out.write_all(&text).with_context(|| format!("cannot write {}", self.unfinished.display()))
    }

    pub(super) fn head(&mut self, head: &Head) -> anyhow::Result<()> {
        self.line(head)
    }

    pub(super) fn table(&mut self, name: &str, columns: &[&str]) -> anyhow::Result<()> {
        self.line(&json!({ "table": name, "columns": columns }))
    }

    pub(super) fn row(&mut self, values: &[Value]) -> anyhow::Result<()> {
        let cell = |value: &Value| match value {
            Value::Null => Json::Null,
            Value::Int(number) => Json::from(*number),
            Value::Text(text) => Json::from(text.as_str()),
            Value::Bytes(bytes) => json!({ "b": STANDARD.encode(bytes) }),
        };
        self.line(&values.iter().map(cell).collect::<Vec<_>>())
    }

    pub(super) fn key(&mut self, name: &str, private: bool, bytes: &[u8]) -> anyhow::Result<()> {
        self.line(&json!({ "key": name, "private": private, "bytes": STANDARD.encode(bytes) }))
    }

    /// Writes the last line and gives the file its name, on the disk.
    pub(super) fn finish(mut self, rows: u64) -> anyhow::Result<()> {
        let sha256 = hex::encode(self.hash.clone().finalize());
        self.line(&Tail { rows, sha256 })?;
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        fs::rename(&self.unfinished, &self.to)?;
        let folder = self.to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(())
    }
}

impl Drop for Writer {
    /// Half a backup is none.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.unfinished);
    }
}

/// Reads the lines between the first and the last.
#[derive(Debug)]
pub(super) struct Reader {
    lines: BufReader<File>,
    path: PathBuf,
}

fn next(lines: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    std::io::Read::take(lines, LINE_MAX).read_until(b'\n', &mut line)?;
    Ok(line)
}

impl Reader {
    /// Opens a file that [`check`] found whole.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut lines = BufReader::new(file);
        next(&mut lines)?;
        Ok(Self { lines, path: path.to_owned() })
    }
}

impl Iterator for Reader {
    type Item = anyhow::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = match next(&mut self.lines) {
            Ok(text) => text,
            Err(error) => return Some(Err(error.into())),
        };
        if text.is_empty() || is_tail(&text) {
            return None;
        }
        Some(parse(&text).with_context(|| format!("{} has a line that makes no sense", self.path.display())))
    }
}

/// Whether it is the last line. A row is a list, which serde would take for a [`Tail`], too.
fn is_tail(text: &[u8]) -> bool {
    text.starts_with(b"{\"rows\"")
}

fn parse(text: &[u8]) -> anyhow::Result<Line> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Any {
        Row(Vec<Json>),
        Table { table: String, columns: Vec<String> },
        Key { key: String, private: bool, bytes: String },
    }
    Ok(match serde_json::from_slice(text)? {
        Any::Table { table, columns } => Line::Table { name: table, columns },
        Any::Row(cells) => Line::Row(cells.into_iter().map(value).collect::<anyhow::Result<_>>()?),
        Any::Key { key, private, bytes } => {
            if key.is_empty() || key.starts_with('.') || key.contains('/') {
                bail!("a key file with the name {key:?}");
            }
            Line::Key { name: key, private, bytes: STANDARD.decode(bytes)? }
        }
    })
}

fn value(cell: Json) -> anyhow::Result<Value> {
    Ok(match cell {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(text),
        Json::Number(number) => Value::Int(number.as_i64().context("a number that is no 64-bit integer")?),
        Json::Object(bytes) => {
            let text = bytes.get("b").and_then(Json::as_str).context("an object that is no bytes")?;
            Value::Bytes(STANDARD.decode(text)?)
        }
        Json::Bool(_) | Json::Array(_) => bail!("a value of no known kind"),
    })
}

/// Reads a whole file, and gives its head when nothing is missing or changed.
///
/// # Errors
/// One sentence about what is wrong with it.
pub(super) fn check(path: &Path) -> anyhow::Result<Head> {
    let damaged = || format!("{} is damaged or cut off: take another backup", path.display());
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut lines = BufReader::new(file);
    let mut hash = Sha256::new();
    let first = next(&mut lines)?;
    let no_backup = || format!("{} is no backup of Muster, or one of a newer version", path.display());
    let head: Head = serde_json::from_slice(&first).ok().with_context(no_backup)?;
    if head.muster_backup != FORMAT {
        bail!(no_backup());
    }
    hash.update(&first);
    let mut rows = 0;
    loop {
        let text = next(&mut lines)?;
        if text.is_empty() {
            bail!(damaged());
        }
        if is_tail(&text) {
            let tail: Tail = serde_json::from_slice(&text).with_context(damaged)?;
            let same = tail.rows == rows && tail.sha256 == hex::encode(hash.finalize());
            if !same || !text.ends_with(b"\n") || !next(&mut lines)?.is_empty() {
                bail!(damaged());
            }
            return Ok(head);
        }
        rows += u64::from(matches!(parse(&text).with_context(damaged)?, Line::Row(_)));
        hash.update(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            any::<String>().prop_map(Value::Text),
            any::<Vec<u8>>().prop_map(Value::Bytes),
        ]
    }

    fn write(path: &Path, rows: &[Values]) -> Head {
        let head = Head { muster_backup: FORMAT, fleet_id: "f1".into(), made_ms: 7, schema: vec![(1, "x".into())] };
        let mut writer = Writer::create(path).unwrap();
        writer.head(&head).unwrap();
        writer.table("t", &["a", "b"]).unwrap();
        rows.iter().for_each(|row| writer.row(row).unwrap());
        writer.key("ca.key", true, &[0, 255]).unwrap();
        writer.finish(rows.len() as u64).unwrap();
        head
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(rows in proptest::collection::vec(proptest::collection::vec(any_value(), 0..5), 0..20)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("b");
            let head = write(&path, &rows);
            prop_assert_eq!(check(&path).unwrap(), head);
            let read: Vec<Line> = Reader::open(&path).unwrap().collect::<Result<_, _>>().unwrap();
            let mut wanted = vec![Line::Table { name: "t".into(), columns: vec!["a".into(), "b".into()] }];
            wanted.extend(rows.into_iter().map(Line::Row));
            wanted.push(Line::Key { name: "ca.key".into(), private: true, bytes: vec![0, 255] });
            prop_assert_eq!(read, wanted);
        }

        #[test]
        fn a_changed_or_cut_file_is_refused(at in any::<proptest::sample::Index>(), cut: bool) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("b");
            write(&path, &[vec![Value::Int(1), Value::Text("x".into())], vec![Value::Null, Value::Bytes(vec![1, 2])]]);
            let mut bytes = fs::read(&path).unwrap();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] ^= 1 }
            fs::write(&path, bytes).unwrap();
            prop_assert!(check(&path).is_err());
        }
    }

    #[test]
    fn a_backup_is_its_owners_and_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b");
        write(&path, &[]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Writer::create(&path).unwrap_err().to_string().contains("exists"));
        drop(Writer::create(&folder.path().join("c")).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "half a backup is none");
    }
}
