-- How long a project keeps what happened; 0: as long as the server says. The row
-- of a deleted project stays, because its number is never used again; its name
-- is another one then.
ALTER TABLE projects ADD COLUMN retention_us INTEGER NOT NULL DEFAULT 0 CHECK (retention_us >= 0);

ALTER TABLE projects ADD COLUMN deleted_us INTEGER NOT NULL DEFAULT 0;

-- Orders to forget what is on record up to a place: the events of a subject or,
-- where that is empty, all of a deleted project. ended_us is 0 while it is under
-- way.
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
