//! Invariant 7: a ledger row never points at a file that is not safely there.
//!
//! Files are written under names ending in `.part`. [`Sealed::seal`] then, in this order, 1. syncs them, 2. renames
//! them, 3. syncs their folder; and only the [`Sealed`] it returns can be given to the ledger.

use crate::call::record::{CallRecord, File as FileRow};
use crate::disk::Disk;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A call whose files are safely on disk. Only this module makes one that has files.
#[derive(Clone, Debug)]
pub struct Sealed {
    record: CallRecord,
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
    /// A call that has no files. `None` when the record names some.
    #[must_use]
    pub fn without_files(record: CallRecord) -> Option<Self> {
        record.files.is_empty().then_some(Self { record })
    }

    /// Puts the files of a call in their places below `data` and makes sure that they stay there.
    ///
    /// # Errors
    /// When a file cannot be read, synced or renamed; parts that are not in their place yet stay parts.
    pub fn seal(mut record: CallRecord, data: &Path, mut parts: Vec<Part>, disk: &Disk) -> io::Result<Self> {
        for part in &mut parts {
            (part.row.bytes, part.row.sha256) = digest(&File::open(&part.at)?)?;
            disk.sync(&part.at)?;
        }
        let mut folders = BTreeSet::new();
        for part in parts {
            let place = data.join(&part.row.path);
            disk.rename(&part.at, &place)?;
            folders.extend(place.parent().map(Path::to_owned));
            record.files.push(part.row);
        }
        for folder in folders {
            disk.sync(&folder)?;
        }
        Ok(Self { record })
    }

    /// What the ledger writes down.
    #[must_use]
    pub fn record(&self) -> &CallRecord {
        &self.record
    }
}

/// Length and SHA-256 (hexadecimal) of a file from where it stands.
///
/// # Errors
/// When it cannot be read.
pub fn digest(mut file: &File) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
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
