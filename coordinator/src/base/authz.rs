//! One table: which verb is open to whom, at which door. Every route names its verb as its OpenAPI
//! `operation_id`; a test holds the routes and this table together.
//!
//! `platform_admin` may do every verb of the operator door and `tenant_admin` every verb of the console
//! door. The system (reconcilers) may do everything; a node nothing that stands here.

use crate::base::http::{Door, Problem};
use crate::cx::{Actor, Cx, Role};
use muster_protocol::ids::{TenantId, UserId};

/// Who may pass at one door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The verb does not exist at this door.
    Closed,
    /// Anyone, without signing in.
    Anyone,
    /// Every person who is signed in at this door.
    SignedIn,
    /// A person with one of these roles.
    Roles(&'static [Role]),
}

/// What a verb is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The platform itself: nodes, products, staff.
    Platform,
    /// Something of one tenant. 404 for people of another tenant.
    Tenant(TenantId),
    /// Something of one person. 404 for everyone else at the console door.
    User(UserId),
}

const NONE: Gate = Gate::Closed;
const ANYONE: Gate = Gate::Anyone;
const SIGNED_IN: Gate = Gate::SignedIn;
/// Everyone in a tenant, from viewer upwards.
const VIEWERS: Gate =
    Gate::Roles(&[Role::Viewer, Role::Member, Role::ProjectAdmin, Role::TenantAdmin, Role::Billing, Role::AppDev]);
/// Those who may launch and use.
const MEMBERS: Gate = Gate::Roles(&[Role::Member, Role::ProjectAdmin, Role::TenantAdmin, Role::AppDev]);
/// Those who run a tenant.
const TENANTS: Gate = Gate::Roles(&[Role::ProjectAdmin, Role::TenantAdmin]);
/// All staff.
const STAFF: Gate =
    Gate::Roles(&[Role::OpRead, Role::OpSupport, Role::OpFinance, Role::OpOps, Role::OpSecurity, Role::PlatformAdmin]);
/// Staff who run the fleet.
const OPS: Gate = Gate::Roles(&[Role::OpOps, Role::PlatformAdmin]);
/// Staff who guard access.
const SECURITY: Gate = Gate::Roles(&[Role::OpSecurity, Role::PlatformAdmin]);
/// Platform administrators.
const ADMIN: Gate = Gate::Roles(&[Role::PlatformAdmin]);

macro_rules! verbs {
    ($($name:ident = $text:literal: $console:ident, $operator:ident;)*) => {
        /// Everything that can be done through the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Verb {
            $(#[doc = $text] $name),*
        }

        impl Verb {
            /// Every verb with its text and its gates at the console and the operator door.
            pub const TABLE: &'static [(Self, &'static str, Gate, Gate)] =
                &[$((Self::$name, $text, $console, $operator)),*];
        }
    };
}

