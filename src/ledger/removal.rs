//! Files that no call names any more leave the disk. Each is in `files_to_remove` until it is gone for good: removed, and
//! its folder synced.

use super::{Ledger, LedgerError, Reader};
use crate::disk::Disk;
use rusqlite::{Connection, Result};
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// Where recordings are in the data folder. Nothing outside is removed, whatever a row says.
const RECORDINGS: &str = "recordings";

/// Files read from the table at once; when so many are removed their folders are synced, and their rows go, together.
const SOME: i64 = 300;

/// A file to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToRemove {
    no: i64,
    /// Relative to the data folder.
    pub path: String,
    /// The call that it was a file of.
    pub call_id: String,
}

/// Notes files that no row names any more, in this order. What is not a file of a recording stays where it is.
pub(super) fn put<'a>(db: &Connection, files: impl Iterator<Item = (&'a str, &'a str)>) -> Result<()> {
    for (call_id, path) in files.filter(|(_, path)| is_recording(path)) {
        db.prepare_cached("INSERT OR IGNORE INTO files_to_remove (path, call_id) VALUES (?1, ?2)")?
            .execute([path, call_id])?;
    }
    Ok(())
}

/// A call names these files now: whatever had such a name before, this one stays.
pub(super) fn keep<'a>(db: &Connection, files: impl Iterator<Item = &'a str>) -> Result<()> {
    if db.prepare_cached("SELECT 1 FROM files_to_remove LIMIT 1")?.exists([])? {
        for path in files {
            db.prepare_cached("DELETE FROM files_to_remove WHERE path = ?1")?.execute([path])?;
        }
    }
    Ok(())
}

/// Every file that is still to be removed.
pub(super) fn all(db: &Connection) -> Result<Vec<ToRemove>> {
    from(db, 0, -1)
}

fn from(db: &Connection, after: i64, most: i64) -> Result<Vec<ToRemove>> {
    let mut sql = db.prepare_cached(
        "SELECT removal_no, path, call_id FROM files_to_remove WHERE removal_no > ?1 ORDER BY removal_no LIMIT ?2",
    )?;
    let row = |r: &rusqlite::Row<'_>| Ok(ToRemove { no: r.get(0)?, path: r.get(1)?, call_id: r.get(2)? });
    sql.query_map([after, most], row)?.collect()
}

fn is_recording(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    parts.next() == Some(Component::Normal(RECORDINGS.as_ref()))
        && parts.clone().next().is_some()
        && parts.all(|c| matches!(c, Component::Normal(_)))
}

/// Removes a file; one that is gone already is as good.
///
/// # Errors
/// When it cannot be removed.
pub fn unlink(disk: &Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

impl Ledger {
    /// Notes files that no call names any more, besides those that a purge or a commit notes.
    pub(super) fn put_to_remove(&mut self, files: &[ToRemove]) -> Result<(), LedgerError> {
        let (path, db) = (&self.path, &mut self.db);
        let mut write = || {
            let batch = db.transaction()?;
            put(&batch, files.iter().map(|f| (f.call_id.as_str(), f.path.as_str())))?;
            batch.commit()
        };
        write().map_err(|e| LedgerError::sqlite("write", path, e))
    }

    fn some_to_remove(&self, after: i64) -> Result<Vec<ToRemove>, LedgerError> {
        from(&self.db, after, SOME).map_err(|e| LedgerError::sqlite("read", &self.path, e))
    }

    fn removed(&mut self, files: &[ToRemove]) -> Result<(), LedgerError> {
        let (path, db) = (&self.path, &mut self.db);
        let mut write = || {
            let batch = db.transaction()?;
            for f in files {
                batch.prepare_cached("DELETE FROM files_to_remove WHERE removal_no = ?1")?.execute([f.no])?;
            }
            batch.commit()
        };
        write().map_err(|e| LedgerError::sqlite("write", path, e))
    }
}

impl Reader {
    /// How many files are still to be removed.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn left_to_remove(&self) -> Result<u64, LedgerError> {
        let count = |db: &Connection| {
            db.query_row("SELECT count(*) FROM files_to_remove", [], |r| r.get::<_, i64>(0))
        };
        Ok(u64::try_from(self.snapshot(count)?).unwrap_or(0))
    }
}

