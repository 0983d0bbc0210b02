//! Reading the ledger, also while it is written.

use super::party::Needle;
use super::plan::{Plan, ceil_us};
use super::{FILE_NAME, LedgerError, row, upgrade};
use crate::call::record::{CallRecord, State};
use crate::time::CaptureTime;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which calls a listing has. The default has all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Calls that started at this time or later ([`CallRecord::order_time`]).
    pub since: Option<CaptureTime>,
    /// Calls that started before this time, so that two ranges that meet have each call once.
    pub until: Option<CaptureTime>,
    /// Calls with this text in the number, URI or name of a caller, callee or participant, in any case.
    pub party: Option<String>,
    /// Calls in this state.
    pub state: Option<State>,
    /// Only calls that went on here after their primary was lost.
    pub carried: bool,
}

impl Filter {
    /// Would a listing have this call?
    #[must_use]
    pub fn has(&self, call: &CallRecord) -> bool {
        let at_us = call.order_time().micros();
        let needle = self.party.as_deref().and_then(Needle::new);
        self.since.is_none_or(|t| at_us >= ceil_us(t))
            && self.until.is_none_or(|t| at_us < ceil_us(t))
            && self.state.is_none_or(|s| s == call.state)
            && (!self.carried || call.carried.is_some())
            && needle.is_none_or(|n| n.is_in(call))
    }
}

/// The ledger of a data folder, open for reading. It sees what was committed, and never waits for the writer.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    path: PathBuf,
}

