-- When each bucket of a unique id is full again, in nanoseconds since 1970: one command moves it on by
-- its share of the time the bucket takes to fill. A bucket that is full has no row. `bucket` is the
-- rune's field as it is written, such as `quota=600/hour`; where every caller has one of its own, `/`
-- and the caller's node id follow.
CREATE TABLE buckets (
    unique_id INTEGER NOT NULL,
    bucket    TEXT NOT NULL,
    full_at   INTEGER NOT NULL,
    PRIMARY KEY (unique_id, bucket)
) STRICT, WITHOUT ROWID;
CREATE INDEX buckets_by_full_at ON buckets (full_at);
