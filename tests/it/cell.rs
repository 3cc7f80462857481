//! The walls of a cell, tried from inside by somebody who wants out.

use muster_tests::{
    Terminal, World, eventually,
    flow::{launch, release},
    is_root,
};
use serde_json::json;
use std::collections::BTreeSet;

async fn shell(world: &World) -> (muster_tests::Api, String, Terminal) {
    let user = world.user().await;
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let terminal = Terminal::open(&user, &id).await;
    (user, id, terminal)
}

#[tokio::test]
async fn only_leased_devices_and_own_processes_are_there() {
    assert!(is_root(), "make test needs root");
    let world = World::start().await;
    let (_user, _id, mut terminal) = shell(&world).await;
    assert_eq!(terminal.run("ls -d /dev/nvidia[0-9]* | wc -l").await, "1");
    assert_eq!(terminal.run("ls /dev | grep -cE '^(sd|vd|nvme|mem|kmsg|loop|fuse)'").await, "0");
    let processes: usize = terminal.run("ls -d /proc/[0-9]* | wc -l").await.parse().expect("a number");
    assert!(processes < 12, "{processes} processes are visible");
    assert_eq!(terminal.run("ls /root /home 2>&1 | grep -vE 'Permission|No such|^$|:$'").await, "muster");
    assert_eq!(
        terminal.run("cat /etc/shadow /etc/ssh/ssh_host* >/dev/null 2>&1; [ $? != 0 ] && echo hidden").await,
        "hidden"
    );
    assert_eq!(terminal.run("mkdir /usr/x 2>/dev/null || echo refused").await, "refused");
}

#[tokio::test]
async fn a_setuid_program_gains_nothing() {
    assert!(is_root(), "make test needs root");
    let world = World::start().await;
    let (_user, _id, mut terminal) = shell(&world).await;
    assert_eq!(terminal.run("grep NoNewPrivs /proc/self/status | tr -d '\\t'").await, "NoNewPrivs:1");
    assert_eq!(terminal.run("grep CapBnd /proc/self/status | grep -o '[0-9a-f]*$'").await, "0000000000000000");
    assert_eq!(terminal.run("cp /bin/bash ~/b 2>/dev/null; chmod u+s ~/b; ~/b -pc 'id -u'").await, "1000");
    assert_eq!(terminal.run("mount -t tmpfs x /mnt 2>/dev/null || echo refused").await, "refused");
    // Namespaces of its own are a tenant's right; the walls around them stay.
    let inner = "unshare -Urm sh -c 'mount -o remount,rw / || mount -o remount,rw /usr || touch /usr/x' 2>/dev/null || echo refused";
    assert_eq!(terminal.run(inner).await, "refused");
}

#[tokio::test]
async fn two_cells_share_nothing() {
    assert!(is_root(), "make test needs root");
    let world = World::start().await;
    let (user, _first, mut one) = shell(&world).await;
    let second = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let mut two = Terminal::open(&user, &second).await;
    let serve = "python3 -m http.server 8888 --bind 127.0.0.1 >/dev/null 2>&1 &";
    let answered = "until curl -s -o /dev/null http://127.0.0.1:8888; do :; done; echo mine";
    assert!(one.run(&format!("{serve} {answered}")).await.ends_with("mine"));
    assert_eq!(two.run("curl -s -o /dev/null http://127.0.0.1:8888 || echo nobody").await, "nobody");
    assert!(two.run(&format!("{serve} {answered}")).await.ends_with("mine"));
    let _ = one.run("echo secret > /home/muster/file; echo secret > /tmp/file; echo secret > /dev/shm/file").await;
    assert_eq!(two.run("ls /home/muster/file /tmp/file /dev/shm/file 2>/dev/null | wc -l").await, "0");
    // The doors of the coordinator listen on the node's own loopback, which is not the cell's.
    let door = world.ready().console_url;
    assert_eq!(one.run(&format!("curl -s -m 2 -o /dev/null {door}/healthz || echo unreachable")).await, "unreachable");
}

#[tokio::test]
async fn bombs_and_hogs_stay_inside() {
    assert!(is_root(), "make test needs root");
    let world = World::start().await;
    let (user, id, mut terminal) = shell(&world).await;
    let hog = "python3 -c 'x = bytearray(3 << 30)' >/dev/null 2>&1; echo code $?";
    assert_ne!(terminal.run(hog).await, "code 0");
    let fill = "head -c 4G /dev/zero > ~/big 2>/dev/null; stat -c %s ~/big; rm ~/big";
    let filled: u64 = terminal.run(fill).await.parse().expect("a size");
    assert!(filled < 2 << 30, "{filled} bytes fit into 2 GiB");
    terminal.type_in("b() { b | b & }; b 2>/dev/null\n").await;
    eventually("the bomb is at its limit", async || {
        let probe = Terminal::command(&user, &id, &["sh", "-c", "true | true && echo forked"]).await;
        (!probe.to_the_end().await.contains("forked")).then_some(())
    })
    .await;
    // Who opens a shell needs no process of those the bomb took, and a word that forks nothing ends it.
    let rescue = Terminal::command(&user, &id, &["sh", "-c", "echo rescued; kill -9 -1"]).await;
    assert!(rescue.to_the_end().await.contains("rescued"));
    let mut after = Terminal::open(&user, &id).await;
    assert_eq!(after.run("echo fine | cat").await, "fine");
}

