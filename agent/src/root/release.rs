//! Ending a cell, and the proof of what was removed.
//!
//! Every step looks again after it has acted; what is still there is a leftover in the receipt, and the ids
//! of a cell that left something are never given to another.

use super::create::Half;
use super::fault::Fault;
use super::measure::{self, Count, Held, count, listed};
use super::process::{self, pause};
use super::state::{Phase, Record};
use super::words::{ExitRecord, GRACE_MAX_MS, Level, Reply};
use super::{home, state};
use crate::cell::record::ExitRecord as CellExit;
use muster_protocol::cell::{CellEnd, CellWatch};
use muster_protocol::frame::encode;
use muster_protocol::ids::AllocationId;
use muster_protocol::kind::Kind;
use muster_protocol::report::{Receipt, ReceiptStep};
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time beyond the grace for PID 1 to end by itself, before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Time for the kernel to take down what a killed PID 1 leaves.
const TAKE_DOWN: Duration = Duration::from_secs(15);

/// Ends a cell, or says again how it ended.
pub(super) fn end(
    half: &Half,
    allocation: AllocationId,
    reason: &str,
    grace_ms: u32,
    step: &dyn Fn(&str),
) -> Result<Reply, Fault> {
    let _lock = half.places.lock(allocation)?;
    let Some(mut record) = half.places.load(allocation)? else {
        half.places.forget(allocation)?;
        let mut book = Book::default();
        book.done("sessions", "there is no such cell on this node");
        return Ok(Reply::Ended { receipt: Box::new(book.receipt(0)), exit: None });
    };
    if let (Phase::Ended, Some(receipt)) = (record.phase, &record.receipt)
        && receipt.clean
    {
        return Ok(Reply::Ended { receipt: Box::new(receipt.clone()), exit: record.exit });
    }
    record.phase = Phase::Ending;
    half.places.save(&record)?;
    let held = record.alive().then(|| measure::look(&record));
    step("sessions");
    let told = tell(&record, reason, Duration::from_millis(grace_ms.min(GRACE_MAX_MS).into()));
    let receipt = sweep(half, &mut record, held, told, step);
    record.exit = exit_record(&half.places.status(allocation));
    record.phase = Phase::Ended;
    record.receipt = Some(receipt.clone());
    half.places.save(&record)?;
    Ok(Reply::Ended { receipt: Box::new(receipt), exit: record.exit })
}

fn exit_record(status: &Path) -> Option<ExitRecord> {
    let exit = CellExit::read(status)?;
    let main = exit.main;
    Some(ExitRecord {
        exit_code: main.as_ref().map(|main| main.code),
        reason: main.map(|main| main.reason).filter(|why| !why.is_empty()).or(exit.ended).unwrap_or_default(),
    })
}

/// Tells PID 1 why and waits for it to go; the answer says what it did.
fn tell(record: &Record, reason: &str, grace: Duration) -> &'static str {
    let Some(process) = record.alive().then(|| process::pidfd_of(record.pid, record.start_time)).flatten() else {
        return "PID 1 was gone already";
    };
    let told = UnixStream::connect(record.socket()).and_then(|mut socket| {
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(GRACE_MAX_MS);
        let watch = encode(Kind::CellWatch, &CellWatch { level: muster_protocol::level::HIGHEST });
        let end = encode(Kind::CellEnd, &CellEnd { reason: reason.into(), grace_ms });
        socket.set_write_timeout(Some(LAST_WORDS))?;
        socket.write_all(&[watch, end].concat())?;
        Ok(socket)
    });
    match told {
        Ok(_held_open) if process::wait_end(&process, grace + LAST_WORDS) => "sessions were told and closed",
        Ok(_) => "sessions were told; PID 1 did not end in time and was killed",
        Err(_) => "PID 1 did not listen and was killed",
    }
}

/// What has been found and done, line by line.
#[derive(Debug, Default)]
struct Book {
    receipt: Receipt,
}

impl Book {
    fn done(&mut self, name: &str, detail: impl Into<String>) {
        self.receipt.steps.push(ReceiptStep { name: name.into(), detail: detail.into(), clean: true });
    }

