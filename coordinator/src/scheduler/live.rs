//! The snapshot in memory, refreshed from the database, with what launches of this process have claimed.
//!
//! A claim keeps launches that run at the same time off each other's slots; it is a courtesy, not a lock.
//! What decides is the compare-and-set inside the launch's transaction.

use super::frag;
use super::model::{Class, Closed, Node, Plan, Reasons, Request, Snapshot, Status};
use super::place::place;
use super::{store, wanted};
use crate::app::App;
use crate::base::http::Problem;
use crate::catalog::Sku;
use crate::nodes::model::Presence;
use muster_protocol::ids::{NodeId, SlotId};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A plan is made on a snapshot that is at most so many times as old as it took to read. What was freed since is not
/// in it, and a launch would go round the free slots instead of to the one that fits best.
const AGE: u32 = 10;

/// The scheduler's memory.
#[derive(Debug, Default)]
pub struct Live {
    inner: Mutex<Inner>,
    /// One refresh at a time; who waits for it mostly finds that it was the one it needed.
    refreshing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Counts up with every question and every refresh: says which refresh began after which question.
    moment: u64,
    /// When the refresh behind `base` began.
    began: u64,
    /// And when that was on the clock, and how long it took.
    read: Option<(Instant, Duration)>,
    base: Snapshot,
    /// `base` with the claims taken out.
    work: Snapshot,
    classes: Vec<Class>,
    claims: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    plan: Plan,
    /// When its transaction was known to be committed; none: not yet.
    committed: Option<u64>,
}

/// Slots set aside for one launch. Dropped without [`Claim::committed`], they are free again.
#[derive(Debug)]
pub struct Claim {
    app: App,
    ids: Vec<u64>,
    plans: Vec<Plan>,
    committed: bool,
}

impl Claim {
    /// One plan an allocation.
    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// Nodes of its plans that have fallen silent since the snapshot was taken.
    fn lost(&self) -> Vec<NodeId> {
        let nodes = self.plans.iter().map(|plan| plan.node);
        nodes.filter(|node| self.app.board.of(*node) != Presence::Online).collect()
    }

    /// The transaction that takes the slots is on disk.
    pub fn committed(mut self) {
        self.committed = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut inner = self.app.scheduler.lock();
        inner.moment += 1;
        let now = inner.moment;
        for id in &self.ids {
            if self.committed {
                if let Some(held) = inner.claims.get_mut(id) {
                    held.committed = Some(now);
                }
            } else if let Some(held) = inner.claims.remove(id) {
                inner.rebuild(held.plan.node);
            }
        }
    }
}

impl Inner {
    /// Makes the node in `work` anew from `base` and the claims on it.
    fn rebuild(&mut self, id: NodeId) {
        let Some(mut node) = self.base.nodes.get(&id).cloned() else {
            self.work.nodes.remove(&id);
            return;
        };
        for held in self.claims.values().filter(|held| held.plan.node == id) {
            take(&mut node, &held.plan.slots);
        }
        self.work.nodes.insert(id, node);
    }

    /// Nothing is placed on these nodes until a refresh finds them online.
    fn close(&mut self, nodes: &[NodeId]) {
        for id in nodes {
            if let Some(node) = self.base.nodes.get_mut(id) {
                node.closed.get_or_insert(Closed::Offline);
            }
            self.rebuild(*id);
        }
    }

    fn claim(&mut self, request: &Request, count: usize) -> Result<(Vec<u64>, Vec<Plan>), Reasons> {
        let (mut ids, mut plans) = (Vec::new(), Vec::new());
        for _ in 0..count {
            match place(&self.work, &self.classes, request) {
                Ok(plan) => {
                    self.moment += 1;
                    ids.push(self.moment);
                    if let Some(node) = self.work.nodes.get_mut(&plan.node) {
                        take(node, &plan.slots);
                    }
                    self.claims.insert(self.moment, Held { plan: plan.clone(), committed: None });
                    plans.push(plan);
                }
                Err(reasons) => {
                    for id in ids {
                        if let Some(held) = self.claims.remove(&id) {
                            self.rebuild(held.plan.node);
                        }
                    }
                    return Err(reasons);
                }
            }
        }
        Ok((ids, plans))
    }
}

