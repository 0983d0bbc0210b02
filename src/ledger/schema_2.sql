-- Version 2: the record beside the recording, and what happened to the node.

-- The file beside the sealed files that holds the whole record as JSON, relative to the data folder: from it
-- `earwitness rebuild` makes the row anew. NULL: sealed by a version that wrote none.
ALTER TABLE calls ADD COLUMN record_path TEXT;
CREATE UNIQUE INDEX calls_by_record_path ON calls (record_path) WHERE record_path IS NOT NULL;

-- What happened to the node rather than to a call. The newest 100,000 are kept.
CREATE TABLE node_events (
    event_no INTEGER PRIMARY KEY,
    at_us    INTEGER NOT NULL,
    what     TEXT NOT NULL,             -- started, stopped, primary-lost … (src/ledger/events.rs has them all)
    subject  TEXT NOT NULL,             -- whom: 10.0.0.5:5060, eth1, ledger …; may be empty
    detail   TEXT NOT NULL,             -- for people
    UNIQUE (at_us, what, subject, detail)  -- the same event told twice is one: a capture replayed again
) STRICT;
