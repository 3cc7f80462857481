//! Access: people's public SSH keys.
//!
//! Invariants: only public keys, checked down to their bytes; a key stands once a person; a pasted private
//! key is refused before anything of it is stored or logged. Calls audit and users.

pub mod http;
mod model;
mod store;
mod verbs;

pub use model::{BadKey, KeyKind, PublicKey, SshKey};
pub use store::{find_in, of_user_in};
pub use verbs::resolve_in;
