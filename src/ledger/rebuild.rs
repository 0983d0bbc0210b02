//! The ledger anew, from the records beside the recordings, when it is damaged or gone.
//!
//! Everything is made under another name first; then the old ledger is moved aside and the new one takes its place. A
//! stop anywhere in between leaves either the old ledger, or none and all that the next try needs. Nothing is deleted.

use super::{FILE_NAME, Ledger, LedgerError, Lock, NodeEvent, Reader, ToRemove, events, query, removal, row};
use crate::archive::finish::RECORD;
use crate::archive::settle::{Extent, Verdict, settle};
use crate::call::record::CallRecord;
use crate::disk::Disk;
use rusqlite::OptionalExtension as _;
use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Calls in the new ledger.
    pub calls: u64,
    /// Events of the node that could still be read from the old one.
    pub events: u64,
    /// Where the old ledger is now, if there was one.
    pub aside: Option<PathBuf>,
}

/// Something a person should know. Paths are relative to the data folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Remark {
    /// A record cannot be used; its call is not in the new ledger.
    #[error("{path} cannot be used: {why}; bring the call in from its packets with `earwitness replay`")]
    Unusable {
        /// The record.
        path: String,
        /// Why not.
        why: String,
    },
    /// A file is not there as it was sealed; the call is in the ledger all the same, and `verify` tells the same.
    #[error("{path} {what}: its call is in the ledger, restore the file from a backup or a replica")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// A recording of a version that wrote no record; it is not in the new ledger.
    #[error("{} has no record beside it: bring the call in with `earwitness replay {} --data {}`", at.display(), at.display(), data.display())]
    Bare {
        /// Its packets.
        at: PathBuf,
        /// The data folder.
        data: PathBuf,
    },
    /// Two records are of one call; the other one is in the ledger.
    #[error("{path} is of call {id} too, of which {other} has as much or more: it is left out")]
    Lesser {
        /// The record left out.
        path: String,
        /// The call.
        id: String,
        /// The record that is in the ledger.
        other: String,
    },
    /// Events of the node are lost.
    #[error("events of the old ledger cannot all be read ({why}): {kept} are kept")]
    Events {
        /// Why not.
        why: String,
        /// How many could.
        kept: usize,
    },
}

impl Remark {
    /// Is something missing that was asked for?
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Unusable { .. } | Self::File { .. } | Self::Bare { .. })
    }
}

/// Makes the ledger of a data folder anew. The old one is moved to `ledger.sqlite.damaged-STAMP`.
///
/// # Errors
/// When a recorder writes to the folder, the old ledger is of a newer version, or the new one cannot be written.
pub fn rebuild(data: &Path, stamp: &str, tell: &mut dyn FnMut(&Remark)) -> Result<Rebuilt, LedgerError> {
    rebuild_on(&Disk::default(), data, stamp, tell)
}

/// The same on a disk that may have faults.
///
/// # Errors
/// As [`rebuild`].
pub fn rebuild_on(
    disk: &Disk,
    data: &Path,
    stamp: &str,
    tell: &mut dyn FnMut(&Remark),
) -> Result<Rebuilt, LedgerError> {
    if !data.is_dir() {
        return Err(LedgerError::NoFolder { dir: data.to_owned() });
    }
    let lock = Lock::take(data)?;
    if let Err(e @ LedgerError::Newer { .. }) = Reader::open(data) {
        return Err(e);
    }
    let (old, new) = (data.join(FILE_NAME), data.join(format!("{FILE_NAME}.new")));
    // Of a try that was stopped.
    for of in FILES {
        let path = with(&new, of);
        at(&path, disk.remove(&path).or_else(gone))?;
    }
    let kept = kept_events(&old, tell);
    let to_remove = still_to_remove(&old);
    let mut making = Making {
        data,
        ledger: Ledger::open_at(&lock, new.clone())?,
        waiting: Vec::new(),
        purged: to_remove.iter().map(|f| data.join(&f.path)).collect(),
        tell,
    };
    making.ledger.commit_events(&kept)?;
    making.ledger.put_to_remove(&to_remove)?;
    making.folder(&data.join("recordings"))?;
    making.write()?;
    let calls = making.calls()?;
    making.ledger.close()?;
    at(&new, disk.sync(&new))?;
    let aside = move_aside(disk, &old, stamp)?;
    // Before the new one has the name: an old WAL must not come back beside it.
    at(data, disk.sync(data))?;
    at(&old, disk.rename(&new, &old))?;
    at(data, disk.sync(data))?;
    Ok(Rebuilt { calls, events: kept.len() as u64, aside })
}

