//! The cell's network: its own loopback and, as root, one wire out through NAT.
//!
//! The wire is a veth pair with four addresses of its own. The node's table of rules lets cells reach the
//! world, and nothing on the node, no other cell and no metadata service. All names carry the node's short id.

use super::fault::{Doing, Fault};
use super::ids::IdRange;
use super::tools;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::Path;

/// First address of all cells of a machine; a /16.
const NET: Ipv4Addr = Ipv4Addr::new(100, 126, 0, 0);
const NET_TEXT: &str = "100.126.0.0/16";
/// What cells never reach: link-local with most clouds' metadata service, loopback, cells, and the services by which
/// Azure and Alibaba Cloud speak to their machines.
const NEVER: &str = "169.254.0.0/16, 127.0.0.0/8, 100.126.0.0/16, 168.63.129.16, 100.100.100.200";
/// Azure's is its name server as well, often the only one that a machine there has.
const ALSO_NAME_SERVER: &str = "168.63.129.16";

/// A cell's wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NetRecord {
    /// The node's end.
    pub(super) interface: String,
    /// Prefix of the names of all of this node's ends.
    pub(super) prefix: String,
    /// The table of rules, shared by this node's cells.
    pub(super) table: String,
    /// Number of the cell among those of the machine.
    pub(super) index: u16,
}

impl NetRecord {
    /// Names for a cell of a node.
    pub(super) fn plan(node_short: &str, ids: IdRange) -> Self {
        let prefix = format!("mv{node_short}");
        Self {
            interface: format!("{prefix}{:03x}", ids.index),
            prefix,
            table: format!("muster_{node_short}"),
            index: ids.index,
        }
    }

    fn address(&self, host: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(NET.to_bits() + u32::from(self.index) * 4 + host)
    }

    /// Makes the wire; this thread is in the cell's new network namespace afterwards.
    pub(super) fn make(&self, run_dir: &Path) -> Result<(), Fault> {
        let node = File::open("/proc/self/ns/net").doing("open the node's network")?;
        unshare(CloneFlags::CLONE_NEWNET).doing("make a network")?;
        let cell = File::open("/proc/self/ns/net").doing("open the cell's network")?;
        setns(&node, CloneFlags::CLONE_NEWNET).doing("go back to the node's network")?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), cell.as_raw_fd());
        let made = self.node_side(&path, run_dir);
        let mtu = way_out_mtu();
        setns(&cell, CloneFlags::CLONE_NEWNET).doing("enter the cell's network")?;
        made?;
        // So that `ping` works without rights. It is a convenience: a kernel that refuses keeps it from the cell.
        let _ = fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
        let batch = format!(
            "link set lo up\naddress add {}/30 dev eth0\nlink set eth0 mtu {mtu} up\nroute add default via {}\n",
            self.address(2),
            self.address(1)
        );
        tools::run("ip", &["-batch", "-"], &batch).map(drop)
    }

    fn node_side(&self, cell: &str, run_dir: &Path) -> Result<(), Fault> {
        let _one_at_a_time = table_lock(run_dir)?;
        tools::run("nft", &["-f", "-"], &self.rules())?;
        let batch = format!(
            "link add {0} type veth peer name eth0 netns {cell}\nlink set {0} addrgenmode none\n\
             address add {1}/30 dev {0}\nlink set {0} up\n",
            self.interface,
            self.address(1)
        );
        tools::run("ip", &["-batch", "-"], &batch)?;
        let v4 = format!("/proc/sys/net/ipv4/conf/{}", self.interface);
        for (name, value) in
            [("forwarding", "1"), ("rp_filter", "1"), ("accept_redirects", "0"), ("send_redirects", "0")]
        {
            fs::write(format!("{v4}/{name}"), value).doing(format!("set {name} of {}", self.interface))?;
        }
        if let Some(out) = default_interface() {
            fs::write(format!("/proc/sys/net/ipv4/conf/{out}/forwarding"), "1").doing("let answers come back")?;
        }
        Ok(())
    }

    /// The whole table, replaced in one step; the same for each cell of the node.
    fn rules(&self) -> String {
        let (table, ours) = (&self.table, format!("\"{}*\"", self.prefix));
        format!(
            "add table inet {table}\nflush table inet {table}\ntable inet {table} {{\n\
             chain input {{\ntype filter hook input priority -10; policy accept;\niifname {ours} drop\n}}\n\
             chain output {{\ntype filter hook output priority -10; policy accept;\noifname {ours} meta l4proto != icmp drop\n}}\n\
             chain forward {{\ntype filter hook forward priority -10; policy accept;\n\
             iifname {ours} oifname \"mv*\" drop\n\
             iifname {ours} ip daddr {ALSO_NAME_SERVER} meta l4proto {{ tcp, udp }} th dport 53 accept\n\
             iifname {ours} ip daddr {{ {NEVER} }} drop\n\
             iifname {ours} meta nfproto ipv6 drop\n\
             oifname {ours} ct state established,related accept\n\
             oifname {ours} drop\n}}\n\
             chain out {{\ntype nat hook postrouting priority 100; policy accept;\n\
             ip saddr {NET_TEXT} oifname != \"mv*\" masquerade\n}}\n}}\n"
        )
    }

    /// The wire is there.
    pub(super) fn exists(&self) -> bool {
        Path::new("/sys/class/net").join(&self.interface).exists()
    }

    /// Removes the wire, and the table with the node's last one.
    ///
    /// # Errors
    /// Something is left; the text says what.
    pub(super) fn remove(&self, run_dir: &Path) -> Result<(), Fault> {
        let _one_at_a_time = table_lock(run_dir)?;
        if self.exists() {
            // It goes by itself with the cell's namespace, perhaps just now: what counts is whether it is there.
            let removed = tools::run("ip", &["link", "delete", &self.interface], "");
            if self.exists() {
                return Err(removed
                    .err()
                    .unwrap_or_else(|| Fault::new("failed", "remove the wire", "it is still there")));
            }
        }
        let others = fs::read_dir("/sys/class/net").doing("list the interfaces")?.flatten();
        let mut others = others.map(|entry| entry.file_name().to_string_lossy().into_owned());
        if !others.any(|name| name.starts_with(&self.prefix)) {
            // Not there is as good.
            let _ = tools::run("nft", &["delete", "table", "inet", &self.table], "");
        }
        Ok(())
    }
}

