-- Sessions people opened in allocations: terminals, commands, tunnels. The cell owns the session itself; a
-- row says whose it is, so that only they come back to it.
CREATE TABLE sessions(
  id TEXT PRIMARY KEY,
  allocation_id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  user_id TEXT NOT NULL REFERENCES users(id),
  kind TEXT NOT NULL,
  program TEXT,
  source_ip TEXT,
  opened_ms {{I64}} NOT NULL,
  attached_ms {{I64}} NOT NULL,
  detached_ms {{I64}},
  ended_ms {{I64}},
  end_reason TEXT,
  exit_code {{I64}},
  bytes_in {{I64}} NOT NULL,
  bytes_out {{I64}} NOT NULL
){{STRICT}};
CREATE INDEX sessions_by_allocation ON sessions(allocation_id, opened_ms, id);
