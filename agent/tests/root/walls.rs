//! What a cell can see and touch.

use crate::kit::{Node, Session, run, wait_for, wanted};
use muster_agent::gpu::DevicePath;
use muster_agent::root::{CellInfo, CreateCell};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

fn with_gpu(node: &Node, number: u32) -> CreateCell {
    let dev = node.dir.path().join("dev");
    let device =
        |name: &str, exclusive| DevicePath { source: dev.join(name), target: Path::new("/dev").join(name), exclusive };
    let mut wanted = wanted();
    wanted.devices = vec![device(&format!("nvidia{number}"), true), device("nvidiactl", false)];
    wanted.env.insert("CUDA_VISIBLE_DEVICES".into(), format!("GPU-{number}"));
    wanted
}

#[test]
fn a_cell_is_made_answers_and_goes() {
    let node = Node::start();
    let cell = node.create(wanted());
    assert_eq!(cell.not_enforced, Vec::<String>::new());
    let ran = run(&cell, "id -u; id -un; hostname; pwd; echo $GREETING $MUSTER_ALLOCATION");
    let wanted = format!("1000\nmuster\nmy-cell\n/home/muster\nhello {}\n", cell.allocation);
    assert_eq!((ran.code, ran.out.as_str()), (0, wanted.as_str()), "{}", ran.err);
    let receipt = node.end(cell.allocation, 100);
    assert!(receipt.clean, "{receipt:?}");
    assert_eq!(node.traces(), Vec::<String>::new());
}

#[test]
fn only_leased_devices_exist() {
    let node = Node::start();
    let one = node.create(with_gpu(&node, 0));
    let two = node.create(with_gpu(&node, 1));
    for (cell, own) in [(&one, "nvidia0"), (&two, "nvidia1")] {
        let ran = run(
            cell,
            "cd /dev; find . -not -type d -not -path './pts/*' | sort; echo; cat nvidia? nvidiactl; echo $CUDA_VISIBLE_DEVICES",
        );
        let mut devices = vec![
            own,
            "nvidiactl",
            "fd",
            "full",
            "null",
            "ptmx",
            "random",
            "stderr",
            "stdin",
            "stdout",
            "tty",
            "urandom",
            "zero",
        ];
        devices.sort_unstable();
        let listed: String = devices.iter().map(|name| format!("./{name}\n")).collect();
        let said = format!("{listed}\n{own}nvidiactlGPU-{}\n", &own[6..]);
        assert_eq!(ran.out, said, "{}", ran.err);
        let ran = run(cell, "mknod ~/sda b 254 0; mknod /dev/sda b 254 0; touch /dev/x; ls ~ /dev | grep -E 'sda|^x$'");
        assert_eq!(ran.out, "", "{}", ran.err);
    }
}

/// The wall behind the private `/dev`: the group's own filter, seen by a process of the node that enters it.
#[test]
fn the_groups_filter_devices() {
    let node = Node::start();
    let cell = node.create(wanted());
    let groups: Vec<PathBuf> = ["unified", "devices", "."]
        .iter()
        .map(|point| Path::new("/sys/fs/cgroup").join(point).join("muster").join(node.id.short()))
        .map(|group| group.join(cell.allocation.to_string()).join("work/cgroup.procs"))
        .filter(|procs| procs.exists())
        .collect();
    assert!(!groups.is_empty());
    for procs in groups {
        let script = format!(
            "(: < /dev/kmsg) || exit 7; echo $$ > {} || exit 8; head -c1 /dev/zero >/dev/null || exit 9
            (: < /dev/kmsg) && exit 10; exit 0",
            procs.display()
        );
        let ran = Command::new("sh").args(["-c", &script]).output().unwrap();
        let words = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(0), "{}: {words}", procs.display());
        assert!(words.contains("Operation not permitted"), "{words}");
    }
}

#[test]
fn devices_that_are_none_are_refused() {
    let node = Node::start();
    let mut wanted = wanted();
    wanted.devices = vec![DevicePath { source: "/dev/kmsg".into(), target: "/dev/nvidia0".into(), exclusive: true }];
    let allocation = wanted.cell.allocation;
    let refused = node.ask(muster_agent::root::Request::CellCreate(Box::new(wanted))).unwrap_err();
    assert!(refused.to_string().starts_with("bad_device"), "{refused}");
    assert!(node.list().is_empty());
    assert!(node.end(allocation, 0).clean);
    assert_eq!(node.traces(), Vec::<String>::new());
}

