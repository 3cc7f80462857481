//! What one can do with sessions: ask for a token, open, close, list, end.

use super::model::Ending;
use super::place::{self, Place};
use super::store::{self, SessionRow};
use super::tokens::{Grant, Opens};
use crate::app::App;
use crate::audit::{self, Event, Outcome};
use crate::base::authz::Verb;
use crate::base::http::{Page, PageQuery, Problem};
use crate::base::limits;
use crate::base::store::Tx;
use crate::cx::{Actor, Cx};
use muster_protocol::ids::{AllocationId, SessionId};

/// A fresh token and when it ends, ms since 1970.
#[derive(Debug)]
pub(super) struct Minted {
    pub(super) token: String,
    pub(super) expires_ms: i64,
}

/// What a person may open now. 404, 409 `not_active`, 409 `no_ssh`, 409 `node_offline`, 409 `session_limit`.
pub(super) async fn grant(app: &App, cx: &Cx, verb: Verb, id: AllocationId, opens: Opens) -> Result<Grant, Problem> {
    let user = cx.user_id()?;
    let place = {
        let cx = cx.clone();
        app.store.read(move |tx| place::find_in(tx, &cx, id, verb)).await?
    };
    require_active(&place)?;
    if opens == Opens::Ssh && !place.has_ssh {
        let detail = "The allocation was launched without SSH keys: open a terminal, or launch another one with keys.";
        return Err(Problem::conflict("no_ssh", detail));
    }
    if app.links.get(place.node_id).is_none() {
        let detail = "The node of this allocation is not connected; try again in a moment.";
        return Err(Problem::conflict("node_offline", detail).retry_after(1));
    }
    if !app.terminals.open.has_room(user) {
        return Err(full());
    }
    let expires_ms = cx.now_ms + i64::try_from(limits::TERMINAL_TOKEN.as_millis()).unwrap_or_default();
    let bearer = matches!(&cx.actor, Actor::Person(person) if person.bearer);
    let (tenant, node) = (place.tenant_id, place.node_id);
    Ok(Grant { cx: cx.clone(), bearer, allocation: id, tenant, node, opens, expires_ms })
}

fn full() -> Problem {
    Problem::conflict("session_limit", "You have as many open sessions as one may have.")
}

/// Makes a token that stands for such a grant, once.
pub(super) async fn mint(app: &App, cx: &Cx, verb: Verb, id: AllocationId, opens: Opens) -> Result<Minted, Problem> {
    let grant = grant(app, cx, verb, id, opens).await?;
    let (token, expires_ms) = (cx.rng.secret(), grant.expires_ms);
    if app.terminals.tokens.put(&token, grant) { Ok(Minted { token, expires_ms }) } else { Err(full()) }
}

pub(super) fn require_active(place: &Place) -> Result<(), Problem> {
    if place.is_open() {
        return Ok(());
    }
    let detail = format!("The allocation is {}; a session needs an active one.", place.state.word());
    Err(Problem::conflict("not_active", detail))
}

/// Notes that a session begins. 404 or 409 when its allocation is over meanwhile.
pub(super) async fn opened(app: &App, cx: &Cx, row: SessionRow) -> Result<(), Problem> {
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            let verb = if row.kind == "tunnel" { Verb::TunnelsToken } else { Verb::TerminalsToken };
            require_active(&place::find_in(tx, &cx, row.allocation, verb)?)?;
            store::insert(tx, &row)?;
            let after = serde_json::json!({ "session_id": row.id, "kind": row.kind, "program": row.program });
            let action = if row.kind == "tunnel" { "tunnel.opened" } else { "terminal.opened" };
            audit::record(tx, &cx, Event::new(action, row.allocation).tenant(row.tenant).after(&after), ())
        })
        .await
}

