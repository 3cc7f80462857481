//! The link to the coordinator: dialled by us, always, and again whenever it ends.

pub mod socket;
pub mod wire;
