//! Ways out of a cell, and those that are closed, in a world of our own behind a wire.

use crate::kit::{Node, Session, run, wanted};
use nix::fcntl::{Flock, FlockArg};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

fn tool(line: &str) {
    let mut words = line.split(' ');
    let ran = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// Where clouds tell their machines what nobody else shall know.
const METADATA: [&str; 3] = ["169.254.169.254", "168.63.129.16", "100.100.100.200"];

/// Azure's.
const NAME_SERVER: &str = "168.63.129.16";

/// A namespace with a few addresses of the world, among them those of metadata services.
struct World {
    name: String,
    _alone: Flock<fs::File>,
}

impl World {
    fn make(node: &Node) -> Self {
        let short = &node.id.short()[2..];
        // The addresses are the same for every run on a machine.
        let lock = fs::File::create("/tmp/muster-test-world.lock").unwrap();
        let alone = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error).unwrap();
        let world = Self { name: format!("w{short}"), _alone: alone };
        let name = &world.name;
        tool(&format!("ip netns add {name}"));
        tool(&format!("ip link add {name} type veth peer name eth0 netns {name}"));
        tool(&format!("ip address add 198.18.77.1/24 dev {name}"));
        tool(&format!("ip link set {name} up"));
        tool(&format!("ip -n {name} link set lo up"));
        tool(&format!("ip -n {name} address add 198.18.77.2/24 dev eth0"));
        tool(&format!("ip -n {name} link set eth0 up"));
        for address in METADATA {
            tool(&format!("ip -n {name} address add {address}/32 dev eth0"));
            tool(&format!("ip route add {address}/32 via 198.18.77.2 dev {name}"));
        }
        fs::write(format!("/proc/sys/net/ipv4/conf/{name}/forwarding"), "1").unwrap();
        world
    }

    /// Accepts on a port of every address, 0 for any, and says who called.
    fn listen(&self, port: u16) -> (std::net::SocketAddr, std::thread::JoinHandle<()>) {
        let name = self.name.clone();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            let space = fs::File::open(format!("/run/netns/{name}")).unwrap();
            nix::sched::setns(space, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            let listener = TcpListener::bind(("0.0.0.0", port)).unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (mut caller, from) = listener.accept().unwrap();
                caller.write_all(format!("you are {}\n", from.ip()).as_bytes()).unwrap();
                let mut word = [0; 1];
                if caller.read(&mut word).unwrap() == 1 {
                    return;
                }
            }
        });
        (told.recv().unwrap(), thread)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        tool(&format!("ip netns del {}", self.name));
        // Goes with the namespace, sooner or later.
        let _ = Command::new("ip").args(["link", "del", &self.name]).output();
    }
}

fn call(address: &str, port: u16) -> String {
    format!("timeout 1 bash -c 'exec 3<>/dev/tcp/{address}/{port} && head -1 <&3' 2>&1")
}

#[test]
fn the_world_is_reached_and_nothing_else() {
    let node = Node::start();
    let world = World::make(&node);
    let (one, two) = (node.create(wanted()), node.create(wanted()));
    let (address, listening) = world.listen(0);
    let port = address.port();
    let ran = run(&one, &call("198.18.77.2", port));
    assert_eq!(ran.out, "you are 198.18.77.1\n", "{ran:?}");
    let blocked = |cell, address: &str, port| {
        let ran = run(cell, &call(address, port));
        assert!(ran.code != 0 && !ran.out.contains("you are"), "{address}:{port} answered: {ran:?}");
    };
    METADATA.iter().for_each(|address| blocked(&one, address, port));
    // One of them is a name server as well.
    let (_, names) = world.listen(53);
    METADATA.iter().filter(|address| **address != NAME_SERVER).for_each(|address| blocked(&one, address, 53));
    let ran = run(&one, &call(NAME_SERVER, 53));
    assert_eq!(ran.out, "you are 198.18.77.1\n", "{ran:?}");
    std::net::TcpStream::connect(("198.18.77.2", 53)).unwrap().write_all(b"x").unwrap();
    names.join().unwrap();
    // The node: by the wire, by its other addresses, by its loopback.
    let door = TcpListener::bind("0.0.0.0:0").unwrap();
    let own = door.local_addr().unwrap().port();
    let host_side = run(&one, "ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'").out;
    for address in [host_side.trim(), "198.18.77.1", "127.0.0.1"] {
        blocked(&one, address, own);
    }
    // The other cell, and the same port in both.
    let serve = "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 8888, Listen => 5) or die; $| = 1;
        print \"up\\n\"; while ($c = $s->accept) { print $c \"you are here\\n\"; close $c }'";
    let mut servers = [Session::open(&one, serve), Session::open(&two, serve)];
    servers.iter_mut().for_each(|server| server.expect("up"));
    let other = run(&two, "ip -4 -o address show eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'").out;
    blocked(&one, other.trim(), 8888);
    assert_eq!(run(&two, &call("127.0.0.1", 8888)).out, "you are here\n");
    blocked(&one, "127.0.0.1", own);
    let mut last = std::net::TcpStream::connect(("198.18.77.2", port)).unwrap();
    last.write_all(b"x").unwrap();
    listening.join().unwrap();
}

#[test]
fn without_a_way_out_there_is_only_the_loopback() {
    let node = Node::start_with("[cell]\nnetwork = false");
    let cell = node.create(wanted());
    assert_eq!(cell.not_enforced, ["network_out"]);
    let ran = run(&cell, "ip -o link | wc -l; ip route | wc -l; ip -o -4 address");
    assert!(ran.out.starts_with("1\n0\n") && ran.out.contains("127.0.0.1"), "{ran:?}");
}
