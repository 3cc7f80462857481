//! Building a cell. Every name is in the record before anything is made by it, so that whatever happens in
//! between can be found and taken down.

use super::config::RootConfig;
use super::devices;
use super::etc_files::{self, HOME, PATH_AGAIN, USER, USER_ID};
use super::fault::{Doing, Fault};
use super::ids::{Claims, IdRange, RANGE};
use super::mounts::Shape;
use super::net::NetRecord;
use super::process::{in_child, readable};
use super::spawn::{self, NOFILE, Start};
use super::state::{Phase, Places, Record, make_below, private_dir, start_time};
use super::words::{CellInfo, CreateCell, DEVICES_MAX, Level};
use super::{cgroup, home, keys, measure, net, release};
use crate::cell::config::{CellConfig, CellUser, IdMap, Isolation, Payload, STALL_MS, SshEntry};
use crate::clock::boot_id;
use crate::gpu::CellMount;
use muster_protocol::desired::Image;
use muster_protocol::ids::{AllocationId, NodeId};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time for PID 1 to say that it is ready.
const READY: Duration = Duration::from_secs(20);
/// What every cell's PATH ends with.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// All that requests need.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) config: RootConfig,
    pub(super) places: Places,
    pub(super) claims: Claims,
}

impl Half {
    /// Directory of a cell's socket and keys.
    fn run_dir(&self, node: NodeId, allocation: AllocationId) -> PathBuf {
        self.config.run_dir.join(node.short()).join(allocation.to_string())
    }
}

/// Builds a cell, or answers with the one that is there.
pub(super) fn create(half: &Half, node: NodeId, wanted: &CreateCell, step: &dyn Fn(&str)) -> Result<CellInfo, Fault> {
    let allocation = wanted.cell.allocation;
    let _lock = half.places.lock(allocation)?;
    if let Some(mut record) = half.places.load(allocation)? {
        if let Some(info) = existing(&record, wanted.cell.lease_epoch)? {
            return Ok(info);
        }
        // A build that was broken off: nobody was ever in it.
        let receipt = release::sweep(half, &mut record, None, "broken off", &|_| {});
        if !receipt.clean {
            return Err(Fault::new("leftovers", "clean an earlier attempt", receipt.leftovers.join("; ")));
        }
    }
    devices::check(&wanted.devices, &half.config.device_root)?;
    if wanted.devices.len() > DEVICES_MAX {
        return Err(Fault::new("bad_device", "lease devices", format!("more than {DEVICES_MAX}")));
    }
    let mut record = Record::new(half, node, wanted)?;
    half.places.save(&record)?;
    // In a child, since the namespaces it leaves are needed for cleaning up.
    let built = in_child(|| Ok(build(half, wanted, record.clone(), step).map_err(|fault| fault.to_string())));
    record = half.places.load(allocation)?.unwrap_or(record);
    match built.and_then(|built: Result<(), String>| built) {
        Ok(()) => Ok(record.info()),
        Err(why) => {
            let receipt = release::sweep(half, &mut record, None, "not built", &|_| {});
            record.phase = Phase::Ended;
            record.receipt = Some(receipt);
            half.places.save(&record)?;
            Err(Fault::new("create_failed", "build the cell", why))
        }
    }
}

/// What a record that is there already means; none: build anew.
fn existing(record: &Record, lease_epoch: u64) -> Result<Option<CellInfo>, Fault> {
    let refuse = |code, why: &str| Err(Fault::new(code, format!("make the cell of lease {lease_epoch}"), why));
    match (record.phase, lease_epoch.cmp(&record.lease_epoch)) {
        (_, Ordering::Less) => refuse("older_lease", "a newer lease is known"),
        (Phase::Building, _) => Ok(None),
        (_, Ordering::Greater) => refuse("other_lease", "the older lease's cell has to end first"),
        (Phase::Running, _) if record.alive() => Ok(Some(record.info())),
        (Phase::Running, _) => refuse("cell_dead", "it has died and waits for its end"),
        (Phase::Ending, _) => refuse("cell_ending", "it is being ended"),
        (Phase::Ended, _) => refuse("cell_ended", "it has ended"),
    }
}

impl Record {
    fn new(half: &Half, node: NodeId, wanted: &CreateCell) -> Result<Self, Fault> {
        let allocation = wanted.cell.allocation;
        Ok(Self {
            allocation,
            lease_epoch: wanted.cell.lease_epoch,
            node,
            level: half.config.level,
            phase: Phase::Building,
            boot_id: boot_id(),
            pid: 0,
            start_time: 0,
            run_dir: half.run_dir(node, allocation),
            ids: None,
            image: None,
            folder: None,
            cgroup: cgroup::CgroupRecord::default(),
            net: None,
            devices: wanted.devices.clone(),
            not_enforced: Vec::new(),
            ssh_host_key: String::new(),
            ssh_user: String::new(),
            mounts: Vec::new(),
            receipt: None,
            exit: None,
        })
    }
}