    fn left(&mut self, name: &str, what: impl Into<String>) {
        let what = what.into();
        self.receipt.leftovers.push(format!("{name}: {what}"));
        self.receipt.steps.push(ReceiptStep { name: name.into(), detail: what, clean: false });
    }

    fn line(&mut self, name: &str, done: Result<String, String>) {
        match done {
            Ok(detail) => self.done(name, detail),
            Err(what) => self.left(name, what),
        }
    }

    fn receipt(mut self, checked_ms: i64) -> Receipt {
        self.receipt.clean = self.receipt.leftovers.is_empty();
        self.receipt.checked_ms = checked_ms;
        self.receipt
    }
}

/// Takes down everything that a record names, whatever of it is there.
pub(super) fn sweep(half: &Half, record: &mut Record, held: Option<Held>, told: &str, step: &dyn Fn(&str)) -> Receipt {
    let mut book = Book::default();
    let seen = held.is_some();
    let mut held = held.unwrap_or_default();
    book.done("sessions", told);
    step("processes");
    book.line("processes", processes(record, &held));
    book.receipt.processes_killed = held.processes.len() as u64;
    step("devices");
    devices(record, &mut book);
    files(half, record, &mut held, seen, &mut book, step);
    book.receipt.ipc_removed = held.ipc.len() as u64;
    let ipc = if held.ipc.is_empty() { "none".into() } else { listed(&held.ipc, held.ipc.len() as u64) };
    book.done("ipc", if seen { ipc } else { "gone with the cell's namespace, not counted".into() });
    step("mounts");
    mounts(record, &held, seen, &mut book);
    step("network");
    book.line("network", network(half, record));
    step("cgroup");
    book.line("cgroup", record.cgroup.remove(TAKE_DOWN).map(|()| "removed".into()));
    record.cgroup.remove_empty_parents();
    if let Err(error) = fs::remove_dir_all(&record.run_dir)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        book.left("mounts", format!("{}: {error}", record.run_dir.display()));
    }
    if let Some(node) = record.run_dir.parent() {
        // Refused as long as the node has other cells.
        let _ = fs::remove_dir(node);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let receipt = book.receipt(i64::try_from(now).unwrap_or(i64::MAX));
    if receipt.clean {
        half.claims.sweep(|allocation| allocation == record.allocation);
    }
    receipt
}

fn processes(record: &Record, held: &Held) -> Result<String, String> {
    let end = Instant::now() + TAKE_DOWN;
    if record.alive()
        && let Some(first) = process::pidfd_of(record.pid, record.start_time)
    {
        process::kill_fd(&first);
        process::wait_end(&first, TAKE_DOWN);
    }
    loop {
        // The kernel ends a PID namespace with its PID 1; these are those that never were in it.
        let left = measure::members(record);
        left.iter().for_each(|(pid, _)| process::kill(*pid));
        if left.is_empty() && !record.alive() {
            let count = held.processes.len();
            return Ok(if count == 0 {
                "none beside PID 1".into()
            } else {
                format!("{count} ended: {}", listed(&held.processes, count as u64))
            });
        }
        if Instant::now() >= end {
            let names: Vec<String> = left.iter().map(|(pid, name)| format!("{pid} {name}")).collect();
            return Err(format!("still there: {}", listed(&names, names.len() as u64)));
        }
        pause(Duration::from_millis(5));
    }
}

/// Open handles on leased devices. Those of the node's own services (the agent's NVML among them) are named,
/// but only processes of the cell make a leftover, and of those `processes` has left none.
fn devices(record: &Record, book: &mut Book) {
    let leased: Vec<&Path> = record.devices.iter().filter(|d| d.exclusive).map(|d| d.source.as_path()).collect();
    if leased.is_empty() {
        book.done("devices", "none leased");
        return;
    }
    let members = measure::members(record);
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let holds = fs::read_dir(entry.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|path| leased.contains(&path.as_path())));
        if holds {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            let found = if members.iter().any(|(member, _)| *member == pid) { &mut ours } else { &mut others };
            found.push(format!("{pid} {}", name.trim_end()));
        }
    }
    if !ours.is_empty() {
        book.left("devices", format!("open in {}", listed(&ours, ours.len() as u64)));
    } else if others.is_empty() {
        book.done("devices", format!("{} leased, none open", leased.len()));
    } else {
        let names = listed(&others, others.len() as u64);
        book.done("devices", format!("{} leased, none open in the cell; open on the node in {names}", leased.len()));
    }
}

