//! Launch: slots reserved, allocations, operation and answer written, all in one transaction.

use super::doc;
use super::effects::{about, wake};
use super::evaluate::{self, Blocker, Evaluation};
use super::labels;
use super::model::Lease;
use super::progress::LAUNCH_STEPS;
use super::request::LaunchRequest;
use super::store::{self, Allocation, Said, Spec};
use crate::app::App;
use crate::audit;
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{Problem, StatusCode, answer_in};
use crate::base::limits;
use crate::base::store::Tx;
use crate::catalog::Price;
use crate::cx::Cx;
use crate::nodes::model::{Facets, Presence};
use crate::operations::{self, NewOperation, StepState};
use crate::scheduler::{self, Plan};
use crate::{links, nodes, slots};
use muster_protocol::desired::{Slot, SlotKind};
use muster_protocol::ids::{AllocationId, OperationId};
use muster_protocol::money::Currency;
use serde::Serialize;
use utoipa::ToSchema;

/// Kind of the operation.
pub(super) const KIND: &str = "allocations.launch";
/// How often a plan may meet slots that were taken meanwhile.
const MISSES: usize = 16;
/// Inside only: a slot of the plan was taken, or its node closed, between the plan and the transaction.
const MISSED: &str = slots::verbs::TAKEN;

/// Answer of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Launched {
    /// Follow it at `/api/v1/operations/{id}`.
    #[schema(value_type = String)]
    pub operation_id: OperationId,
    /// One id an allocation.
    #[schema(value_type = Vec<String>)]
    pub allocation_ids: Vec<AllocationId>,
    /// What they cost together, to their end; null: the SKU has no price.
    pub estimate: Option<Estimate>,
}

/// What precheck answers with.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Precheck {
    /// Submit would be accepted now.
    pub launchable: bool,
    /// What keeps it from that.
    pub blockers: Vec<Blocker>,
    /// What does not, but should be known.
    pub warnings: Vec<Blocker>,
    /// What it would cost as things are; null: the SKU has no price.
    pub estimate: Option<Estimate>,
}

/// What a launch costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Estimate {
    /// ISO 4217.
    pub currency: &'static str,
    /// Whole minor units (cents) an hour for all of its allocations together.
    pub hourly_minor: i64,
}

impl Estimate {
    fn of(price: Option<Price>, count: u32) -> Option<Self> {
        let hourly_minor = price?.minor_per_hour.saturating_mul(count.into());
        Some(Self { currency: price?.currency.code(), hourly_minor })
    }
}

/// Looks at a launch without doing it, with the evaluator of [`launch`].
pub(super) async fn precheck(app: &App, cx: &Cx, request: LaunchRequest) -> Result<Precheck, Problem> {
    authz::require(cx, Verb::AllocationsPrecheck, Scope::Tenant(cx.tenant_id()?))?;
    let (act, asked, currency) = (cx.clone(), request.clone(), app.config.currency);
    let Evaluation { sku, mut blockers, price, .. } =
        app.store.read(move |tx| evaluate::evaluate_in(tx, &act, currency, &asked)).await?;
    let look = app.scheduler.look(app, &scheduler::wanted(&sku), request.count() as usize).await?;
    if let Err(reasons) = look {
        blockers.push(evaluate::no_room(&sku, request.count(), &reasons));
    }
    let estimate = Estimate::of(price, request.count());
    Ok(Precheck { launchable: blockers.is_empty(), blockers, warnings: Vec::new(), estimate })
}

/// Launches. 409 with the code of the first blocker, nothing written; with an `Idempotency-Key` the answer
/// is kept in the same transaction.
pub(super) async fn launch(
    app: &App,
    cx: &Cx,
    request: LaunchRequest,
    retry_of: Option<OperationId>,
) -> Result<Launched, Problem> {
    authz::require(cx, Verb::AllocationsCreate, Scope::Tenant(cx.tenant_id()?))?;
    let (act, asked, currency) = (cx.clone(), request.clone(), app.config.currency);
    let evaluation = app.store.read(move |tx| evaluate::evaluate_in(tx, &act, currency, &asked)).await?;
    if let Some(first) = evaluation.blockers.into_iter().next() {
        return Err(first.refuse());
    }
    let wanted = scheduler::wanted(&evaluation.sku);
    for _ in 0..MISSES {
        let claim = match app.scheduler.claim(app, &wanted, request.count() as usize).await? {
            Ok(claim) => claim,
            Err(reasons) => return Err(evaluate::no_room(&evaluation.sku, request.count(), &reasons).refuse()),
        };
        let (act, asked, plans) = (cx.clone(), request.clone(), claim.plans().to_vec());
        let done = app
            .store
            .write(move |tx| {
                let answer = launch_in(tx, &act, currency, (&asked, &plans), retry_of)?;
                if !cfg!(feature = "plant-idempotency") {
                    answer_in(tx, &act, StatusCode::ACCEPTED, &answer)?;
                }
                Ok(audit::unchanged(answer))
            })
            .await;
        if let (true, Ok(answer)) = (cfg!(feature = "plant-idempotency"), &done) {
            let (act, answer) = (cx.clone(), answer.clone());
            app.store.ingest(move |tx| answer_in(tx, &act, StatusCode::ACCEPTED, &answer)).await?;
        }
        match done {
            Ok(answer) => {
                claim.committed();
                wake(app);
                return Ok(answer);
            }
            Err(problem) if problem.code() == MISSED => {
                drop(claim);
                app.scheduler.missed(app).await?;
            }
            Err(problem) => return Err(problem),
        }
    }
    Err(Problem::unavailable("dependency_unavailable", "Slots change hands too fast just now: try again."))
}

