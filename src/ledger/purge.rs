//! Old calls go: first their rows, and in the same transaction what was a file of theirs is written down to be removed
//! (`removal.rs`). So a kill anywhere leaves neither a row of a file that is gone nor a file that nobody will remove.

use super::{Ledger, LedgerError, Reader, dictionary, removal};
use crate::time::CaptureTime;
use rusqlite::{Connection, Result, params};
use std::collections::BTreeSet;

/// Rows that hang on a call. The purge deletes them itself: with foreign keys on, SQLite would read all of `calls` for every
/// party that goes, to see that no call has it.
pub(super) const OF_A_CALL: [&str; 11] = [
    "carried_evidence",
    "call_ids",
    "identifiers",
    "participants",
    "party_calls",
    "streams",
    "gaps",
    "dtmf",
    "events",
    "files",
    "call_references",
];

/// Calls of before a time. They ended before it, and none is still in progress.
const OLD: &str = "order_at_us < ?1 AND state = 'completed' AND coalesce(ended_at_us, order_at_us) < ?1";

/// A round of purging: what it is to take, and what it took so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// Calls that ended before this go.
    pub before: CaptureTime,
    /// When the round began: the time of its event.
    pub at: CaptureTime,
    /// Calls that went.
    pub calls: u64,
    /// Their files, with the record beside each recording.
    pub files: u64,
    /// Bytes of their sound and packets.
    pub bytes: u64,
}

impl Purge {
    /// A round that has taken nothing yet.
    #[must_use]
    pub fn new(before: CaptureTime, at: CaptureTime) -> Self {
        Self { before, at, calls: 0, files: 0, bytes: 0 }
    }

    /// What it took, for people.
    #[must_use]
    pub fn detail(&self) -> String {
        let Self { before, calls, files, bytes, .. } = self;
        format!("{calls} calls that ended before {before}, with {files} files of {} MB", bytes / 1_000_000)
    }
}

impl Ledger {
    /// Takes up to `most` calls, the oldest first, out of the ledger, but those that are to be spared; says how many. The event
    /// `purged` of the round is written with them.
    ///
    /// # Errors
    /// When SQLite cannot write; the ledger is then as it was before.
    pub fn purge(
        &mut self,
        round: &mut Purge,
        most: usize,
        spared: &BTreeSet<String>,
    ) -> Result<u64, LedgerError> {
        let (path, db) = (&self.path, &mut self.db);
        let mut took = round.clone();
        let mut write = || {
            db.pragma_update(None, "foreign_keys", false)?;
            let batch = db.transaction()?;
            take(&batch, &mut took, most, spared)?;
            if took.calls > round.calls {
                tell(&batch, &took)?;
            }
            batch.commit()
        };
        let done = write();
        let on = db.pragma_update(None, "foreign_keys", true);
        done.and(on).map_err(|e| LedgerError::sqlite("write", path, e))?;
        let calls = took.calls - round.calls;
        *round = took;
        Ok(calls)
    }

    /// When the newest call began.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn newest_call(&self) -> Result<Option<CaptureTime>, LedgerError> {
        let newest =
            self.db.query_row("SELECT max(order_at_us) FROM calls", [], |r| r.get::<_, Option<i64>>(0));
        let newest = newest.map_err(|e| LedgerError::sqlite("read", &self.path, e))?;
        Ok(newest.map(CaptureTime::from_micros))
    }
}

impl Reader {
    /// What a purge would take.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn would_purge(&self, round: &mut Purge) -> Result<(), LedgerError> {
        let of_files =
            |what| format!("coalesce(sum((SELECT {what} FROM files f WHERE f.call_no = calls.call_no)), 0)");
        let sql = format!(
            "SELECT count(*), coalesce(sum(record_path IS NOT NULL), 0), {}, {} FROM calls WHERE {OLD}",
            of_files("count(*)"),
            of_files("sum(length_bytes)")
        );
        let found = self.snapshot(|db| {
            let row = |r: &rusqlite::Row<'_>| Ok((count(r, 0)?, count(r, 1)? + count(r, 2)?, count(r, 3)?));
            db.query_row(&sql, [round.before.micros()], row)
        })?;
        (round.calls, round.files, round.bytes) = found;
        Ok(())
    }
}

fn count(r: &rusqlite::Row<'_>, at: usize) -> Result<u64> {
    Ok(u64::try_from(r.get::<_, i64>(at)?).unwrap_or(0))
}

fn take(db: &Connection, round: &mut Purge, most: usize, spared: &BTreeSet<String>) -> Result<()> {
    let sql = format!("SELECT call_no, id, record_path FROM calls WHERE {OLD} ORDER BY order_at_us LIMIT ?2");
    let some = i64::try_from(most.saturating_add(spared.len())).unwrap_or(i64::MAX);
    let old: Vec<(i64, String, Option<String>)> = db
        .prepare_cached(&sql)?
        .query_map(params![round.before.micros(), some], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
        .collect::<Result<_>>()?;
    let mut parties = BTreeSet::new();
    for (call_no, id, record) in old.into_iter().filter(|c| !spared.contains(&c.1)).take(most) {
        let mut files = Vec::new();
        let mut sql =
            db.prepare_cached("SELECT path, length_bytes FROM files WHERE call_no = ?1 ORDER BY position")?;
        for file in sql.query_map([call_no], |r| Ok((r.get::<_, String>(0)?, count(r, 1)?)))? {
            let (path, bytes) = file?;
            files.push(path);
            round.bytes += bytes;
        }
        files.extend(record);
        removal::put(db, files.iter().map(|f| (id.as_str(), f.as_str())))?;
        let mut sql = db.prepare_cached("SELECT party_no FROM party_calls WHERE call_no = ?1")?;
        for party in sql.query_map([call_no], |r| r.get::<_, i64>(0))? {
            parties.insert(party?);
        }
        for table in OF_A_CALL {
            db.prepare_cached(&format!("DELETE FROM {table} WHERE call_no = ?1"))?.execute([call_no])?;
        }
        db.prepare_cached("DELETE FROM calls WHERE call_no = ?1")?.execute([call_no])?;
        round.calls += 1;
        round.files += files.len() as u64;
    }
    let parties: Vec<String> = parties.iter().map(i64::to_string).collect();
    dictionary::forget_unused(db, &format!("[{}]", parties.join(",")))
}

/// One event a round, with what it took until now.
fn tell(db: &Connection, round: &Purge) -> Result<()> {
    let at = round.at.micros();
    db.prepare_cached(
        "DELETE FROM node_events WHERE at_us = ?1 AND what = 'purged' AND subject = 'recordings'",
    )?
    .execute([at])?;
    db.prepare_cached(
        "INSERT INTO node_events (at_us, what, subject, detail) VALUES (?1, 'purged', 'recordings', ?2)",
    )?
    .execute(params![at, round.detail()])
    .map(|_| ())
}
