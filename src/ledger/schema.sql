-- The ledger of earwitness: every call this recorder knows, one row in `calls` and its details around it.
--
-- How to read this file
--   * Times end in `_us`: microseconds since 1970-01-01T00:00:00Z. Lengths end in `_s` (seconds, as the contract
--     prints them), `_ms` (milliseconds) or `_bytes`. A time that is not known is NULL.
--   * Words in CHECK are the words of the contract (src/call/record.rs).
--   * `call_no` and `party_no` are row numbers of this file and mean nothing outside it. What the world knows is `id`.
--   * A list of the contract is a table with `position` (0, 1, 2 …), so that it is read back in its order.
--   * Deleting a row of `calls` deletes all that hangs on it.
--   * REAL columns are NULL for a figure that JSON cannot hold (infinity, not a number).
--
-- Only src/ledger/commit.rs writes here. docs/ledger.md says how the indexes answer the queries.

-- Everybody who was ever in a call, each combination of the three once: the dictionary that `--party` looks through.
-- Rows are shared between calls and are never changed.
CREATE TABLE parties (
    party_no    INTEGER PRIMARY KEY,
    uri         TEXT,                   -- SIP or tel URI without parameters
    number      TEXT,                   -- user part of the URI, or the number the platform tells
    name        TEXT,                   -- display name
    search_text TEXT NOT NULL,          -- number, URI and name in lower case, then the number's digits; a line each
    UNIQUE (number, uri, name)          -- (NULLs are not unique to SQLite: the writer looks with IS before it inserts)
) STRICT;

-- Substring search in `search_text` for texts of three characters and more. It keeps no copy of the text.
CREATE VIRTUAL TABLE party_text USING fts5 (
    search_text,
    content = 'parties', content_rowid = 'party_no',
    tokenize = 'trigram'
);
CREATE TRIGGER parties_insert AFTER INSERT ON parties BEGIN
    INSERT INTO party_text (rowid, search_text) VALUES (new.party_no, new.search_text);
END;
CREATE TRIGGER parties_delete AFTER DELETE ON parties BEGIN
    INSERT INTO party_text (party_text, rowid, search_text) VALUES ('delete', old.party_no, old.search_text);
END;

-- A call, as a person would call one.
CREATE TABLE calls (
    call_no            INTEGER PRIMARY KEY,
    id                 TEXT NOT NULL UNIQUE,     -- derived from the wire: the same on every recorder that heard the call
    order_at_us        INTEGER NOT NULL,         -- what listings are ordered by: first INVITE, else first media
    kind               TEXT NOT NULL CHECK (kind IN ('call', 'siprec', 'bib', 'media-only')),
    platform           TEXT,                     -- recognised dialect: cisco-cucm, broadworks …
    state              TEXT NOT NULL CHECK (state IN ('active', 'completed')),
    caller_party_no    INTEGER REFERENCES parties (party_no),  -- NULL: nothing is known of the caller
    callee_party_no    INTEGER REFERENCES parties (party_no),  -- NULL: nothing is known of the callee
    direction          TEXT,                     -- as the platform tells it
    started_at_us      INTEGER,                  -- first INVITE
    answered_at_us     INTEGER,                  -- first 2xx to an INVITE
    ended_at_us        INTEGER,                  -- BYE, final response, or last packet
    duration_s         REAL,                     -- answered (else first media) to ended
    end_reason         TEXT CHECK (end_reason IN ('bye', 'cancelled', 'rejected', 'media-timeout',
                                                  'signalling-timeout', 'capture-end')),  -- NULL while active
    carried_primary    TEXT,                     -- address:port of the primary that was lost during the call
    carried_lost_at_us INTEGER,                  -- when it was lost
    CHECK ((carried_primary IS NULL) = (carried_lost_at_us IS NULL))
) STRICT;
CREATE INDEX calls_by_time ON calls (order_at_us);
-- The few calls that went on here after their primary was lost, and the few that are up.
CREATE INDEX calls_carried ON calls (order_at_us) WHERE carried_primary IS NOT NULL;
CREATE INDEX calls_active ON calls (order_at_us) WHERE state = 'active';

-- What proves that the primary was lost, a sentence a row.
CREATE TABLE carried_evidence (
    call_no  INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    evidence TEXT NOT NULL,
    PRIMARY KEY (call_no, position)
) STRICT, WITHOUT ROWID;

