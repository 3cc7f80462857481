-- telemetry: what must not be lost. Samples are in memory alone.
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
