//! The node's own tools that the root half runs: mkfs.ext4, ssh-keygen, ip, nft. Never a shell.

use super::fault::Fault;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PLACES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Where a tool is, if the node has it.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| path.is_file())
}

/// Runs a tool to its end, with `input` as its stdin; its words are in the error.
pub(super) fn run(name: &str, arguments: &[&str], input: &str) -> Result<String, Fault> {
    let path = find(name).ok_or_else(|| Fault::new("tool_missing", name, "not installed"))?;
    let failed = |why: String| Fault::new("failed", format!("{name} {}", arguments.join(" ")), why);
    let mut child = Command::new(path)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that ends before it has read all says why in its words.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let words = String::from_utf8_lossy(&output.stderr);
        Err(failed(format!("{}: {}", output.status, words.trim())))
    }
}
