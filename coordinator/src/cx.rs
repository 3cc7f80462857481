//! `Cx`: who acts, when, and under which correlation id. The first argument of every verb.

use crate::base::http::{Door, KeyedRequest, Problem};
use crate::base::rng::{FreshId, Rng};
use muster_protocol::ids::{CorrelationId, LoginId, NodeId, TenantId, UserId, WorkspaceId};
use std::net::IpAddr;
use std::sync::Arc;

/// What a person may be. The first six belong to a tenant (console door), the others to the platform
/// (operator door).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sees, changes nothing.
    Viewer,
    /// Launches and uses allocations.
    Member,
    /// Runs a project.
    ProjectAdmin,
    /// Runs the tenant.
    TenantAdmin,
    /// Sees and pays bills.
    Billing,
    /// A member who may also publish apps.
    AppDev,
    /// Staff who may look.
    OpRead,
    /// Staff who help customers.
    OpSupport,
    /// Staff who handle money.
    OpFinance,
    /// Staff who run the fleet.
    OpOps,
    /// Staff who guard access and evidence.
    OpSecurity,
    /// Staff who may do everything.
    PlatformAdmin,
}

impl Role {
    /// Every role with its word.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::Viewer, "viewer"),
        (Self::Member, "member"),
        (Self::ProjectAdmin, "project_admin"),
        (Self::TenantAdmin, "tenant_admin"),
        (Self::Billing, "billing"),
        (Self::AppDev, "app_dev"),
        (Self::OpRead, "op_read"),
        (Self::OpSupport, "op_support"),
        (Self::OpFinance, "op_finance"),
        (Self::OpOps, "op_ops"),
        (Self::OpSecurity, "op_security"),
        (Self::PlatformAdmin, "platform_admin"),
    ];

    /// Its word in the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(role, _)| *role == self).map_or("", |(_, word)| word)
    }

    /// The door at which this role counts.
    #[must_use]
    pub fn door(self) -> Door {
        match self {
            Self::Viewer | Self::Member | Self::ProjectAdmin | Self::TenantAdmin | Self::Billing | Self::AppDev => {
                Door::Console
            }
            _ => Door::Operator,
        }
    }
}

impl std::str::FromStr for Role {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, word)| *word == text).map(|(role, _)| *role).ok_or(())
    }
}

/// A signed-in person, as of this request.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub id: UserId,
    /// The sign-in name.
    pub username: String,
    /// The sign-in this request belongs to.
    pub login_id: LoginId,
    /// The door it was made at; its token is good there only.
    pub door: Door,
    /// The person's tenant. Staff without a tenant have none.
    pub tenant_id: Option<TenantId>,
    /// The tenant's workspace.
    pub workspace_id: Option<WorkspaceId>,
    /// Roles that count at this door.
    pub roles: Vec<Role>,
    /// Until when sensitive verbs are open, ms since 1970.
    pub stepped_up_until_ms: Option<i64>,
    /// Signed in with a bearer token (a script) rather than a cookie (a browser).
    pub bearer: bool,
    /// What a browser must send back in `X-CSRF-Token`; none for bearer tokens.
    pub csrf_token: Option<String>,
}

/// Who acts.
#[derive(Debug, Clone)]
pub enum Actor {
    /// Nobody known.
    Anonymous,
    /// A person.
    Person(Box<Person>),
    /// A node, by its certificate.
    Node(NodeId),
    /// The coordinator itself, with the name of the reconciler.
    System(&'static str),
}

impl Actor {
    /// `person`, `node`, `system` or `anonymous`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Person(_) => "person",
            Self::Node(_) => "node",
            Self::System(_) => "system",
        }
    }

    /// The id of the person or node, or the name of the reconciler.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Anonymous => String::new(),
            Self::Person(person) => person.id.to_string(),
            Self::Node(node) => node.to_string(),
            Self::System(name) => (*name).to_owned(),
        }
    }
}

/// The context of one act.
#[derive(Debug, Clone)]
pub struct Cx {
    /// Who acts.
    pub actor: Actor,
    /// Ties the request, its log lines and its rows together.
    pub correlation_id: CorrelationId,
    /// The time of this act, ms since 1970. Verbs use this and no clock.
    pub now_ms: i64,
    /// Where the request came from.
    pub source_ip: Option<IpAddr>,
    /// Randomness for ids and secrets.
    pub rng: Rng,
    /// Set while a request with an `Idempotency-Key` is carried out.
    pub keyed: Option<Arc<KeyedRequest>>,
}

impl Cx {
    /// A new id at the time of this act.
    #[must_use]
    pub fn new_id<T: FreshId>(&self) -> T {
        self.rng.id(self.now_ms)
    }

    /// The person who acts, or 401.
    pub fn person(&self) -> Result<&Person, Problem> {
        match &self.actor {
            Actor::Person(person) => Ok(person),
            _ => Err(Problem::unauthenticated()),
        }
    }

    /// The id of the person who acts, or 401.
    pub fn user_id(&self) -> Result<UserId, Problem> {
        Ok(self.person()?.id)
    }

    /// The tenant of the person who acts; 403 `no_tenant` for staff without one.
    pub fn tenant_id(&self) -> Result<TenantId, Problem> {
        self.person()?.tenant_id.ok_or_else(|| Problem::forbidden("no_tenant", "This needs an account in a tenant."))
    }

    /// The workspace of that tenant.
    pub fn workspace_id(&self) -> Result<WorkspaceId, Problem> {
        let none = || Problem::forbidden("no_tenant", "This needs an account in a tenant.");
        self.person()?.workspace_id.ok_or_else(none)
    }
}
