//! What can be done with projects: made, renamed, made the default one.

use super::{Project, model, store};
use crate::app::App;
use crate::audit::{self, Event};
use crate::base::authz::{self, Scope, Verb};
use crate::base::http::{IfMatch, Problem};
use crate::base::limits;
use crate::cx::Cx;
use muster_protocol::ids::ProjectId;

fn name_of(text: &str) -> Result<String, Problem> {
    let bad = || Problem::invalid("name", "invalid", "A name has 1 to 100 characters on one line.");
    model::name_of(text).ok_or_else(bad)
}

/// Makes a project. 409 `name_taken`, 409 `too_many_projects`.
pub(super) async fn create(app: &App, cx: &Cx, name: &str) -> Result<Project, Problem> {
    let tenant = cx.tenant_id()?;
    authz::require(cx, Verb::ProjectsCreate, Scope::Tenant(tenant))?;
    let (cx, name) = (cx.clone(), name_of(name)?);
    let made = app.store.write(move |tx| {
        if store::count(tx, tenant)? >= limits::PROJECTS {
            return Err(Problem::conflict("too_many_projects", "The tenant has as many projects as one may have."));
        }
        store::create_in(tx, &cx, tenant, &name, false).map(audit::unchanged)
    });
    made.await
}

/// Renames a project that is still at the version the person read.
pub(super) async fn rename(
    app: &App,
    cx: &Cx,
    id: ProjectId,
    version: IfMatch,
    name: Option<String>,
) -> Result<Project, Problem> {
    let tenant = cx.tenant_id()?;
    authz::require(cx, Verb::ProjectsUpdate, Scope::Tenant(tenant))?;
    let name = name.as_deref().map(name_of).transpose()?;
    let cx = cx.clone();
    let renamed = app.store.write(move |tx| {
        let before = store::find_in(tx, tenant, id)?;
        version.check(before.version)?;
        let Some(name) = name.clone().filter(|name| *name != before.name) else {
            return Ok(audit::unchanged(before));
        };
        store::rename_in(tx, &before, &name)?;
        let after = store::find_in(tx, tenant, id)?;
        let shown = |name: &str| serde_json::json!({ "name": name });
        let event = Event::new(Verb::ProjectsUpdate.as_str(), id).tenant(tenant).project(id);
        audit::record(tx, &cx, event.before(&shown(&before.name)).after(&shown(&after.name)), after)
    });
    renamed.await
}

/// Makes a project the one where things go when nobody says otherwise.
pub(super) async fn set_default(app: &App, cx: &Cx, id: ProjectId) -> Result<Project, Problem> {
    let tenant = cx.tenant_id()?;
    authz::require(cx, Verb::ProjectsSetDefault, Scope::Tenant(tenant))?;
    let cx = cx.clone();
    let set = app.store.write(move |tx| {
        let project = store::find_in(tx, tenant, id)?;
        if project.is_default {
            return Ok(audit::unchanged(project));
        }
        let before = store::default_in(tx, tenant)?;
        store::set_default_in(tx, &project)?;
        let after = store::find_in(tx, tenant, id)?;
        let shown = |of: &Project| serde_json::json!({ "default": of.id, "name": of.name });
        let event = Event::new(Verb::ProjectsSetDefault.as_str(), id).tenant(tenant).project(id);
        audit::record(tx, &cx, event.before(&shown(&before)).after(&shown(&after)), after)
    });
    set.await
}
