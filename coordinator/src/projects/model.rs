//! What a project is.

use muster_protocol::ids::{ProjectId, TenantId};

/// A unit of a tenant that owns allocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Unique in the tenant.
    pub name: String,
    /// Where things go when nobody said otherwise.
    pub is_default: bool,
    /// Changes with every edit.
    pub version: i64,
    /// Since when, ms since 1970.
    pub created_ms: i64,
}

/// What a person typed as a name, if it can be one: 1 to 100 characters on one line.
#[must_use]
pub(super) fn name_of(text: &str) -> Option<String> {
    let name = text.trim();
    let good = !name.is_empty() && name.chars().count() <= 100 && !name.contains(char::is_control);
    good.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_on_one_line() {
        assert_eq!(name_of("  a b "), Some("a b".to_owned()));
        assert_eq!(name_of(&"é".repeat(100)).map(|name| name.chars().count()), Some(100));
        for bad in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert_eq!(name_of(bad), None, "{bad:?}");
        }
    }
}
