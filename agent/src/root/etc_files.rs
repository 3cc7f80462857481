//! The few files of `/etc` that a cell has of its own, and those of the node that it must not see.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

/// Account of every cell's payloads.
pub(super) const USER: &str = "muster";
/// Its user and group id inside.
pub(super) const USER_ID: u32 = 1000;
/// Its home.
pub(super) const HOME: &str = "/home/muster";

/// Files and directories below the root that are covered by nothing readable.
pub(super) const SECRET: [&str; 24] = [
    "etc/shadow",
    "etc/shadow-",
    "etc/gshadow",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/group-",
    "etc/subuid",
    "etc/subgid",
    "etc/ssh",
    "etc/muster",
    "etc/sudoers",
    "etc/sudoers.d",
    "etc/ssl/private",
    "etc/pki/tls/private",
    "etc/krb5.keytab",
    "etc/wireguard",
    "etc/letsencrypt",
    "etc/NetworkManager/system-connections",
    "etc/netplan",
    "etc/security/opasswd",
    "etc/docker",
    "etc/kubernetes",
    "etc/rancher",
    "etc/cron.d",
];

/// Files with our own text: path below the root, text.
pub(super) fn own(name: &str, root: &Path, way_out: bool) -> Vec<(&'static str, String)> {
    vec![
        ("etc/passwd", passwd(shell(root))),
        ("etc/group", group()),
        ("etc/hostname", format!("{name}\n")),
        ("etc/hosts", format!("127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost ip6-localhost ip6-loopback\n")),
        ("etc/resolv.conf", resolv_conf(way_out)),
    ]
}

/// Where a login shell finds the cell's PATH again.
pub(super) const PATH_AGAIN: &str = "MUSTER_PATH";
/// End of a cell's `/etc/profile`.
pub(super) const PROFILE_END: &str = "\nif [ -n \"$MUSTER_PATH\" ]; then PATH=$MUSTER_PATH; export PATH; fi\n";

fn passwd(shell: &str) -> String {
    format!(
        "root:x:0:0:root:/root:/usr/sbin/nologin\n\
         sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n\
         {USER}:x:{USER_ID}:{USER_ID}:{USER}:{HOME}:{shell}\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
}

/// No group `tty`: sshd would hand the terminal to it and die when it may not.
fn group() -> String {
    format!("root:x:0:\n{USER}:x:{USER_ID}:\nnogroup:x:65534:\n")
}

/// Login shell of the account, from a root's own programs.
pub(super) fn shell(root: &Path) -> &'static str {
    // Not followed beyond the root: an image's link would be looked up on the node.
    let has = |path: &str| fs::symlink_metadata(root.join(path)).is_ok();
    if has("bin/bash") || has("usr/bin/bash") { "/bin/bash" } else { "/bin/sh" }
}

/// Name servers of the node that a cell can reach: none on the node itself.
fn resolv_conf(way_out: bool) -> String {
    if !way_out {
        return "# This cell has no way out of its loopback.\n".into();
    }
    for path in ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"] {
        let text = reachable(&fs::read_to_string(path).unwrap_or_default());
        if text.contains("nameserver") {
            return text;
        }
    }
    "# No name server of the node can be reached from a cell.\n".into()
}

fn reachable(text: &str) -> String {
    let keep = |line: &&str| match line.split_once(char::is_whitespace) {
        Some(("nameserver", server)) => server.trim().parse::<IpAddr>().is_ok_and(|ip| !ip.is_loopback()),
        Some(("search" | "options", _)) => true,
        _ => false,
    };
    text.lines().filter(keep).map(|line| format!("{line}\n")).collect()
}

/// The allocation's name as a host name: letters, digits and hyphens, at most 63.
pub(super) fn host_name(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).take(63).collect();
    let plain = plain.trim_matches('-');
    if plain.is_empty() { "cell".into() } else { plain.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_host_names() {
        assert_eq!(host_name("My run #3"), "my-run--3");
        assert_eq!(host_name("..."), "cell");
        assert_eq!(host_name(&"x".repeat(80)).len(), 63);
    }

    #[test]
    fn loopback_name_servers_are_left_out() {
        let text = "nameserver 127.0.0.53\nnameserver 10.0.0.2\nsearch lan\n# x\n";
        assert_eq!(reachable(text), "nameserver 10.0.0.2\nsearch lan\n");
    }

    #[test]
    fn login_shells_find_the_path_of_the_cell() {
        assert!(PROFILE_END.contains(PATH_AGAIN));
    }

    #[test]
    fn there_is_no_group_tty() {
        assert!(!group().contains("tty"));
        assert!(passwd("/bin/sh").contains("muster:x:1000:1000:"));
    }
}
