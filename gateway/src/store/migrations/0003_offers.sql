-- What whoever is first to claim an offer gets: a rune with these restrictions, bound to its node id.
-- An offer is known by the unique id of the rune in its QR code, which allows nothing but the claim.
CREATE TABLE offers (
    offer_id     INTEGER PRIMARY KEY,
    restrictions TEXT NOT NULL,
    preset       TEXT,
    name         TEXT,
    -- UNIX seconds: from then on it is dead.
    expires_at   INTEGER NOT NULL,
    -- Who claimed it, and the unique id of the rune that one got.
    claimed_by   TEXT,
    unique_id    INTEGER,
    -- How often another device tried after that, and the node id of the last.
    refused      INTEGER NOT NULL DEFAULT 0,
    last_refused TEXT
) STRICT;

-- Where the daemon is reached: a connection string without a rune. One row, of its last start.
CREATE TABLE serving (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    uri  TEXT NOT NULL
) STRICT;
