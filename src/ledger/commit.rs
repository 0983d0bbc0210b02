//! The one writer.

use super::dictionary::party_no;
use super::{FILE_NAME, LOCK_NAME, LedgerError, dictionary, links, removal, upgrade};
use crate::archive::seal::Sealed;
use crate::call::record::{CallRecord, End, Party, Stream};
use crate::time::CaptureTime;
use rusqlite::{Connection, OptionalExtension as _, Result, params};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The right to write to a data folder. There is one at a time: a lock on `ledger.lock` holds that, and the system drops
/// the lock however the process ends. A clone is the same right.
#[derive(Clone, Debug)]
pub struct Lock {
    data: PathBuf,
    _file: Arc<File>,
}

impl Lock {
    /// Takes the right to write to a data folder; makes the folder when there is none.
    ///
    /// # Errors
    /// When another recorder has it, or the folder cannot be written.
    pub fn take(data_dir: &Path) -> Result<Self, LedgerError> {
        let folder = |source| LedgerError::Folder { dir: data_dir.to_owned(), source };
        std::fs::create_dir_all(data_dir).map_err(folder)?;
        let file =
            OpenOptions::new().create(true).append(true).open(data_dir.join(LOCK_NAME)).map_err(folder)?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self { data: data_dir.to_owned(), _file: Arc::new(file) }),
                Err(TryLockError::Error(source)) => return Err(folder(source)),
                Err(TryLockError::WouldBlock) => pause(LOCK_PAUSE),
            }
        }
        Err(LedgerError::InUse { dir: data_dir.to_owned() })
    }

    /// Does a recorder have the right to write to this folder now? Looking takes nothing from one that starts.
    #[must_use]
    pub fn is_held(data_dir: &Path) -> bool {
        let file = File::open(data_dir.join(LOCK_NAME));
        // A lock that is got is given back at once, as the file is closed.
        file.is_ok_and(|f| matches!(f.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

/// How often a recorder tries to get the lock, and how long it waits in between: a second for a process that was killed
/// and is still being cleaned away, and for somebody who only looks whether a recorder runs.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// The ledger of a data folder, open for writing.
#[derive(Debug)]
pub struct Ledger {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    /// Dropped last: the right is held for as long as the database is open.
    _lock: Lock,
}

/// Lesser recordings, whose place those that are written down take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgrown {
    /// Calls that are parts of a new one.
    pub ids: Vec<String>,
    /// Files that no call names any more, each with the id of the call that they were of: they are to be removed.
    pub files: Vec<(String, String)>,
}

/// Prepared statements kept: more than this file has.
const STATEMENTS: usize = 64;

impl Ledger {
    /// Opens the ledger of `data_dir` for writing; makes the folder and the ledger when there is none, and
    /// upgrades an older one.
    ///
    /// # Errors
    /// When another recorder has it, it is of a newer version, damaged, or the folder cannot be written.
    pub fn open(data_dir: &Path) -> Result<Self, LedgerError> {
        Self::open_locked(&Lock::take(data_dir)?)
    }

    /// The same, by who has the right already.
    ///
    /// # Errors
    /// When it is of a newer version, damaged, or cannot be written.
    pub fn open_locked(lock: &Lock) -> Result<Self, LedgerError> {
        Self::open_at(lock, lock.data.join(FILE_NAME))
    }

    /// Opens a ledger under another name.
    pub(super) fn open_at(lock: &Lock, path: PathBuf) -> Result<Self, LedgerError> {
        let wrong = |e| LedgerError::sqlite("open", &path, e);
        let mut db = Connection::open(&path).map_err(wrong)?;
        upgrade::check(&db, &path, upgrade::newest())?;
        tune(&db).map_err(wrong)?;
        upgrade::upgrade(&mut db, &path, upgrade::MIGRATIONS)?;
        Ok(Self { db, path, _lock: lock.clone() })
    }

    /// Writes down finished calls, all or none; a call of the same id is replaced. When this returns, they
    /// survive a loss of power.
    ///
    /// # Errors
    /// When SQLite cannot write; the ledger is then as it was before.
    pub fn commit(&mut self, calls: &[Sealed]) -> Result<(), LedgerError> {
        self.commit_in_place_of(&Outgrown::default(), calls)
    }

    /// The same; lesser recordings go.
    ///
    /// # Errors
    /// As [`Ledger::commit`].
    pub fn commit_in_place_of(&mut self, lesser: &Outgrown, calls: &[Sealed]) -> Result<(), LedgerError> {
        self.commit_all(lesser, calls.iter().map(|c| (c.record(), c.record_path())))
    }

    /// Rows of files that are nowhere: only to measure what rows cost (`scripts/bench-ledger`). Nothing in `src/` calls it.
    ///
    /// # Errors
    /// As [`Ledger::commit`].
    #[doc(hidden)]
    pub fn commit_made_up<'a>(
        &mut self,
        calls: impl Iterator<Item = (&'a CallRecord, Option<&'a str>)>,
    ) -> Result<(), LedgerError> {
        self.commit_all(&Outgrown::default(), calls)
    }

    /// Closes the ledger; all of it is in its one file then.
    pub(super) fn close(self) -> Result<(), LedgerError> {
        let Self { db, path, .. } = self;
        let wrong = |e| LedgerError::sqlite("write", &path, e);
        db.query_row("PRAGMA wal_checkpoint(truncate)", [], |_| Ok(())).map_err(wrong)?;
        db.close().map_err(|(_, e)| wrong(e))
    }

    #[cfg(test)]
    pub(super) fn db(&self) -> &Connection {
        &self.db
    }

    #[cfg(test)]
    pub(super) fn commit_records<'a>(
        &mut self,
        calls: impl Iterator<Item = &'a CallRecord>,
    ) -> Result<(), LedgerError> {
        self.commit_rows(calls.map(|c| (c, None)))
    }

    /// Records with the files they are in.
    pub(super) fn commit_rows<'a>(
        &mut self,
        calls: impl Iterator<Item = (&'a CallRecord, Option<&'a str>)>,
    ) -> Result<(), LedgerError> {
        self.commit_all(&Outgrown::default(), calls)
    }

    fn commit_all<'a>(
        &mut self,
        lesser: &Outgrown,
        calls: impl Iterator<Item = (&'a CallRecord, Option<&'a str>)>,
    ) -> Result<(), LedgerError> {
        let path = &self.path;
        let batch = || {
            let batch = self.db.transaction()?;
            let known = dictionary::last(&batch)?;
            for id in &lesser.ids {
                batch.prepare_cached("DELETE FROM calls WHERE id = ?1")?.execute([id])?;
            }
            removal::put(&batch, lesser.files.iter().map(|(id, path)| (id.as_str(), path.as_str())))?;
            for (call, record_path) in calls {
                put_call(&batch, call, record_path)?;
                let files = call.files.iter().map(|f| f.path.as_str());
                removal::keep(&batch, files.chain(record_path))?;
            }
            dictionary::index_from(&batch, known)?;
            batch.commit()
        };
        batch().map_err(|e| LedgerError::sqlite("write", path, e))
    }
}