fn take(node: &mut Node, slots: &[SlotId]) {
    let hits: Vec<usize> = (0..node.slots.len()).filter(|index| slots.contains(&node.slots[*index].id)).collect();
    node.take(&hits);
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under the lock leaves claims and work in step, or is redone by the next refresh.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets slots aside for `count` allocations, all or none. The refusal is true of a snapshot that was read
    /// after the call.
    ///
    /// # Errors
    /// [`Reasons`] inside, or what the store says.
    pub async fn claim(&self, app: &App, request: &Request, count: usize) -> Result<Result<Claim, Reasons>, Problem> {
        let asked = self.moment();
        if self.is_old() {
            let one = self.refreshing.lock().await;
            // Another launch may have waited for the same.
            if self.is_old() {
                self.read(app, &one).await?;
            }
        }
        loop {
            let found = {
                let mut inner = self.lock();
                let fresh = inner.began > asked;
                inner.claim(request, count).map_err(|reasons| (fresh, reasons))
            };
            match found {
                Ok((ids, plans)) => {
                    let claim = Claim { app: app.clone(), ids, plans, committed: false };
                    let lost = claim.lost();
                    if lost.is_empty() {
                        return Ok(Ok(claim));
                    }
                    drop(claim);
                    self.lock().close(&lost);
                }
                Err((true, reasons)) => return Ok(Err(reasons)),
                Err((false, _)) => self.refresh(app, asked).await?,
            }
        }
    }

    /// Reads the database before the next claim: a plan missed, so something else has changed it.
    pub async fn missed(&self, app: &App) -> Result<(), Problem> {
        let asked = self.moment();
        self.refresh(app, asked).await
    }

    /// Allocations of each SKU that fit now, and that would fit if nothing ran.
    ///
    /// # Errors
    /// What the store says.
    pub async fn capacity(&self, app: &App, skus: &[Sku]) -> Result<Vec<(usize, usize)>, Problem> {
        let asked = self.moment();
        self.refresh(app, asked).await?;
        let inner = self.lock();
        Ok(skus.iter().map(|sku| room(&inner.work, &wanted(sku))).collect())
    }

    /// Why a request fits nowhere now, or none if it fits. Both answers are true of a snapshot that was read after
    /// the call: here no compare-and-set comes after, which would find a node that was closed meanwhile.
    ///
    /// # Errors
    /// What the store says.
    pub async fn look(&self, app: &App, request: &Request, count: usize) -> Result<Result<(), Reasons>, Problem> {
        let asked = self.moment();
        self.refresh(app, asked).await?;
        Ok(self.claim(app, request, count).await?.map(drop))
    }

    fn moment(&self) -> u64 {
        let mut inner = self.lock();
        inner.moment += 1;
        inner.moment
    }

    /// Whether what was freed since the snapshot was read may be missed.
    pub(crate) fn is_old(&self) -> bool {
        self.lock().read.is_none_or(|(at, took)| at.elapsed() > took * AGE)
    }

    /// Makes sure that a refresh that began after `asked` is in place.
    async fn refresh(&self, app: &App, asked: u64) -> Result<(), Problem> {
        let one = self.refreshing.lock().await;
        let known = self.lock().began > asked;
        if known { Ok(()) } else { self.read(app, &one).await }
    }

    async fn read(&self, app: &App, _one: &tokio::sync::MutexGuard<'_, ()>) -> Result<(), Problem> {
        let (began, at) = (self.moment(), Instant::now());
        let (mut base, classes) = app.store.read(store::load).await?;
        for node in base.nodes.values_mut().filter(|node| node.closed.is_none()) {
            if app.board.of(node.id) != Presence::Online {
                node.closed = Some(Closed::Offline);
            }
        }
        let mut inner = self.lock();
        inner.began = began;
        inner.read = Some((at, at.elapsed()));
        inner.classes = classes;
        // What was committed before the read began stands in what was read.
        inner.claims.retain(|_, held| held.committed.is_none_or(|at| at > began));
        inner.work = base.clone();
        inner.base = base;
        let nodes: Vec<NodeId> = inner.claims.values().map(|held| held.plan.node).collect();
        for node in nodes {
            inner.rebuild(node);
        }
        Ok(())
    }
}

/// How many allocations of a request fit: now, and if nothing ran, nothing were held and every node were open.
fn room(snapshot: &Snapshot, request: &Request) -> (usize, usize) {
    let wanted = request.kind.count();
    let mut found = (0, 0);
    for node in snapshot.nodes.values().filter(|node| node.carries(&request.labels)) {
        if node.closed.is_none() {
            found.0 += frag::capacity(node, request) / wanted;
        }
        let mut empty = node.clone();
        for slot in empty.slots.iter_mut().filter(|slot| slot.status != Status::Unapproved) {
            slot.status = Status::Free;
        }
        for gpu in &mut empty.gpus {
            gpu.used = 0;
        }
        found.1 += frag::capacity(&empty, request) / wanted;
    }
    found
}
