//! A disk that is full under both sides: what runs goes on, people get in, and everybody says why.

use muster_tests::{
    Api, Cli, Terminal, World, WorldOptions, binary, eventually,
    flow::{launch, online, release},
    is_root,
};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// A file system so small that it can be filled.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("muster-disk-").tempdir().expect("a folder");
        let size = Some("size=256m,mode=755");
        mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), size).expect("root may mount");
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Writes until nothing more fits, not even a byte.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filler()).expect("a file");
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).expect("the filler");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(self.path(), MntFlags::MNT_DETACH);
    }
}

#[tokio::test]
async fn what_runs_goes_on_and_people_get_in_on_a_full_disk() {
    assert!(is_root(), "make test needs root");
    let disk = SmallDisk::new();
    let options = WorldOptions { under: Some(disk.path().to_owned()), ..WorldOptions::default() };
    let world = World::with(options).await;
    let (user, operator, node) = (world.user().await, world.operator().await, world.node(0));
    let id = launch(&user, json!({"sku": "h100"})).await["id"].as_str().expect("an id").to_owned();
    let mut terminal = Terminal::open(&user, &id).await;
    let before = world.ready();
    disk.fill();

    let shown = eventually("the node says that its disk is full", async || {
        let node = operator.get(&format!("/api/v1/admin/nodes/{node}")).await.ok();
        node["conditions"].as_array()?.iter().any(|found| found["code"] == "disk_full").then_some(node)
    })
    .await;
    assert_eq!((&shown["presence"], &shown["state"]), (&json!("online"), &json!("active")), "{shown:#}");
    eventually("the coordinator says that its disk is full", async || {
        let ready = Api::anonymous(&before.operator_url).get("/readyz").await;
        assert_eq!(ready.status, 200, "{}", ready.text);
        ready.text.contains("disk_full").then_some(())
    })
    .await;
    let doctor = Command::new(binary("muster-agent"))
        .args(["doctor", "--state-dir"])
        .arg(&before.pids.agents[0].state_dir)
        .output()
        .expect("muster-agent starts");
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("FAIL  disk") && !doctor.status.success(), "{said}");
    let cli = Cli::login(&before.operator_url, &before.operator.username, &before.operator.password, true);
    assert!(cli.run(&["nodes", "show", &node]).ok().contains("disk_full"));

    // The terminal goes on, another opens, and people sign in again and again.
    assert_eq!(terminal.run("echo still here").await, "still here");
    for _ in 0..10 {
        disk.fill();
        let (user, operator) = (world.user().await, world.operator().await);
        let mut another = Terminal::open(&user, &id).await;
        assert_eq!(another.run("echo $((40 + 2))").await, "42");
        let _ = online(&operator, &node).await;
    }
    let now = world.ready();
    assert_eq!(
        (before.pids.coordinator, before.pids.agents[0].pid),
        (now.pids.coordinator, now.pids.agents[0].pid),
        "nobody died"
    );

    // With room again everything works, and nobody complains.
    disk.free();
    let receipt = release(&user, &operator, &id).await;
    assert_eq!(receipt["after"]["clean"], true, "{receipt:#}");
    let again = launch(&user, json!({"sku": "h100"})).await;
    let _ = release(&user, &operator, again["id"].as_str().expect("an id")).await;
    eventually("nothing is said of the disk any more", async || {
        let node = operator.get(&format!("/api/v1/admin/nodes/{node}")).await.ok();
        let said = node["conditions"].as_array()?.iter().any(|found| found["code"] == "disk_full");
        let ready = Api::anonymous(&before.operator_url).get("/readyz").await;
        (!said && !ready.text.contains("disk_full")).then_some(())
    })
    .await;
}
