//! The real agent against a double of the coordinator, over real QUIC on loopback.

mod double;
mod lives;
mod refuses;
mod stalls;
