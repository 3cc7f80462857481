-- Projects: own allocations. Each tenant has one default project. A deleted one stays for what ran in it; its
-- name may be given again.
CREATE TABLE projects(
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenants(id),
  name TEXT NOT NULL,
  is_default {{I64}} NOT NULL,
  version {{I64}} NOT NULL,
  created_ms {{I64}} NOT NULL,
  deleted_ms {{I64}}
){{STRICT}};
CREATE UNIQUE INDEX projects_name ON projects(tenant_id, name) WHERE deleted_ms IS NULL;
CREATE UNIQUE INDEX projects_default ON projects(tenant_id) WHERE is_default = 1;
