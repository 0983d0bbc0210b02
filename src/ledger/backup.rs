//! A copy of the ledger as it is at one moment, made while a recorder writes.
//!
//! SQLite's backup begins anew whenever another process has committed between two of its steps, and beside a recorder that is
//! every quarter of a second: in the small steps of the `sqlite3` shell, that of a large ledger never ends. Here all steps are
//! within one read transaction. The recorder does not wait for it; what it commits meanwhile stays in the write-ahead log.

use super::{FILE_NAME, LedgerError, Reader};
use crate::disk::Disk;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::io;
use std::path::{Path, PathBuf};

/// Pages copied before progress is told: 16 MiB.
const PAGES: i32 = 4_096;

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Calls in the copy.
    pub calls: u64,
    /// Bytes of the copy.
    pub bytes: u64,
    /// Bytes of the ledger's write-ahead log when the copy was done; it shrinks at one of the next commits.
    pub wal_bytes: u64,
}

/// Copies the ledger of a data folder to a new file, which gets its name when it is whole and on the disk. `tell` is told how
/// many of how many pages are done.
///
/// # Errors
/// When there is a file of that name, the ledger cannot be read, or the copy not be written.
pub fn backup(data: &Path, to: &Path, tell: &mut dyn FnMut(u64, u64)) -> Result<Copied, LedgerError> {
    let reader = Reader::open(data)?;
    let refused = |source| LedgerError::Backup { path: to.to_owned(), source };
    if to.exists() {
        return Err(refused(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file of this name")));
    }
    let disk = Disk::default();
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    // Made here, so that a folder that is not there is said in the words of the system; of one that was stopped, it is emptied.
    disk.create(&part).map_err(refused)?;
    let done = reader.snapshot_of(|db| copy(db, data, &part, tell)).and_then(|copied| {
        let placed = disk.sync(&part).and_then(|()| disk.rename(&part, to));
        let folder = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        placed.and_then(|()| disk.sync(folder)).map_err(refused)?;
        Ok(copied)
    });
    if done.is_err() {
        let _ = disk.remove(&part);
    }
    done
}

fn copy(
    from: &Connection,
    data: &Path,
    part: &Path,
    tell: &mut dyn FnMut(u64, u64),
) -> Result<Copied, LedgerError> {
    let wrong = |e| LedgerError::sqlite("write the backup", part, e);
    let mut to = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(wrong)?;
    // It has no name before it is whole: there is nothing to undo, and one sync at the end does.
    to.pragma_update(None, "journal_mode", "off").map_err(wrong)?;
    to.pragma_update(None, "synchronous", "off").map_err(wrong)?;
    let copying = Backup::new(from, &mut to).map_err(wrong)?;
    loop {
        let step = copying.step(PAGES).map_err(wrong)?;
        let p = copying.progress();
        let count = |n: i32| u64::try_from(n).unwrap_or(0);
        tell(count(p.pagecount - p.remaining), count(p.pagecount));
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            // Nobody else has the copy, and readers of the ledger wait for nobody.
            _ => return Err(wrong(rusqlite::Error::InvalidQuery)),
        }
    }
    drop(copying);
    to.close().map_err(|(_, e)| wrong(e))?;
    let read = |e| LedgerError::sqlite("read", &data.join(FILE_NAME), e);
    let calls: i64 = from.query_row("SELECT count(*) FROM calls", [], |r| r.get(0)).map_err(read)?;
    let length = |path: PathBuf| std::fs::metadata(path).map_or(0, |m| m.len());
    Ok(Copied {
        calls: u64::try_from(calls).unwrap_or(0),
        bytes: length(part.to_owned()),
        wal_bytes: length(data.join(format!("{FILE_NAME}-wal"))),
    })
}
