-- slots: the parts of nodes that can be leased, and which bits of each GPU are taken.
CREATE TABLE gpus(
  node_id TEXT NOT NULL,
  uuid TEXT NOT NULL,
  slices {{I64}} NOT NULL,
  -- One bit a memory slice, taken by `used = used | m WHERE used & m = 0`.
  used {{I64}} NOT NULL,
  PRIMARY KEY(node_id, uuid)
){{STRICT}};

CREATE TABLE slots(
  id TEXT PRIMARY KEY,
  node_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  -- Empty for `cpu`.
  gpu_uuid TEXT NOT NULL,
  profile TEXT NOT NULL,
  start {{I64}} NOT NULL,
  size {{I64}} NOT NULL,
  mask {{I64}} NOT NULL,
  state TEXT NOT NULL,
  -- The agent found it in its last inventory.
  present {{I64}} NOT NULL,
  -- JSON list of slots::model::Hold, `[]` for none.
  holds TEXT NOT NULL,
  -- It has taken its mask from its GPU.
  occupies {{I64}} NOT NULL,
  -- Empty when no allocation stands behind it.
  allocation_id TEXT NOT NULL,
  lease_epoch {{I64}} NOT NULL,
  created_ms {{I64}} NOT NULL,
  updated_ms {{I64}} NOT NULL
){{STRICT}};
CREATE UNIQUE INDEX slots_place ON slots(node_id, kind, gpu_uuid, profile, start);
CREATE INDEX slots_state ON slots(state, node_id);
CREATE INDEX slots_allocation ON slots(allocation_id) WHERE allocation_id <> '';
