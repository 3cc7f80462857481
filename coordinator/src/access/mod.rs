//! Access: people's public SSH keys.
