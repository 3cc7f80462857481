//! `serve`: binds, announces, waits, drains. The edge is one current-thread runtime.

use crate::app::App;
use crate::base::clock::Clock;
use crate::base::cpu::Cpu;
use crate::base::http::{Door, frame, listen};
use crate::base::rng::Rng;
use crate::base::{leaves, limits, memory, notify, watchdog};
use crate::config::{Config, DoorConfig, DoorTls};
use crate::fleet;
use crate::{links, routes, telemetry};
use anyhow::{Context, bail};
use muster_pki::ca::ServerLeaf;
use muster_pki::server::{LeafSwap, door_config};
use muster_pki::{ServerNames, files};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

/// Where the coordinator can be reached.
#[derive(Debug, Clone, Serialize)]
pub struct Addresses {
    /// This process.
    pub pid: u32,
    /// Of the console door.
    pub console_url: String,
    /// Of the operator door.
    pub operator_url: String,
    /// Where agents connect.
    pub quic_addr: String,
}

/// Runs a coordinator until SIGTERM or SIGINT. Fails when a critical part of it ended by itself.
pub fn serve(config: Config) -> anyhow::Result<()> {
    memory::give_large_blocks_back();
    let database = fleet::Database::of(&config.data_dir, config.database.as_deref())?;
    let _alone = fleet::lock(&config.data_dir)?;
    let app = App::build(config, database.open()?, Cpu::start()?, Clock::System, Rng::from_system())?;
    let edge = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = edge.block_on(async {
        let mut term = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let addresses = start(&app).await?;
        announce(&app, &addresses)?;
        notify::tell("READY=1");
        let stopping = app.supervisor.stopping();
        tokio::select! {
            _ = term.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            () = stopping.cancelled() => {}
        }
        notify::tell("STOPPING=1");
        stop(&app).await;
        anyhow::Ok(())
    });
    // Closes what is left of the edge before the store, so that nothing asks a closed store.
    edge.shutdown_timeout(std::time::Duration::from_secs(1));
    app.store.close();
    served?;
    if app.supervisor.failed() {
        bail!("a critical task ended by itself; its error is in the log");
    }
    Ok(())
}

/// Starts everything on the current runtime and returns when it can be used.
pub async fn start(app: &App) -> anyhow::Result<Addresses> {
    let starting = app.health.latch("starting");
    watchdog::start(&app.supervisor)?;
    app.start();
    let console = open(app, Door::Console, &app.config.console).await?;
    let operator = open(app, Door::Operator, &app.config.operator).await?;
    let quic = links::start(app).with_context(|| format!("agents cannot connect: UDP {}", app.config.quic))?;
    drop(starting);
    Ok(Addresses { pid: std::process::id(), console_url: console, operator_url: operator, quic_addr: quic.to_string() })
}

/// Drains: no new connections, what runs is finished, at most for the deadline.
pub async fn stop(app: &App) {
    // What was measured since the last roll-up is in memory alone.
    match tokio::time::timeout(limits::LAST_MEANS, telemetry::tick::roll(app)).await {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => tracing::warn!("the latest figures are not kept: {}", problem.log_text()),
        Err(_) => tracing::warn!("the latest figures are not kept: the store does not answer"),
    }
    app.supervisor.stop();
    if !app.supervisor.drained(limits::DRAIN).await {
        tracing::warn!("not everything ended within {} s", limits::DRAIN.as_secs());
        app.supervisor.kill();
    }
}

async fn open(app: &App, door: Door, config: &DoorConfig) -> anyhow::Result<String> {
    let name = door.as_str();
    let socket = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("the {name} door cannot listen on {}", config.listen))?;
    let address = socket.local_addr()?;
    let tls = acceptor(app, door, config, address).with_context(|| format!("TLS of the {name} door"))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"));
    let frame = frame::Frame {
        app: app.clone(),
        door,
        tls: tls.is_some(),
        public_url: config.public_url.as_deref().map(Into::into),
        strict: match config.tls {
            DoorTls::Files { .. } => true,
            DoorTls::Off => config.public_url.as_deref().is_some_and(|url| url.starts_with("https://")),
            DoorTls::BuiltIn => false,
        },
    };
    listen::serve(
        &app.supervisor,
        name,
        socket,
        tls,
        frame::around(routes::routes(door).0, frame),
        &app.config.trusted_proxies,
    );
    Ok(url)
}

fn acceptor(app: &App, door: Door, config: &DoorConfig, address: SocketAddr) -> anyhow::Result<Option<TlsAcceptor>> {
    let Some(first) = leaf(app, config, address)? else { return Ok(None) };
    let (leaf, config) = (LeafSwap::new(first)?, config.clone());
    let name = match door {
        Door::Console => "serve.console_leaf",
        Door::Operator => "serve.operator_leaf",
    };
    leaves::keep(app, name, Arc::clone(&leaf), move |app| {
        self::leaf(app, &config, address)?.context("the door speaks no TLS")
    });
    Ok(Some(TlsAcceptor::from(door_config(&leaf)?)))
}

/// The certificate of a door as it is now to be; none without TLS.
fn leaf(app: &App, config: &DoorConfig, address: SocketAddr) -> anyhow::Result<Option<ServerLeaf>> {
    let leaf = match &config.tls {
        DoorTls::Off => return Ok(None),
        DoorTls::Files { cert, key } => files::load_server_leaf(cert, key)?,
        DoorTls::BuiltIn => {
            let (ip, host) = (address.ip().to_string(), hostname());
            let public = config.public_url.as_deref().and_then(host_of_url);
            let fixed = ["localhost", "127.0.0.1", "::1", ip.as_str()];
            let named = app.config.tls_names.iter().map(String::as_str);
            let names = fixed.into_iter().chain(named).chain(public).chain(host.as_deref());
            app.fleet.ca.issue_door_server(&ServerNames::from_texts(names), app.clock.now_ms())?
        }
    };
    Ok(Some(leaf))
}

fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let usable = !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || "-.".contains(char));
    usable.then(|| name.to_owned())
}

fn host_of_url(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1.split('/').next()?;
    match rest.strip_prefix('[') {
        Some(ipv6) => ipv6.split(']').next(),
        None => rest.split(':').next(),
    }
}

fn announce(app: &App, addresses: &Addresses) -> anyhow::Result<()> {
    tracing::info!(
        console = addresses.console_url,
        operator = addresses.operator_url,
        quic = addresses.quic_addr,
        fleet = app.fleet.id,
        "ready"
    );
    match &app.config.ready_file {
        Some(path) => write_whole(path, &serde_json::to_vec_pretty(addresses)?),
        None => Ok(()),
    }
}

/// Replaces a file in one step, so that a reader never sees half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let unfinished = path.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&unfinished, bytes).with_context(|| format!("cannot write {}", unfinished.display()))?;
    std::fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_urls() {
        assert_eq!(host_of_url("https://console.example.org:8443/x"), Some("console.example.org"));
        assert_eq!(host_of_url("https://[::1]:8443"), Some("::1"));
        assert_eq!(host_of_url("nonsense"), None);
    }
}
