-- Plumbing: facts about this installation, and answers kept for replay.

CREATE TABLE settings(
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
){{STRICT}};

-- One row a used Idempotency-Key, written in the transaction of its effect.
CREATE TABLE idempotency_keys(
  owner TEXT NOT NULL,
  key TEXT NOT NULL,
  request_sha256 {{BYTES}} NOT NULL,
  status {{I64}} NOT NULL,
  answer TEXT NOT NULL,
  created_ms {{I64}} NOT NULL,
  PRIMARY KEY(owner, key)
){{STRICT}};
CREATE INDEX idempotency_keys_age ON idempotency_keys(created_ms);