impl Reader {
    /// Opens the ledger for a recorder that looks up one call now and then, for months: it keeps little of it in memory.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_modest(data_dir: &Path) -> Result<Self, LedgerError> {
        let reader = Self::open(data_dir)?;
        let modest = reader.db.pragma_update(None, "cache_size", -1_024);
        modest.map_err(|e| LedgerError::sqlite("open", &data_dir.join(FILE_NAME), e))?;
        Ok(reader)
    }

    /// Opens the ledger of `data_dir`, changing nothing in it.
    ///
    /// # Errors
    /// When there is no folder or no ledger in it, or it is of another version, damaged or not readable.
    pub fn open(data_dir: &Path) -> Result<Self, LedgerError> {
        let path = data_dir.join(FILE_NAME);
        if !data_dir.is_dir() {
            return Err(LedgerError::NoFolder { dir: data_dir.to_owned() });
        }
        // SQLite would only say that it cannot. The file is asked for and not opened: to close it would take back all
        // locks that this process has on it (POSIX), the writer's too, and the next program that reads the ledger would
        // remove the write-ahead log under it (sqlite.org/howtocorrupt.html, 2.2).
        match rustix::fs::access(&path, rustix::fs::Access::READ_OK).map_err(std::io::Error::from) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(LedgerError::NoLedger { dir: data_dir.to_owned() });
            }
            Err(source) => return Err(LedgerError::Unreadable { path, source }),
        }
        let wrong = |e| LedgerError::sqlite("open", &path, e);
        let db = match connect(&path) {
            // A medium that cannot be written has no place for the WAL's index. With no WAL there is nothing to
            // index, and nobody who writes: the file can be read as it is.
            Err(e) if no_room_for_wal_index(&e) && !has_wal(&path) => connect_unchanging(&path),
            other => other,
        }
        .map_err(wrong)?;
        match upgrade::check(&db, &path, upgrade::newest())? {
            0 => Err(LedgerError::NoLedger { dir: data_dir.to_owned() }),
            v if v < upgrade::newest() => {
                Err(LedgerError::Older { path, found: v, known: upgrade::newest() })
            }
            _ => Ok(Self { db, path }),
        }
    }

    /// Hands over the calls of `filter` in order of their start (of their id, where that is the same), one at a
    /// time, until `each` breaks.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn calls(
        &self,
        filter: &Filter,
        each: &mut dyn FnMut(CallRecord) -> ControlFlow<()>,
    ) -> Result<(), LedgerError> {
        self.snapshot(|db| {
            Plan::choose(db, filter)?
                .run(db, |call_no| Ok(row::call(db, call_no)?.is_none_or(|call| each(call).is_continue())))
        })
    }

    /// All that is read in here is of one moment.
    ///
    /// # Errors
    /// Those of `read`, or when the ledger cannot be read.
    pub fn at_one_moment<T, E: From<LedgerError>>(
        &self,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.snapshot(|_| Ok(read()))?
    }

    /// The call of this very id.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<CallRecord>, LedgerError> {
        self.snapshot(|db| {
            let call_no = db
                .prepare_cached("SELECT call_no FROM calls WHERE id = ?1")?
                .query_row([id], |r| r.get(0))
                .optional()?;
            call_no.map_or(Ok(None), |n| row::call(db, n))
        })
    }

    /// The call a person means: by its id, else by a SIP Call-ID, else by the start of its id.
    ///
    /// # Errors
    /// When no call or several answer to it (the error names some), or the ledger cannot be read.
    pub fn find(&self, id: &str) -> Result<CallRecord, LedgerError> {
        if let Some(call) = self.get(id)? {
            return Ok(call);
        }
        let named = self.ids_of(
            "SELECT DISTINCT c.id FROM call_ids i JOIN calls c USING (call_no)
             WHERE i.call_id = ?1 ORDER BY c.order_at_us, c.id LIMIT ?2",
            id,
        )?;
        let call_id = !named.is_empty();
        let candidates = if call_id { named } else { self.ids_from(id)? };
        match candidates.as_slice() {
            [] => Err(LedgerError::NotFound { id: id.to_owned(), near: self.near(id)? }),
            [one] => {
                self.get(one)?.ok_or_else(|| LedgerError::NotFound { id: id.to_owned(), near: Vec::new() })
            }
            _ => Err(LedgerError::Ambiguous { id: id.to_owned(), call_id, candidates }),
        }
    }

    /// The calls that have any of these SIP Call-IDs, each once, in order of start.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn by_call_ids(&self, call_ids: &[String]) -> Result<Vec<CallRecord>, LedgerError> {
        self.snapshot(|db| {
            let mut sql = db.prepare_cached("SELECT call_no FROM call_ids WHERE call_id = ?1")?;
            let mut numbers = BTreeSet::new();
            for call_id in call_ids {
                for call_no in sql.query_map([call_id], |r| r.get::<_, i64>(0))? {
                    numbers.insert(call_no?);
                }
            }
            let mut calls = Vec::new();
            for call_no in numbers {
                calls.extend(row::call(db, call_no)?);
            }
            calls.sort_by(|a, b| (a.order_time(), &a.id).cmp(&(b.order_time(), &b.id)));
            Ok(calls)
        })
    }

    /// The shortest start of `id`, of `least` characters or more, that no other call shares.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn short_id(&self, id: &str, least: usize) -> Result<String, LedgerError> {
        let neighbours = self.ids_of(
            "SELECT * FROM (SELECT id FROM calls WHERE id < ?1 ORDER BY id DESC LIMIT 1)
             UNION ALL SELECT * FROM (SELECT id FROM calls WHERE id > ?1 ORDER BY id LIMIT 1) LIMIT ?2",
            id,
        )?;
        let shared = |other: &String| id.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
        let len = neighbours.iter().map(|n| shared(n) + 1).max().unwrap_or(0).max(least);
        Ok(id.chars().take(len).collect())
    }

    /// Does any call have this file, or its record in it, or is it still to be removed? `path` is relative to the data folder.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn knows_file(&self, path: &str) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM files WHERE path = ?1 UNION ALL SELECT 1 FROM calls WHERE record_path = ?1
            UNION ALL SELECT 1 FROM files_to_remove WHERE path = ?1";
        self.snapshot(|db| db.prepare_cached(sql)?.exists([path]))
    }

    /// The file that holds the record of the call of this very id, relative to the data folder; `None` when it was
    /// sealed by a version that wrote none.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn record_path(&self, id: &str) -> Result<Option<String>, LedgerError> {
        self.snapshot(|db| {
            let mut sql = db.prepare_cached("SELECT record_path FROM calls WHERE id = ?1")?;
            Ok(sql.query_row([id], |r| r.get(0)).optional()?.flatten())
        })
    }

    fn near(&self, id: &str) -> Result<Vec<String>, LedgerError> {
        /// Fewer characters in common are chance.
        const ALIKE: usize = 3;
        let ends: Vec<usize> = id.char_indices().map(|(at, _)| at).skip(ALIKE).take(64).collect();
        for end in ends.into_iter().rev() {
            let near = self.ids_from(id.get(..end).unwrap_or_default())?;
            if !near.is_empty() {
                return Ok(near);
            }
        }
        Ok(Vec::new())
    }

    /// Ids that start with this text, which is not empty.
    fn ids_from(&self, start: &str) -> Result<Vec<String>, LedgerError> {
        if start.is_empty() {
            return Ok(Vec::new());
        }
        // Ids are compared byte by byte, and no character is above U+10FFFF: the range is the index's.
        self.ids_of(
            "SELECT id FROM calls WHERE id >= ?1 AND id < ?1 || char(1114111) ORDER BY id LIMIT ?2",
            start,
        )
    }

    fn ids_of(&self, sql: &str, text: &str) -> Result<Vec<String>, LedgerError> {
        self.snapshot(|db| {
            db.prepare_cached(sql)?
                .query_map((text, LedgerError::MAX_CANDIDATES as i64), |r| r.get(0))?
                .collect()
        })
    }

    /// The same for what has errors of its own.
    pub(super) fn snapshot_of<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.snapshot(|db| {
            // A transaction begins with its first read.
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            Ok(read(db))
        })?
    }

    /// Runs `read` in one read transaction, so that a call's rows are of one commit. One within one is one.
    pub(super) fn snapshot<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let begun = if self.db.is_autocommit() { Some(self.db.unchecked_transaction()) } else { None };
        let end = begun.transpose();
        end.and_then(|end| {
            let found = read(&self.db);
            end.map_or(Ok(()), rusqlite::Transaction::commit).and(found)
        })
        .map_err(|e| LedgerError::sqlite("read", &self.path, e))
    }
}

pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    ready(Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?)
}

/// SQLite is promised that nobody changes the file, and so makes no file beside it.
fn connect_unchanging(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for byte in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte));
            }
            other => write!(uri, "%{other:02X}").unwrap_or_default(),
        }
    }
    uri.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    ready(Connection::open_with_flags(uri, flags)?)
}

/// SQLite opens a file when it first reads it.
fn ready(db: Connection) -> rusqlite::Result<Connection> {
    db.busy_timeout(Duration::from_secs(5))?;
    // KiB, negative: 32 MiB of pages, so that a listing does not read its indexes twice.
    db.pragma_update(None, "cache_size", -32_768)?;
    super::keep_plans(&db)?;
    db.set_prepared_statement_cache_capacity(32);
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(db)
}

fn no_room_for_wal_index(e: &rusqlite::Error) -> bool {
    matches!(e.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

fn has_wal(path: &Path) -> bool {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    std::fs::metadata(wal).is_ok_and(|m| m.len() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    /// As on a medium that cannot be written; a test that runs as root cannot take the right to write away.
    #[test]
    fn a_ledger_is_read_without_a_file_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a b?c#d%20é");
        drop(Ledger::open(&odd).unwrap());
        let path = odd.join(FILE_NAME);
        assert!(!has_wal(&path));
        let db = connect_unchanging(&path).unwrap();
        assert_eq!(upgrade::check(&db, &path, upgrade::newest()).unwrap(), upgrade::newest());
        assert!(db.execute_batch("DELETE FROM calls").is_err(), "it is open for reading only");
        let names: BTreeSet<_> = odd.read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn what_is_in_the_wal_is_not_overlooked() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        assert!(has_wal(&dir.path().join(FILE_NAME)));
        drop(ledger);
    }
}
