-- Two lines of the audit log, by number and hash. `start`: the one before the first that is kept.
-- `head`: the last one that was on disk when this was; a log that does not hold it was cut.
CREATE TABLE audit (
    name TEXT PRIMARY KEY,
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;
