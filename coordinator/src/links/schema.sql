-- links: what was last composed for a node, and how far its log of facts was taken in.
CREATE TABLE desired_documents(
  node_id TEXT PRIMARY KEY,
  fleet_epoch {{I64}} NOT NULL,
  n {{I64}} NOT NULL,
  sha256 {{BYTES}} NOT NULL,
  document {{BYTES}} NOT NULL,
  composed_ms {{I64}} NOT NULL
){{STRICT}};

-- Nodes whose document may have changed.
CREATE TABLE desired_dirty(
  node_id TEXT PRIMARY KEY
){{STRICT}};

-- How far each journal of a node was taken in.
CREATE TABLE fact_cursors(
  node_id TEXT NOT NULL,
  journal_epoch TEXT NOT NULL,
  number {{I64}} NOT NULL,
  moved_ms {{I64}} NOT NULL,
  PRIMARY KEY(node_id, journal_epoch)
){{STRICT}};
