//! The half of the agent that may do what root may: it builds, lists and ends cells.
//!
//! It has one thread, no network and no tokio. The `run` half asks it over a socket in a closed list of
//! `words`; [`Client`] is that half's end.
//!
//! In reading order: `words` and `config` are what goes in; `server` is the loop, `worker` one request;
//! `create` builds (`ids`, `cgroup`, `home`, `keys`, `net`, then `spawn` with `mounts`, `dev` and `etc_files`);
//! `state` remembers; `release` ends, with `measure` for the receipt; `detect` says what a machine can hold.

mod bpf;
mod cgroup;
mod client;
mod command;
mod config;
mod create;
mod detect;
mod dev;
mod devices;
mod end_cells;
mod etc_files;
mod fault;
mod home;
mod ids;
mod keys;
mod measure;
mod mounts;
mod net;
mod process;
mod release;
mod seqpacket;
mod server;
mod spawn;
mod state;
mod tools;
mod words;
mod worker;

pub use client::{Asked, Client, Error};
pub use command::{root_config, run, start_half};
pub use config::{CellSettings, Door, RootConfig};
pub use detect::{Detected, best_level, detect, user_namespaces_forbidden};
pub use net::dropped_on_the_way;
pub use seqpacket::pair;
pub use server::serve;
pub(crate) use state::start_time;
pub use words::{
    CellInfo, CellState, CellUsage, CreateCell, DEVICES_MAX, Event, ExitRecord, GRACE_MAX_MS, Level, OUTPUT_PIECE_MAX,
    Reply, Request, WORD_MAX,
};
