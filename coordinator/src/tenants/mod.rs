//! Tenants: customer organisations, each the boundary of what its people can see.
//!
//! Invariants: a tenant has one workspace for life; people, projects and allocations of one tenant are
//! invisible to another. Calls only audit.

mod model;
mod store;

pub use model::{Tenant, TenantKind};
pub use store::{create_in, find_in};
