//! The HTTP frame: errors, extractors, paging, replay of keyed requests, and the layer around every route.

pub mod auth;
pub mod downloads;
mod error;
mod etag;
mod extract;
pub mod frame;
mod gates;
mod idempotency;
pub mod listen;
pub mod openapi;
mod page;
pub mod pages;
pub mod sse;
pub mod system;

pub use axum::http::StatusCode;

pub use auth::{Caller, Door, Visitor};
pub use error::{FieldError, Problem, ProblemAction, ProblemBody};
pub use etag::{IfMatch, with_etag};
pub use extract::{Json, JsonText, MaybeJson, NoBody, Path, Query};
pub use gates::Gates;
pub use idempotency::{IdempotencyState, Keyed, KeyedRequest, answer_in, forget_in, idempotent};
pub use page::{Cursor, Page, PageQuery};
