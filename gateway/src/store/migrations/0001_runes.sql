-- What this state directory belongs to: `node_id` and `authority`, each set once.
CREATE TABLE binding (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Every rune issued, by unique id. A rune itself is never stored: it is derived again from the
-- secret, so that whoever reads this file can command nothing.
CREATE TABLE runes (
    unique_id    INTEGER PRIMARY KEY,
    name         TEXT UNIQUE,
    restrictions TEXT NOT NULL DEFAULT '',
    created_at   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The last time a rune with this unique id was allowed a command, in nanoseconds since 1970.
CREATE TABLE uses (
    unique_id INTEGER PRIMARY KEY,
    last_used INTEGER NOT NULL
) STRICT;

-- Revoked unique ids, as disjoint inclusive ranges.
CREATE TABLE revoked (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL
) STRICT;
