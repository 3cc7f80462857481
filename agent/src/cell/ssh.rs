//! The SSH entry: `sshd -i` as the cell's user, on the tunnel's own socket.
//!
//! The socket is handed over, so not a byte of SSH passes through PID 1. Everything stands on the command
//! line: no configuration file of the node or the image is read.

use super::config::{CellConfig, SshEntry};
use std::fmt::Write as _;
use std::os::unix::fs::DirBuilderExt;

/// Longest environment that is passed on, in bytes; sshd reads it from its command line.
const SET_ENV_MAX: usize = 64 << 10;

/// Fixed settings. `UsePAM no` and no group `tty` in the cell: sshd without rights cannot change owners.
const SETTINGS: &[&str] = &[
    "UsePAM=no",
    "PidFile=none",
    "StrictModes=no",
    "UseDNS=no",
    "AuthenticationMethods=publickey",
    "PubkeyAuthentication=yes",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "PermitRootLogin=prohibit-password",
    "PermitUserEnvironment=no",
    "AllowTcpForwarding=local",
    "AllowStreamLocalForwarding=local",
    "GatewayPorts=no",
    "PermitTunnel=no",
    "X11Forwarding=no",
    "PrintMotd=no",
    "PrintLastLog=no",
    "AcceptEnv=LANG LC_* COLORTERM",
    "Subsystem=sftp internal-sftp",
    "LoginGraceTime=30",
    "MaxSessions=64",
    "ClientAliveInterval=30",
    "ClientAliveCountMax=4",
    "LogLevel=QUIET",
];

/// Where sshd locks up its half that faces the network. It does not start as root without.
const EMPTY_DIR: &str = "/run/sshd";

/// Makes what the start of a machine's own sshd makes, for a cell without walls on a machine where none was started.
pub(super) fn make_empty_dir() {
    if nix::unistd::geteuid().is_root() {
        // Mostly it is there; if it cannot be made, sshd ends and its client is told.
        let _ = std::fs::DirBuilder::new().mode(0o755).create(EMPTY_DIR);
    }
}

/// The command line.
pub(super) fn command(config: &CellConfig, entry: &SshEntry) -> Vec<String> {
    let mut command: Vec<String> = vec![entry.sshd.to_string_lossy().into_owned(), "-i".into()];
    command.extend(["-f".into(), "/dev/null".into()]);
    let mut set = |setting: String| command.extend(["-o".into(), setting]);
    set(format!("HostKey={}", entry.host_key.display()));
    set(format!("AuthorizedKeysFile={}", entry.authorized_keys.display()));
    set(format!("AllowUsers={}", config.user.name));
    SETTINGS.iter().for_each(|setting| set((*setting).into()));
    if let Some(env) = set_env(config) {
        set(env);
    }
    command
}

/// The allocation's environment as one setting: sshd obeys only the first.
fn set_env(config: &CellConfig) -> Option<String> {
    let mut text = String::new();
    for (name, value) in &config.env {
        let plain = |text: &str| !text.chars().any(char::is_control);
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name && plain(value) && text.len() + name.len() + 2 * value.len() < SET_ENV_MAX {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = write!(text, " \"{name}={value}\"");
        }
    }
    (!text.is_empty()).then(|| format!("SetEnv={}", &text[1..]))
}
