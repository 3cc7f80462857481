//! Users: people, how they sign in, and what they may be.

mod failures;
mod store;

pub use failures::Failures;
pub use store::person_of_token;
