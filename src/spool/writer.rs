//! Appends packets to the spool. One writer belongs to one worker thread.
//!
//! A file is opened, appended to and closed for each buffer: thousands of calls never hold thousands of
//! descriptors. When the disk refuses (full, read-only, gone), what it did not take stays in the buffers, up to
//! `HELD_BYTES`, and is offered again; what is beyond is counted on the leg it is missing from, and noted there when the disk takes
//! writes again.

use super::format::{FILE_HEADER, NOTES, PACKETS, SIGNALLING, note_line};
use crate::call::listener::Track;
use crate::call::note::{Note, Place};
use crate::call::switchboard::LegId;
use crate::disk::Disk;
use crate::limits::{BUFFERED_BYTES, HELD_BYTES, LEG_HELD_BYTES, SPOOL_BUFFER_BYTES};
use crate::time::CaptureTime;
use hashbrown::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file of a leg: what waits to be appended, and what is there.
#[derive(Default)]
struct Tail {
    waiting: Vec<u8>,
    /// Length of the file as far as it is whole.
    written: u64,
    /// The last write failed: what it left behind `written` must be cut off first.
    torn: bool,
}

/// Packets that were let go for want of room.
#[derive(Clone, Copy, Default)]
struct LetGo {
    packets: u64,
    from: CaptureTime,
    to: CaptureTime,
}

#[derive(Default)]
struct Leg {
    folder: PathBuf,
    made: bool,
    signalling: Tail,
    packets: Tail,
    notes: Tail,
    let_go: LetGo,
    /// It is in the list of legs that have something to write.
    listed: bool,
}

/// Buffers of ended legs that are kept for others.
const SPARE: usize = 256;

/// The spool of one worker.
pub struct SpoolWriter {
    root: PathBuf,
    disk: Disk,
    legs: HashMap<LegId, Leg>,
    /// Legs that have something to write.
    unwritten: Vec<LegId>,
    /// Bytes in all buffers.
    held: usize,
    /// The disk refused the last write: buffers are not tried again before the next flush.
    refused: bool,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
    /// Packets let go for want of room, in all.
    pub let_go: u64,
}

impl SpoolWriter {
    /// A writer below this folder, which must exist.
    #[must_use]
    pub fn new(root: PathBuf, disk: Disk) -> Self {
        Self {
            root,
            disk,
            legs: HashMap::new(),
            unwritten: Vec::new(),
            held: 0,
            refused: false,
            spare: Vec::new(),
            let_go: 0,
        }
    }

    /// Begins a leg; its folder is made when there is something to write to it.
    pub fn open(&mut self, leg: LegId, name: &str) {
        self.legs.insert(leg, Leg { folder: self.root.join(name), ..Leg::default() });
    }

    /// Goes on with a leg that is on disk already: `lengths` of its signalling file and of that of all packets, as far as they are
    /// whole; what is behind is cut off.
    pub fn resume(&mut self, leg: LegId, folder: PathBuf, lengths: [u64; 2]) {
        let [signalling, packets] = lengths.map(|written| Tail { written, torn: true, ..Tail::default() });
        // A note that a kill has torn is cut off, or the next would be one line with it.
        let text = std::fs::read(folder.join(NOTES)).unwrap_or_default();
        let whole = memchr::memrchr(b'\n', &text).map_or(0, |at| at + 1);
        let notes = Tail { written: whole as u64, torn: true, ..Tail::default() };
        self.legs.insert(leg, Leg { folder, made: true, signalling, packets, notes, ..Leg::default() });
    }

    /// Appends a record (header and packet) to a leg's file.
    ///
    /// # Errors
    /// When a full buffer cannot be written. It is kept.
    pub fn append(&mut self, leg: LegId, track: Track, at: CaptureTime, record: &[u8]) -> io::Result<()> {
        let made_room = self.make_room(record.len());
        let Some(l) = self.legs.get_mut(&leg) else {
            return made_room;
        };
        // Signalling is little and without it media are worth less: it may have twice the room.
        let room = match track {
            Track::Signalling => 2 * HELD_BYTES,
            Track::Media => HELD_BYTES,
        };
        // One leg whose file takes nothing is not to fill what is there for all.
        let own = l.packets.waiting.len() + record.len() > LEG_HELD_BYTES;
        if own || (self.refused && self.held + record.len() > room) {
            l.let_go = l.let_go.and(at);
            self.let_go += 1;
            return made_room;
        }
        if track == Track::Signalling {
            self.held += l.signalling.put(record);
        } else {
            l.packets.make_large(&mut self.spare);
        }
        self.held += l.packets.put(record);
        // Before the next would make it larger than it was made.
        let full = l.packets.waiting.len() + record.len() > SPOOL_BUFFER_BYTES;
        if !l.listed {
            l.listed = true;
            self.unwritten.push(leg);
        }
        if full && !self.refused { made_room.and(self.write(leg)) } else { made_room }
    }