/// A ledger and what SQLite has beside it, the ledger first: without its WAL it would look whole and lack the last calls.
const FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

fn move_aside(disk: &Disk, old: &Path, stamp: &str) -> Result<Option<PathBuf>, LedgerError> {
    let name = |n: u32| {
        let again = if n == 1 { String::new() } else { format!("-{n}") };
        with(old, &format!(".damaged-{stamp}{again}"))
    };
    let free = |to: &PathBuf| FILES.iter().all(|of| !with(to, of).exists());
    let to = (1..).map(name).find(free).unwrap_or_else(|| name(1));
    let mut moved = None;
    for of in FILES {
        let from = with(old, of);
        if from.exists() {
            at(&from, disk.rename(&from, &with(&to, of)))?;
            // A reader leaves an empty WAL behind, which is no ledger.
            if of.is_empty() {
                moved = Some(to.clone());
            }
        }
    }
    Ok(moved)
}

/// Events are nowhere but in the ledger: those that can still be read are kept.
fn kept_events(old: &Path, tell: &mut dyn FnMut(&Remark)) -> Vec<NodeEvent> {
    if std::fs::metadata(old).map_or(0, |m| m.len()) == 0 {
        return Vec::new();
    }
    let (kept, why) = match query::connect(old) {
        Ok(db) => events::readable(&db),
        Err(e) => (Vec::new(), Some(e)),
    };
    if let Some(why) = why {
        tell(&Remark::Events { why: why.to_string(), kept: kept.len() });
    }
    kept
}

/// Files that are still to be removed, as far as the old ledger can say: their calls do not come back. Where it cannot, they do,
/// and the next purge takes them again.
fn still_to_remove(old: &Path) -> Vec<ToRemove> {
    if std::fs::metadata(old).map_or(0, |m| m.len()) == 0 {
        return Vec::new();
    }
    let read = |db: &rusqlite::Connection| {
        if row::has_table(db, "files_to_remove")? { removal::all(db) } else { Ok(Vec::new()) }
    };
    query::connect(old).and_then(|db| read(&db)).unwrap_or_default()
}

/// Calls written in one transaction.
const SOME: usize = 500;

struct Making<'a> {
    data: &'a Path,
    ledger: Ledger,
    /// Records that were read and are not written yet, with their files; no two of one call.
    waiting: Vec<(CallRecord, String)>,
    /// Files that are to be removed.
    purged: HashSet<PathBuf>,
    tell: &'a mut dyn FnMut(&Remark),
}

