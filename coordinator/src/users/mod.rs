//! Users: people, how they sign in, and what they may be.
//!
//! ```text
//! password ── login ──> sign-in (access token | cookie, refresh token)
//!                          │ refresh: both tokens change, the used one is remembered
//!                          │ a used refresh token comes back: the whole sign-in ends
//!                          └ logout, ended by its person, expired: over for good
//! ```
//!
//! Invariants: of passwords only argon2id hashes, of tokens only SHA-256 are stored; a sign-in is good at one
//! door; an unknown name costs the same time as a wrong password. Calls audit, tenants and projects.

mod api_keys;
mod failures;
pub mod http;
mod manage;
mod model;
mod password;
mod sign_in;
mod store;
pub mod tick;
mod verbs;

pub use failures::{Failures, SignUps};
pub use model::{NewUser, User, check_username};
pub use password::{check_password, hash_password};
pub use store::{end_all_in, find_in, name_in, person_of_login, person_of_open_login, person_of_token};
pub use verbs::{create_in, forget_old_in};