-- Every SIP Call-ID that belongs to a call.
CREATE TABLE call_ids (
    call_no  INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    call_id  TEXT NOT NULL,
    PRIMARY KEY (call_no, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX call_ids_by_call_id ON call_ids (call_id);

-- Identifiers of vendors: x-refci, ucid, session-id, cisco-guid …
CREATE TABLE identifiers (
    call_no INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (call_no, name)
) STRICT, WITHOUT ROWID;

-- Everybody in the call, in order of appearance.
CREATE TABLE participants (
    call_no      INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE,
    position     INTEGER NOT NULL,
    party        TEXT NOT NULL,                  -- caller, callee, p3, p4 …: what streams, gaps and dtmf refer to
    party_no     INTEGER REFERENCES parties (party_no),  -- NULL: nothing is known but that there was one
    device       TEXT,                           -- device name, as Cisco's x-nearenddevice
    joined_at_us INTEGER,
    left_at_us   INTEGER,                        -- NULL: stayed to the end
    PRIMARY KEY (call_no, position)
) STRICT, WITHOUT ROWID;

-- Which calls a party was in, as caller, callee or participant: a party's calls since T are one range of this table.
CREATE TABLE party_calls (
    party_no    INTEGER NOT NULL REFERENCES parties (party_no),
    order_at_us INTEGER NOT NULL,                -- of the call
    call_no     INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE,
    PRIMARY KEY (party_no, order_at_us, call_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX party_calls_by_call ON party_calls (call_no);

-- RTP streams (one SSRC from one source to one destination) in order of their start.
CREATE TABLE streams (
    call_no       INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE,
    position      INTEGER NOT NULL,
    party         TEXT,                          -- who speaks in it: a participant's party, or mixed
    ssrc          TEXT NOT NULL,                 -- 0x1a2b3c4d
    source        TEXT NOT NULL,                 -- address:port
    destination   TEXT NOT NULL,                 -- address:port
    codec         TEXT,                          -- PCMU/8000: encoding name and RTP clock rate in Hz
    payload_type  INTEGER CHECK (payload_type BETWEEN 0 AND 127),
    encrypted     INTEGER NOT NULL CHECK (encrypted IN (0, 1)),  -- SRTP
    packets       INTEGER NOT NULL CHECK (packets >= 0),     -- received, copies not counted
    lost          INTEGER NOT NULL CHECK (lost >= 0),        -- never came, between the first and the last that did
    duplicates    INTEGER NOT NULL CHECK (duplicates >= 0),  -- copies
    reordered     INTEGER NOT NULL CHECK (reordered >= 0),   -- came after one with a higher sequence number
    jitter_ms     REAL,                          -- mean interarrival jitter (RFC 3550, 6.4.1)
    mos           REAL,                          -- estimated mean opinion score, 1.0 to 4.5
    started_at_us INTEGER NOT NULL,              -- first packet
    ended_at_us   INTEGER NOT NULL,              -- last packet
    PRIMARY KEY (call_no, position)
) STRICT, WITHOUT ROWID;

-- Stretches in which a party's sound is missing. `start_s` counts from sample 0 of the audio.
CREATE TABLE gaps (
    call_no  INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    party    TEXT,
    start_s  REAL,
    length_s REAL,
    cause    TEXT NOT NULL CHECK (cause IN ('network', 'capture', 'late-join', 'restart', 'hold', 'pause', 'masked')),
    PRIMARY KEY (call_no, position)
) STRICT, WITHOUT ROWID;

-- Dialled digits. `at_s` counts from sample 0 of the audio.
CREATE TABLE dtmf (
    call_no  INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    party    TEXT,
    at_s     REAL,
    digit    TEXT NOT NULL,                      -- one of 0123456789*#ABCD
    PRIMARY KEY (call_no, position)
) STRICT, WITHOUT ROWID;

-- The timeline: hold, resume, transfer, codec-change, primary-lost …
CREATE TABLE events (
    call_no  INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    at_us    INTEGER NOT NULL,
    what     TEXT NOT NULL,
    detail   TEXT NOT NULL,                      -- for people
    PRIMARY KEY (call_no, position)
) STRICT, WITHOUT ROWID;

-- The sealed files of a call. A row is written only after the file is safely on disk.
CREATE TABLE files (
    call_no        INTEGER NOT NULL REFERENCES calls (call_no) ON DELETE CASCADE,
    position       INTEGER NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('audio', 'packets')),
    path           TEXT NOT NULL UNIQUE,         -- relative to the data folder; a file belongs to one call
    format         TEXT NOT NULL,                -- wav, pcap
    channels       INTEGER CHECK (channels > 0), -- audio only
    sample_rate_hz INTEGER CHECK (sample_rate_hz > 0),  -- audio only
    duration_s     REAL,                         -- audio only
    length_bytes   INTEGER NOT NULL CHECK (length_bytes >= 0),
    sha256         TEXT NOT NULL,                -- of the whole file, hexadecimal
    PRIMARY KEY (call_no, position)
) STRICT, WITHOUT ROWID;
