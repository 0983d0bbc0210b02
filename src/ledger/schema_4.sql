-- Version 4: recordings that go, and the text of new parties indexed once a batch.

-- Files that no call names any more and that are still to be removed from the disk. A row is written in the transaction
-- in which its call goes (purged, or replaced by a fuller recording), and goes when the file is gone and its folder
-- synced: killed in between, the next run knows what to do.
CREATE TABLE files_to_remove (
    -- In this order; a call's record is its last file, for it names the others. A number is never given out again: who goes
    -- through the files remembers how far.
    removal_no INTEGER PRIMARY KEY AUTOINCREMENT,
    path       TEXT NOT NULL UNIQUE,    -- relative to the data folder
    call_id    TEXT NOT NULL            -- of the call that it was a file of: only a call of this id may take the name anew
) STRICT;

-- src/ledger/commit.rs keeps `party_text` now: a trigger has FTS5 write what it holds to its tables at every statement,
-- a segment for each party.
DROP TRIGGER parties_insert;
DROP TRIGGER parties_delete;
