-- Projects: own allocations. Each tenant has one default project.
CREATE TABLE projects(
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenants(id),
  name TEXT NOT NULL,
  is_default {{I64}} NOT NULL,
  created_ms {{I64}} NOT NULL,
  UNIQUE(tenant_id, name)
){{STRICT}};
CREATE UNIQUE INDEX projects_default ON projects(tenant_id) WHERE is_default = 1;