/// Home, /tmp and /dev/shm: counted through descriptors that were opened before the end, then removed.
fn files(half: &Half, record: &Record, held: &mut Held, seen: bool, book: &mut Book, step: &dyn Fn(&str)) {
    step("home");
    if !seen {
        find_dead_home(half, record, held);
    }
    for (name, dir) in [("home", held.home.take()), ("tmp", held.tmp.take()), ("shm", held.shm.take())] {
        let Some(dir) = dir else {
            book.done(name, "gone with the cell, not counted");
            continue;
        };
        let Count { files, bytes, .. } = count(&dir);
        book.receipt.files_removed += files;
        book.receipt.bytes_removed += bytes;
        let words = count(&dir).words();
        book.done(name, words);
    }
    if let Err(what) = remove_home(record) {
        book.left("home", what);
    }
}

/// The home of a cell that died by itself: a folder is still there, an image is looked into.
fn find_dead_home(half: &Half, record: &Record, held: &mut Held) {
    let open = |path: &Path| fs::File::open(path).ok();
    if let Some(folder) = &record.folder {
        (held.home, held.tmp) = (open(&folder.join("home")), open(&folder.join("tmp")));
        return;
    }
    let Some(image) = record.image.as_ref().filter(|image| image.exists()) else { return };
    let point = half.config.run_dir.join(format!("{}.look", record.allocation));
    if state::private_dir(&point).is_err() {
        return;
    }
    match home::mount_image(image, &point, true) {
        Ok(()) => {
            (held.home, held.tmp) = (open(&point.join("home")), open(&point.join("tmp")));
            // The descriptors keep the file system until they are counted.
            if let Err(error) = nix::mount::umount2(&point, nix::mount::MntFlags::MNT_DETACH) {
                tracing::warn!(%error, point = %point.display(), "a dead cell's home stays mounted");
            }
        }
        Err(fault) => tracing::warn!(%fault, "a dead cell's home was not counted"),
    }
    let _ = fs::remove_dir(&point);
}

fn remove_home(record: &Record) -> Result<(), String> {
    if let Some(folder) = &record.folder
        && let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(format!("{}: {error}", folder.display()));
    }
    let Some(image) = &record.image else { return Ok(()) };
    if let Err(error) = fs::remove_file(image)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(format!("{}: {error}", image.display()));
    }
    let end = Instant::now() + TAKE_DOWN;
    loop {
        let holders = home::holders(image);
        if holders.is_empty() {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(format!("still held by {}", holders.join(", ")));
        }
        pause(Duration::from_millis(5));
    }
}

fn mounts(record: &Record, held: &Held, seen: bool, book: &mut Book) {
    if record.level == Level::None {
        book.done("mounts", "none: the cell had no file tree of its own");
        return;
    }
    let ours = record.run_dir.to_string_lossy().into_owned();
    let stray: Vec<String> = measure::mount_points(i32::try_from(std::process::id()).unwrap_or_default())
        .into_iter()
        .filter(|point| point.starts_with(&ours))
        .collect();
    for point in stray.iter().rev() {
        // Whether it went is seen below.
        let _ = nix::mount::umount2(Path::new(point), nix::mount::MntFlags::MNT_DETACH);
    }
    book.receipt.mounts_removed = held.mounts + stray.len() as u64;
    let mut planted = held.planted_mounts.clone();
    planted.extend(stray);
    let extra = if planted.is_empty() {
        String::new()
    } else {
        format!(", planted: {}", listed(&planted, planted.len() as u64))
    };
    let detail = if seen { format!("{} gone with the cell{extra}", held.mounts) } else { "gone with the cell".into() };
    book.done("mounts", detail);
}

fn network(half: &Half, record: &Record) -> Result<String, String> {
    match &record.net {
        None => Ok("its own loopback only".into()),
        Some(_) if !record.is_of_this_boot() => Ok("gone with the boot it was made in".into()),
        Some(net) => net
            .remove(&half.config.run_dir)
            .map(|()| format!("{} removed", net.interface))
            .map_err(|fault| fault.to_string()),
    }
}