/// How the file is written.
fn tune(db: &Connection) -> Result<()> {
    // Readers only look at the ledger for milliseconds; a checkpoint that meets one waits rather than fails.
    db.busy_timeout(Duration::from_secs(5))?;
    // WAL: readers and the writer do not wait for each other.
    db.pragma_update(None, "journal_mode", "wal")?;
    // FULL, not NORMAL: in WAL mode NORMAL does not fsync a commit, and a power cut may take the last ones back.
    // The spool of a call is removed after its row is committed, so a row that comes undone is a recording that
    // nobody finds again. One fsync a batch is what that costs.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // KiB, negative: 16 MiB, about what a full batch changes of a large ledger. With less, a batch is written and read back
    // while it lasts: at a million calls, 4 MiB cost twice as much reading. The leaves of the indexes over ids and Call-IDs
    // are hit at random, and the system has them in its cache; a recorder that runs for months shall not grow with its ledger.
    db.pragma_update(None, "cache_size", -16_384)?;
    // Pages, 16 MiB: what many small batches change again and again is copied to the ledger, and synced, once.
    db.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    // After a long reader let the WAL grow, give the disk back.
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    super::keep_plans(db)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

fn put_call(db: &Connection, call: &CallRecord, record_path: Option<&str>) -> Result<()> {
    let old: Option<i64> = db
        .prepare_cached("SELECT call_no FROM calls WHERE id = ?1")?
        .query_row([&call.id], |r| r.get(0))
        .optional()?;
    if old.is_some() {
        db.prepare_cached("DELETE FROM calls WHERE call_no = ?1")?.execute([old])?;
    }
    let (caller, callee) = (party_no(db, &call.caller)?, party_no(db, &call.callee)?);
    let order_at_us = call.order_time().micros();
    let call_no = db
        .prepare_cached(
            "INSERT INTO calls (call_no, id, order_at_us, kind, platform, state, caller_party_no, callee_party_no,
                direction, started_at_us, answered_at_us, ended_at_us, duration_s, end_reason,
                carried_primary, carried_lost_at_us, record_path)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )?
        .insert(params![
            old,
            call.id,
            order_at_us,
            call.kind.word(),
            call.platform,
            call.state.word(),
            caller,
            callee,
            call.direction,
            us(call.started_at),
            us(call.answered_at),
            us(call.ended_at),
            call.duration_s.and_then(finite),
            call.end.map(End::word),
            call.carried.as_ref().map(|c| &c.primary),
            call.carried.as_ref().map(|c| c.lost_at.micros()),
            record_path,
        ])?;
    put_party_call(db, caller, order_at_us, call_no)?;
    put_party_call(db, callee, order_at_us, call_no)?;
    put_participants(db, call, order_at_us, call_no)?;
    put_lists(db, call, call_no)?;
    for (position, stream) in (0_i64..).zip(&call.streams) {
        put_stream(db, stream, call_no, position)?;
    }
    links::put(db, call, call_no)?;
    put_files(db, call, call_no)
}

