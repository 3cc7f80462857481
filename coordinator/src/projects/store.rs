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
        version: row.get(4)?,
        created_ms: row.get(5)?,
    })
}

fn name_taken() -> Problem {
    Problem::conflict("name_taken", "This tenant has a project of that name.")
}

/// Makes a project and writes its event. 409 `name_taken` when the tenant has one of that name.
pub fn create_in(tx: &mut Tx, cx: &Cx, tenant: TenantId, name: &str, is_default: bool) -> Result<Project, Problem> {
    let id = cx.new_id();
    let project =
        Project { id, tenant_id: tenant, name: name.to_owned(), is_default, version: 1, created_ms: cx.now_ms };
    let made = tx.exec(
        "INSERT INTO projects(id, tenant_id, name, is_default, version, created_ms) VALUES($1, $2, $3, $4, 1, $5) \
         ON CONFLICT DO NOTHING",
        &values![project.id, tenant, name, is_default, cx.now_ms],
    )?;
    if made == 0 {
        return Err(name_taken());
    }
    let event = Event::new("projects.create", project.id).tenant(tenant).project(project.id);
    audit::note(tx, cx, event.after(&serde_json::json!({ "name": name, "is_default": is_default })))?;
    Ok(project)
}

/// A page of a tenant's projects, oldest first, with one row more than asked for.
pub fn list_in(tx: &mut Tx, tenant: TenantId, page: &PageQuery) -> Result<Vec<Project>, Problem> {
    let (at, id, limit) = page.oldest_first()?;
    tx.all(
        "SELECT id, tenant_id, name, is_default, version, created_ms FROM projects \
         WHERE tenant_id = $1 AND deleted_ms IS NULL AND (created_ms, id) > ($2, $3) ORDER BY created_ms, id LIMIT $4",
        &values![tenant, at, id, limit],
        read,
    )
}

/// How many projects a tenant has.
pub(super) fn count(tx: &mut Tx, tenant: TenantId) -> Result<i64, Problem> {
    tx.one("SELECT COUNT(*) FROM projects WHERE tenant_id = $1 AND deleted_ms IS NULL", &values![tenant], |row| {
        row.get(0)
    })
}

/// A project of a tenant; 404 when it is another's, deleted or none.
pub fn find_in(tx: &mut Tx, tenant: TenantId, id: ProjectId) -> Result<Project, Problem> {
    tx.opt(
        "SELECT id, tenant_id, name, is_default, version, created_ms FROM projects WHERE id = $1 AND tenant_id = $2 \
         AND deleted_ms IS NULL",
        &values![id, tenant],
        read,
    )?
    .ok_or_else(|| Problem::not_found("project"))
}

/// The default project of a tenant.
pub fn default_in(tx: &mut Tx, tenant: TenantId) -> Result<Project, Problem> {
    tx.one(
        "SELECT id, tenant_id, name, is_default, version, created_ms FROM projects WHERE tenant_id = $1 AND is_default = 1",
        &values![tenant],
        read,
    )
}

/// Gives a project another name. 409 `name_taken` when another of the tenant has it.
pub(super) fn rename_in(tx: &mut Tx, project: &Project, name: &str) -> Result<(), Problem> {
    let other = tx.opt(
        "SELECT id FROM projects WHERE tenant_id = $1 AND name = $2 AND id <> $3 AND deleted_ms IS NULL",
        &values![project.tenant_id, name, project.id],
        |row| row.get::<ProjectId>(0),
    )?;
    if other.is_some() {
        return Err(name_taken());
    }
    tx.exec("UPDATE projects SET name = $2, version = version + 1 WHERE id = $1", &values![project.id, name])?;
    Ok(())
}

/// Moves the mark of the default project. Its version is that of its name: it stays.
pub(super) fn set_default_in(tx: &mut Tx, project: &Project) -> Result<(), Problem> {
    tx.exec("UPDATE projects SET is_default = 0 WHERE tenant_id = $1 AND is_default = 1", &values![project.tenant_id])?;
    tx.exec("UPDATE projects SET is_default = 1 WHERE id = $1", &values![project.id])?;
    Ok(())
}

/// Deletes a project and writes its event. The caller has seen that it is not the default one and that nothing
/// stands in it.
///
/// # Errors
/// Only what the store says.
pub fn delete_in(tx: &mut Tx, cx: &Cx, project: &Project) -> Result<(), Problem> {
    tx.exec("UPDATE projects SET deleted_ms = $2 WHERE id = $1", &values![project.id, cx.now_ms])?;
    let event = Event::new("projects.delete", project.id).tenant(project.tenant_id).project(project.id);
    audit::note(tx, cx, event.before(&serde_json::json!({ "name": project.name })))
}