/// The build itself; the record is saved before each thing that it names is made.
fn build(half: &Half, wanted: &CreateCell, mut record: Record, step: &dyn Fn(&str)) -> Result<(), Fault> {
    let cell = &wanted.cell;
    let places = &half.places;
    if record.level != Level::None && nix::unistd::geteuid().is_root() {
        record.ids = Some(half.claims.claim(record.allocation)?);
    }
    step("cgroup");
    let groups = make_groups(half, wanted, &mut record)?;
    step("home");
    make_home(half, cell.size.disk_bytes, &mut record)?;
    step("devices");
    let run = make_run_dir(half, &record)?;
    if let Some(lines) = &cell.ssh_keys {
        if keys::possible() {
            record.ssh_host_key = keys::make(&run.join("ssh"), lines, record.outside_user())?;
            record.ssh_user = login_name(record.level)?;
        } else {
            record.not_enforced.push("ssh".into());
        }
    }
    let listener = listen(half, &record)?;
    let status = status_dir(places, &record)?;
    step("network");
    let wired = make_network(half, &mut record)?;
    places.save(&record)?;
    step("mounts");
    let shape = (record.level != Level::None).then(|| shape(half, wanted, &record)).transpose()?;
    let (ready_read, ready_write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).doing("make a pipe")?;
    let log = File::options().append(true).create(true).open(places.cell(record.allocation).join("cell.log"));
    let log = log.doing("open the cell's log")?;
    let work: Vec<OwnedFd> = groups.work.into_iter().map(OwnedFd::from).collect();
    let image = shape.as_ref().and_then(|shape| shape.image.clone()).unwrap_or_else(|| "/".into());
    let mut config = cell_config(half, wanted, &record, &image)?;
    config.listener_fd = listener.as_raw_fd();
    config.status_fd = status.as_raw_fd();
    config.ready_fd = Some(ready_write.as_raw_fd());
    config.payload.cgroup_fds = work.iter().map(AsRawFd::as_raw_fd).collect();
    config.payload.cgroup_v2_fd = groups.work_v2.as_ref().map(AsRawFd::as_raw_fd);
    let inherit = [listener.into(), status.into(), ready_write].into_iter().chain(work).chain(groups.work_v2).collect();
    if record.level == Level::Userns && record.ids.is_none() {
        spawn::become_own_root()?;
    }
    step("init");
    let start = Start {
        allocation: record.allocation,
        shape,
        level: record.level,
        enter: groups.init,
        group: groups.init_v2,
        inherit,
        log,
    };
    let mut started = spawn::start(start, !wired)?;
    record.pid = started.pid;
    record.start_time =
        start_time(started.pid).ok_or_else(|| Fault::new("failed", "start PID 1", "it ended at once"))?;
    record.phase = Phase::Running;
    record.mounts = measure::mount_points(record.pid);
    places.save(&record)?;
    let text = serde_json::to_vec(&config).doing("write the cell's configuration")?;
    started.config.write_all(&text).doing("hand the configuration over")?;
    drop(started);
    wait_ready(ready_read)
}

fn make_groups(half: &Half, wanted: &CreateCell, record: &mut Record) -> Result<cgroup::Groups, Fault> {
    use cgroup::{Groups, Hierarchies, Limit};
    let mut groups = Groups::default();
    if record.level == Level::Cell {
        let rules = devices::rules(&wanted.devices)?;
        let (node, cell) = (record.node.short(), record.allocation.to_string());
        record.cgroup = Hierarchies::find().plan(&half.config.settings.cgroup, &node, &cell);
        half.places.save(record)?;
        groups = record.cgroup.make(&wanted.cell.size, &rules)?;
    }
    let missing = |limit: &Limit| !groups.enforced.contains(limit);
    let mut words: Vec<String> =
        [Limit::Cpu, Limit::Memory, Limit::Pids].iter().filter(|l| missing(l)).map(|l| l.word().to_owned()).collect();
    if record.level == Level::None {
        words.extend(["devices", "filesystem", "network", "processes"].map(str::to_owned));
    }
    record.not_enforced = words;
    Ok(groups)
}

