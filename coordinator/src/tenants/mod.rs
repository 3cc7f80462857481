//! Tenants: customer organisations. Calls no other room but audit.
