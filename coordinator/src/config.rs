//! How this process is told to run: flags, then `MUSTER_*`, then one TOML file, then defaults.

use crate::base::log;
use anyhow::{Context, bail};
use clap::Args;
use muster_protocol::ids::NodeId;
use muster_protocol::money::Currency;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// The whole configuration, all layers applied.
#[derive(Debug, Clone)]
pub struct Config {
    /// CA, keys, and the database unless it is elsewhere.
    pub data_dir: PathBuf,
    /// Address of a PostgreSQL database; the SQLite file of the data directory when not set.
    pub database: Option<String>,
    /// The door for users.
    pub console: DoorConfig,
    /// The door for staff.
    pub operator: DoorConfig,
    /// Host names and addresses the built-in certificate speaks for, beside the obvious ones.
    pub tls_names: Vec<String>,
    /// Proxies before the doors whose word about their clients counts.
    pub trusted_proxies: Vec<IpAddr>,
    /// Where agents connect (UDP).
    pub quic: SocketAddr,
    /// The address agents are told to connect to, `host:port`; that of `quic` when not set.
    pub quic_public: Option<String>,
    /// Life of a node certificate, seconds.
    pub node_certificate_s: u64,
    /// After how long a lost node's allocations fail, seconds; never when not set.
    pub node_lost_s: Option<u64>,
    /// What prices are in.
    pub currency: Currency,
    /// A token for scraping `/metrics` without signing in.
    pub scrape_token: Option<String>,
    /// Where the bound addresses are written once all is up.
    pub ready_file: Option<PathBuf>,
    /// What is logged.
    pub log_filter: String,
    /// How log lines look.
    pub log_format: log::Format,
}

/// One door.
#[derive(Debug, Clone)]
pub struct DoorConfig {
    /// Where it listens (TCP).
    pub listen: SocketAddr,
    /// How it speaks.
    pub tls: DoorTls,
    /// Where it is reached from outside, when it stands behind a proxy or under a name.
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
        /// PEM chain, leaf first.
        cert: PathBuf,
        /// PEM key.
        key: PathBuf,
    },
}

/// Where a coordinator is.
#[derive(Debug, Args)]
pub struct Place {
    /// Folder of the database, the CA and the keys
    #[arg(long, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// PostgreSQL instead of a SQLite file in DIR: postgres://user@host:5432/muster
    #[arg(long, env = "MUSTER_DATABASE", value_name = "URL", hide_env_values = true)]
    pub database: Option<String>,
}

/// Flags of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where.
    #[command(flatten)]
    pub place: Place,
    /// The file to write; it must not exist yet
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

/// Flags of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Where.
    #[command(flatten)]
    pub place: Place,
    /// The file to read
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// No node was revoked or removed since the backup but those of --revoked: let all others in as they were
    #[arg(long)]
    pub trust_nodes: bool,
    /// A node that was revoked or removed since the backup; once for each
    #[arg(long, value_name = "NODE", requires = "trust_nodes")]
    pub revoked: Vec<NodeId>,
}

/// Flags of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where.
    #[command(flatten)]
    pub place: Place,
    /// Sign-in name of the first operator
    #[arg(long, value_name = "NAME")]
    pub operator_username: String,
    /// Read the first operator's password from standard input (one line)
    #[arg(long, required = true)]
    pub operator_password_stdin: bool,
}

