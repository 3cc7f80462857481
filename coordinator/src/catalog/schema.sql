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
