-- People. username_key is the lower-case form under which a name is unique.
CREATE TABLE users(
  id TEXT PRIMARY KEY,
  username TEXT NOT NULL,
  username_key TEXT NOT NULL UNIQUE,
  email TEXT,
  password_hash TEXT NOT NULL,
  tenant_id TEXT REFERENCES tenants(id),
  state TEXT NOT NULL,
  created_ms {{I64}} NOT NULL
){{STRICT}};
CREATE INDEX users_time ON users(created_ms, id);

CREATE TABLE user_roles(
  user_id TEXT NOT NULL REFERENCES users(id),
  role TEXT NOT NULL,
  PRIMARY KEY(user_id, role)
){{STRICT}};

-- Sign-ins: one row a session. Only hashes of tokens are stored. One with a key_name is an API key.
CREATE TABLE logins(
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users(id),
  door TEXT NOT NULL,
  kind TEXT NOT NULL,
  access_sha256 {{BYTES}} NOT NULL UNIQUE,
  access_expires_ms {{I64}} NOT NULL,
  stepped_up_until_ms {{I64}},
  user_agent TEXT,
  key_name TEXT,
  source_ip TEXT,
  created_ms {{I64}} NOT NULL,
  refreshed_ms {{I64}} NOT NULL,
  ended_ms {{I64}},
  end_reason TEXT
){{STRICT}};
CREATE INDEX logins_user ON logins(user_id, created_ms);
CREATE INDEX logins_age ON logins(access_expires_ms);

-- Refresh tokens of a sign-in; a used one that comes back ends the whole sign-in.
CREATE TABLE refresh_tokens(
  sha256 {{BYTES}} PRIMARY KEY,
  login_id TEXT NOT NULL REFERENCES logins(id),
  expires_ms {{I64}} NOT NULL,
  used_ms {{I64}}
){{STRICT}};
CREATE INDEX refresh_tokens_login ON refresh_tokens(login_id);
