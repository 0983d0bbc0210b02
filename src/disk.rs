//! I/O. What is written to the data folder goes through here, so that a test can make each step fail, or stop there.
//!
//! The order of steps is what a recording survives by (write, sync, rename, sync the folder, ledger, remove the spool):
//! `tests/faults.rs` runs a call through with a fault at the first step, at the second, and so on to the last.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A step that changes the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a folder.
    MakeFolder,
    /// Open a file that is written; makes it when there is none.
    Open,
    /// Write. One that fails leaves half of it behind, as a full disk does.
    Write,
    /// Cut a file to a length.
    Cut,
    /// Make sure that a file or folder is on the disk.
    Sync,
    /// Move a file to its place.
    Rename,
    /// Give a file a second name.
    Link,
    /// Remove a file or a folder with what is in it.
    Remove,
}

type Fault = dyn Fn(Step, &Path) -> io::Result<()> + Send + Sync;

/// The disk. A clone is the same disk.
#[derive(Clone, Default)]
pub struct Disk {
    fault: Option<Arc<Fault>>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.fault.is_some() { "Disk(faulty)" } else { "Disk" })
    }
}

impl Disk {
    /// A disk that asks `fault` before each step, and fails it with the error that it gives.
    #[must_use]
    pub fn faulty(fault: impl Fn(Step, &Path) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { fault: Some(Arc::new(fault)) }
    }

    fn may(&self, step: Step, path: &Path) -> io::Result<()> {
        self.fault.as_ref().map_or(Ok(()), |f| f(step, path))
    }

    /// Makes one folder.
    ///
    /// # Errors
    /// As [`fs::create_dir`].
    pub fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.may(Step::MakeFolder, path)?;
        fs::create_dir(path)
    }

    /// Opens a new file, or empties an old one.
    ///
    /// # Errors
    /// As [`File::create`].
    pub fn create(&self, path: &Path) -> io::Result<Writing> {
        self.open(path, OpenOptions::new().write(true).create(true).truncate(true))
    }

    /// Opens a file to write behind its end; makes it when there is none.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn append(&self, path: &Path) -> io::Result<Writing> {
        self.open(path, OpenOptions::new().append(true).create(true))
    }

    fn open(&self, path: &Path, how: &OpenOptions) -> io::Result<Writing> {
        self.may(Step::Open, path)?;
        Ok(Writing { file: how.open(path)?, path: path.to_owned(), disk: self.clone() })
    }

    /// Makes sure that a file, or the names in a folder, are on the disk.
    ///
    /// # Errors
    /// As [`File::sync_all`].
    pub fn sync(&self, path: &Path) -> io::Result<()> {
        self.may(Step::Sync, path)?;
        File::open(path)?.sync_all()
    }

    /// Moves a file to its place.
    ///
    /// # Errors
    /// As [`fs::rename`].
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.may(Step::Rename, to)?;
        fs::rename(from, to)
    }

    /// Gives a file a second name that nothing has.
    ///
    /// # Errors
    /// As [`fs::hard_link`]: the name is taken, another file system, or one that knows no second names.
    pub fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.may(Step::Link, to)?;
        fs::hard_link(from, to)
    }

    /// Gives a file a second name instead of whatever has it; `beside` is a third one, on the way.
    ///
    /// # Errors
    /// As [`Disk::link`] and [`Disk::rename`].
    pub fn link_over(&self, from: &Path, beside: &Path, to: &Path) -> io::Result<()> {
        self.gone(beside)?;
        self.link(from, beside)?;
        self.rename(beside, to)?;
        // When both were names of one file, nothing was renamed (POSIX).
        self.gone(beside)
    }

    fn gone(&self, path: &Path) -> io::Result<()> {
        match self.remove(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Copies a file.
    ///
    /// # Errors
    /// As [`fs::copy`].
    pub fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.may(Step::Write, to)?;
        fs::copy(from, to).map(drop)
    }

    /// Makes a file that has other names one of its own, with the same bytes.
    ///
    /// # Errors
    /// As [`fs::copy`] and [`Disk::rename`].
    pub fn own(&self, path: &Path) -> io::Result<()> {
        let copy = path.with_extension("own");
        self.copy(path, &copy)?;
        self.rename(&copy, path)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// As [`fs::remove_file`].
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        self.may(Step::Remove, path)?;
        fs::remove_file(path)
    }

    /// Removes a folder that has nothing in it.
    ///
    /// # Errors
    /// As [`fs::remove_dir`].
    pub fn remove_empty(&self, path: &Path) -> io::Result<()> {
        self.may(Step::Remove, path)?;
        fs::remove_dir(path)
    }

    /// Removes a folder and what is in it.
    ///
    /// # Errors
    /// As [`fs::remove_dir_all`].
    pub fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.may(Step::Remove, path)?;
        fs::remove_dir_all(path)
    }
}

/// A file that is being written.
#[derive(Debug)]
pub struct Writing {
    file: File,
    path: PathBuf,
    disk: Disk,
}

impl Writing {
    /// Bytes in the file now.
    ///
    /// # Errors
    /// As [`File::metadata`].
    pub fn length(&self) -> io::Result<u64> {
        self.file.metadata().map(|m| m.len())
    }

    /// How many names the file has.
    ///
    /// # Errors
    /// As [`File::metadata`].
    pub fn names(&self) -> io::Result<u64> {
        self.file.metadata().map(|m| m.nlink())
    }

    /// Makes sure that its bytes are on the disk.
    ///
    /// # Errors
    /// As [`File::sync_all`].
    pub fn sync(&self) -> io::Result<()> {
        self.disk.may(Step::Sync, &self.path)?;
        self.file.sync_all()
    }

    /// Cuts the file.
    ///
    /// # Errors
    /// As [`File::set_len`].
    pub fn cut(&self, length: u64) -> io::Result<()> {
        self.disk.may(Step::Cut, &self.path)?;
        self.file.set_len(length)
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(e) = self.disk.may(Step::Write, &self.path) {
            let _ = self.file.write_all(bytes.get(..bytes.len() / 2).unwrap_or_default());
            return Err(e);
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Writing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
