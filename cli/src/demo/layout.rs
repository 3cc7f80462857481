//! Where the demo keeps things, and what it must remember between starts: addresses and logins.

use super::DemoArgs;
use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use rand::{Rng, distr::Alphanumeric};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::Command,
};

const PASSWORD_LEN: usize = 20;

/// The folder and all that is fixed for this run.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) dir: PathBuf,
    pub(super) bin_dir: PathBuf,
    pub(super) console: SocketAddr,
    pub(super) operator_addr: SocketAddr,
    pub(super) quic: SocketAddr,
    pub(super) console_url: String,
    pub(super) operator_url: String,
    pub(super) tls: bool,
    pub(super) operator: Login,
    pub(super) user: Login,
    _lock: Flock<fs::File>,
}

/// A name and its password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: String,
}

impl Login {
    fn new(username: &str) -> Self {
        let password = rand::rng().sample_iter(Alphanumeric).take(PASSWORD_LEN).map(char::from).collect();
        Self { username: username.to_owned(), password }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Logins {
    operator: Login,
    user: Login,
}

impl Layout {
    /// Makes or opens the folder; one demo at a time may hold it.
    pub(super) fn open(args: &DemoArgs) -> Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o755).create(&args.dir).with_context(|| args.dir.display().to_string())?;
        let dir = args.dir.canonicalize()?;
        for sub in ["logs", "nodes"] {
            fs::create_dir_all(dir.join(sub))?;
        }
        let file = fs::File::create(dir.join("lock"))?;
        let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
            bail!("another demo runs in {}: stop it, or name another folder with --dir", dir.display());
        };
        let logins = logins(&dir.join("logins.json"))?;
        let (console, operator_addr) = (free_tcp(args.console)?, free_tcp(args.operator)?);
        let quic = free_udp(args.quic)?;
        let scheme = if args.tls { "https" } else { "http" };
        let bin_dir = std::env::current_exe()?.parent().context("a binary stands in a folder")?.to_path_buf();
        Ok(Self {
            dir,
            bin_dir,
            console,
            operator_addr,
            quic,
            console_url: format!("{scheme}://{console}"),
            operator_url: format!("{scheme}://{operator_addr}"),
            tls: args.tls,
            operator: logins.operator,
            user: logins.user,
            _lock: lock,
        })
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.dir.join("coordinator")
    }

    pub(super) fn coordinator_exists(&self) -> bool {
        ["muster.db", "postgres"].iter().any(|name| self.data_dir().join(name).exists())
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.data_dir().join("keys/ca.pem")
    }

    pub(super) fn state_dir(&self, node: &str) -> PathBuf {
        self.dir.join("nodes").join(node)
    }

    /// One of our own binaries, with nothing of the caller's `MUSTER_*` settings.
    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin_dir.join(name));
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("MUSTER_")) {
            if key != "MUSTER_LOG" {
                command.env_remove(key);
            }
        }
        command
    }
}

fn logins(path: &Path) -> Result<Logins> {
    if let Ok(text) = fs::read_to_string(path) {
        return serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged: remove the folder", path.display()));
    }
    let logins = Logins { operator: Login::new("operator"), user: Login::new("demo") };
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    serde_json::to_writer_pretty(file, &logins)?;
    Ok(logins)
}

fn free_tcp(wanted: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind(wanted)
        .with_context(|| format!("{wanted} is taken: name another address with --console or --operator"))?;
    Ok(listener.local_addr()?)
}

fn free_udp(wanted: SocketAddr) -> Result<SocketAddr> {
    let socket = UdpSocket::bind(wanted).with_context(|| format!("UDP {wanted} is taken: name another with --quic"))?;
    Ok(socket.local_addr()?)
}
