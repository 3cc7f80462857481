//! Catalog: what is sold (SKUs) and what runs in it (OS images).
//!
//! ```text
//! draft ── activate ──> active <── activate ── retired
//!                         └───── retire ─────────^
//! ```
//!
//! Invariants: a draft is invisible to users; what has been offered never changes but for its state and its price, so
//! that a name stays what it was sold as. How much is free is answered by the scheduler behind `app.scheduler`. Calls
//! `audit`, `users`.

pub mod http;
mod image;
mod model;
pub mod prices;
mod store;
mod verbs;

pub use model::{Kind, Sku, State};
pub use prices::store::price_at;
pub use prices::{Price, price_in};
pub use store::{active_in, find_in, named_in};
pub use verbs::create;
