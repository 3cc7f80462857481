//! Sessions in an allocation: terminals, commands and SSH, over one WebSocket each.

pub mod escape;
pub mod exec;
pub mod input;
pub mod pump;
pub mod resend;
pub mod ssh;
pub mod stdio;
pub mod terminal;
pub mod tty;
pub mod wire;
