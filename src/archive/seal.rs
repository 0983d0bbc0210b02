//! Invariant 7: a ledger row never points at a file that is not safely there.
//!
//! Files are written under names ending in `.part`, but for those of the spool that only get a second name.
//! [`Sealed::seal`] then, in this order, 1. writes the record beside them, 2. syncs them and it, 3. gives them their names,
//! the record last, 4. syncs their folder; and only the [`Sealed`] it returns can be given to the ledger.

use crate::call::reason::Reason;
use crate::call::record::{CallRecord, File as FileRow};
use crate::disk::{Disk, Writing};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

/// A call whose files are safely on disk. Only this module makes one that has files.
#[derive(Clone, Debug)]
pub struct Sealed {
    record: CallRecord,
    record_path: Option<String>,
}

/// Length and SHA-256 (hexadecimal) of a file.
pub type Digest = (u64, String);

/// A file of a recording that is not yet in its place.
#[derive(Debug)]
pub struct Part {
    /// Its row; `bytes` and `sha256` are filled in when it is sealed.
    pub row: FileRow,
    /// Where it is until then.
    at: PathBuf,
    digest: Option<Digest>,
    from: From,
}

#[derive(Debug)]
enum From {
    Written(Writing),
    /// A file of the spool, which gets a second name.
    Spool(PathBuf),
}

impl Part {
    /// A file that was written to `at`; its digest is read from there if it is not known.
    #[must_use]
    pub fn written(row: FileRow, at: PathBuf, file: Writing, digest: Option<Digest>) -> Self {
        Self { row, at, digest, from: From::Written(file) }
    }

    /// A file of the spool that shall be part of the recording as it is. `at` is for where it needs another name first.
    #[must_use]
    pub fn of_spool(row: FileRow, at: PathBuf, spool: PathBuf, digest: Option<Digest>) -> Self {
        Self { row, at, digest, from: From::Spool(spool) }
    }

    fn describe(&mut self) -> io::Result<()> {
        let at = if let From::Spool(spool) = &self.from { spool } else { &self.at };
        let known = self.digest.take();
        (self.row.bytes, self.row.sha256) = known.map_or_else(|| digest(&File::open(at)?), Ok)?;
        Ok(())
    }

    fn sync(&self, disk: &Disk) -> io::Result<()> {
        match &self.from {
            From::Written(file) => file.sync(),
            From::Spool(spool) => disk.sync(spool),
        }
    }

    /// Puts it in its place.
    pub(super) fn settle(&self, place: &Path, disk: &Disk) -> io::Result<()> {
        let From::Spool(spool) = &self.from else { return disk.rename(&self.at, place) };
        match disk.link(spool, place) {
            // A killed run was as far with the same call.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => disk.link_over(spool, &self.at, place),
            // The disk knows no second names, or the spool is on another one.
            Err(_) => {
                disk.copy(spool, &self.at)?;
                disk.sync(&self.at)?;
                disk.rename(&self.at, place)
            }
            Ok(()) => Ok(()),
        }
    }
}

impl Sealed {
    /// A call that has no files, not even its record. `None` when the record names some.
    #[must_use]
    pub fn without_files(record: CallRecord) -> Option<Self> {
        record.files.is_empty().then_some(Self { record, record_path: None })
    }

    /// Puts the files of a call in their places below `data`, its record beside them at `record_path`, and makes sure
    /// that they stay there. `beside` is the part that the record is written to.
    ///
    /// # Errors
    /// When a file cannot be read, written, synced or renamed; parts that are not in their place yet stay parts.
    pub fn seal(
        mut record: CallRecord,
        reasons: &[Reason],
        data: &Path,
        mut parts: Vec<Part>,
        (beside, record_path): (PathBuf, String),
        disk: &Disk,
    ) -> io::Result<Self> {
        for part in &mut parts {
            part.describe()?;
        }
        record.files.extend(parts.iter().map(|p| p.row.clone()));
        // It has the SHA-256 of the others, and comes to its place last: where it is, they are.
        let mut last = disk.create(&beside)?;
        last.write_all(&line(&record, reasons)?)?;
        // One after the other: a journal takes what belongs to all of them with the first.
        for part in &parts {
            part.sync(disk)?;
        }
        last.sync()?;
        let mut places = Vec::new();
        for part in &parts {
            let place = data.join(&part.row.path);
            part.settle(&place, disk)?;
            places.push(place);
        }
        let place = data.join(&record_path);
        disk.rename(&beside, &place)?;
        places.push(place);
        for folder in places.iter().filter_map(|p| p.parent()).collect::<BTreeSet<_>>() {
            disk.sync(folder)?;
        }
        Ok(Self { record, record_path: Some(record_path) })
    }

    /// What the ledger writes down.
    #[must_use]
    pub fn record(&self) -> &CallRecord {
        &self.record
    }

    /// The file that holds the record, relative to the data folder.
    #[must_use]
    pub fn record_path(&self) -> Option<&str> {
        self.record_path.as_deref()
    }
}

/// What lies beside a recording: the record as `show --json` prints it, and why it is as it is.
#[derive(Serialize)]
struct Beside<'a> {
    #[serde(flatten)]
    record: &'a CallRecord,
    reasons: &'a [Reason],
}

/// It as a line.
fn line(record: &CallRecord, reasons: &[Reason]) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Beside { record, reasons })?;
    line.push(b'\n');
    Ok(line)
}

/// Length and SHA-256 (hexadecimal) of a file from where it stands.
///
/// # Errors
/// When it cannot be read.
pub fn digest(mut file: &File) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    // As much as stays in the processor's cache while it is hashed.
    let mut buffer = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                hash.update(buffer.get(..n).unwrap_or_default());
                length += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok((length, hexadecimal(hash)))
}

/// The same of what is in memory.
pub(super) fn digest_of(bytes: &[u8]) -> Digest {
    (bytes.len() as u64, hexadecimal(Sha256::new_with_prefix(bytes)))
}

fn hexadecimal(hash: Sha256) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| DIGITS.get(usize::from(n)).map_or('?', |d| char::from(*d));
    hash.finalize().iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// Makes the folders on the way to `path` and syncs each new one's parent.
///
/// # Errors
/// When one cannot be made.
pub fn folders(path: &Path, disk: &Disk) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folders(parent, disk)?;
    match disk.make_folder(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
        Ok(()) => disk.sync(parent),
    }
}