/// Notes that its owner comes back to a session. 404 for everyone else, and for one that has ended.
pub(super) async fn resumed(app: &App, cx: &Cx, allocation: AllocationId, id: SessionId) -> Result<(), Problem> {
    let (user, cx) = (cx.user_id()?, cx.clone());
    app.store
        .write(move |tx| {
            require_active(&place::find_in(tx, &cx, allocation, Verb::TerminalsToken)?)?;
            let row = store::find(tx, allocation, id)?;
            if row.user != user || row.ended_ms.is_some() || row.kind == "tunnel" {
                return Err(Problem::not_found("session"));
            }
            store::attached(tx, id, cx.now_ms)?;
            let after = serde_json::json!({ "session_id": id, "kind": row.kind, "resumed": true });
            audit::record(tx, &cx, Event::new("terminal.opened", allocation).tenant(row.tenant).after(&after), ())
        })
        .await
}

/// How an attach ended.
#[derive(Debug, Clone)]
pub(super) struct Closed {
    pub(super) ending: Ending,
    pub(super) exit_code: Option<i32>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// The session is over, and not only this attach.
    pub(super) over: bool,
}

/// Notes that an attach ended, with its bytes.
pub(super) async fn closed(app: &App, cx: &Cx, grant: &Grant, id: SessionId, closed: Closed) -> Result<(), Problem> {
    let cx = Cx { now_ms: app.clock.now_ms(), ..cx.clone() };
    let (allocation, tenant) = (grant.allocation, grant.tenant);
    let tunnel = grant.opens == Opens::Ssh;
    app.store
        .write(move |tx| {
            let Closed { ending, exit_code, bytes_in, bytes_out, over } = closed.clone();
            store::detached(tx, id, cx.now_ms, bytes_in, bytes_out)?;
            if over {
                store::ended(tx, id, cx.now_ms, ending.code(), exit_code.map(i64::from))?;
            }
            let after = serde_json::json!({
                "session_id": id, "bytes_in": bytes_in, "bytes_out": bytes_out, "exit_code": exit_code, "ended": over,
            });
            let action = if tunnel { "tunnel.closed" } else { "terminal.closed" };
            let outcome = if ending.is_error() { Outcome::Failed } else { Outcome::Success };
            let event =
                Event::new(action, allocation).tenant(tenant).outcome(outcome).reason(ending.code()).after(&after);
            audit::record(tx, &cx, event, ())
        })
        .await
}

/// A page of an allocation's sessions.
pub(super) async fn list(app: &App, cx: &Cx, id: AllocationId, page: PageQuery) -> Result<Page<SessionRow>, Problem> {
    let rows = {
        let (cx, page) = (cx.clone(), page.clone());
        let read = move |tx: &mut Tx| {
            place::find_in(tx, &cx, id, Verb::TerminalsList)?;
            store::page(tx, id, &page)
        };
        app.store.read(read).await?
    };
    Page::cut(rows, &page, |row| (row.opened_ms, row.id.to_string()))
}

/// A session and where it is, for its owner.
pub(super) async fn endable(
    app: &App,
    cx: &Cx,
    allocation: AllocationId,
    id: SessionId,
) -> Result<(Place, SessionRow), Problem> {
    let (user, cx) = (cx.user_id()?, cx.clone());
    let read = move |tx: &mut Tx| {
        Ok((place::find_in(tx, &cx, allocation, Verb::TerminalsEnd)?, store::find(tx, allocation, id)?))
    };
    let (place, row) = app.store.read(read).await?;
    if row.user != user {
        return Err(Problem::not_found("session"));
    }
    if row.ended_ms.is_some() {
        return Err(Problem::conflict("session_ended", "The session has ended."));
    }
    Ok((place, row))
}

/// Notes that somebody ended a session.
pub(super) async fn ended(app: &App, cx: &Cx, row: SessionRow) -> Result<(), Problem> {
    let cx = cx.clone();
    app.store
        .write(move |tx| {
            store::ended(tx, row.id, cx.now_ms, "ended", None)?;
            let after = serde_json::json!({ "session_id": row.id });
            let event = Event::new("terminals.end", row.allocation).tenant(row.tenant).after(&after);
            audit::record(tx, &cx, event, ())
        })
        .await
}
