-- enrolment: who may become a node, and every certificate ever issued.
CREATE TABLE bootstrap_tokens(
  id TEXT PRIMARY KEY,
  -- The secret itself is 32 random bytes and stands nowhere.
  secret_sha256 {{BYTES}} NOT NULL,
  created_by TEXT NOT NULL,
  created_ms {{I64}} NOT NULL,
  expires_ms {{I64}} NOT NULL,
  max_uses {{I64}} NOT NULL,
  uses {{I64}} NOT NULL,
  labels TEXT NOT NULL,
  auto_approve {{I64}} NOT NULL,
  revoked_ms {{I64}}
){{STRICT}};
CREATE INDEX bootstrap_tokens_time ON bootstrap_tokens(created_ms, id);

CREATE TABLE certificates(
  -- Also its serial number.
  id TEXT PRIMARY KEY,
  node_id TEXT NOT NULL,
  key_sha256 TEXT NOT NULL,
  issued_ms {{I64}} NOT NULL,
  expires_ms {{I64}} NOT NULL,
  revoked_ms {{I64}},
  -- `first`, `renewal` or `recovery`.
  reason TEXT NOT NULL
){{STRICT}};
CREATE INDEX certificates_node ON certificates(node_id, issued_ms, id);
CREATE INDEX certificates_revoked ON certificates(expires_ms) WHERE revoked_ms IS NOT NULL;
