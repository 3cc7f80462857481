//! Links that are cut: the datagrams of one port, dropped by the kernel.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// No datagram to or from a port arrives until this is dropped.
#[derive(Debug)]
pub struct Cut(String);

impl Cut {
    /// Cuts what goes over the port of `host:port`. Needs root.
    ///
    /// # Panics
    /// Without nftables, or without the right to use them.
    #[must_use]
    pub fn of(address: &str) -> Self {
        let port: u16 = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
        let table = format!("muster_cut_{port}");
        let rules = format!(
            "add table inet {table}\ntable inet {table} {{\nchain cut {{\ntype filter hook input priority -300;\n\
             udp dport {port} drop\nudp sport {port} drop\n}}\n}}\n"
        );
        assert!(nft(&["-f", "-"], &rules), "nft cuts");
        Self(table)
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let mended = nft(&["delete", "table", "inet", &self.0], "");
        assert!(mended || std::thread::panicking(), "nft mends");
    }
}

fn nft(arguments: &[&str], input: &str) -> bool {
    let mut child = Command::new("nft").args(arguments).stdin(Stdio::piped()).spawn().expect("nft is installed");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("nft reads");
    child.wait().expect("a child").success()
}
