//! What a person is to us. Pure.

use crate::base::http::Problem;
use crate::cx::Role;
use muster_protocol::ids::{TenantId, UserId};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// The sign-in name, as they wrote it.
    pub username: String,
    /// Where they can be written to.
    pub email: Option<String>,
    /// Their tenant. Staff without a tenant have none.
    pub tenant_id: Option<TenantId>,
    /// Roles of both doors.
    pub roles: Vec<Role>,
    /// Whether they may sign in.
    pub active: bool,
    /// Since when, ms since 1970.
    pub created_ms: i64,
}

/// A person to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Checked by [`check_username`].
    pub username: String,
    /// Not verified.
    pub email: Option<String>,
    /// Of `hash_password`.
    pub password_hash: String,
    /// With a role of the console door a personal tenant and its default project are made too.
    pub roles: Vec<Role>,
}

/// The form under which a name is unique: `Ada` and `ada` are one person.
#[must_use]
pub(super) fn username_key(username: &str) -> String {
    username.trim().to_ascii_lowercase()
}

/// 422 unless the name has 2 to 64 characters of `a-z A-Z 0-9 . _ - @ +` and begins with a letter or digit.
pub fn check_username(username: &str) -> Result<(), Problem> {
    let good = (2..=64).contains(&username.len())
        && username.starts_with(|char: char| char.is_ascii_alphanumeric())
        && username.chars().all(|char| char.is_ascii_alphanumeric() || "._-@+".contains(char));
    if good {
        return Ok(());
    }
    let detail = "A username has 2 to 64 letters, digits or . _ - @ + and begins with a letter or digit.";
    Err(Problem::invalid("username", "invalid", detail))
}

/// 422 unless the text can be an e-mail address.
pub(super) fn check_email(email: &str) -> Result<(), Problem> {
    let parts = email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'));
    let plain = email.len() <= 254 && !email.contains(|char: char| char.is_whitespace() || char.is_control());
    if parts && plain { Ok(()) } else { Err(Problem::invalid("email", "invalid", "This is no e-mail address.")) }
}