#[test]
fn the_nodes_processes_and_files_are_out_of_reach() {
    let node = Node::start();
    let mut host = Command::new("sleep").arg("54321").spawn().unwrap();
    let cell = node.create(wanted());
    let script = format!(
        "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 5432[1]'; kill -9 {} 2>/dev/null && echo killed
        kill -9 1 2>/dev/null && echo killed; ls /proc/1/root /proc/1/fd /proc/1/cwd/ 2>/dev/null
        for x in /etc/shadow /etc/gshadow /etc/ssh/ssh_config /root/.profile /home/*/x /var/log/dpkg.log /boot/x {} {}
        do cat $x 2>/dev/null && echo leaked $x; done
        for x in /etc/x /usr/x /x /opt/x /proc/sys/kernel/hostname /sys/x /run/x /dev/x; do echo x > $x 2>/dev/null && echo wrote $x; done
        ls -A /mnt /var/log /var/lib | grep -v -e ^dpkg -e : ; ls /run/muster; true",
        host.id(),
        node.state_dir().join("agent.toml").display(),
        node.dir.path().join("agent.toml").display(),
    );
    // Without the right to raise limits (in some containers) a cell has those of the node's root.
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let (nofile, memlock) = if status.contains("CapEff:\t000001ffffffffff") {
        ("1048576".to_owned(), "unlimited".to_owned())
    } else {
        (own_limit("-Hn"), own_limit("-Hl"))
    };
    let ran = run(&cell, &script);
    host.kill().unwrap();
    host.wait().unwrap();
    let said: String = ran.out.lines().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
    assert_eq!(said, "0\nssh\n", "{}", ran.err);
    let ran =
        run(&cell, "grep -c tty: /etc/group; stat -c %a /home/muster; ulimit -n; ulimit -l; cat /proc/self/uid_map");
    assert_eq!(ran.out.lines().take(4).collect::<Vec<_>>(), ["0", "700", &nofile, &memlock], "{ran:?}");
}

fn own_limit(option: &str) -> String {
    let ran = Command::new("sh").args(["-c", &format!("ulimit {option}")]).output().unwrap();
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

/// Programs with setuid in the home, put there by root of the node for every owner that could matter.
#[test]
fn setuid_gains_nothing() {
    let node = Node::start();
    let cell = node.create(wanted());
    let home = PathBuf::from(format!("/proc/{}/root/home/muster", cell.pid));
    let base = fs::read_to_string(format!("/proc/{}/mountinfo", cell.pid)).unwrap();
    let base: u32 = base.split("uid=").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    for (name, owner) in [("of-node", 0), ("of-cell", base)] {
        fs::copy("/usr/bin/id", home.join(name)).unwrap();
        chown(home.join(name), Some(owner), Some(owner)).unwrap();
        fs::set_permissions(home.join(name), fs::Permissions::from_mode(0o6755)).unwrap();
    }
    let ran = run(
        &cell,
        "for x in ./of-node ./of-cell /usr/bin/id; do $x -u; $x -g; done; su -c id </dev/null; passwd -S root </dev/null; unshare -Ur id -u",
    );
    let ids: Vec<&str> = ran.out.lines().take(6).collect();
    assert_eq!(ids, ["1000"; 6], "{ran:?}");
    assert!(!ran.out.contains("uid=0"), "{ran:?}");
    let ran = run(&cell, "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; mount -t tmpfs x /mnt && echo mounted");
    assert!(ran.out.contains("CapEff:\t0000000000000000") && ran.out.contains("NoNewPrivs:\t1"), "{ran:?}");
    assert!(ran.out.contains("CapBnd:\t0000000000000000") && !ran.out.contains("mounted"), "{ran:?}");
    // PID 1 itself keeps chown, fowner, kill, setgid and setuid, and shows nothing of itself.
    let first = fs::read_to_string(format!("/proc/{}/status", cell.pid)).unwrap();
    assert!(first.contains("CapEff:\t00000000000000e9") && first.contains("CapBnd:\t00000000000000e9"), "{first}");
    assert_eq!(run(&cell, "cat /proc/1/environ /proc/1/maps /proc/1/mem 2>/dev/null").out, "");
}

#[test]
fn cells_do_not_see_one_another() {
    let node = Node::start();
    let (one, two): (CellInfo, CellInfo) = (node.create(wanted()), node.create(wanted()));
    run(&one, "echo secret > ~/f; echo secret > /tmp/f; echo secret > /dev/shm/f; chmod 777 ~ ~/f; ipcmk -M 4096");
    let ran = run(
        &two,
        "ls -A /home ~ /tmp /dev/shm | grep -v -e bash -e profile -e : ; ipcs -m | grep -c 0x; cat /proc/*/environ | grep -c al_; true",
    );
    assert_eq!(ran.out.split_whitespace().collect::<Vec<_>>()[..2], ["muster", "0"], "{ran:?}");
    assert!(!run(&two, "cat /proc/*/environ | tr '\\0' '\\n'").out.contains(&one.allocation.to_string()));
    let uid = |cell: &CellInfo| run(cell, "cat /proc/self/uid_map").out;
    assert_ne!(uid(&one), uid(&two));
}

