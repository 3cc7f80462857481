//! Drafts of launches: what a person has typed into the wizard and not sent, so that a reload or another browser
//! goes on where they were. Scratch paper of one person: no event is written about it, nobody else reads it.

pub mod http;
mod store;
