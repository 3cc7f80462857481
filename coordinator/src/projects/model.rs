//! What a project is.

use muster_protocol::ids::{ProjectId, TenantId};

/// A unit of a tenant that owns allocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Unique in the tenant.
    pub name: String,
    /// Where things go when nobody said otherwise.
    pub is_default: bool,
    /// Since when, ms since 1970.
    pub created_ms: i64,
}
