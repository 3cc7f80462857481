//! What operators look at: what needs action, the platform in numbers, and what was done to a node.

mod activity;
mod attention;
pub mod http;
mod overview;
mod store;
