//! Projects: what owns allocations.
//!
//! Invariants: a project belongs to one tenant for life; each tenant has exactly one default project, made
//! with it; a deleted project stays as a row, for what ran in it. What may be deleted is decided where leases are
//! known (`allocations/projects.rs`). Calls audit and tenants.

pub mod http;
mod model;
mod store;
mod verbs;

pub use model::Project;
pub use store::{create_in, default_in, delete_in, find_in, list_in};