/// An unpacked image instead of the node's root: its programs, and no others.
#[test]
fn an_image_is_a_root_too() {
    let images = tempfile::tempdir().unwrap();
    let image = images.path().join("tiny");
    let copy = |path: &str| {
        let to = image.join(path.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(path, to).unwrap();
    };
    for program in ["/bin/sh", "/bin/cat", "/bin/ls", crate::kit::exe().to_str().unwrap()] {
        let libraries = Command::new("ldd").arg(program).output().unwrap().stdout;
        let libraries = String::from_utf8(libraries).unwrap();
        libraries.split_whitespace().filter(|word| word.starts_with('/')).for_each(copy);
        if program.starts_with("/bin/") {
            copy(program);
        }
    }
    for file in ["passwd", "group", "hostname", "hosts", "resolv.conf", "shadow"] {
        fs::create_dir_all(image.join("etc")).unwrap();
        fs::write(image.join("etc").join(file), "of the image\n").unwrap();
    }
    let node = Node::start_with(&format!("[cell]\nimage_dir = {:?}", images.path()));
    let mut wanted = wanted();
    wanted.cell.image = muster_protocol::desired::Image::Rootfs { path: image.to_str().unwrap().into() };
    let cell = node.create(wanted);
    let ran = run(&cell, "ls /bin; cat /etc/hostname; cat /etc/shadow; echo x > /bin/x; echo x > ~/x && cat ~/x");
    assert_eq!(ran.out, "cat\nls\nsh\nmy-cell\nx\n", "{ran:?}");
    let outside = Node::start_with(&format!("[cell]\nimage_dir = {:?}", images.path()));
    let mut foreign = crate::kit::wanted();
    foreign.cell.image =
        muster_protocol::desired::Image::Rootfs { path: format!("{}/tiny/../../", images.path().display()) };
    let refused = outside.ask(muster_agent::root::Request::CellCreate(Box::new(foreign))).unwrap_err();
    assert!(refused.to_string().contains("outside of the image directory"), "{refused}");
}

/// Groups of a process of this machine, by hierarchy.
fn groups(pid: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let mine = text.lines().filter_map(|line| line.splitn(3, ':').nth(2)).filter(|path| path.contains("/al_"));
    mine.map(str::to_owned).collect()
}

#[test]
fn payloads_are_in_their_group_in_every_hierarchy_and_see_nothing_above_it() {
    let node = Node::start();
    let cell = node.create(wanted());
    let inside = run(&cell, "cut -d: -f3 /proc/self/cgroup | sort -u");
    assert!(!inside.out.contains("al_"), "{inside:?}");
    let init = groups(&cell.pid.to_string());
    assert!(!init.is_empty() && init.iter().all(|path| path.ends_with("/init")), "{init:?}");
    // Named by an odd argument, so that it is found from outside.
    let odd = format!("86400.{}", cell.pid);
    let _sleeper = Session::open(&cell, &format!("exec sleep {odd}"));
    let mut found = Vec::new();
    wait_for("the payload runs", || {
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let mut named = processes.filter(|entry| {
            let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            words.split(|byte| *byte == 0).eq([&b"sleep"[..], odd.as_bytes(), &b""[..]])
        });
        found = named.next().map(|entry| groups(&entry.file_name().to_string_lossy())).unwrap_or_default();
        !found.is_empty()
    });
    assert_eq!(found.len(), init.len(), "{found:?}");
    assert!(found.iter().all(|path| path.ends_with("/work")), "{found:?}");
}