/// Takes the slots of the plans and writes everything. [`MISSED`] if one of them is not to be had.
fn launch_in(
    tx: &mut Tx,
    cx: &Cx,
    currency: Currency,
    (request, plans): (&LaunchRequest, &[Plan]),
    retry_of: Option<OperationId>,
) -> Result<Launched, Problem> {
    let evaluation = evaluate::evaluate_in(tx, cx, currency, request)?;
    if let Some(first) = evaluation.blockers.first() {
        return Err(first.clone().refuse());
    }
    let allocation_ids: Vec<AllocationId> = plans.iter().map(|_| cx.new_id()).collect();
    let first = allocation_ids.first().map(ToString::to_string).unwrap_or_default();
    let operation_id = operations::start_in(
        tx,
        cx,
        NewOperation {
            kind: KIND,
            subject_kind: "allocation",
            subject_id: first,
            tenant_id: Some(evaluation.project.tenant_id),
            project_id: Some(evaluation.project.id),
            steps: LAUNCH_STEPS,
            context: serde_json::json!({
                "sku": evaluation.sku.name, "count": request.count(), "name": request.name,
                "command": request.command, "allocation_ids": allocation_ids,
                "node_id": plans.first().map(|plan| plan.node),
            }),
            retry_of,
            deadline_ms: Some(cx.now_ms + limits::PROVISIONING_MS),
        },
    )?;
    for (plan, (id, index)) in plans.iter().zip(allocation_ids.iter().zip(0u32..)) {
        let row = new_row(cx, request, &evaluation, plan, *id, index, operation_id)?;
        place_in(tx, cx, plan, &row)?;
        labels::store::insert(tx, row.id, &request.labels)?;
    }
    operations::step_in(tx, cx, operation_id, "reserve", StepState::Completed, "")?;
    operations::step_in(tx, cx, operation_id, "prepare", StepState::Active, "")?;
    let estimate = Estimate::of(evaluation.price, request.count());
    Ok(Launched { operation_id, allocation_ids, estimate })
}

fn new_row(
    cx: &Cx,
    request: &LaunchRequest,
    evaluation: &Evaluation,
    plan: &Plan,
    id: AllocationId,
    index: u32,
    operation_id: OperationId,
) -> Result<Allocation, Problem> {
    let fallback = format!("{}-{}", evaluation.sku.kind.word(), id.short());
    Ok(Allocation {
        id,
        name: request.name_of(index, &fallback),
        tenant_id: evaluation.project.tenant_id,
        project_id: evaluation.project.id,
        user_id: cx.user_id()?,
        sku_id: evaluation.sku.id,
        sku_name: evaluation.sku.name.clone(),
        price: evaluation.price,
        node_id: plan.node,
        operation_id,
        release_operation_id: None,
        lease: Lease::new(request.release_on_exit),
        lease_epoch: 1,
        spec: Spec {
            size: evaluation.sku.size,
            env: request.env.clone(),
            command: request.command.clone(),
            max_runtime_s: request.max_runtime_s,
            correlation_id: cx.correlation_id.to_string(),
        },
        keys: evaluation.keys.clone(),
        end_reason: String::new(),
        said: Said::default(),
        failure_correlation: None,
        receipt: None,
        log_complete: false,
        proof_wanted: false,
        created_ms: cx.now_ms,
        active_ms: None,
        degraded_ms: None,
        boot_id: String::new(),
        release_ms: None,
        ended_ms: None,
        used_ms: None,
    })
}

/// Reserves the slots of one allocation and writes it.
fn place_in(tx: &mut Tx, cx: &Cx, plan: &Plan, row: &Allocation) -> Result<(), Problem> {
    // Presence was looked at live, by the plan.
    let facets = Facets { presence: Presence::Online, ..nodes::store::get_in(tx, plan.node)?.facets };
    if !facets.schedulable() {
        return Err(Problem::conflict(MISSED, "The node was closed meanwhile."));
    }
    slots::reserve_in(tx, cx, &plan.slots, row.id, row.lease_epoch)?;
    store::insert(tx, row)?;
    doc::require_fits_in(tx, row.node_id, row.id)?;
    for id in &plan.slots {
        let slot = slots::store::get_in(tx, *id)?;
        let mig = slot.kind == SlotKind::Mig;
        store::insert_slot(
            tx,
            row.id,
            &Slot {
                id: *id,
                kind: slot.kind,
                gpu_uuid: Some(slot.gpu_uuid).filter(|uuid| !uuid.is_empty()),
                profile: Some(slot.profile).filter(|_| mig),
                start: u32::try_from(slot.start).ok().filter(|_| mig),
                size: u32::try_from(slot.size).ok().filter(|_| mig),
            },
        )?;
    }
    links::touch_in(tx, plan.node)?;
    let after = serde_json::json!({
        "sku": row.sku_name, "node_id": plan.node, "slots": plan.slots, "name": row.name, "price": row.price
    });
    audit::note(tx, cx, about(row, "allocations.create").after(&after))
}
