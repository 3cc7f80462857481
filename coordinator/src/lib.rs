//! `muster-coordinator`: the one small server that nodes, users and operators talk to.
//!
//! `base/` is plumbing that knows no noun. The other folders are rooms, one a noun, each with the same files
//! (`schema.sql`, `model`, `store`, `verbs`, `http`, `link`, `tick`), in an order in which a room calls only
//! earlier ones: audit, tenants, projects, users, access, …

pub mod app;
pub mod backup;
pub mod base;
pub mod config;
pub mod cx;
pub mod fleet;
pub mod inbound;
pub mod init;
pub mod outbound;
pub mod routes;
pub mod serve;

pub mod access;
pub mod allocations;
pub mod attention;
pub mod audit;
pub mod catalog;
pub mod enrolment;
pub mod links;
pub mod nodes;
pub mod operations;
pub mod projects;
pub mod scheduler;
pub mod slots;
pub mod telemetry;
pub mod tenants;
pub mod terminals;
pub mod users;
pub mod views;
