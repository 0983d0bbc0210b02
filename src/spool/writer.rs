//! Appends packets to the spool. One writer belongs to one worker thread.
//!
//! A file is opened, appended to and closed for each buffer: thousands of calls never hold thousands of
//! descriptors.

use super::format::{FILE_HEADER, MEDIA, SIGNALLING};
use crate::call::listener::Track;
use crate::call::switchboard::LegId;
use crate::limits::SPOOL_BUFFER_BYTES;
use hashbrown::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Default)]
struct Leg {
    folder: PathBuf,
    signalling: Vec<u8>,
    media: Vec<u8>,
}

/// The spool of one worker.
pub struct SpoolWriter {
    root: PathBuf,
    legs: HashMap<LegId, Leg>,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
}

impl SpoolWriter {
    /// A writer below this folder, which must exist.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root, legs: HashMap::new(), spare: Vec::new() }
    }

    /// Begins a leg in a folder of its own.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(&mut self, leg: LegId, name: &str) -> io::Result<()> {
        let mut folder = self.root.join(name);
        let mut n = 1;
        while let Err(e) = fs::create_dir(&folder) {
            // The same dialog twice at the same instant, as when a file is replayed together with its copy.
            if e.kind() != io::ErrorKind::AlreadyExists || n > 1000 {
                return Err(e);
            }
            n += 1;
            folder = self.root.join(format!("{name}-{n}"));
        }
        let (signalling, media) = (self.buffer(), self.buffer());
        self.legs.insert(leg, Leg { folder, signalling, media });
        Ok(())
    }

    /// Appends a record (header and packet) to a leg's file.
    ///
    /// # Errors
    /// When a full buffer cannot be written.
    pub fn append(&mut self, leg: LegId, track: Track, record: &[u8]) -> io::Result<()> {
        let Some(l) = self.legs.get_mut(&leg) else {
            return Ok(());
        };
        let buffer = match track {
            Track::Signalling => &mut l.signalling,
            Track::Media => &mut l.media,
        };
        buffer.extend_from_slice(record);
        if buffer.len() >= SPOOL_BUFFER_BYTES {
            // Signalling first: media found on disk without it would be taken for a call of media alone.
            write_out(&l.folder.join(SIGNALLING), &mut l.signalling)?;
            write_out(&l.folder.join(MEDIA), &mut l.media)?;
        }
        Ok(())
    }

    /// Writes out what a leg has left and forgets it; its folder is whole then.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn close(&mut self, leg: LegId) -> io::Result<Option<PathBuf>> {
        let Some(mut l) = self.legs.remove(&leg) else {
            return Ok(None);
        };
        let written = write_out(&l.folder.join(SIGNALLING), &mut l.signalling)
            .and_then(|()| write_out(&l.folder.join(MEDIA), &mut l.media));
        self.spare.extend([l.signalling, l.media]);
        self.spare.truncate(256);
        written.map(|()| Some(l.folder))
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }
}

fn write_out(path: &Path, buffer: &mut Vec<u8>) -> io::Result<()> {
    if buffer.is_empty() {
        return Ok(());
    }
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    if file.metadata()?.len() == 0 {
        file.write_all(&FILE_HEADER)?;
    }
    file.write_all(buffer)?;
    buffer.clear();
    Ok(())
}
