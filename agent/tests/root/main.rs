//! The root half as a real process, and real cells with all their walls.

mod kit;
mod walls;