verbs! {
    // verb                      text (= operation_id)          console    operator
    HealthLive                 = "health.live":                 ANYONE,    ANYONE;
    HealthReady                = "health.ready":                ANYONE,    ANYONE;
    OpenapiShow                = "openapi.show":                ANYONE,    ANYONE;
    MetricsShow                = "metrics.show":                NONE,      STAFF;
    DownloadsList              = "downloads.list":              SIGNED_IN, SIGNED_IN;
    DownloadsShow              = "downloads.show":              SIGNED_IN, SIGNED_IN;
    AuthLogin                  = "auth.login":                  ANYONE,    ANYONE;
    AuthSignup                 = "auth.signup":                 ANYONE,    NONE;
    AuthRefresh                = "auth.refresh":                ANYONE,    ANYONE;
    AuthLogout                 = "auth.logout":                 ANYONE,    ANYONE;
    AuthStepUp                 = "auth.step_up":                SIGNED_IN, SIGNED_IN;
    MeShow                     = "me.show":                     SIGNED_IN, SIGNED_IN;
    MeHome                     = "me.home":                     VIEWERS,   NONE;
    AccountSessionsList        = "account.sessions.list":       SIGNED_IN, SIGNED_IN;
    AccountSessionsEnd         = "account.sessions.end":        SIGNED_IN, SIGNED_IN;
    AccountSessionsEndOthers   = "account.sessions.end_others": SIGNED_IN, SIGNED_IN;
    AccountPassword            = "account.password":            SIGNED_IN, SIGNED_IN;
    ApiKeysList                = "api_keys.list":               SIGNED_IN, NONE;
    ApiKeysCreate              = "api_keys.create":             SIGNED_IN, NONE;
    ApiKeysRevoke              = "api_keys.revoke":             SIGNED_IN, NONE;
    ProjectsList               = "projects.list":               VIEWERS,   NONE;
    ProjectsCreate             = "projects.create":             TENANTS,   NONE;
    ProjectsShow               = "projects.show":               VIEWERS,   NONE;
    ProjectsUpdate             = "projects.update":             TENANTS,   NONE;
    ProjectsSetDefault         = "projects.set_default":        TENANTS,   NONE;
    ProjectsImpact             = "projects.impact":             VIEWERS,   NONE;
    ProjectsDelete             = "projects.delete":             TENANTS,   NONE;
    SshKeysList                = "ssh_keys.list":               SIGNED_IN, NONE;
    SshKeysCreate              = "ssh_keys.create":             SIGNED_IN, NONE;
    SshKeysDelete              = "ssh_keys.delete":             SIGNED_IN, NONE;
    UsersList                  = "users.list":                  NONE,      STAFF;
    UsersCreate                = "users.create":                NONE,      ADMIN;
    UsersShow                  = "users.show":                  NONE,      STAFF;
    UsersUpdate                = "users.update":                NONE,      ADMIN;
    UsersDisable               = "users.disable":               NONE,      ADMIN;
    UsersEnable                = "users.enable":                NONE,      ADMIN;
    UsersSessions              = "users.sessions":              NONE,      STAFF;
    UsersEndSessions           = "users.end_sessions":          NONE,      ADMIN;
    AuditList                  = "audit.list":                  NONE,      STAFF;
    AuditShow                  = "audit.show":                  NONE,      STAFF;
    AuditVerify                = "audit.verify":                NONE,      SECURITY;
    AuditExport                = "audit.export":                NONE,      SECURITY;
    OperationsList             = "operations.list":             VIEWERS,   STAFF;
    OperationsShow             = "operations.show":             VIEWERS,   STAFF;
    OperationsCancel           = "operations.cancel":           MEMBERS,   OPS;
    OperationsRetry            = "operations.retry":            MEMBERS,   OPS;
    OperationsGiveUp           = "operations.give_up":          NONE,      OPS;
    OperationsRelated          = "operations.related":          VIEWERS,   STAFF;
    OperationsStream           = "operations.stream":           VIEWERS,   STAFF;
    TasksStream                = "tasks.stream":               VIEWERS,   NONE;
    TasksList                  = "tasks.list":                  VIEWERS,   NONE;
    OperationsEvents           = "operations.events":           VIEWERS,   STAFF;
    TasksEvents                = "tasks.events":                VIEWERS,   NONE;
    TasksCancel                = "tasks.cancel":                MEMBERS,   NONE;
    TasksRetry                 = "tasks.retry":                 MEMBERS,   NONE;
    TasksShow                  = "tasks.show":                  VIEWERS,   NONE;
    SkusList                   = "skus.list":                   VIEWERS,   STAFF;
    SkusShow                   = "skus.show":                   VIEWERS,   STAFF;
    SkusCreate                 = "skus.create":                 NONE,      OPS;
    SkusUpdate                 = "skus.update":                 NONE,      OPS;
    SkusActivate               = "skus.activate":               NONE,      OPS;
    SkusSetPrice               = "skus.set_price":              NONE,      OPS;
    SkusPrices                 = "skus.prices":                 NONE,      STAFF;
    SkusMatches                = "skus.matches":                NONE,      STAFF;
    SkusRetire                 = "skus.retire":                 NONE,      OPS;
    ImagesList                 = "images.list":                 VIEWERS,   STAFF;
    NodesList                  = "nodes.list":                  NONE,      STAFF;
    NodesShow                  = "nodes.show":                  NONE,      STAFF;
    NodesUpdate                = "nodes.update":                NONE,      OPS;
    NodesApprove               = "nodes.approve":               NONE,      OPS;
    NodesReject                = "nodes.reject":                NONE,      OPS;
    NodesReactivate            = "nodes.reactivate":            NONE,      OPS;
    NodesProbe                 = "nodes.probe":                 NONE,      OPS;
    NodesCordon                = "nodes.cordon":                NONE,      OPS;
    NodesUncordon              = "nodes.uncordon":              NONE,      OPS;
    NodesDrain                 = "nodes.drain":                 NONE,      OPS;
    NodesMaintenance           = "nodes.maintenance":           NONE,      OPS;
    NodesMetrics               = "nodes.metrics":               NONE,      STAFF;
    NodesTasksRequeue          = "nodes.tasks.requeue":         NONE,      OPS;
    NodesTasksCancel           = "nodes.tasks.cancel":          NONE,      OPS;
    NodesXids                  = "nodes.xids":                  NONE,      STAFF;
    NodesCertificates          = "nodes.certificates":          NONE,      STAFF;
    NodesRevoke                = "nodes.revoke":                NONE,      OPS;
    NodesReEnroll              = "nodes.re_enroll":             NONE,      OPS;
    NodesRemove                = "nodes.remove":                NONE,      OPS;
    FuseShow                   = "fuse.show":                   NONE,      STAFF;
    FuseReset                  = "fuse.reset":                  NONE,      OPS;
    NodesTasks                 = "nodes.tasks":                 NONE,      STAFF;
    NodesActivity              = "nodes.activity":              NONE,      STAFF;
    TokensCreate               = "tokens.create":               NONE,      OPS;
    TokensList                 = "tokens.list":                 NONE,      STAFF;
    TokensRevoke               = "tokens.revoke":               NONE,      OPS;
    SlotsList                  = "slots.list":                  NONE,      STAFF;
    SlotsDiscover              = "slots.discover":              NONE,      OPS;
    SlotsApprove               = "slots.approve":               NONE,      OPS;
    SlotsReject                = "slots.reject":                NONE,      OPS;
    SlotsBatch                 = "slots.batch":                 NONE,      OPS;
    SlotsHold                  = "slots.hold":                  NONE,      OPS;
    SlotsUnhold                = "slots.unhold":                NONE,      OPS;
    AllocationsCreate          = "allocations.create":          MEMBERS,   NONE;
    AllocationsPrecheck        = "allocations.precheck":        MEMBERS,   NONE;
    DraftsShow                 = "drafts.show":                 SIGNED_IN, NONE;
    DraftsSave                 = "drafts.save":                 SIGNED_IN, NONE;
    DraftsDelete               = "drafts.delete":               SIGNED_IN, NONE;
    AllocationsList            = "allocations.list":            VIEWERS,   STAFF;
    AllocationsShow            = "allocations.show":            VIEWERS,   STAFF;
    AllocationsUpdate          = "allocations.update":          MEMBERS,   NONE;
    AllocationsRelease         = "allocations.release":         MEMBERS,   OPS;
    AllocationsForceRelease    = "allocations.force_release":   NONE,      OPS;
    CellsList                  = "cells.list":                  NONE,      STAFF;
    CellsEnd                   = "cells.end":                   NONE,      OPS;
    AllocationsSshKeys         = "allocations.ssh_keys":        MEMBERS,   NONE;
    AllocationsLogs            = "allocations.logs":            MEMBERS,   NONE;
    AllocationsMetrics         = "allocations.metrics":         VIEWERS,   STAFF;
    AllocationsMetricsStream   = "allocations.metrics_stream":  SIGNED_IN, NONE;
    MetricsConfig              = "metrics.config":              VIEWERS,   NONE;
    AllocationsTimeline        = "allocations.timeline":        VIEWERS,   STAFF;
    TerminalsToken             = "terminals.token":             MEMBERS,   NONE;
    TerminalsOpen              = "terminals.open":              ANYONE,    NONE;
    TerminalsList              = "terminals.list":              MEMBERS,   NONE;
    TerminalsEnd               = "terminals.end":               MEMBERS,   NONE;
    TunnelsToken               = "tunnels.token":               MEMBERS,   NONE;
    TunnelsOpen                = "tunnels.open":                ANYONE,    NONE;
    EventsStream               = "events.stream":               SIGNED_IN, SIGNED_IN;
    WorkloadsList              = "workloads.list":              VIEWERS,   NONE;
    AttentionList              = "attention.list":              NONE,      STAFF;
    AttentionAck               = "attention.ack":               NONE,      OPS;
    AttentionUnack             = "attention.unack":             NONE,      OPS;
    OverviewShow               = "overview.show":               NONE,      STAFF;
    SearchShow                 = "search.show":                 SIGNED_IN, SIGNED_IN;
}

