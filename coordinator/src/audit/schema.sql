-- Events: one row a change, written in the transaction of the change. The chain fields are set later, in
-- order, by the seal.
CREATE TABLE audit_events(
  id TEXT PRIMARY KEY,
  at_ms {{I64}} NOT NULL,
  actor_kind TEXT NOT NULL,
  actor_id TEXT NOT NULL,
  actor_name TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  tenant_id TEXT,
  project_id TEXT,
  outcome TEXT NOT NULL,
  reason TEXT,
  correlation_id TEXT NOT NULL,
  source_ip TEXT,
  before_json TEXT,
  after_json TEXT,
  seq {{I64}},
  prev_hash {{BYTES}},
  hash {{BYTES}}
){{STRICT}};
CREATE INDEX audit_events_time ON audit_events(at_ms, id);
CREATE INDEX audit_events_target ON audit_events(target, at_ms, id);
CREATE INDEX audit_events_action ON audit_events(action, at_ms, id);
CREATE UNIQUE INDEX audit_events_seq ON audit_events(seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_events_unsealed ON audit_events(at_ms, id) WHERE seq IS NULL;
