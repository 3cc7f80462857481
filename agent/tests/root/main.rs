//! The root half as a real process, and real cells with all their walls. Needs root, like all of `make test`.

mod doors;
mod kit;
mod limits;
mod lives;
mod network;
mod release;
mod ssh;
mod unprivileged;
mod walls;