impl Verb {
    /// Its text, also the `operation_id` of its route and the action of its event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Who may pass at a door.
    #[must_use]
    pub fn gate(self, door: Door) -> Gate {
        let row = self.row();
        match door {
            Door::Console => row.2,
            Door::Operator => row.3,
        }
    }

    /// The verb with this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.1 == text).map(|row| row.0)
    }

    fn row(self) -> &'static (Self, &'static str, Gate, Gate) {
        // The table is made from the same list as the enum, in the same order.
        &Self::TABLE[self as usize]
    }
}

/// Lets the actor of `cx` do `verb` to something of `scope`, or says why not: 401 without sign-in, 403
/// `forbidden_role` without the role, 404 for what lies outside one's own tenant or account.
pub fn require(cx: &Cx, verb: Verb, scope: Scope) -> Result<(), Problem> {
    let person = match &cx.actor {
        Actor::System(_) => return Ok(()),
        Actor::Person(person) => person,
        Actor::Anonymous | Actor::Node(_) => {
            let open = matches!(cx.actor, Actor::Anonymous) && verb.row().2 == Gate::Anyone;
            return if open { Ok(()) } else { Err(Problem::unauthenticated()) };
        }
    };
    let allowed = match verb.gate(person.door) {
        Gate::Closed => false,
        Gate::Anyone | Gate::SignedIn => true,
        Gate::Roles(roles) => person.roles.iter().any(|role| roles.contains(role)),
    };
    if !allowed {
        return Err(Problem::forbidden("forbidden_role", "Your role does not allow this."));
    }
    let within = match scope {
        Scope::Platform => true,
        Scope::Tenant(tenant) => person.door == Door::Operator || person.tenant_id == Some(tenant),
        Scope::User(user) => person.door == Door::Operator || person.id == user,
    };
    if within { Ok(()) } else { Err(Problem::not_found("thing")) }
}

/// 403 `step_up_required` unless the person gave the password within the last minutes.
pub fn require_step_up(cx: &Cx) -> Result<(), Problem> {
    let fresh = cx.person()?.stepped_up_until_ms.is_some_and(|until| until > cx.now_ms);
    if fresh {
        return Ok(());
    }
    Err(Problem::forbidden("step_up_required", "Confirm your password first.")
        .action("Confirm password", "/api/v1/auth/step-up"))
}
