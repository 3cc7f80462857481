-- nodes: a row a machine, from its first token to long after its removal.
CREATE TABLE nodes(
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  lifecycle TEXT NOT NULL,
  scheduling TEXT NOT NULL,
  health TEXT NOT NULL,
  health_reason TEXT NOT NULL,
  -- Last settled presence; the live one is in memory.
  presence TEXT NOT NULL,
  last_seen_ms {{I64}},
  labels TEXT NOT NULL,
  -- Counts operators' edits: the ETag.
  version {{I64}} NOT NULL,
  -- SHA-256 of the public key that a spent token bound to the node, hex; bound for life.
  key_sha256 TEXT NOT NULL,
  token_id TEXT NOT NULL,
  -- How often an expired certificate may still be replaced by proof of the key alone.
  recovery_left {{I64}} NOT NULL,
  -- Its key and all its certificates are worth nothing from here on.
  revoked_ms {{I64}},
  machine_sha256 TEXT NOT NULL,
  -- Last hello.
  agent_version TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  journal_epoch TEXT NOT NULL,
  join_sequence {{I64}} NOT NULL,
  -- JSON of nodes::facts::Facts, replaced whole when the agent says something else.
  facts TEXT NOT NULL,
  -- When a drain ends what still runs; none: it waits as long as that takes.
  drain_deadline_ms {{I64}},
  created_ms {{I64}} NOT NULL
){{STRICT}};
CREATE UNIQUE INDEX nodes_key ON nodes(key_sha256);
CREATE INDEX nodes_time ON nodes(created_ms, id);
CREATE INDEX nodes_machine ON nodes(machine_sha256);

-- The fuse against mass failure: a row while it is blown.
CREATE TABLE node_fuse(
  name TEXT PRIMARY KEY,
  since_ms {{I64}} NOT NULL,
  -- JSON list of the nodes that were lost together.
  nodes TEXT NOT NULL
){{STRICT}};