/// Device numbers of the file systems in a text of `/proc/self/mountinfo`.
fn file_systems<'a>(mounts: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    mounts.filter_map(|line| line.split(' ').nth(2)).collect()
}

#[tokio::test]
async fn what_a_cell_fills_is_its_own_and_is_gone_after_it() {
    assert!(is_root(), "make test needs root");
    let world = World::start().await;
    let (user, id, mut one) = shell(&world).await;
    let (_, _, mut two) = shell(&world).await;
    let node = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let inside = one.run("cat /proc/self/mountinfo").await;
    let writable = inside.lines().filter(|line| line.split(' ').nth(5).is_some_and(|how| how.starts_with("rw")));
    let (node, writable) = (file_systems(node.lines()), file_systems(writable));
    assert!(writable.len() >= 4, "home, /run, /dev/shm, /dev/pts: {inside}");
    assert_eq!(node.intersection(&writable).count(), 0, "the node's own can be written to: {writable:?} in {inside}");

    let fill = "awk '$6 ~ /^rw/ { print $5 }' /proc/self/mountinfo | while read -r mount; do \
                find \"$mount\" -xdev -type d -writable 2>/dev/null; done | sort -u | while read -r dir; do \
                head -c 4G /dev/zero >\"$dir/filler\" 2>/dev/null; stat -c '%s %n' \"$dir/filler\" 2>/dev/null; done";
    let filled = one.run(fill).await;
    let sizes: Vec<(u64, &str)> = filled
        .lines()
        .filter_map(|line| line.split_once(' ').and_then(|(size, name)| Some((size.parse().ok()?, name))))
        .collect();
    for dir in ["/home/muster", "/tmp", "/dev/shm", "/run/lock"] {
        assert!(sizes.iter().any(|(_, name)| *name == format!("{dir}/filler")), "{dir} was tried: {filled}");
    }
    let sum = |of: &dyn Fn(&str) -> bool| sizes.iter().filter(|(_, name)| of(name)).map(|(size, _)| size).sum::<u64>();
    let in_memory = |name: &str| name.starts_with("/dev") || name.starts_with("/run");
    assert!(sum(&|name| !in_memory(name)) < 2 << 30, "more than the disk: {filled}");
    assert!(sum(&in_memory) < 1 << 30, "more than the memory: {filled}");
    assert_eq!(two.run("find / -name filler 2>/dev/null | wc -l").await, "0");
    assert_eq!(two.run("head -c 1M /dev/zero >~/x && head -c 1M /dev/zero >/dev/shm/x && echo room").await, "room");

    let receipt = release(&user, &world.operator().await, &id).await;
    assert_eq!(receipt["after"]["clean"], true, "{receipt:#}");
    let removed = receipt["after"]["bytes_removed"].as_u64().expect("a number");
    assert!(removed >= sum(&|name| !name.starts_with("/run")), "{filled}: {receipt:#}");
}

#[tokio::test]
async fn the_simulated_driver_gives_a_cell_nothing_to_write() {
    let world = World::start().await;
    let (_user, _id, mut one) = shell(&world).await;
    let (_, _, mut two) = shell(&world).await;
    assert_eq!(one.run("find /run/nvml-sim /dev/nvidia* -writable 2>/dev/null | wc -l").await, "0");
    for refused in ["touch /run/nvml-sim/x", "chmod u+w /dev/nvidiactl", "rm /run/nvml-sim/state.json"] {
        assert_eq!(one.run(&format!("{refused} 2>/dev/null || echo refused")).await, "refused", "{refused}");
    }
    // Both stand in the tables of their own GPUs, each under a pid of its own, and see nobody else.
    for terminal in [&mut one, &mut two] {
        let listed = "simgpu-use --memory 2GiB --seconds 1000 | head -1 >~/up & \
                      until [ -s ~/up ]; do :; done; simgpu-smi | grep -c 'N/A.* 2048 MiB'";
        assert!(terminal.run(listed).await.lines().any(|line| line == "1"));
    }
    assert_eq!(one.run("kill %1; wait; simgpu-smi | grep -c 'No running processes'").await.lines().last(), Some("1"));
    assert_eq!(two.run("simgpu-smi | grep -c ' 2048 MiB'").await, "1");
}