fn make_home(half: &Half, disk_bytes: u64, record: &mut Record) -> Result<(), Fault> {
    if record.level == Level::Cell && home::can_loop() {
        let image = half.places.image(record.allocation);
        record.image = Some(image.clone());
        half.places.save(record)?;
        return home::make_image(&image, disk_bytes);
    }
    let folder = half.places.folder(record.allocation);
    record.folder = Some(folder.clone());
    record.not_enforced.push("disk".into());
    half.places.save(record)?;
    for dir in ["home", "tmp"] {
        private_dir(&folder.join(dir))?;
    }
    Ok(())
}

/// The cell's place in the run directory: the `run` half may enter it, nobody else.
fn make_run_dir(half: &Half, record: &Record) -> Result<PathBuf, Fault> {
    let run = record.run_dir.clone();
    let point = run.join("root");
    make_below(&point).doing(format!("make {}", run.display()))?;
    let node = run.parent().unwrap_or(&run);
    for dir in [node, &run] {
        fs::set_permissions(dir, Permissions::from_mode(0o750)).doing(format!("close {}", dir.display()))?;
        if record.ids.is_some() {
            chown(dir, None, Some(half.config.owner.1)).doing(format!("own {}", dir.display()))?;
        }
    }
    Ok(run)
}

fn listen(half: &Half, record: &Record) -> Result<UnixListener, Fault> {
    let path = record.socket();
    // Left by an attempt that was broken off.
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path).doing(format!("listen at {}", path.display()))?;
    fs::set_permissions(&path, Permissions::from_mode(0o600)).doing("close the cell's socket")?;
    if record.ids.is_some() {
        chown(&path, Some(half.config.owner.0), Some(half.config.owner.1)).doing("own the cell's socket")?;
    }
    Ok(listener)
}

fn status_dir(places: &Places, record: &Record) -> Result<File, Fault> {
    let status = places.status(record.allocation);
    private_dir(&status)?;
    File::open(&status).doing("open the status directory")
}

/// Whether the cell has a wire; then this process is in its network already.
fn make_network(half: &Half, record: &mut Record) -> Result<bool, Fault> {
    match (record.level, record.ids) {
        (Level::None, _) => return Ok(true),
        (Level::Cell, Some(ids)) if half.config.settings.network && net::missing().is_none() => {
            let plan = NetRecord::plan(&record.node.short(), ids);
            record.net = Some(plan.clone());
            half.places.save(record)?;
            let run_dir = half.config.run_dir.clone();
            // Tried beforehand would be no proof: a kernel may refuse any part of it.
            match plan.make(&run_dir) {
                Ok(()) => return Ok(true),
                Err(fault) => tracing::warn!(%fault, "the cell gets no way out"),
            }
        }
        _ => {}
    }
    // Not a wall that is missing, but a way: the cell has its loopback only.
    record.not_enforced.push("network_out".into());
    Ok(false)
}

fn shape(half: &Half, wanted: &CreateCell, record: &Record) -> Result<Shape, Fault> {
    let image = match &wanted.cell.image {
        Image::Host => None,
        Image::Rootfs { path } => Some(rootfs(half, Path::new(path))?),
    };
    let root_id = record.ids.map_or(0, |ids| ids.outside(0));
    Ok(Shape {
        point: record.run_dir.join("root"),
        image,
        host_dirs: half.config.settings.host_dirs.clone(),
        hide: vec![half.config.state_dir.clone(), half.config.run_dir.clone()],
        root_id,
        // In its own user namespace the caller is root.
        user_id: record.ids.map_or(0, |ids| ids.outside(USER_ID)),
        home_image: record.image.clone(),
        home_folder: record.folder.clone(),
        shm_bytes: wanted.cell.size.memory_bytes / 2,
        devices: wanted.devices.clone(),
        driver_mounts: half.config.driver_mounts.clone(),
        host_name: etc_files::host_name(&wanted.cell.name),
        way_out: record.net.is_some() && !record.not_enforced.iter().any(|word| word == "network_out"),
        ssh_dir: (!record.ssh_host_key.is_empty()).then(|| record.run_dir.join("ssh")),
    })
}

fn rootfs(half: &Half, path: &Path) -> Result<PathBuf, Fault> {
    let refuse = |why: String| Fault::new("bad_image", path.display(), why);
    let base = half.config.settings.image_dir.as_ref().ok_or_else(|| refuse("no image directory is set".into()))?;
    let base = base.canonicalize().map_err(|error| refuse(error.to_string()))?;
    let image = path.canonicalize().map_err(|error| refuse(error.to_string()))?;
    if image.starts_with(&base) && image.is_dir() {
        Ok(image)
    } else {
        Err(refuse("outside of the image directory".into()))
    }
}

