//! Enrolment: how a machine becomes a node, and how a node keeps a valid certificate.
//!
//! ```text
//! token + CSR ──> key bound to a pending node ── approval ──> certificate ── renewal over the link ──> …
//!                                                        └─ expired: proof of the key + recovery budget
//! ```
//!
//! Invariants: of a token's secret only the hash is kept (and, for a day, the answer of the keyed request that
//! minted it); a node's private key never comes here; a spent token binds one key to
//! one node; there is no certificate before approval; what is revoked never returns.

pub mod http;
pub mod link;
pub mod model;
mod store;
pub mod verbs;

pub use http::operator_routes;
