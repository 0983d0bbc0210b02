//! A sealed file as it is written: in memory as long as it is small, so that it comes to the disk in one piece, and is
//! hashed without being read again.

use super::seal::Part;
use crate::call::record::File as FileRow;
use crate::disk::{Disk, Writing};
use crate::limits::FILE_AT_ONCE_BYTES;
use crate::spool::spare;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes that go to the disk at a time when it is not small.
const PIECE: usize = 256 << 10;

/// A file that is being written.
pub(super) struct Sink {
    path: PathBuf,
    disk: Disk,
    bytes: Vec<u8>,
    at: usize,
    /// Where the bytes go since they were too many.
    file: Option<BufWriter<Writing>>,
}

impl Sink {
    /// A new file; `bytes` is what is expected to be written to it.
    pub(super) fn new(path: &Path, bytes: u64, disk: &Disk) -> Self {
        let room = usize::try_from(bytes).unwrap_or(usize::MAX).min(FILE_AT_ONCE_BYTES);
        let mut bytes = spare::take(room);
        bytes.clear();
        Self { path: path.to_owned(), disk: disk.clone(), bytes, at: 0, file: None }
    }

    /// It is whole: what is not on its way to the disk yet goes there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn close(self) -> io::Result<Closed> {
        let Self { path, disk, bytes, file, .. } = self;
        match file {
            Some(file) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                Ok(Closed { path, file, content: None })
            }
            None => {
                let mut file = disk.create(&path)?;
                file.write_all(&bytes)?;
                Ok(Closed { path, file, content: Some(bytes) })
            }
        }
    }

    fn on_disk(&mut self) -> io::Result<&mut BufWriter<Writing>> {
        if self.file.is_none() {
            let mut file = BufWriter::with_capacity(PIECE, self.disk.create(&self.path)?);
            file.write_all(&std::mem::take(&mut self.bytes))?;
            file.seek(SeekFrom::Start(self.at as u64))?;
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("no file"))
    }
}

/// A file that was written and is not synced yet.
pub(super) struct Closed {
    path: PathBuf,
    file: Writing,
    /// All of it, if it was small.
    content: Option<Vec<u8>>,
}

impl Closed {
    /// As a part of a recording.
    pub(super) fn part(self, row: FileRow) -> Part {
        Part::written(row, self.path, self.file, self.content)
    }
}

impl Write for Sink {
    fn write(&mut self, new: &[u8]) -> io::Result<usize> {
        if self.file.is_some() || self.at + new.len() > FILE_AT_ONCE_BYTES {
            return self.on_disk()?.write(new);
        }
        // A header is written again when the lengths in it are known.
        let over = self.bytes.get_mut(self.at..).unwrap_or_default();
        let (again, behind) = new.split_at(over.len().min(new.len()));
        if let Some(over) = over.get_mut(..again.len()) {
            over.copy_from_slice(again);
        }
        self.bytes.extend_from_slice(behind);
        self.at += new.len();
        Ok(new.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if let Some(file) = &mut self.file {
            return file.seek(to);
        }
        let from = |n: usize, by: i64| i64::try_from(n).ok().and_then(|n| n.checked_add(by));
        let at = match to {
            SeekFrom::Start(n) => i64::try_from(n).ok(),
            SeekFrom::Current(by) => from(self.at, by),
            SeekFrom::End(by) => from(self.bytes.len(), by),
        };
        let at = at.and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= self.bytes.len());
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at as u64)
    }
}