/// Flags of `serve`. Each may also stand in the TOML file under the same name with underscores.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeArgs {
    /// TOML file with any of these settings, named as the flags with underscores (`data_dir = "/var/lib/muster"`)
    #[arg(long, env = "MUSTER_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Folder of the database, the CA and the keys; made by `init`
    #[arg(long, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// PostgreSQL instead of the SQLite file of --data-dir: postgres://user@host:5432/muster. An address with a
    /// password is better kept out of the process list: in the variable or the file
    #[arg(long, env = "MUSTER_DATABASE", value_name = "URL", hide_env_values = true)]
    pub database: Option<String>,
    /// Console door (users): TCP address [default: 127.0.0.1:8080]
    #[arg(long, env = "MUSTER_CONSOLE", value_name = "ADDR")]
    pub console: Option<SocketAddr>,
    /// Operator door (staff): TCP address, best a private one [default: 127.0.0.1:8081]
    #[arg(long, env = "MUSTER_OPERATOR", value_name = "ADDR")]
    pub operator: Option<SocketAddr>,
    /// Where agents connect: UDP address [default: 0.0.0.0:7443]
    #[arg(long, env = "MUSTER_QUIC", value_name = "ADDR")]
    pub quic: Option<SocketAddr>,
    /// What agents are told to connect to, when it differs from --quic (a DNS name, a port behind NAT)
    #[arg(long, env = "MUSTER_QUIC_PUBLIC", value_name = "HOST:PORT")]
    pub quic_public: Option<String>,
    /// Life of node certificates in seconds; agents renew after two thirds of it [default: 86400]
    #[arg(long, env = "MUSTER_NODE_CERTIFICATE_S", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(3..))]
    pub node_certificate_s: Option<u64>,
    /// Fail the allocations of a node that has been lost for so many seconds [default: never; they stay degraded]
    #[arg(long, env = "MUSTER_NODE_LOST_S", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(60..))]
    pub node_lost_s: Option<u64>,
    /// What prices are in: a currency of ISO 4217, like EUR [default: USD]. Prices set in another count no longer
    #[arg(long, env = "MUSTER_CURRENCY", value_name = "CODE")]
    pub currency: Option<Currency>,
    /// Speak HTTPS with a certificate from the built-in CA. Needed, or own files, on any address but loopback
    #[arg(long, env = "MUSTER_TLS", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub tls: Option<bool>,
    /// Speak HTTPS with this certificate chain (PEM, leaf first)
    #[arg(long, env = "MUSTER_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of --tls-cert (PEM)
    #[arg(long, env = "MUSTER_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Further names of the built-in certificate, separated by commas
    #[arg(long, env = "MUSTER_TLS_NAMES", value_name = "NAMES", value_delimiter = ',')]
    pub tls_names: Option<Vec<String>>,
    /// Where browsers reach the console door, when behind a proxy (https://console.example.org)
    #[arg(long, env = "MUSTER_CONSOLE_URL", value_name = "URL")]
    pub console_url: Option<String>,
    /// Where browsers reach the operator door, when behind a proxy
    #[arg(long, env = "MUSTER_OPERATOR_URL", value_name = "URL")]
    pub operator_url: Option<String>,
    /// Addresses of the proxies before the doors, separated by commas: their X-Forwarded-For is believed
    #[arg(long, env = "MUSTER_TRUSTED_PROXIES", value_name = "ADDRS", value_delimiter = ',')]
    pub trusted_proxies: Option<Vec<IpAddr>>,
    /// Token with which a scraper may read /metrics at the operator door (Authorization: Bearer)
    #[arg(long, env = "MUSTER_SCRAPE_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub scrape_token: Option<String>,
    /// Write the bound addresses to this file (JSON) once everything is up
    #[arg(long, env = "MUSTER_READY_FILE", value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// What to log: error, warn, info, debug, or `module=level,…` [default: info]
    #[arg(long, env = "MUSTER_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How log lines look [default: text]
    #[arg(long, env = "MUSTER_LOG_FORMAT", value_name = "FORMAT", value_enum)]
    pub log_format: Option<log::Format>,
}

