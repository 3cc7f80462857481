-- SKUs: what is sold. A draft is invisible to users; a retired one is not launchable, what runs runs on.
CREATE TABLE skus(
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  kind TEXT NOT NULL,
  -- A part of NVML's name, in any case; null: any.
  gpu_model TEXT,
  -- MIG profile; null unless kind is mig.
  profile TEXT,
  gpus {{I64}} NOT NULL,
  cpu_milli {{I64}} NOT NULL,
  memory_bytes {{I64}} NOT NULL,
  disk_bytes {{I64}} NOT NULL,
  pids {{I64}} NOT NULL,
  -- JSON object: labels the node must carry.
  labels TEXT NOT NULL,
  version {{I64}} NOT NULL,
  created_ms {{I64}} NOT NULL,
  updated_ms {{I64}} NOT NULL
){{STRICT}};
CREATE INDEX skus_time ON skus(created_ms, id);

-- What an hour of a SKU costs, from a time on. Rows are only added: a later one for the same time replaces an earlier.
CREATE TABLE sku_prices(
  sku_id TEXT NOT NULL REFERENCES skus(id),
  -- The version of the SKU that it made.
  version {{I64}} NOT NULL,
  currency TEXT NOT NULL,
  minor_per_hour {{I64}} NOT NULL,
  effective_ms {{I64}} NOT NULL,
  -- The user who set it.
  created_by TEXT NOT NULL,
  created_ms {{I64}} NOT NULL,
  PRIMARY KEY(sku_id, version)
){{STRICT}};
CREATE INDEX sku_prices_time ON sku_prices(sku_id, effective_ms, version);
