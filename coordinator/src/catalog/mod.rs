//! Catalog: what is sold (SKUs) and what runs in it (OS images).
//!
//! ```text
//! draft ── activate ──> active <── activate ── retired
//!                         └───── retire ─────────^
//! ```
//!
//! Invariants: a draft is invisible to users; what has been offered never changes but for its state, so that a
//! name stays what it was sold as. How much is free is answered by the scheduler behind `app.scheduler`. Calls
//! `audit`.

pub mod http;
mod image;
mod model;
mod store;
mod verbs;

pub use model::{Kind, Sku, State};
pub use store::{active_in, find_in, named_in};
pub use verbs::create;