impl ServeArgs {
    /// Applies the layers and checks what belongs together.
    pub fn resolve(self) -> anyhow::Result<Config> {
        let file = match &self.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        let merged = self.over(file);
        let Some(data_dir) = merged.data_dir else {
            bail!("say where the data is: --data-dir DIR, MUSTER_DATA_DIR, or data_dir in the file of --config");
        };
        let tls = match (merged.tls.unwrap_or(false), merged.tls_cert, merged.tls_key) {
            (_, Some(cert), Some(key)) => DoorTls::Files { cert, key },
            (_, Some(_), None) | (_, None, Some(_)) => bail!("tls_cert and tls_key belong together"),
            (true, None, None) => DoorTls::BuiltIn,
            (false, None, None) => DoorTls::Off,
        };
        let door = |name: &str, listen: Option<SocketAddr>, port: u16, public_url: Option<String>| {
            let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], port)));
            if tls == DoorTls::Off && !listen.ip().is_loopback() {
                bail!(
                    "the {name} door at {listen} is not on loopback, so it must speak HTTPS: \
                     give --tls (built-in CA) or --tls-cert and --tls-key"
                );
            }
            Ok(DoorConfig { listen, tls: tls.clone(), public_url })
        };
        Ok(Config {
            data_dir,
            database: merged.database.filter(|url| !url.is_empty()),
            console: door("console", merged.console, 8080, merged.console_url)?,
            operator: door("operator", merged.operator, 8081, merged.operator_url)?,
            tls_names: merged.tls_names.unwrap_or_default(),
            trusted_proxies: merged.trusted_proxies.unwrap_or_default(),
            quic: merged.quic.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 7443))),
            quic_public: merged.quic_public,
            node_certificate_s: merged.node_certificate_s.unwrap_or(muster_pki::ca::NODE_LIFE_S).max(3),
            node_lost_s: merged.node_lost_s.map(|after| after.max(60)),
            currency: merged.currency.unwrap_or(Currency::USD),
            scrape_token: merged.scrape_token.filter(|token| !token.is_empty()),
            ready_file: merged.ready_file,
            log_filter: merged.log.unwrap_or_else(|| "info".to_owned()),
            log_format: merged.log_format.unwrap_or_default(),
        })
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not a valid configuration", path.display()))
    }

    /// These settings over those of a lower layer.
    fn over(self, lower: Self) -> Self {
        Self {
            config: self.config,
            data_dir: self.data_dir.or(lower.data_dir),
            database: self.database.or(lower.database),
            console: self.console.or(lower.console),
            operator: self.operator.or(lower.operator),
            quic: self.quic.or(lower.quic),
            quic_public: self.quic_public.or(lower.quic_public),
            node_certificate_s: self.node_certificate_s.or(lower.node_certificate_s),
            node_lost_s: self.node_lost_s.or(lower.node_lost_s),
            currency: self.currency.or(lower.currency),
            tls: self.tls.or(lower.tls),
            tls_cert: self.tls_cert.or(lower.tls_cert),
            tls_key: self.tls_key.or(lower.tls_key),
            tls_names: self.tls_names.or(lower.tls_names),
            trusted_proxies: self.trusted_proxies.or(lower.trusted_proxies),
            console_url: self.console_url.or(lower.console_url),
            operator_url: self.operator_url.or(lower.operator_url),
            scrape_token: self.scrape_token.or(lower.scrape_token),
            ready_file: self.ready_file.or(lower.ready_file),
            log: self.log.or(lower.log),
            log_format: self.log_format.or(lower.log_format),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> ServeArgs {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn plain_http_is_for_loopback() {
        let plain = args("data_dir = '/d'\nconsole = '127.0.0.1:0'").resolve().unwrap();
        assert_eq!((plain.console.tls, plain.quic.port()), (DoorTls::Off, 7443));
        let refused = args("data_dir = '/d'\nconsole = '0.0.0.0:80'").resolve().unwrap_err().to_string();
        assert!(refused.contains("--tls"), "{refused}");
        let tls = args("data_dir = '/d'\nconsole = '0.0.0.0:443'\ntls = true").resolve().unwrap();
        assert_eq!(tls.console.tls, DoorTls::BuiltIn);
        assert!(args("").resolve().is_err());
    }

    #[test]
    fn flags_go_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "data_dir = '/file'\nquic = '127.0.0.1:9'\nlog_format = 'json'").unwrap();
        let flags = ServeArgs { config: Some(path), quic: "127.0.0.1:10".parse().ok(), ..Default::default() };
        let config = flags.resolve().unwrap();
        assert_eq!((config.data_dir, config.quic.port()), (PathBuf::from("/file"), 10));
        assert_eq!(config.log_format, log::Format::Json);
        assert!(toml::from_str::<ServeArgs>("datadir = '/x'").is_err());
    }

    #[test]
    fn prices_are_in_a_currency_of_the_standard() {
        assert_eq!(args("data_dir = '/d'").resolve().unwrap().currency, Currency::USD);
        assert_eq!(args("data_dir = '/d'\ncurrency = 'JPY'").resolve().unwrap().currency.digits(), 0);
        let refused = toml::from_str::<ServeArgs>("currency = 'usd'").unwrap_err().to_string();
        assert!(refused.contains("ISO 4217"), "{refused}");
    }
}
