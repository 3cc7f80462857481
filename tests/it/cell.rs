//! The walls of a cell, tried from inside by somebody who wants out.

use muster_tests::{Terminal, World, eventually, flow::launch, is_root};
use serde_json::json;

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