impl Record {
    /// The cell's user as this process counts.
    pub(super) fn outside_user(&self) -> u32 {
        self.ids.map_or_else(|| nix::unistd::geteuid().as_raw(), |ids| ids.outside(USER_ID))
    }
}

/// Without mounts the driver's files stand where the node keeps them.
fn unmounted(value: &mut String, mounts: &[CellMount]) {
    for mount in mounts {
        *value = value.replace(&*mount.target.to_string_lossy(), &mount.source.to_string_lossy());
    }
}

fn cell_config(half: &Half, wanted: &CreateCell, record: &Record, root: &Path) -> Result<CellConfig, Fault> {
    let cell = &wanted.cell;
    let mut env: BTreeMap<String, String> = half.config.settings.env.clone();
    let paths = half.config.settings.path.iter().map(|path| path.to_string_lossy().into_owned());
    env.insert("PATH".into(), paths.chain([PATH.to_owned()]).collect::<Vec<_>>().join(":"));
    env.extend(cell.env.clone());
    env.extend(wanted.env.clone());
    if record.level == Level::None {
        env.values_mut().for_each(|value| unmounted(value, &half.config.driver_mounts));
    }
    if let Some(path) = env.get("PATH").cloned() {
        env.insert(PATH_AGAIN.into(), path);
    }
    env.insert("MUSTER_ALLOCATION".into(), record.allocation.to_string());
    let ssh_dir = if record.level == Level::None { record.run_dir.join("ssh") } else { "/run/muster/ssh".into() };
    let ssh = (!record.ssh_host_key.is_empty()).then(|| SshEntry {
        host_key: ssh_dir.join("host_key"),
        authorized_keys: ssh_dir.join("authorized_keys"),
        sshd: super::tools::find("sshd").unwrap_or_else(|| "/usr/sbin/sshd".into()),
    });
    let (isolation, maps, peers) = match (record.level, record.ids) {
        (Level::Cell | Level::Userns, Some(IdRange { base, .. })) => {
            (Isolation::Cell, vec![IdMap { inside: 0, outside: base, count: RANGE }], vec![0, half.config.owner.0])
        }
        (Level::Cell | Level::Userns, None) => {
            (Isolation::Userns, vec![IdMap { inside: USER_ID, outside: 0, count: 1 }], vec![0])
        }
        (Level::None, _) => (Isolation::None, Vec::new(), vec![nix::unistd::geteuid().as_raw(), half.config.owner.0]),
    };
    Ok(CellConfig {
        allocation: record.allocation.to_string(),
        lease_epoch: record.lease_epoch,
        isolation,
        listener_fd: -1,
        status_fd: -1,
        ready_fd: None,
        peer_uids: peers,
        user: user(record, root)?,
        env,
        command: cell.command.clone(),
        max_runtime_s: cell.max_runtime_s,
        ssh,
        stall_ms: STALL_MS,
        payload: Payload {
            uid_map: maps.clone(),
            gid_map: maps,
            cgroup_fds: Vec::new(),
            cgroup_v2_fd: None,
            nofile: Some(NOFILE),
            memlock_unlimited: true,
            seccomp: record.level != Level::None,
        },
    })
}

fn user(record: &Record, root: &Path) -> Result<CellUser, Fault> {
    let shell = PathBuf::from(etc_files::shell(root));
    if record.level != Level::None {
        return Ok(CellUser { uid: USER_ID, gid: USER_ID, name: USER.into(), home: HOME.into(), shell });
    }
    let home = record.folder.as_ref().map(|folder| folder.join("home")).unwrap_or_default();
    Ok(CellUser {
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        name: login_name(record.level)?,
        home,
        shell,
    })
}

/// What the cell's user is called inside: without walls it is the account that the agent has.
fn login_name(level: Level) -> Result<String, Fault> {
    if level != Level::None {
        return Ok(USER.into());
    }
    let uid = nix::unistd::geteuid();
    let account = nix::unistd::User::from_uid(uid).doing("look up our own account")?;
    Ok(account.map_or_else(|| uid.to_string(), |account| account.name))
}

fn wait_ready(ready: OwnedFd) -> Result<(), Fault> {
    if !readable(&ready, READY) {
        return Err(Fault::new("failed", "wait for PID 1", format!("not ready after {READY:?}")));
    }
    let mut line = String::new();
    File::from(ready).take(4096).read_to_string(&mut line).doing("hear from PID 1")?;
    match line.trim_end() {
        "ok" => Ok(()),
        "" => Err(Fault::new("failed", "wait for PID 1", "it ended without a word; see cell.log")),
        why => Err(Fault::new("failed", "PID 1", why)),
    }
}
