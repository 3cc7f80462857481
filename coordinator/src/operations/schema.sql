-- Operations: one row for anything that takes time, with its steps, its timeline and its node tasks.
-- tenant_id is null for what belongs to the platform. context is redacted JSON.
CREATE TABLE operations(
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  outcome TEXT,
  subject_kind TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  tenant_id TEXT,
  project_id TEXT,
  initiator_kind TEXT NOT NULL,
  initiator_id TEXT NOT NULL,
  initiator_name TEXT NOT NULL,
  correlation_id TEXT NOT NULL,
  context TEXT NOT NULL,
  failure_code TEXT,
  failure_detail TEXT,
  retry_of TEXT,
  -- 1, and one more for each operation it tries again.
  attempt {{I64}} NOT NULL,
  deadline_ms {{I64}},
  -- When its step should have moved, and since when it is known not to.
  step_due_ms {{I64}},
  stalled_ms {{I64}},
  cancel_requested_ms {{I64}},
  created_ms {{I64}} NOT NULL,
  started_ms {{I64}},
  ended_ms {{I64}},
  owner TEXT NOT NULL,
  lease_until_ms {{I64}} NOT NULL
){{STRICT}};
CREATE INDEX operations_time ON operations(created_ms, id);
CREATE INDEX operations_tenant ON operations(tenant_id, created_ms, id);
CREATE INDEX operations_subject ON operations(subject_id, created_ms, id);
CREATE INDEX operations_due ON operations(deadline_ms) WHERE ended_ms IS NULL;
CREATE INDEX operations_step_due ON operations(step_due_ms) WHERE ended_ms IS NULL;
CREATE INDEX operations_retries ON operations(retry_of) WHERE retry_of IS NOT NULL;

CREATE TABLE operation_steps(
  operation_id TEXT NOT NULL REFERENCES operations(id),
  seq {{I64}} NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  detail TEXT NOT NULL,
  started_ms {{I64}},
  ended_ms {{I64}},
  PRIMARY KEY(operation_id, seq)
){{STRICT}};

-- The timeline; at most limits::OPERATION_EVENTS a row of operations.
CREATE TABLE operation_events(
  operation_id TEXT NOT NULL REFERENCES operations(id),
  seq {{I64}} NOT NULL,
  at_ms {{I64}} NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY(operation_id, seq)
){{STRICT}};

-- One typed command to one agent. `attempt` counts offers; the agent's journal makes it at most once.
CREATE TABLE node_tasks(
  id TEXT PRIMARY KEY,
  operation_id TEXT NOT NULL REFERENCES operations(id),
  step TEXT NOT NULL,
  node_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  arguments TEXT NOT NULL,
  state TEXT NOT NULL,
  attempt {{I64}} NOT NULL,
  run_ms {{I64}} NOT NULL,
  not_after_ms {{I64}} NOT NULL,
  progress TEXT NOT NULL,
  result_code TEXT,
  result_detail TEXT,
  result TEXT,
  created_ms {{I64}} NOT NULL,
  started_ms {{I64}},
  ended_ms {{I64}},
  -- An operator wants it to end.
  cancel_ms {{I64}}
){{STRICT}};
CREATE INDEX node_tasks_operation ON node_tasks(operation_id, id);
CREATE INDEX node_tasks_node ON node_tasks(node_id, created_ms, id);
CREATE INDEX node_tasks_open ON node_tasks(node_id, id) WHERE ended_ms IS NULL;
