//! `probe`: what a person would look at first, each look with its verdict.

use super::{Bench, counted, result};
use crate::{host, journal::KeptResult};
use serde::Serialize;
use serde_json::json;
use std::{io::Write, path::Path};

/// Less free space than this where homes lie is a warning, bytes.
const DISK_LOW: u64 = 5 << 30;
/// A wall clock further off than this is a warning, ms.
const SKEW_WARNS_MS: i64 = 5_000;

/// One look.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    /// `pass`, `warn` or `fail`.
    state: &'static str,
    detail: String,
}

fn check(name: &'static str, state: &'static str, detail: impl Into<String>) -> Check {
    Check { name, state, detail: detail.into() }
}

pub(super) async fn run(bench: &Bench, step: &impl Fn(&str)) -> KeptResult {
    let mut checks = vec![check("agent", "pass", format!("version {}", bench.host.agent_version))];
    step("gpu");
    let gpus = bench.tools.gpus.clone();
    // A driver that hangs is waited for as long as its lanes do; the inventory then says so.
    if let Err(error) = bench.tools.aside.run("probe-gpus", move || gpus.refresh()).await {
        checks.push(check("gpu_refresh", "fail", error.to_string()));
    }
    let gpus = bench.tools.gpus.inventory();
    let state = match gpus.gpu_state.as_str() {
        "ok" | "none" => "pass",
        "driver_missing" | "degraded" => "warn",
        _ => "fail",
    };
    let found = format!("{}: {} {}", gpus.gpu_state, counted(gpus.gpus.len(), "GPU"), gpus.gpu_detail);
    checks.push(check("gpu", state, found.trim_end()));
    for gpu in gpus.gpus.iter().filter(|gpu| !gpu.error.is_empty()) {
        checks.push(check("gpu", "fail", format!("{}: {}", gpu.uuid, gpu.error)));
    }
    step("disk");
    let state_dir = bench.state_dir.clone();
    let written = bench.tools.aside.run("probe-disk", move || write_and_sync(&state_dir)).await;
    checks.push(match written.and_then(|written| written) {
        Ok(()) => check("disk_write", "pass", "a file can be written and synced"),
        Err(error) => check("disk_write", "fail", error.to_string()),
    });
    let disk = host::disk(&bench.state_dir);
    checks.push(match disk {
        Some(disk) if disk.free >= DISK_LOW => check("disk_free", "pass", format!("{} MiB free", disk.free >> 20)),
        Some(disk) => check("disk_free", "warn", format!("only {} MiB free", disk.free >> 20)),
        None => check("disk_free", "fail", "the file system of the homes does not say"),
    });
    step("clock");
    let skew_ms = bench.tools.clock.wall_ms() - bench.tools.clock.trusted_ms();
    let state = if skew_ms.abs() > SKEW_WARNS_MS { "warn" } else { "pass" };
    checks.push(check("clock", state, format!("{skew_ms} ms off the coordinator's")));
    step("isolation");
    checks.push(check(
        "isolation",
        if bench.level == crate::root::Level::None { "warn" } else { "pass" },
        bench.level.word(),
    ));
    let state = if bench.not_enforced.is_empty() { "pass" } else { "warn" };
    checks.push(check("cgroup", state, not_enforced(&bench.not_enforced)));
    step("cells");
    let cells = bench.tools.root.cells().await;
    let standing = cells.as_ref().map_or(0, Vec::len);
    checks.push(match cells {
        Ok(_) => check("cells", "pass", format!("the root half answers; {standing} cells")),
        Err(error) => check("cells", "fail", error.to_string()),
    });
    let failed: Vec<_> = checks.iter().filter(|check| check.state == "fail").map(|check| check.name).collect();
    let (code, detail) = if failed.is_empty() {
        ("ok", format!("{} checks, none failed", checks.len()))
    } else {
        ("failed", format!("failed: {}", failed.join(", ")))
    };
    let result_json = json!({
        "agent_version": bench.host.agent_version,
        "gpu_state": gpus.gpu_state,
        "gpu_count": gpus.gpus.len(),
        "driver_version": gpus.driver_version,
        "clock_skew_ms": skew_ms,
        "disk_free_bytes": disk.map(|disk| disk.free),
        "isolation": bench.level.word(),
        "not_enforced": bench.not_enforced,
        "cells": standing,
        "checks": checks,
    })
    .to_string();
    KeptResult { result_json, ..result(code, detail) }
}

fn not_enforced(words: &[String]) -> String {
    if words.is_empty() { "every limit is enforced".to_owned() } else { format!("not enforced: {}", words.join(", ")) }
}

fn write_and_sync(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(".probe");
    let mut file = std::fs::File::create(&path)?;
    file.write_all(&[0x5a; 4096])?;
    file.sync_all()?;
    std::fs::remove_file(path)
}
