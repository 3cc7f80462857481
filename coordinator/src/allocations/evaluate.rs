//! The one evaluator of launches: what precheck shows is what submit refuses.

use super::request::LaunchRequest;
use super::store::Keys;
use crate::access;
use crate::base::http::{FieldError, Problem, ProblemAction};
use crate::base::store::Tx;
use crate::catalog::{self, Price, Sku, State as SkuState};
use crate::cx::Cx;
use crate::projects::{self, Project};
use crate::scheduler::{Reason, Reasons};
use muster_protocol::ids::{ImageId, ProjectId, SshKeyId};
use muster_protocol::money::Currency;
use serde::Serialize;
use utoipa::ToSchema;

/// Something that keeps a launch from being done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Blocker {
    /// A word scripts may rely on; the code of the 409 that submit answers with.
    pub code: &'static str,
    /// The step of the wizard it belongs to: `hardware`, `capacity`, `image`, `access`.
    pub step: &'static str,
    /// Who can take it away: `user` or `operator`.
    pub owner: &'static str,
    /// For people.
    pub detail: String,
    /// Where it can be taken away.
    pub action: Option<ProblemAction>,
    /// Counts behind it, by reason.
    pub errors: Vec<FieldError>,
}

/// A launch that has been looked at.
#[derive(Debug, Clone)]
pub(super) struct Evaluation {
    pub sku: Sku,
    pub project: Project,
    pub keys: Option<Keys>,
    /// What an hour of one costs now.
    pub price: Option<Price>,
    pub blockers: Vec<Blocker>,
}

impl Blocker {
    fn new(code: &'static str, step: &'static str, owner: &'static str, detail: impl Into<String>) -> Self {
        Self { code, step, owner, detail: detail.into(), action: None, errors: Vec::new() }
    }

    /// The refusal of a submit.
    pub(super) fn refuse(self) -> Problem {
        let problem = Problem::conflict(self.code, self.detail).with_errors(self.errors);
        match self.action {
            Some(action) => problem.action(&action.label, action.href),
            None => problem,
        }
    }
}

/// Everything but capacity. 404 for what the caller may not know of, 422 for what makes no sense.
pub(super) fn evaluate_in(
    tx: &mut Tx,
    cx: &Cx,
    currency: Currency,
    request: &LaunchRequest,
) -> Result<Evaluation, Problem> {
    let errors = request.check();
    if !errors.is_empty() {
        return Err(Problem::invalid_fields(errors));
    }
    let mut blockers = Vec::new();
    let sku = catalog::named_in(tx, &request.sku)?.filter(|sku| sku.state != SkuState::Draft);
    let sku = sku.ok_or_else(|| Problem::not_found("SKU"))?;
    if sku.state == SkuState::Retired {
        let detail = format!("{} is no longer offered.", sku.name);
        blockers.push(Blocker::new("sku_retired", "hardware", "operator", detail));
    }
    let tenant = cx.tenant_id()?;
    let project = match &request.project_id {
        None => projects::default_in(tx, tenant)?,
        Some(text) => {
            let id: ProjectId = text.parse().map_err(|_| Problem::not_found("project"))?;
            projects::find_in(tx, tenant, id)?
        }
    };
    let keys = keys_in(tx, cx, request)?;
    if keys.as_ref().is_none_or(|keys| keys.ids.is_empty())
        && request.ssh_key_ids.is_none()
        && request.command.is_none()
    {
        let mut blocker = Blocker::new("ssh_key_missing", "access", "user", "You have no SSH key yet: add one first.");
        blocker.action = Some(ProblemAction { label: "Add a key".into(), href: "/access/credentials".into() });
        blockers.push(blocker);
    }
    let host = ImageId::new(0, [0; 10]).to_string();
    if request.image.as_ref().is_some_and(|image| image != "host" && *image != host) {
        let detail = format!("The image does not run on {}.", sku.name);
        blockers.push(Blocker::new("image_incompatible", "image", "user", detail));
    }
    let price = catalog::price_in(tx, sku.id, currency, cx.now_ms)?;
    Ok(Evaluation { sku, project, keys, price, blockers })
}

/// Who may log in: none for nobody.
fn keys_in(tx: &mut Tx, cx: &Cx, request: &LaunchRequest) -> Result<Option<Keys>, Problem> {
    let keys = named_keys_in(tx, cx, request.ssh_key_ids.as_deref())?;
    Ok(Some(keys).filter(|keys| !keys.ids.is_empty()))
}

/// The keys of these ids, or all of the caller's.
pub(super) fn named_keys_in(tx: &mut Tx, cx: &Cx, ids: Option<&[String]>) -> Result<Keys, Problem> {
    let parse = |id: &String| id.parse::<SshKeyId>().map_err(|_| Problem::not_found("SSH key"));
    let ids = ids.map(|ids| ids.iter().map(parse).collect::<Result<Vec<_>, _>>()).transpose()?;
    let keys = access::resolve_in(tx, cx.user_id()?, ids.as_deref())?;
    Ok(Keys { ids: keys.iter().map(|key| key.id).collect(), lines: keys.iter().map(|key| key.key.line()).collect() })
}

/// What is in the way of a request that fits nowhere.
pub(super) fn no_room(sku: &Sku, count: u32, reasons: &Reasons) -> Blocker {
    let errors = reasons.words().into_iter().map(|(word, slots)| FieldError {
        field: "sku".to_owned(),
        code: word.to_owned(),
        detail: format!("{slots} of {} matching slots", reasons.matching),
    });
    let only = |reason| reasons.counts.len() == 1 && reasons.counts.contains_key(&reason);
    let mut blocker = if reasons.is_topology() {
        let detail = format!(
            "{} needs {} slots on one node: {} are free, but on several nodes.",
            sku.name, sku.gpus, reasons.free
        );
        Blocker::new("topology_unsatisfied", "capacity", "operator", detail)
    } else if only(Reason::NodeOffline) {
        let detail = format!("The nodes that have {} cannot be reached now.", sku.name);
        Blocker::new("node_offline", "capacity", "operator", detail)
    } else {
        let detail = if count > 1 {
            // The smallest change is that of the first that did not fit, which may not be the last.
            format!("There is no room for {count} of {} now.", sku.name)
        } else {
            format!("{} is sold out.{}", sku.name, smallest(reasons))
        };
        Blocker::new("sold_out", "capacity", "operator", detail)
    };
    blocker.errors = errors.collect();
    blocker
}

/// The smallest change in words, without the names of nodes.
fn smallest(reasons: &Reasons) -> String {
    let acts = reasons.smallest_change.iter().map(|change| match change.reason {
        Reason::Busy if change.count == 1 => "a slot comes free".to_owned(),
        Reason::Busy => format!("{} slots come free", change.count),
        Reason::Held if change.count == 1 => "a slot is cleared by an operator".to_owned(),
        Reason::Held => format!("{} slots are cleared by an operator", change.count),
        Reason::Unapproved if change.count == 1 => "a slot is approved by an operator".to_owned(),
        Reason::Unapproved => format!("{} slots are approved by an operator", change.count),
        Reason::NodeOffline => "a node comes back".to_owned(),
        Reason::NodeCordoned => "a node is opened again".to_owned(),
        Reason::NodeUnhealthy => "a node is healthy again".to_owned(),
        Reason::NodeInactive => "a node is put into service".to_owned(),
        Reason::Topology => String::new(),
    });
    let acts: Vec<String> = acts.filter(|act| !act.is_empty()).collect();
    if acts.is_empty() { String::new() } else { format!(" It fits as soon as {}.", acts.join(" and ")) }
}