fn table_lock(run_dir: &Path) -> Result<Flock<File>, Fault> {
    let file = File::create(run_dir.join("net.lock")).doing("open the network's lock")?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| Fault::new("failed", "lock the network", error))
}

/// The interface of the node's default route.
fn default_interface() -> Option<String> {
    parse_default(&fs::read_to_string("/proc/net/route").ok()?)
}

fn parse_default(routes: &str) -> Option<String> {
    routes.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let interface = words.next()?;
        (words.next()? == "00000000").then(|| interface.to_owned())
    })
}

/// Largest packet on the way out; larger ones of a cell would be lost where answers about them are filtered.
fn way_out_mtu() -> u32 {
    let read = |out| fs::read_to_string(format!("/sys/class/net/{out}/mtu")).ok()?.trim().parse().ok();
    default_interface().and_then(read).unwrap_or(1500)
}

/// Why cells here have no way out; none: they can.
pub(super) fn missing() -> Option<String> {
    let missing: Vec<&str> = ["ip", "nft"].into_iter().filter(|tool| tools::find(tool).is_none()).collect();
    (!missing.is_empty()).then(|| format!("{} not installed", missing.join(" and ")))
}

/// Another table of the node drops what it forwards, and names no cell: Docker sets this policy. None also if nobody
/// may look.
#[must_use]
pub fn dropped_on_the_way() -> Option<String> {
    let chain = tools::run("nft", &["list", "chain", "ip", "filter", "FORWARD"], "").ok()?;
    drops(&chain).then(|| "the policy of the node's chain FORWARD is drop".to_owned())
}

fn drops(chain: &str) -> bool {
    chain.contains("policy drop") && !chain.contains("\"mv") && !chain.contains(NET_TEXT)
}

/// Brings the loopback of this process's network up.
pub(super) fn loopback_up() -> io::Result<()> {
    let control = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: all zero is a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).map_err(io::Error::other)?;
    // SAFETY: the kernel reads a whole ifreq that lives through the call.
    let result = unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCSIFFLAGS, std::ptr::from_ref(&request)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_addresses_do_not_overlap() {
        let plan = |index| NetRecord::plan("abcdefgh", IdRange { index, base: 0 });
        assert_eq!(plan(4093).interface, "mvabcdefghffd");
        assert!(plan(4093).interface.len() < libc::IFNAMSIZ);
        assert_eq!(plan(0).address(1), Ipv4Addr::new(100, 126, 0, 1));
        assert_eq!(plan(1).address(2), Ipv4Addr::new(100, 126, 0, 6));
        assert_eq!(plan(4093).address(3), Ipv4Addr::new(100, 126, 63, 247));
    }

    #[test]
    fn a_policy_that_drops_is_seen_unless_cells_are_let_through() {
        let chain = |policy: &str, rule: &str| {
            format!(
                "table ip filter {{\n\tchain FORWARD {{\n\t\ttype filter hook forward priority filter; policy {policy};\n\
                 \t\tcounter packets 0 bytes 0 jump DOCKER-USER\n{rule}\t}}\n}}\n"
            )
        };
        assert!(drops(&chain("drop", "")) && !drops(&chain("accept", "")) && !drops(""));
        assert!(!drops(&chain("drop", "\t\tiifname \"mv*\" counter packets 0 bytes 0 accept\n")));
        assert!(!drops(&chain("drop", "\t\tip saddr 100.126.0.0/16 accept\n")));
    }

    #[test]
    fn the_default_route_names_its_interface() {
        let text = "Iface\tDestination\tGateway\neth1\t0002000A\t0\neth0\t00000000\t010200C0\n";
        assert_eq!(parse_default(text).as_deref(), Some("eth0"));
        assert_eq!(parse_default("Iface\n"), None);
    }
}