    /// Thousands of legs fill the memory before one of them fills its buffer: all are written then.
    fn make_room(&mut self, bytes: usize) -> io::Result<()> {
        if self.refused || self.held + bytes <= BUFFERED_BYTES {
            return Ok(());
        }
        let flushed = self.flush();
        // Whatever it was that kept them here, it is not tried again with each packet.
        self.refused |= self.held + bytes > BUFFERED_BYTES;
        flushed
    }

    /// Appends a note to a leg.
    pub fn note(&mut self, leg: LegId, note: &Note) {
        let Some(l) = self.legs.get_mut(&leg) else { return };
        let line = note_line(note, [&l.signalling, &l.packets].map(Tail::end));
        if !self.refused || self.held + line.len() <= 2 * HELD_BYTES {
            self.held += line.len();
            l.notes.waiting.extend_from_slice(&line);
            self.list(leg);
        }
    }

    /// How much of what may be held because the disk refuses is held, 0 to 1. `failing`: it has refused something of late.
    #[must_use]
    pub fn pressed(&self, failing: bool) -> f64 {
        let most = if self.refused { HELD_BYTES } else { BUFFERED_BYTES };
        if self.refused || failing { self.held as f64 / most as f64 } else { 0.0 }
    }

    fn list(&mut self, leg: LegId) {
        if let Some(l) = self.legs.get_mut(&leg).filter(|l| !l.listed) {
            l.listed = true;
            self.unwritten.push(leg);
        }
    }

    /// Writes out what all legs have in their buffers.
    ///
    /// # Errors
    /// The first error; what was not written is kept, and tried again at the next flush.
    pub fn flush(&mut self) -> io::Result<()> {
        self.refused = false;
        let mut done = Ok(());
        let mut legs = std::mem::take(&mut self.unwritten);
        while let Some(leg) = legs.pop() {
            let Some(l) = self.legs.get_mut(&leg) else { continue };
            l.listed = false;
            let Err(e) = self.write(leg) else { continue };
            let of_the_disk = is_of_the_disk(&e);
            done = done.and(Err(e));
            if of_the_disk {
                break;
            }
            // One leg's file cannot be written (a bad block, another's rights): the others are not kept from it.
        }
        self.unwritten.append(&mut legs);
        done
    }

    /// Writes out what a leg has left and forgets it; its folder is whole then.
    ///
    /// # Errors
    /// When it cannot be written; the leg stays as it was.
    pub fn close(&mut self, leg: LegId) -> io::Result<Option<PathBuf>> {
        self.write(leg)?;
        let Some(l) = self.legs.remove(&leg) else { return Ok(None) };
        // Those that grew while the disk took nothing are given back.
        if l.packets.waiting.capacity() == SPOOL_BUFFER_BYTES && self.spare.len() < SPARE {
            self.spare.push(l.packets.waiting);
        }
        Ok(l.made.then_some(l.folder))
    }

    /// Signalling first: media on disk without the messages that name it would be a call of media alone.
    fn write(&mut self, leg: LegId) -> io::Result<()> {
        let Some(l) = self.legs.get_mut(&leg) else { return Ok(()) };
        if l.let_go.packets > 0 {
            let LetGo { packets, from, to } = std::mem::take(&mut l.let_go);
            self.note(leg, &Note::Lost { from, to, packets, place: Place::Disk });
        }
        let Some(l) = self.legs.get_mut(&leg) else { return Ok(()) };
        let before = l.waiting();
        let done = l.write(&self.root, &self.disk);
        self.held = self.held + l.waiting() - before;
        if let Err(e) = &done {
            self.refused |= is_of_the_disk(e);
            self.list(leg);
        }
        done
    }
}

/// Would it be the same with every other file? They need not be tried then.
#[must_use]
pub fn is_of_the_disk(e: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(e.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}

impl LetGo {
    fn and(self, at: CaptureTime) -> Self {
        let from = if self.packets == 0 { at } else { self.from };
        Self { packets: self.packets + 1, from, to: at }
    }
}

impl Leg {
    fn waiting(&self) -> usize {
        [&self.signalling, &self.packets, &self.notes].iter().map(|t| t.waiting.len()).sum()
    }

    fn write(&mut self, root: &Path, disk: &Disk) -> io::Result<()> {
        if self.waiting() == 0 {
            return Ok(());
        }
        if !self.made {
            self.make(root, disk)?;
        }
        let folder = &self.folder;
        // Notes before what they are of: a step of the clock explains the dates of the packets behind it.
        let written = self
            .notes
            .write(&folder.join(NOTES), disk)
            .and_then(|()| self.signalling.write(&folder.join(SIGNALLING), disk))
            .and_then(|()| self.packets.write(&folder.join(PACKETS), disk));
        if written.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) && root.is_dir() {
            // Somebody has removed the folder of a call in progress: what comes from now on is kept all the same.
            self.made = false;
            for tail in [&mut self.signalling, &mut self.packets] {
                tail.begin_again();
            }
            (self.notes.written, self.notes.torn) = (0, false);
        }
        written
    }

    /// Makes a folder of its own: the same dialog may come twice at the same instant, as when a file is replayed
    /// together with its copy.
    fn make(&mut self, root: &Path, disk: &Disk) -> io::Result<()> {
        let name = self.folder.file_name().unwrap_or_default().to_os_string();
        for n in 2..1000 {
            match disk.make_folder(&self.folder) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    let mut other = name.clone();
                    other.push(format!("-{n}"));
                    self.folder = root.join(other);
                }
                made => {
                    self.made = made.is_ok();
                    return made;
                }
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }
}

