//! The harness: a whole Muster in a box, driven through its public doors only.
//!
//! A [`World`] is a real `muster demo`: real coordinator, real agents, real cells, on free ports in its own
//! folder. [`Api`] speaks HTTP to one of its doors, [`Terminal`] the WebSocket, [`Cli`] is the `muster`
//! command. Tests wait for conditions with [`eventually`], never for times.

mod api;
mod browser;
mod cli;
mod clock;
mod coordinator;
mod cut;
mod database;
mod events;
pub mod flow;
mod gpu;
pub mod leaks;
pub mod seed;
mod terminal;
mod wait;
mod world;

pub use api::fresh_key;
pub use api::{Answer, Api};
pub use browser::browse;
pub use cli::{Cli, Output};
pub use clock::WrongClock;
pub use cut::Cut;
pub use database::Database;
pub use events::{Event, Events};
pub use gpu::simgpu;
pub use terminal::{Message, Terminal};
pub use wait::{eventually, eventually_within};
pub use world::{Agent, Pids, Ready, World, WorldOptions, binary, is_root, program, signal};
