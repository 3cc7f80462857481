//! Projects: what owns allocations.
//!
//! Invariants: a project belongs to one tenant for life; each tenant has exactly one default project, made
//! with it. Calls audit and tenants.

pub mod http;
mod model;
mod store;

pub use model::Project;
pub use store::{create_in, default_in, find_in, list_in};