/// Removes what is to be removed, a few files at a time.
#[derive(Debug)]
pub struct Remover {
    disk: Disk,
    data: PathBuf,
    /// Taken from the table in this turn, in its order.
    waiting: VecDeque<ToRemove>,
    /// Removed, and their rows still there.
    gone: Vec<ToRemove>,
    /// The last that was gone through in this round.
    last: i64,
    /// The first file of this round that cannot be removed, and why.
    wrong: Option<(PathBuf, io::Error)>,
    /// Files removed by this remover.
    pub removed: u64,
    /// Files of this round that cannot be removed.
    pub failed: u64,
    /// Files of this round that were spared.
    pub spared: u64,
}

impl Remover {
    /// A remover for this data folder.
    #[must_use]
    pub fn new(data: PathBuf) -> Self {
        Self::on(Disk::default(), data)
    }

    /// The same on a disk that may have faults.
    #[must_use]
    pub fn on(disk: Disk, data: PathBuf) -> Self {
        Self {
            disk,
            data,
            waiting: VecDeque::new(),
            gone: Vec::new(),
            last: 0,
            wrong: None,
            removed: 0,
            failed: 0,
            spared: 0,
        }
    }

    /// Goes through up to `most` files; `false` when the round is over: each was removed, spared, or could not be. `each` is given
    /// the id of a file's call and what removes the file, and need not call it.
    ///
    /// # Errors
    /// When the ledger cannot be read or written.
    pub fn turn(
        &mut self,
        ledger: &mut Ledger,
        most: usize,
        each: &dyn Fn(&str, &mut dyn FnMut()),
    ) -> Result<bool, LedgerError> {
        // Since the last turn a call may have been written down that has one of these names.
        self.waiting.clear();
        for _ in 0..most {
            if self.waiting.is_empty() {
                self.waiting = ledger.some_to_remove(self.last)?.into();
            }
            let Some(file) = self.waiting.pop_front() else {
                self.settle(ledger)?;
                return Ok(false);
            };
            self.last = file.no;
            let path = self.data.join(&file.path);
            let mut done = None;
            each(&file.call_id, &mut || done = Some(unlink(&self.disk, &path)));
            match done {
                Some(Ok(())) => {
                    self.removed += 1;
                    self.gone.push(file);
                }
                Some(Err(e)) => {
                    self.failed += 1;
                    self.wrong.get_or_insert((path, e));
                }
                None => self.spared += 1,
            }
        }
        if self.gone.len() >= usize::try_from(SOME).unwrap_or(0) {
            self.settle(ledger)?;
        }
        Ok(true)
    }

    /// Begins from the first file again. Gives the first file of the last round that could not be removed, and why.
    pub fn again(&mut self) -> Option<(PathBuf, io::Error)> {
        (self.last, self.failed, self.spared) = (0, 0, 0);
        self.wrong.take()
    }

    /// What was removed is gone for good; folders that are empty now go as well, and then the rows.
    fn settle(&mut self, ledger: &mut Ledger) -> Result<(), LedgerError> {
        if self.gone.is_empty() {
            return Ok(());
        }
        let parents = self.gone.iter().filter_map(|f| Path::new(&f.path).parent());
        let folders: BTreeSet<PathBuf> = parents.map(Path::to_owned).collect();
        let synced: BTreeSet<PathBuf> = folders.into_iter().filter(|f| self.sync_folder(f)).collect();
        // Those of a folder that could not be synced are looked at again in the next round.
        let gone = std::mem::take(&mut self.gone);
        let safe = |f: &ToRemove| Path::new(&f.path).parent().is_some_and(|p| synced.contains(p));
        let safe: Vec<ToRemove> = gone.into_iter().filter(safe).collect();
        ledger.removed(&safe)
    }

    /// Syncs a folder, or removes it when it is empty, and so those above it, up to `recordings`.
    fn sync_folder(&mut self, folder: &Path) -> bool {
        let mut at = folder;
        while at != Path::new(RECORDINGS) {
            match self.disk.remove_empty(&self.data.join(at)) {
                Err(e) if e.kind() != ErrorKind::NotFound => break,
                _ => at = at.parent().unwrap_or(Path::new(RECORDINGS)),
            }
        }
        let path = self.data.join(at);
        match self.disk.sync(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                self.failed += 1;
                self.wrong.get_or_insert((path, e));
                false
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_recordings_are_removed() {
        for good in ["recordings/a.wav", "recordings/2026/11/22/x.json"] {
            assert!(is_recording(good), "{good}");
        }
        for bad in [
            "recordings",
            "ledger.sqlite",
            "spool/a/b",
            "recordings/../spool/a",
            "/recordings/a",
            "recordings/a/../../x",
            "",
        ] {
            assert!(!is_recording(bad), "{bad}");
        }
    }
}
