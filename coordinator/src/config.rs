//! How this process is told to run: flags, then `MUSTER_*`, then one TOML file, then defaults.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The whole configuration, all layers applied.
#[derive(Debug, Clone)]
pub struct Config {
    /// Database, CA and keys.
    pub data_dir: PathBuf,
    /// The door for users.
    pub console: DoorConfig,
    /// The door for staff.
    pub operator: DoorConfig,
    /// Where agents connect (UDP).
    pub quic: SocketAddr,
    /// The address agents are told to connect to, `host:port`; that of `quic` when not set.
    pub quic_public: Option<String>,
    /// A token for scraping `/metrics` without signing in.
    pub scrape_token: Option<String>,
}

/// One door.
#[derive(Debug, Clone)]
pub struct DoorConfig {
    /// Where it listens (TCP).
    pub listen: SocketAddr,
    /// How it speaks.
    pub tls: DoorTls,
    /// Where it is reached from outside, when it stands behind a proxy.
    pub public_url: Option<String>,
}

/// How a door speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoorTls {
    /// Plain HTTP; on loopback only.
    Off,
    /// TLS with a certificate from the built-in CA.
    BuiltIn,
    /// TLS with own files.
    Files {
        /// PEM chain.
        cert: PathBuf,
        /// PEM key.
        key: PathBuf,
    },
}
