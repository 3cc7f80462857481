-- Public SSH keys of people. The private half never comes here.
CREATE TABLE ssh_keys(
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users(id),
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  bits {{I64}} NOT NULL,
  public_key TEXT NOT NULL,
  comment TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  created_ms {{I64}} NOT NULL,
  UNIQUE(user_id, fingerprint)
){{STRICT}};
