-- Version 3: what of a call another call may know it by. Links between calls are not rows: they are found by these when a call is
-- read, so that of two calls it does not matter which was sealed first, and a call that is replaced or removed takes its links
-- with it.

-- Two calls are linked when one names a Call-ID of the other, or when they have a key in common and the sides of it differ (an
-- empty side differs from every other, and from itself), not further apart in time than either says.
CREATE TABLE call_references (
    call_no  INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    why      TEXT,                      -- transfer, replaces, same-session …; NULL: the other side of the key says
    call_id  TEXT,                      -- a SIP Call-ID of the other call
    key      TEXT,                      -- or what both calls have
    side     TEXT NOT NULL,
    at_us    INTEGER NOT NULL,
    within_s INTEGER NOT NULL CHECK (within_s >= 0),
    PRIMARY KEY (call_no, position),
    CHECK ((call_id IS NULL) <> (key IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX call_references_by_key ON call_references (key) WHERE key IS NOT NULL;
CREATE INDEX call_references_by_call_id ON call_references (call_id) WHERE call_id IS NOT NULL;
