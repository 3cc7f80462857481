//! What a tenant is.

use muster_protocol::ids::{TenantId, WorkspaceId};

/// What a tenant was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantKind {
    /// One person's own.
    Personal,
    /// An organisation.
    Organisation,
}

impl TenantKind {
    /// Its word in the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::Organisation => "organisation",
        }
    }
}

impl std::str::FromStr for TenantKind {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Personal, Self::Organisation].into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// A customer organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its workspace.
    pub workspace_id: WorkspaceId,
    /// For people.
    pub name: String,
    /// What it was made for.
    pub kind: TenantKind,
    /// Since when, ms since 1970.
    pub created_ms: i64,
}
