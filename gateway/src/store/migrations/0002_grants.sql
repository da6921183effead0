-- The preset a rune was made by, and the offer it was handed out through: the unique id of the
-- offer's own rune. When a rune ends and to whom it is bound is read from its restrictions.
ALTER TABLE runes ADD COLUMN preset TEXT;
ALTER TABLE runes ADD COLUMN offer INTEGER;

-- How often a rune with this unique id was allowed a command; those before this column was here
-- count as one.
ALTER TABLE uses ADD COLUMN uses INTEGER NOT NULL DEFAULT 1;

-- The latest time that decisions were made by, in nanoseconds since 1970: time never falls behind
-- it, so that no expired rune revives when the clock steps back. One row.
CREATE TABLE clock (
    mark INTEGER NOT NULL
) STRICT;
INSERT INTO clock (mark) SELECT coalesce(max(last_used), 0) FROM uses;
