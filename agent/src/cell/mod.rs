//! `muster-agent cell`: PID 1 of one allocation.
//!
//! One thread, one epoll, no runtime. It owns the terminals and their replay rings, runs commands, starts
//! sshd for tunnels, reaps children and writes its own exit record. It is not the agent, so everything in it
//! outlives the agent; it is PID 1, so nothing in it outlives it.
//!
//! In reading order: [`config`] is what the root half hands over; `start` takes it; `daemon` is the loop;
//! `conn`, `doors` and `attach` are the socket's side; `session`, `ring`, `input` and `viewer` are what a
//! session is; `pty`, `spawn`, `userns`, `seccomp` and `ssh` start programs; `ending` and `record` are the end; `trim` keeps it small.
//!
//! Invariants:
//! - No call waits for a payload: not for its exec, its reading or its writing.
//! - A connection that says nonsense loses itself and nothing else.
//! - Payloads inherit no descriptor but their own three, and have no way to PID 1 or its socket.

mod attach;
pub mod config;
mod conn;
mod daemon;
mod doors;
mod ending;
mod error;
mod input;
mod poll;
mod pty;
pub mod record;
mod rights;
mod ring;
mod seccomp;
mod session;
mod spawn;
mod ssh;
mod start;
mod trim;
mod userns;
mod viewer;

pub use error::CellError;
pub use start::main;
