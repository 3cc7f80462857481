//! The half of the agent that may do what root may: it builds, lists and ends cells.
//!
//! It has no network and no tokio. The `run` half asks it over a socket in a closed list of [`words`];
//! [`Client`] is that half's end.

mod client;
mod config;
mod seqpacket;
mod words;

pub use client::{Client, Error};
pub use config::{CellSettings, Door, RootConfig};
pub use seqpacket::pair;
pub use words::{
    CellInfo, CellState, CellUsage, CreateCell, DEVICES_MAX, Event, ExitRecord, GRACE_MAX_MS, Level, OUTPUT_PIECE_MAX,
    Reply, Request, WORD_MAX,
};
