//! The command line.

use crate::config::default_state_dir;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// The part of Muster that runs on every GPU node.
#[derive(Debug, Parser)]
#[command(
    name = "muster-agent",
    version,
    about = "The part of Muster that runs on every GPU node",
    after_help = "A machine becomes a node in three steps:\n\n  \
        1. An operator mints a token:       muster tokens create\n  \
        2. On the machine, as root:         muster-agent enroll --coordinator HOST:PORT --token TOKEN\n  \
        3. Start the agent:                 muster-agent run      (or: systemctl start muster-agent)\n\n\
        The operator then approves the node (muster nodes approve) unless the token approves by itself.\n\
        Settings come from /etc/muster/agent.toml, then MUSTER_* variables, then flags. Without root\n\
        everything works in your home directory, with weaker walls between cells."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make this machine a node, with a bootstrap token.
    #[command(
        after_help = "Ends as soon as the coordinator knows the node, approved or not; `run` finishes the rest.\n\
        The token's secret is sent only to a coordinator whose CA the token names."
    )]
    Enroll(Enroll),
    /// Run the agent: hold the link, serve cells.
    #[command(
        after_help = "Needs an enrolled machine. Ending it ends no cell: terminals and workloads run on, and the next\n\
        start finds them. As root it starts the half that builds cells, then becomes the user `muster` if there is one."
    )]
    Run(Run),
    /// Show what the running agent is doing.
    Status(Status),
    /// Check this machine, with the next step for whatever is wrong.
    #[command(after_help = "Exit code 0: nothing failed, though there may be warnings. 1: something failed.")]
    Doctor(Status),
    /// Be the half that builds cells; `run` starts it by itself unless systemd has.
    #[command(
        after_help = "Has no network and takes a closed list of requests over a local socket. Ending it ends no cell."
    )]
    Root(Root),
}

/// What every subcommand takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Directory of keys, journal and homes.
    #[arg(long, env = "MUSTER_STATE_DIR", value_name = "DIR", default_value_os_t = default_state_dir())]
    pub state_dir: PathBuf,
    /// Configuration file; without it agent.toml in the state directory or /etc/muster. Root takes only a file that
    /// nobody else can write.
    #[arg(long, env = "MUSTER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Arguments of `enroll`.
#[derive(Debug, Args)]
pub struct Enroll {
    /// Where the coordinator's QUIC door is.
    #[arg(long, env = "MUSTER_COORDINATOR", value_name = "HOST:PORT")]
    pub coordinator: String,
    /// The bootstrap token, as minting printed it. Better in the environment than on a shared command line.
    #[arg(long, env = "MUSTER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: String,
    /// What operators shall call the node; without it the host name.
    #[arg(long, env = "MUSTER_NAME", value_name = "NAME")]
    pub name: Option<String>,
    /// Wait until an operator has approved the node.
    #[arg(long)]
    pub wait: bool,
    /// Where things are.
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Use the root half that listens here, started by systemd say, instead of starting one.
    #[arg(long, env = "MUSTER_ROOT_SOCKET", value_name = "PATH")]
    pub root_socket: Option<PathBuf>,
    /// Where things are.
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `status` and `doctor`.
#[derive(Debug, Args)]
pub struct Status {
    /// JSON for programs.
    #[arg(long)]
    pub json: bool,
    /// Where things are.
    #[command(flatten)]
    pub common: Common,
}

/// Arguments of `root`.
#[derive(Debug, Args)]
pub struct Root {
    /// Serve this inherited, connected SOCK_SEQPACKET socket and end with it.
    #[arg(long, value_name = "N")]
    pub socket_fd: Option<i32>,
    /// Listen here; without it (and without --socket-fd) at root.sock in the run directory.
    #[arg(long, value_name = "PATH")]
    pub listen: Option<PathBuf>,
    /// Instead of serving, end every cell of this node, which outlive the agent otherwise.
    #[arg(long, conflicts_with_all = ["socket_fd", "listen"])]
    pub end_cells: bool,
    /// User and group of the `run` half, by number; without it those of the user it becomes.
    #[arg(long, value_name = "UID:GID")]
    pub owner: Option<String>,
    /// Where things are.
    #[command(flatten)]
    pub common: Common,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
