-- Ids are 16 bytes in order of time, so that a primary key on them grows at its
-- end; times (_us) are microseconds UTC, 0 is none; body is the compact form of
-- what no query looks into (package state).

-- The data that this state belongs to: the journal beside it has the same id.
CREATE TABLE data (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id  BLOB NOT NULL CHECK (length(id) = 16)
) STRICT;

CREATE TABLE meta (
  name  TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Up to where the records of a shard are folded into what stands here.
CREATE TABLE cursors (
  shard  INTEGER PRIMARY KEY CHECK (shard BETWEEN 0 AND 1023),
  cursor INTEGER NOT NULL CHECK (cursor >= 0),
  at_us  INTEGER NOT NULL
) STRICT;

INSERT INTO cursors (shard, cursor, at_us) VALUES (0, 0, 0);

-- AUTOINCREMENT, because a project's number is never used again.
CREATE TABLE projects (
  id       INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
  name     TEXT NOT NULL UNIQUE CHECK (name <> ''),
  revision INTEGER NOT NULL CHECK (revision >= 0)
) STRICT;

INSERT INTO projects (id, name, revision) VALUES (1, 'default', 0);

-- All versions of all definitions; body is null in one that deletes.
CREATE TABLE definitions (
  project      INTEGER NOT NULL REFERENCES projects (id),
  kind         TEXT NOT NULL CHECK (kind <> ''),
  name         TEXT NOT NULL CHECK (name <> ''),
  revision     INTEGER NOT NULL CHECK (revision > 0),
  applied_from TEXT NOT NULL,
  body         TEXT,
  PRIMARY KEY (project, kind, name, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
  project INTEGER NOT NULL,
  trigger TEXT NOT NULL,
  what    TEXT NOT NULL,
  n       INTEGER NOT NULL,
  PRIMARY KEY (project, trigger, what)
) STRICT, WITHOUT ROWID;

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

-- Full chunks of members. They outlive their group: its run has them.
CREATE TABLE chunks (
  grp     BLOB NOT NULL CHECK (length(grp) = 16),
  idx     INTEGER NOT NULL CHECK (idx >= 0),
  members BLOB NOT NULL,
  PRIMARY KEY (grp, idx)
) STRICT, WITHOUT ROWID;

-- state: 1 pending, 3 waiting, 5 dead (weir.RunState). The lane is (project,
-- pipeline, lane_key, origin). Of a run of an ordered key, queued is its place
-- there and holds that it was tried, else they are 0. executions are joined by
-- line breaks.
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

-- The runs that were being tried at the cursor.
CREATE TABLE leases (
  run      BLOB NOT NULL PRIMARY KEY CHECK (length(run) = 16),
  node     TEXT NOT NULL,
  try      INTEGER NOT NULL CHECK (try > 0),
  began_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The origins at which the last try failed, as of the cursor; until_us is 0 while
-- the breaker is closed.
CREATE TABLE breakers (
  project  INTEGER NOT NULL CHECK (project > 0),
  origin   TEXT NOT NULL CHECK (origin <> ''),
  failures INTEGER NOT NULL CHECK (failures > 0),
  until_us INTEGER NOT NULL,
  PRIMARY KEY (project, origin)
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
  project    INTEGER NOT NULL REFERENCES projects (id),
  name       TEXT NOT NULL CHECK (name <> ''),
  sealed     BLOB NOT NULL CHECK (length(sealed) > 0),
  updated_us INTEGER NOT NULL,
  PRIMARY KEY (project, name)
) STRICT, WITHOUT ROWID;

-- project is null in a token for all of them.
CREATE TABLE tokens (
  hash       BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  id         TEXT NOT NULL UNIQUE CHECK (id <> ''),
  name       TEXT NOT NULL,
  role       TEXT NOT NULL CHECK (role <> ''),
  project    INTEGER REFERENCES projects (id),
  created_us INTEGER NOT NULL,
  used_us    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A ring of the last refusals of each project, and how many there were. Project
-- 0 is where none could be told.
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

CREATE TABLE refusal_counts (
  project INTEGER NOT NULL,
  code    TEXT NOT NULL,
  door    TEXT NOT NULL,
  n       INTEGER NOT NULL,
  PRIMARY KEY (project, code, door)
) STRICT, WITHOUT ROWID;
