//! All SQL about tenants.

use super::{Tenant, TenantKind};
use crate::audit::{self, Event};
use crate::base::http::Problem;
use crate::base::store::Tx;
use crate::cx::Cx;
use crate::values;
use muster_protocol::ids::TenantId;

/// Makes a tenant and writes its event.
pub fn create_in(tx: &mut Tx, cx: &Cx, name: &str, kind: TenantKind) -> Result<Tenant, Problem> {
    let tenant =
        Tenant { id: cx.new_id(), workspace_id: cx.new_id(), name: name.to_owned(), kind, created_ms: cx.now_ms };
    tx.exec(
        "INSERT INTO tenants(id, workspace_id, name, kind, state, created_ms) VALUES($1, $2, $3, $4, 'active', $5)",
        &values![tenant.id, tenant.workspace_id, name, kind.as_str(), cx.now_ms],
    )?;
    let after = serde_json::json!({ "name": name, "kind": kind.as_str() });
    audit::note(tx, cx, Event::new("tenants.create", tenant.id).tenant(tenant.id).after(&after))?;
    Ok(tenant)
}

/// A tenant by its id; 404 when there is none.
pub fn find_in(tx: &mut Tx, id: TenantId) -> Result<Tenant, Problem> {
    tx.opt("SELECT id, workspace_id, name, kind, created_ms FROM tenants WHERE id = $1", &values![id], |row| {
        Ok(Tenant {
            id: row.get(0)?,
            workspace_id: row.get(1)?,
            name: row.get(2)?,
            kind: row.parse(3)?,
            created_ms: row.get(4)?,
        })
    })?
    .ok_or_else(|| Problem::not_found("tenant"))
}
