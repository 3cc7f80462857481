//! All SQL about projects.

use super::Project;
use crate::audit::{self, Event};
use crate::base::http::{PageQuery, Problem};
use crate::base::store::{Row, Tx};
use crate::cx::Cx;
use crate::values;
use muster_protocol::ids::{ProjectId, TenantId};

fn read(row: &Row) -> Result<Project, Problem> {
    Ok(Project {
        id: row.get(0)?,
        tenant_id: row.get(1)?,
        name: row.get(2)?,
        is_default: row.get(3)?,
        created_ms: row.get(4)?,
    })
}

/// Makes a project and writes its event. 409 `name_taken` when the tenant has one of that name.
pub fn create_in(tx: &mut Tx, cx: &Cx, tenant: TenantId, name: &str, is_default: bool) -> Result<Project, Problem> {
    let project =
        Project { id: cx.new_id(), tenant_id: tenant, name: name.to_owned(), is_default, created_ms: cx.now_ms };
    let made = tx.exec(
        "INSERT INTO projects(id, tenant_id, name, is_default, created_ms) VALUES($1, $2, $3, $4, $5) \
         ON CONFLICT DO NOTHING",
        &values![project.id, tenant, name, is_default, cx.now_ms],
    )?;
    if made == 0 {
        return Err(Problem::conflict("name_taken", "This tenant has a project of that name."));
    }
    let event = Event::new("projects.create", project.id).tenant(tenant).project(project.id);
    audit::note(tx, cx, event.after(&serde_json::json!({ "name": name, "is_default": is_default })))?;
    Ok(project)
}

/// A page of a tenant's projects, oldest first, with one row more than asked for.
pub fn list_in(tx: &mut Tx, tenant: TenantId, page: &PageQuery) -> Result<Vec<Project>, Problem> {
    let (at, id, limit) = page.oldest_first()?;
    tx.all(
        "SELECT id, tenant_id, name, is_default, created_ms FROM projects \
         WHERE tenant_id = $1 AND (created_ms, id) > ($2, $3) ORDER BY created_ms, id LIMIT $4",
        &values![tenant, at, id, limit],
        read,
    )
}

/// How many projects a tenant has.
pub(super) fn count(tx: &mut Tx, tenant: TenantId) -> Result<i64, Problem> {
    tx.one("SELECT COUNT(*) FROM projects WHERE tenant_id = $1", &values![tenant], |row| row.get(0))
}

/// A project of a tenant; 404 when it is another's or none.
pub fn find_in(tx: &mut Tx, tenant: TenantId, id: ProjectId) -> Result<Project, Problem> {
    tx.opt(
        "SELECT id, tenant_id, name, is_default, created_ms FROM projects WHERE id = $1 AND tenant_id = $2",
        &values![id, tenant],
        read,
    )?
    .ok_or_else(|| Problem::not_found("project"))
}

/// The default project of a tenant.
pub fn default_in(tx: &mut Tx, tenant: TenantId) -> Result<Project, Problem> {
    tx.one(
        "SELECT id, tenant_id, name, is_default, created_ms FROM projects WHERE tenant_id = $1 AND is_default = 1",
        &values![tenant],
        read,
    )
}
