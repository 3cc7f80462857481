//! The same half as an ordinary user, and without any wall.

use crate::kit::{Node, Session, exe, run, wait_for, wanted};
use crate::ssh::{key, ssh};
use muster_agent::root::Level;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// The account `daemon`, which every Debian has.
const STRANGER: u32 = 1;

#[test]
fn an_ordinary_user_builds_cells_too() {
    let node = Node::start_as(STRANGER, "userns");
    let dir = tempfile::tempdir().unwrap();
    let mut wanted = wanted();
    wanted.cell.ssh_keys = Some(vec![key(dir.path(), "mine")]);
    let device = node.dir.path().join("dev/nvidia1");
    wanted.devices =
        vec![muster_agent::gpu::DevicePath { source: device, target: "/dev/nvidia1".into(), exclusive: true }];
    let cell = node.create(wanted);
    assert_eq!(cell.isolation, Level::Userns);
    for word in ["cpu", "memory", "pids", "disk", "network_out"] {
        assert!(cell.not_enforced.iter().any(|said| said == word), "{word}: {:?}", cell.not_enforced);
    }
    let ran = node.run(&cell, "id -u; hostname; ls /dev; ls /home; cat /etc/shadow; ls /proc | grep -c '^[0-9]'; ip -o link | wc -l; touch ~/x /tmp/y && echo wrote; kill -9 1; grep CapEff /proc/self/status; ps ax | wc -l");
    assert!(ran.out.starts_with("1000\nmy-cell\n"), "{ran:?}");
    assert!(ran.out.contains("nvidia1\n") && !ran.out.contains("nvidia0") && !ran.out.contains("sda"), "{ran:?}");
    assert!(ran.out.contains("wrote\n") && ran.out.contains("CapEff:\t0000000000000000"), "{ran:?}");
    assert!(ran.err.contains("/etc/shadow"), "{ran:?}");
    let output =
        ssh(node.connect_as(STRANGER, &cell).unwrap(), &cell, dir.path(), "mine", &["-tt", "id -un; tty; exit 4"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(4) && text.starts_with("muster\r\n/dev/pts/"), "{output:?}");
    let mut plant = node.session(&cell, "trap '' HUP TERM; setsid sleep 1000 & ipcmk -M 100; echo up; sleep 1000");
    plant.expect("up");
    let receipt = node.end(cell.allocation, 100);
    assert!(receipt.clean, "{receipt:?}");
    assert!(receipt.processes_killed >= 2 && receipt.ipc_removed == 1 && receipt.files_removed >= 2, "{receipt:?}");
    assert_eq!(node.traces(), Vec::<String>::new());
}

#[test]
fn the_run_half_is_let_in_and_nobody_else() {
    let node = Node::start_for(STRANGER);
    let cell = node.create(wanted());
    assert_eq!(node.run(&cell, "id -u").out, "1000\n");
    assert!(node.session_as(STRANGER + 1, &cell, "true").is_none());
    let state = fs::metadata(node.state_dir()).unwrap();
    assert_eq!((state.uid(), state.gid(), state.mode() & 0o7777), (0, STRANGER, 0o1771));
    // It may keep files beside the root half's, and not put its own in their place.
    let dir = node.state_dir();
    let tried =
        format!("touch {0}/journal && echo kept; mv {0}/root {0}/x; ls {0}/root; cat {0}/homes/*", dir.display());
    let ran = Command::new("setpriv")
        .args(["--reuid", "1", "--regid", "1", "--clear-groups", "sh", "-c", &tried])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "kept\n");
    assert!(dir.join("root/cells").exists() && !dir.join("x").exists());
    assert!(node.end(cell.allocation, 0).clean);
}

/// Why a root half without `--config` does not start on a state directory; none if it does.
fn refusal(state: &Path, socket: &Path) -> Option<String> {
    let _ = fs::remove_file(socket);
    let mut half = Command::new(exe())
        .args(["root".as_ref(), "--state-dir".as_ref(), state.as_os_str(), "--listen".as_ref(), socket.as_os_str()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("it listens or ends", || socket.exists() || half.try_wait().unwrap().is_some());
    let listens = socket.exists();
    let _ = half.kill();
    let output = half.wait_with_output().unwrap();
    (!listens).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_run_half_cannot_tell_roots_half_how_cells_are_walled() {
    let node = Node::start_for(STRANGER);
    let (state, socket) = (node.state_dir(), node.dir.path().join("other.sock"));
    let file = state.join("agent.toml");
    let write = format!("umask 022; echo 'isolation = \"none\"' > {}", file.display());
    let stranger = ["--reuid", "1", "--regid", "1", "--clear-groups", "sh", "-c", &write];
    assert!(Command::new("setpriv").args(stranger).status().unwrap().success());
    let refused = refusal(&state, &socket).expect("a file of the run half is not obeyed");
    assert!(refused.contains("agent.toml") && refused.contains("chown root"), "{refused}");
    fs::remove_file(&file).unwrap();

    let elsewhere = node.dir.path().join("elsewhere.toml");
    fs::write(&elsewhere, "isolation = \"none\"\n").unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert!(refusal(&state, &socket).expect("a link may be turned elsewhere").contains("symbolic link"));
    fs::remove_file(&file).unwrap();

    fs::copy(&elsewhere, &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    assert!(refusal(&state, &socket).expect("others may write it").contains("chmod"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(refusal(&state, &socket), None);
}

/// As root, `userns` gives the walls without the limits, and never the node's root to a payload.
#[test]
fn root_may_build_the_weaker_level() {
    let node = Node::start_with_level("userns");
    let cell = node.create(wanted());
    assert_eq!((cell.isolation, cell.not_enforced.len()), (Level::Userns, 5), "{:?}", cell.not_enforced);
    let ran = run(&cell, "id -u; cat /proc/self/uid_map; touch ~/x && echo wrote; ip -o link | wc -l");
    assert!(ran.out.starts_with("1000\n") && ran.out.contains("65536\nwrote\n1\n"), "{ran:?}");
    assert!(node.end(cell.allocation, 0).clean);
    assert_eq!(node.traces(), Vec::<String>::new());
}

#[test]
fn without_walls_it_still_starts_runs_and_ends() {
    let node = Node::start_with_level("none");
    let cell = node.create(wanted());
    assert_eq!(cell.isolation, Level::None);
    assert!(cell.not_enforced.iter().any(|word| word == "filesystem"));
    let ran = run(&cell, "pwd; echo $GREETING");
    assert!(ran.out.contains("/homes/") && ran.out.ends_with("hello\n"), "{ran:?}");
    let mut plant = Session::open(&cell, "trap '' HUP TERM; setsid sleep 1000 & touch ~/x; echo up; sleep 1000");
    plant.expect("up");
    let receipt = node.end(cell.allocation, 100);
    assert!(receipt.clean, "{receipt:?}");
    assert!(receipt.processes_killed >= 2 && receipt.files_removed >= 1, "{receipt:?}");
    assert_eq!(node.traces(), Vec::<String>::new());
}
