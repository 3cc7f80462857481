-- Allocations: leases of slots of one node by a project. state is for people, wish for the node's document.
CREATE TABLE allocations(
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  project_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  sku_id TEXT NOT NULL,
  sku_name TEXT NOT NULL,
  -- What an hour of it cost when it was launched; null: it had no price.
  price_currency TEXT,
  price_minor_per_hour {{I64}},
  node_id TEXT NOT NULL,
  operation_id TEXT NOT NULL,
  release_operation_id TEXT,
  state TEXT NOT NULL,
  wish TEXT NOT NULL,
  lease_epoch {{I64}} NOT NULL,
  -- JSON of allocations::store::Spec: what the cell is made of, fixed at launch.
  spec TEXT NOT NULL,
  -- JSON of allocations::store::Keys; null: no SSH.
  ssh_keys TEXT,
  release_on_exit {{I64}} NOT NULL,
  -- What open sessions are told when it ends.
  end_reason TEXT NOT NULL,
  -- What the node said last.
  step TEXT NOT NULL,
  isolation TEXT NOT NULL,
  not_enforced TEXT NOT NULL,
  ssh_host_key TEXT NOT NULL,
  ssh_user TEXT NOT NULL,
  -- The boot of the node in which its cell began.
  boot_id TEXT NOT NULL,
  exit_code {{I64}},
  failure_code TEXT,
  failure_detail TEXT,
  failure_correlation TEXT,
  -- JSON of protocol::report::Receipt.
  receipt TEXT,
  log_bytes {{I64}} NOT NULL,
  log_complete {{I64}} NOT NULL,
  -- Counts the edits of its labels.
  labels_version {{I64}} NOT NULL,
  -- After a restore: its node has yet to say whether its cell is there.
  proof_wanted {{I64}} NOT NULL,
  created_ms {{I64}} NOT NULL,
  active_ms {{I64}},
  -- Since when its node is lost, while it is degraded.
  degraded_ms {{I64}},
  release_ms {{I64}},
  ended_ms {{I64}}
){{STRICT}};
CREATE INDEX allocations_tenant ON allocations(tenant_id, created_ms, id);
CREATE INDEX allocations_time ON allocations(created_ms, id);
CREATE INDEX allocations_node ON allocations(node_id, id) WHERE wish <> 'gone';
CREATE INDEX allocations_operation ON allocations(operation_id, id);

-- Words that people put on allocations, to find them again.
CREATE TABLE allocation_labels(
  allocation_id TEXT NOT NULL REFERENCES allocations(id),
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY(allocation_id, name)
){{STRICT}};

-- Cells without an allocation that an operator ends: a tombstone each, until the receipt.
CREATE TABLE stray_cells(
  node_id TEXT NOT NULL,
  allocation_id TEXT NOT NULL,
  lease_epoch {{I64}} NOT NULL,
  asked_ms {{I64}} NOT NULL,
  ended_ms {{I64}},
  PRIMARY KEY(node_id, allocation_id)
){{STRICT}};

-- The slots of a lease, as they were when it was made.
CREATE TABLE allocation_slots(
  allocation_id TEXT NOT NULL REFERENCES allocations(id),
  slot_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  gpu_uuid TEXT,
  profile TEXT,
  start {{I64}},
  size {{I64}},
  PRIMARY KEY(allocation_id, slot_id)
){{STRICT}};

-- What a batch command printed, in pieces by their offset; at most limits::CELL_LOG_MAX bytes of one.
CREATE TABLE allocation_logs(
  allocation_id TEXT NOT NULL REFERENCES allocations(id),
  at_byte {{I64}} NOT NULL,
  bytes {{BYTES}} NOT NULL,
  PRIMARY KEY(allocation_id, at_byte)
){{STRICT}};

-- What a person has typed into the launch wizard and not sent yet.
CREATE TABLE launch_drafts(
  user_id TEXT NOT NULL REFERENCES users(id),
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  saved_ms {{I64}} NOT NULL,
  PRIMARY KEY(user_id, id)
){{STRICT}};

-- How long its node has seen it stand, ms, by the journal that counted.
CREATE TABLE allocation_usage(
  allocation_id TEXT NOT NULL REFERENCES allocations(id),
  journal_epoch TEXT NOT NULL,
  used_ms {{I64}} NOT NULL,
  PRIMARY KEY(allocation_id, journal_epoch)
){{STRICT}};
