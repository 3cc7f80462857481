//! Projects: what owns allocations. One default project a tenant.
