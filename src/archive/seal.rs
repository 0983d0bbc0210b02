//! Invariant 7: a ledger row never points at a file that is not safely there.
//!
//! Files are written under names ending in `.part`. [`Sealed::seal`] then, in this order, 1. writes the record beside
//! them, 2. syncs them and it, 3. renames them, the record last, 4. syncs their folder; and only the [`Sealed`] it
//! returns can be given to the ledger.

use crate::call::reason::Reason;
use crate::call::record::{CallRecord, File as FileRow};
use crate::disk::Disk;
use serde::Serialize;
use sha2::{Digest, Sha256};
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

/// A file that is written but not yet in its place.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its row; `bytes` and `sha256` are filled in when it is sealed.
    pub row: FileRow,
    /// Where it is now.
    pub at: PathBuf,
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
            (part.row.bytes, part.row.sha256) = digest(&File::open(&part.at)?)?;
        }
        let (mut moves, rows): (Vec<_>, Vec<_>) =
            parts.into_iter().map(|p| ((p.at, data.join(&p.row.path)), p.row)).unzip();
        record.files.extend(rows);
        // It has the SHA-256 of the others, and comes to its place last: where it is, they are.
        disk.create(&beside)?.write_all(&line(&record, reasons)?)?;
        moves.push((beside, data.join(&record_path)));
        // One after the other: a journal takes what belongs to all of them with the first.
        for (part, _) in &moves {
            disk.sync(part)?;
        }
        for (part, place) in &moves {
            disk.rename(part, place)?;
        }
        for folder in moves.iter().filter_map(|m| m.1.parent()).collect::<BTreeSet<_>>() {
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
pub fn digest(mut file: &File) -> io::Result<(u64, String)> {
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
    Ok((length, hash.finalize().iter().map(|b| format!("{b:02x}")).collect()))
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
