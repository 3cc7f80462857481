CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- The one desired document, byte for byte as it came.
CREATE TABLE desired (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  fleet_epoch INTEGER NOT NULL,
  n INTEGER NOT NULL,
  document BLOB NOT NULL,
  sha256 BLOB NOT NULL
) STRICT;

-- The outbox: rows go when the coordinator has them, numbers never come again.
CREATE TABLE facts (number INTEGER PRIMARY KEY AUTOINCREMENT, fact BLOB NOT NULL) STRICT;

-- Node tasks; a row goes when its result is acknowledged, or was not asked for within a week.
CREATE TABLE tasks (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  done INTEGER NOT NULL DEFAULT 0,
  code TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '',
  result_json TEXT NOT NULL DEFAULT '',
  -- Trusted time, ms since 1970; null while it runs, and until the next look after a death of the agent.
  ended_ms INTEGER
) STRICT;

-- What must be known of a cell after a restart and the root half cannot say.
CREATE TABLE cells (
  allocation TEXT PRIMARY KEY,
  report BLOB NOT NULL,
  -- JSON of its line of the desired document; empty if it never had one here.
  spec TEXT NOT NULL,
  log_sent INTEGER NOT NULL DEFAULT 0
) STRICT;

-- How much of each cell's time is in the outbox, ms since it was seen to stand first, by the clock since boot.
CREATE TABLE usage (
  allocation TEXT PRIMARY KEY,
  lease_epoch INTEGER NOT NULL,
  boot_id TEXT NOT NULL,
  began_ms INTEGER NOT NULL,
  told_ms INTEGER NOT NULL DEFAULT 0,
  closed INTEGER NOT NULL DEFAULT 0
) STRICT;
