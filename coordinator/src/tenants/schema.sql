-- Tenants: customer organisations. The workspace is what authorization asks about.
CREATE TABLE tenants(
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  created_ms {{I64}} NOT NULL
){{STRICT}};
