//! Invariant 7: a ledger row never points at a file that is not safely there.
//!
//! Files are written under names ending in `.part`, but for those of the spool that only get a second name.
//! [`Sealed::all`] then, in this order, 1. writes the record beside them, 2. syncs them and it, 3. gives them their names,
//! the record last, 4. syncs their folder; and only the [`Sealed`] it returns can be given to the ledger. Each step is done for
//! several calls before the next one: they are hashed together, and share what a journal writes and the sync of their folder.

use super::digest::{digest, digests};
use crate::call::reason::Reason;
use crate::call::record::{CallRecord, File as FileRow};
use crate::disk::{Disk, Writing};
use crate::spool::spare;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A call whose files are safely on disk. Only this module makes one that has files.
#[derive(Clone, Debug)]
pub struct Sealed {
    record: CallRecord,
    record_path: Option<String>,
}

/// A file of a recording that is not yet in its place.
#[derive(Debug)]
pub struct Part {
    /// Its row; `bytes` and `sha256` are filled in when it is sealed.
    pub row: FileRow,
    /// Where it is until then.
    at: PathBuf,
    /// What is in it, if that is in memory.
    content: Option<Vec<u8>>,
    from: From,
}

#[derive(Debug)]
enum From {
    Written(Writing),
    /// A file of the spool, which gets a second name.
    Spool(PathBuf),
}

impl Part {
    /// A file that was written to `at`; it is read again from there if its content is not in memory.
    #[must_use]
    pub fn written(row: FileRow, at: PathBuf, file: Writing, content: Option<Vec<u8>>) -> Self {
        Self { row, at, content, from: From::Written(file) }
    }

    /// A file of the spool that shall be part of the recording as it is. `at` is for where it needs another name first.
    #[must_use]
    pub fn of_spool(row: FileRow, at: PathBuf, spool: PathBuf, content: Option<Vec<u8>>) -> Self {
        Self { row, at, content, from: From::Spool(spool) }
    }

    /// Bytes of it that are in memory.
    #[must_use]
    pub fn in_memory(&self) -> usize {
        self.content.as_ref().map_or(0, Vec::len)
    }

    /// Fills in the rows of those that are in memory.
    fn describe_all<'a>(parts: impl Iterator<Item = &'a mut Self>) {
        let parts: Vec<&mut Self> = parts.filter(|p| p.content.is_some()).collect();
        let contents: Vec<&[u8]> = parts.iter().filter_map(|p| p.content.as_deref()).collect();
        let known = digests(&contents);
        for (part, known) in parts.into_iter().zip(known) {
            (part.row.bytes, part.row.sha256) = known;
            part.content.take().into_iter().for_each(spare::give);
        }
    }

    /// Fills in its row, if that was not done.
    fn describe(&mut self) -> io::Result<()> {
        if self.row.sha256.is_empty() {
            let at = if let From::Spool(spool) = &self.from { spool } else { &self.at };
            (self.row.bytes, self.row.sha256) = digest(&File::open(at)?)?;
        }
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

    /// Puts the files of calls in their places below `data`, the record of each beside them, and makes sure that they stay there.
    ///
    /// # Errors
    /// Of a call of which a file cannot be read, written, synced or renamed; its parts that are not in their place yet stay
    /// parts, and the others go on.
    pub fn all(mut calls: Vec<Unsealed>, data: &Path, disk: &Disk) -> Vec<io::Result<Self>> {
        Part::describe_all(calls.iter_mut().flat_map(|c| &mut c.parts));
        // One after the other: a journal takes what belongs to all of them with the first.
        let written: Vec<_> = calls.into_iter().map(|c| c.with_record(disk)).collect();
        let synced: Vec<_> = written.into_iter().map(|c| c.and_then(|c| c.sync(disk))).collect();
        let settled: Vec<_> = synced.into_iter().map(|c| c.and_then(|c| c.settle(data, disk))).collect();
        let mut folders: BTreeMap<PathBuf, io::Result<()>> = BTreeMap::new();
        for place in settled.iter().flatten().flat_map(|(places, _)| places) {
            if let Some(folder) = place.parent().filter(|f| !folders.contains_key(*f)) {
                folders.insert(folder.to_owned(), disk.sync(folder));
            }
        }
        settled
            .into_iter()
            .map(|c| c.and_then(|(places, sealed)| stays(&places, &folders).map(|()| sealed)))
            .collect()
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

/// Did each of these places' folders come to the disk?
fn stays(places: &[PathBuf], folders: &BTreeMap<PathBuf, io::Result<()>>) -> io::Result<()> {
    for folder in places.iter().filter_map(|p| p.parent()) {
        if let Some(Err(e)) = folders.get(folder) {
            return Err(match e.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(e.kind(), e.to_string()),
            });
        }
    }
    Ok(())
}

/// A call whose files are written and not in their places.
#[derive(Debug)]
pub struct Unsealed {
    /// The record, without its files.
    pub record: CallRecord,
    /// Why it is as it is.
    pub reasons: Vec<Reason>,
    /// Its files.
    pub parts: Vec<Part>,
    /// The part that the record is written to.
    pub beside: PathBuf,
    /// Where the record goes, relative to the data folder.
    pub record_path: String,
}

/// One whose record is written too.
struct Written(Unsealed, Writing);

impl Unsealed {
    /// It has the SHA-256 of the others, and comes to its place last: where it is, they are.
    fn with_record(mut self, disk: &Disk) -> io::Result<Written> {
        for part in &mut self.parts {
            part.describe()?;
        }
        self.record.files.extend(self.parts.iter().map(|p| p.row.clone()));
        let mut last = disk.create(&self.beside)?;
        last.write_all(&line(&self.record, &self.reasons)?)?;
        Ok(Written(self, last))
    }
}

impl Written {
    fn sync(self, disk: &Disk) -> io::Result<Self> {
        for part in &self.0.parts {
            part.sync(disk)?;
        }
        self.1.sync()?;
        Ok(self)
    }

    /// Gives the files their names; and says which those are.
    fn settle(self, data: &Path, disk: &Disk) -> io::Result<(Vec<PathBuf>, Sealed)> {
        let Unsealed { record, parts, beside, record_path, .. } = self.0;
        let mut places = Vec::new();
        for part in &parts {
            let place = data.join(&part.row.path);
            part.settle(&place, disk)?;
            places.push(place);
        }
        let place = data.join(&record_path);
        disk.rename(&beside, &place)?;
        places.push(place);
        Ok((places, Sealed { record, record_path: Some(record_path) }))
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
