-- telemetry: what must not be lost. Samples themselves are in memory alone.
CREATE TABLE gpu_xids(
  node_id TEXT NOT NULL,
  journal_epoch TEXT NOT NULL,
  number {{I64}} NOT NULL,
  gpu_uuid TEXT NOT NULL,
  xid {{I64}} NOT NULL,
  source TEXT NOT NULL,
  at_ms {{I64}} NOT NULL,
  PRIMARY KEY(node_id, journal_epoch, number)
){{STRICT}};
CREATE INDEX gpu_xids_time ON gpu_xids(node_id, at_ms, number);

-- Means of samples, a row a stretch: 60 minutes by the minute, kept a day; 24 hours by the hour, kept a month.
CREATE TABLE telemetry_means(
  node_id TEXT NOT NULL,
  -- host, gpu, cell.
  kind TEXT NOT NULL,
  -- Empty, the GPU's UUID, the allocation's id.
  part TEXT NOT NULL,
  step_ms {{I64}} NOT NULL,
  -- Begin of the stretch.
  from_ms {{I64}} NOT NULL,
  -- telemetry::means::Stretch.
  points {{BYTES}} NOT NULL,
  PRIMARY KEY(node_id, kind, part, step_ms, from_ms)
){{STRICT}};
CREATE INDEX telemetry_means_age ON telemetry_means(step_ms, from_ms);
