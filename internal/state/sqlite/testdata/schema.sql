CREATE TABLE breakers (
  project  INTEGER NOT NULL CHECK (project > 0),
  origin   TEXT NOT NULL CHECK (origin <> ''),
  failures INTEGER NOT NULL CHECK (failures > 0),
  until_us INTEGER NOT NULL,
  PRIMARY KEY (project, origin)
) STRICT, WITHOUT ROWID;

CREATE TABLE chunks (
  grp     BLOB NOT NULL CHECK (length(grp) = 16),
  idx     INTEGER NOT NULL CHECK (idx >= 0),
  members BLOB NOT NULL,
  PRIMARY KEY (grp, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
  project INTEGER NOT NULL,
  trigger TEXT NOT NULL,
  what    TEXT NOT NULL,
  n       INTEGER NOT NULL,
  PRIMARY KEY (project, trigger, what)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursors (
  shard  INTEGER PRIMARY KEY CHECK (shard BETWEEN 0 AND 1023),
  cursor INTEGER NOT NULL CHECK (cursor >= 0),
  at_us  INTEGER NOT NULL
) STRICT;

CREATE TABLE data (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id  BLOB NOT NULL CHECK (length(id) = 16)
) STRICT;

CREATE TABLE definitions (
  project      INTEGER NOT NULL REFERENCES projects (id),
  kind         TEXT NOT NULL CHECK (kind <> ''),
  name         TEXT NOT NULL CHECK (name <> ''),
  revision     INTEGER NOT NULL CHECK (revision > 0),
  applied_from TEXT NOT NULL,
  body         TEXT,
  PRIMARY KEY (project, kind, name, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE erasures (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  project    INTEGER NOT NULL REFERENCES projects (id),
  subject    TEXT NOT NULL,
  up_to      INTEGER NOT NULL CHECK (up_to >= 0),
  ordered_by TEXT NOT NULL,
  ordered_us INTEGER NOT NULL,
  ended_us   INTEGER NOT NULL,
  records    INTEGER NOT NULL CHECK (records >= 0)
) STRICT;

CREATE INDEX erasures_by_project ON erasures (project);

CREATE TABLE groups (
  id       BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  project  INTEGER NOT NULL CHECK (project > 0),
  trigger  TEXT NOT NULL,
  key_hash BLOB NOT NULL CHECK (length(key_hash) = 16),
  due_us   INTEGER NOT NULL,
  body     BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX groups_by_project ON groups (project, id);

CREATE INDEX groups_by_trigger ON groups (project, trigger, id);

CREATE TABLE leases (
  run      BLOB NOT NULL PRIMARY KEY CHECK (length(run) = 16),
  node     TEXT NOT NULL,
  try      INTEGER NOT NULL CHECK (try > 0),
  began_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
  name  TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE migrations (
  number     INTEGER PRIMARY KEY CHECK (number > 0),
  name       TEXT NOT NULL,
  sum        TEXT NOT NULL,
  version    TEXT NOT NULL,
  applied_us INTEGER NOT NULL
) STRICT;

CREATE TABLE projects (
  id       INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
  name     TEXT NOT NULL UNIQUE CHECK (name <> ''),
  revision INTEGER NOT NULL CHECK (revision >= 0)
, retention_us INTEGER NOT NULL DEFAULT 0 CHECK (retention_us >= 0), deleted_us INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE TABLE refusal_counts (
  project INTEGER NOT NULL,
  code    TEXT NOT NULL,
  door    TEXT NOT NULL,
  n       INTEGER NOT NULL,
  PRIMARY KEY (project, code, door)
) STRICT, WITHOUT ROWID;

CREATE TABLE refusals (
  project INTEGER NOT NULL,
  n       INTEGER NOT NULL CHECK (n > 0),
  at_us   INTEGER NOT NULL,
  door    TEXT NOT NULL,
  code    TEXT NOT NULL,
  reason  TEXT NOT NULL,
  field   TEXT NOT NULL,
  source  TEXT NOT NULL,
  id      TEXT NOT NULL,
  type    TEXT NOT NULL,
  PRIMARY KEY (project, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
  id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  project    INTEGER NOT NULL CHECK (project > 0),
  state      INTEGER NOT NULL CHECK (state IN (1, 3, 5)),
  pipeline   TEXT NOT NULL,
  lane_key   TEXT NOT NULL,
  origin     TEXT NOT NULL,
  due_us     INTEGER NOT NULL,
  queued_us  INTEGER NOT NULL,
  queued_seq INTEGER NOT NULL,
  holds      INTEGER NOT NULL CHECK (holds IN (0, 1)),
  trigger    TEXT NOT NULL,
  executions TEXT NOT NULL,
  body       BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_by_state ON runs (project, state, id);

CREATE TABLE secrets (
  project    INTEGER NOT NULL REFERENCES projects (id),
  name       TEXT NOT NULL CHECK (name <> ''),
  sealed     BLOB NOT NULL CHECK (length(sealed) > 0),
  updated_us INTEGER NOT NULL,
  PRIMARY KEY (project, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  hash       BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  id         TEXT NOT NULL UNIQUE CHECK (id <> ''),
  name       TEXT NOT NULL,
  role       TEXT NOT NULL CHECK (role <> ''),
  project    INTEGER REFERENCES projects (id),
  created_us INTEGER NOT NULL,
  used_us    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