impl Tail {
    /// Where the next record will be in the file.
    fn end(&self) -> u64 {
        (self.written + self.waiting.len() as u64).max(FILE_HEADER.len() as u64)
    }

    /// Adds a record, behind the file's header if it is the first; says how many bytes there are more.
    fn put(&mut self, record: &[u8]) -> usize {
        let before = self.waiting.len();
        if self.written == 0 && before == 0 {
            self.waiting.extend_from_slice(&FILE_HEADER);
        }
        self.waiting.extend_from_slice(record);
        self.waiting.len() - before
    }

    /// Gives it a whole buffer, which a dialog without media does without.
    fn make_large(&mut self, spare: &mut Vec<Vec<u8>>) {
        if self.waiting.capacity() < SPOOL_BUFFER_BYTES {
            let mut large = spare.pop().unwrap_or_else(|| Vec::with_capacity(SPOOL_BUFFER_BYTES));
            large.append(&mut self.waiting);
            self.waiting = large;
        }
    }

    /// The file is gone; what waits is the beginning of another one.
    fn begin_again(&mut self) {
        if self.written > 0 && !self.waiting.is_empty() {
            self.waiting.splice(0..0, FILE_HEADER);
        }
        (self.written, self.torn) = (0, false);
    }

    fn write(&mut self, path: &Path, disk: &Disk) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut file = disk.append(path)?;
        if self.torn {
            // What was sealed is never written to: a killed run may have given this file a second name there.
            if file.names()? > 1 {
                disk.own(path)?;
                file = disk.append(path)?;
            }
            file.cut(self.written)?;
            self.torn = false;
        }
        if let Err(e) = file.write_all(&self.waiting) {
            // Half a record in the middle of a file would hide what is appended behind it.
            self.torn = file.cut(self.written).is_err();
            return Err(e);
        }
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Step;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    static RECORD: [u8; 20_000] = [7; 20_000];

    fn append(w: &mut SpoolWriter, leg: u64) -> bool {
        w.append(LegId(leg), Track::Media, CaptureTime(1), &RECORD).is_ok()
    }

    #[test]
    fn more_legs_than_buffers_lose_nothing() {
        let root = tempfile::tempdir().unwrap();
        let mut w = SpoolWriter::new(root.path().to_owned(), Disk::default());
        let legs = (BUFFERED_BYTES / RECORD.len()) as u64 + 1000;
        for leg in 0..legs {
            w.open(LegId(leg), &leg.to_string());
            assert!(append(&mut w, leg) && w.held <= BUFFERED_BYTES);
        }
        assert_eq!(w.let_go, 0);
        w.flush().unwrap();
        let written =
            |leg: u64| std::fs::metadata(root.path().join(leg.to_string()).join(PACKETS)).unwrap().len();
        assert!((0..legs).all(|leg| written(leg) == (FILE_HEADER.len() + RECORD.len()) as u64));
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_what_is_beyond_the_bound() {
        let root = tempfile::tempdir().unwrap();
        let full = Arc::new(AtomicBool::new(true));
        let is_full = full.clone();
        let fault = move |_: Step, _: &Path| match is_full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        };
        let mut w = SpoolWriter::new(root.path().to_owned(), Disk::faulty(fault));
        for leg in 0..100 {
            w.open(LegId(leg), &leg.to_string());
        }
        let n = HELD_BYTES / RECORD.len() + 500;
        let refused = (0..n as u64).filter(|i| !append(&mut w, i % 100)).count();
        assert_eq!(refused, 1, "after the first refusal it is not asked with each packet");
        assert!(w.held <= HELD_BYTES && (500..=501).contains(&w.let_go));
        full.store(false, Ordering::Relaxed);
        w.flush().unwrap();
        assert!(w.held == 0 && append(&mut w, 1));
    }

    #[test]
    fn a_leg_whose_file_takes_nothing_costs_no_other_leg() {
        let root = tempfile::tempdir().unwrap();
        let fault = |_: Step, path: &Path| match path.to_string_lossy().contains("bad") {
            true => Err(io::Error::other("a bad block")),
            false => Ok(()),
        };
        let mut w = SpoolWriter::new(root.path().to_owned(), Disk::faulty(fault));
        w.open(LegId(0), "bad");
        w.open(LegId(1), "good");
        for _ in 0..BUFFERED_BYTES / RECORD.len() + 100 {
            append(&mut w, 0);
            assert!(append(&mut w, 1));
        }
        assert!(w.held <= LEG_HELD_BYTES + SPOOL_BUFFER_BYTES);
        assert_eq!(w.legs[&LegId(1)].let_go.packets, 0);
    }
}