fn put_participants(db: &Connection, call: &CallRecord, order_at_us: i64, call_no: i64) -> Result<()> {
    let mut sql = db.prepare_cached("INSERT INTO participants VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for (position, p) in (0_i64..).zip(&call.participants) {
        let known = Party { uri: p.uri.clone(), number: p.number.clone(), name: p.name.clone() };
        let no = party_no(db, &known)?;
        sql.execute(params![call_no, position, p.party, no, p.device, us(p.joined_at), us(p.left_at)])?;
        put_party_call(db, no, order_at_us, call_no)?;
    }
    Ok(())
}

fn put_lists(db: &Connection, call: &CallRecord, call_no: i64) -> Result<()> {
    let mut sql = db.prepare_cached("INSERT INTO call_ids VALUES (?1, ?2, ?3)")?;
    for (position, call_id) in (0_i64..).zip(&call.call_ids) {
        sql.execute(params![call_no, position, call_id])?;
    }
    let mut sql = db.prepare_cached("INSERT INTO identifiers VALUES (?1, ?2, ?3)")?;
    for (name, value) in &call.identifiers {
        sql.execute(params![call_no, name, value])?;
    }
    let mut sql = db.prepare_cached("INSERT INTO carried_evidence VALUES (?1, ?2, ?3)")?;
    for (position, evidence) in (0_i64..).zip(call.carried.iter().flat_map(|c| &c.evidence)) {
        sql.execute(params![call_no, position, evidence])?;
    }
    let mut sql = db.prepare_cached("INSERT INTO gaps VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (position, g) in (0_i64..).zip(&call.gaps) {
        let (start_s, length_s) = (finite(g.start_s), finite(g.length_s));
        sql.execute(params![call_no, position, g.party, start_s, length_s, g.cause.word()])?;
    }
    let mut sql = db.prepare_cached("INSERT INTO dtmf VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, d) in (0_i64..).zip(&call.dtmf) {
        sql.execute(params![call_no, position, d.party, finite(d.at_s), d.digit])?;
    }
    let mut sql = db.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, e) in (0_i64..).zip(&call.events) {
        sql.execute(params![call_no, position, e.at.micros(), e.what, e.detail])?;
    }
    Ok(())
}

fn put_stream(db: &Connection, s: &Stream, call_no: i64, position: i64) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO streams (call_no, position, party, ssrc, source, destination, codec, payload_type, encrypted,
            packets, lost, duplicates, reordered, jitter_ms, mos, started_at_us, ended_at_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        call_no,
        position,
        s.party,
        s.ssrc,
        s.source,
        s.destination,
        s.codec,
        s.payload_type,
        s.encrypted,
        count(s.packets),
        count(s.lost),
        count(s.duplicates),
        count(s.reordered),
        finite(s.jitter_ms),
        s.mos.and_then(finite),
        s.started_at.micros(),
        s.ended_at.micros(),
    ])?;
    Ok(())
}

fn put_files(db: &Connection, call: &CallRecord, call_no: i64) -> Result<()> {
    let mut sql = db.prepare_cached(
        "INSERT INTO files (call_no, position, kind, path, format, channels, sample_rate_hz, duration_s,
            length_bytes, sha256) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for (position, f) in (0_i64..).zip(&call.files) {
        sql.execute(params![
            call_no,
            position,
            f.kind,
            f.path,
            f.format,
            f.channels,
            f.sample_rate,
            f.duration_s.and_then(finite),
            count(f.bytes),
            f.sha256,
        ])?;
    }
    Ok(())
}

/// Caller and participant are often the same party: once is enough.
fn put_party_call(db: &Connection, party_no: Option<i64>, order_at_us: i64, call_no: i64) -> Result<()> {
    if party_no.is_some() {
        db.prepare_cached("INSERT OR IGNORE INTO party_calls VALUES (?1, ?2, ?3)")?.execute(params![
            party_no,
            order_at_us,
            call_no
        ])?;
    }
    Ok(())
}

fn us(t: Option<CaptureTime>) -> Option<i64> {
    t.map(CaptureTime::micros)
}

/// SQLite counts to 2^63 - 1: a counter beyond that (292 thousand years at a packet a microsecond) stays there.
fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// What JSON prints as null is NULL here.
fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}