impl Making<'_> {
    /// Takes the records below a folder, in order of their names.
    fn folder(&mut self, folder: &Path) -> Result<(), LedgerError> {
        let listed = match std::fs::read_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            listed => at(folder, listed.and_then(Iterator::collect::<io::Result<Vec<_>>>))?,
        };
        let mut found: Vec<(PathBuf, bool)> =
            listed.iter().map(|e| (e.path(), e.file_type().is_ok_and(|t| t.is_dir()))).collect();
        found.sort();
        let has = |p: &Path, e: &str| p.extension().is_some_and(|x| x == e);
        let records: HashSet<PathBuf> =
            found.iter().filter(|f| has(&f.0, RECORD)).map(|f| f.0.with_extension("")).collect();
        for (path, is_folder) in &found {
            if *is_folder {
                self.folder(path)?;
            } else if self.purged.contains(path) {
                // Its call was purged, or replaced.
            } else if has(path, RECORD) {
                self.record(path)?;
            } else if has(path, "pcap") && !records.contains(&path.with_extension("")) {
                (self.tell)(&Remark::Bare { at: path.clone(), data: self.data.to_owned() });
            }
        }
        Ok(())
    }

    fn record(&mut self, at: &Path) -> Result<(), LedgerError> {
        let path = at.strip_prefix(self.data).unwrap_or(at).to_string_lossy().into_owned();
        let call = match read(at) {
            Ok(call) => call,
            Err(why) => {
                (self.tell)(&Remark::Unusable { path, why });
                return Ok(());
            }
        };
        if self.waiting.iter().any(|w| w.0.id == call.id) || self.waiting.len() >= SOME {
            self.write()?;
        }
        if let Some((known, known_path)) = self.known(&call.id)? {
            if !better(self.data, (&call, &path), (&known, &known_path)) {
                (self.tell)(&Remark::Lesser { path, id: call.id, other: known_path });
                return Ok(());
            }
            (self.tell)(&Remark::Lesser { path: known_path, id: known.id, other: path.clone() });
        }
        for (file, what) in faults(self.data, &call) {
            (self.tell)(&Remark::File { path: file, what });
        }
        self.waiting.push((call, path));
        Ok(())
    }

    /// Writes what waits. A record that the ledger refuses does not keep the others from it.
    fn write(&mut self) -> Result<(), LedgerError> {
        let waiting = std::mem::take(&mut self.waiting);
        let commit = |ledger: &mut Ledger, w: &[(CallRecord, String)]| {
            ledger.commit_rows(w.iter().map(|(c, p)| (c, Some(p.as_str()))))
        };
        let Err(e) = commit(&mut self.ledger, &waiting) else { return Ok(()) };
        if !is_constraint(&e) {
            return Err(e);
        }
        for one in waiting {
            match commit(&mut self.ledger, std::slice::from_ref(&one)) {
                Ok(()) => {}
                Err(e) if is_constraint(&e) => {
                    let why = "another record names the same file".to_owned();
                    (self.tell)(&Remark::Unusable { path: one.1, why });
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// The call of this id that was written already, and its record's file.
    fn known(&self, id: &str) -> Result<Option<(CallRecord, String)>, LedgerError> {
        let read = || {
            let db = &self.ledger.db;
            let mut sql = db.prepare_cached("SELECT call_no, record_path FROM calls WHERE id = ?1")?;
            let Some((no, path)) = sql.query_row([id], |r| Ok((r.get(0)?, r.get(1)?))).optional()? else {
                return Ok(None);
            };
            Ok(row::call(db, no)?.map(|call| (call, path)))
        };
        read().map_err(|e| LedgerError::sqlite("read", &self.ledger.path, e))
    }

    fn calls(&self) -> Result<u64, LedgerError> {
        let count = self.ledger.db.query_row("SELECT count(*) FROM calls", [], |r| r.get::<_, i64>(0));
        let count = count.map_err(|e| LedgerError::sqlite("read", &self.ledger.path, e))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

fn read(at: &Path) -> Result<CallRecord, String> {
    let bytes = std::fs::read(at).map_err(|e| format!("it cannot be read ({e})"))?;
    let call: CallRecord =
        serde_json::from_slice(&bytes).map_err(|e| format!("it is no record of a call ({e})"))?;
    match call.files.iter().find(|f| !is_inside(&f.path)) {
        Some(f) => Err(format!("it names a file outside the data folder, {:?}", f.path)),
        None => Ok(call),
    }
}

fn is_inside(path: &str) -> bool {
    Path::new(path).components().all(|c| matches!(c, Component::Normal(_)))
}

/// Files of a call that are not there with their length. (`verify` looks into them.)
fn faults(data: &Path, call: &CallRecord) -> Vec<(String, String)> {
    let fault = |f: &crate::call::record::File| match std::fs::metadata(data.join(&f.path)) {
        Ok(m) if !m.is_file() => Some("is not a file".to_owned()),
        Ok(m) if m.len() != f.bytes => Some(format!("has {} bytes, its record says {}", m.len(), f.bytes)),
        Ok(_) => None,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Some("is missing".to_owned()),
        Err(e) => Some(format!("cannot be looked at ({e})")),
    };
    call.files.iter().filter_map(|f| fault(f).map(|what| (f.path.clone(), what))).collect()
}

/// Of two records of one call, is the new one the one to keep? The one whose files are there; of these the fuller; of
/// equals the one that lies beside its own files rather than a copy.
fn better(data: &Path, new: (&CallRecord, &str), known: (&CallRecord, &str)) -> bool {
    let whole = |c: &CallRecord| faults(data, c).is_empty();
    let beside = |(c, p): (&CallRecord, &str)| {
        let stem = Path::new(p).with_extension("");
        c.files.iter().all(|f| Path::new(&f.path).with_extension("") == stem)
    };
    match (whole(new.0), whole(known.0)) {
        (true, false) => true,
        (false, true) => false,
        _ => match settle(&Extent::of(new.0), Some(&Extent::of(known.0))) {
            Verdict::Seal => true,
            Verdict::Known => Extent::of(new.0) == Extent::of(known.0) && beside(new) && !beside(known),
            Verdict::Apart => false,
        },
    }
}

fn is_constraint(e: &LedgerError) -> bool {
    matches!(e, LedgerError::Sqlite { source, .. }
        if source.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation))
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

fn gone(e: io::Error) -> io::Result<()> {
    if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) }
}

fn at<T>(path: &Path, done: io::Result<T>) -> Result<T, LedgerError> {
    done.map_err(|source| LedgerError::Rebuild { path: path.to_owned(), source })
}
