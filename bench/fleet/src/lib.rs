//! `muster-fleet`: many nodes in one process, for a real coordinator. They have real keys, certificates and links,
//! the agent's own enrolment and delays, and one socket together; what is behind a real agent (GPUs, cells) they
//! only say.
//!
//! [`node`] is one of them from enrolment on, [`link`] one connection, [`cells`] what it says of its cells,
//! [`meters`] what is measured on this side, [`fleet`] all of them together.

pub mod cells;
pub mod fleet;
pub mod link;
pub mod meters;
pub mod node;

pub use fleet::Fleet;
pub use node::Mode;
