//! The packets of a call as one pcap file: signalling and media of all its legs, in order of capture.

use crate::capture::merge::Merged;
use crate::disk::Disk;
use crate::spool::format::{FILE_HEADER, PACKETS, SIGNALLING, record_header};
use crate::spool::read::{self, LegStory};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Puts the packets of these legs at `path`.
///
/// Those of one leg mostly are a file already. It gets a second name, which costs no byte; where the disk knows none,
/// or the spool is on another one, they are copied.
///
/// # Errors
/// When the spool cannot be read to its end or the file not be written.
pub fn put(legs: &[LegStory], path: &Path, disk: &Disk) -> io::Result<()> {
    if let [only] = legs
        && only.all_in_one
        && disk.link(&only.folder.join(PACKETS), path).is_ok()
    {
        return Ok(());
    }
    copy(legs, path, disk)
}

fn copy(legs: &[LegStory], path: &Path, disk: &Disk) -> io::Result<()> {
    let mut files = Vec::new();
    let mut twice: Vec<&[u64]> = Vec::new();
    for leg in legs {
        let tracks = [(SIGNALLING, &[][..]), (PACKETS, &leg.signalling_at[..])];
        for (track, (name, known)) in tracks.into_iter().enumerate() {
            // As it was opened to be read: a file without a whole header has nothing.
            let file = read::open(&leg.folder.join(name)).map_err(|e| io::Error::other(e.to_string()))?;
            if let Some(file) = file {
                files.push(file.redate(&leg.redated(track)));
                twice.push(known);
            }
        }
    }
    let mut merged = Merged::new(files);
    let mut out = BufWriter::with_capacity(256 << 10, disk.create(path)?);
    out.write_all(&FILE_HEADER)?;
    let mut n = 0;
    let mut wrote = Ok(());
    while wrote.is_ok()
        && merged.next(|from, frame| {
            if twice.get(from).is_some_and(|places| places.binary_search(&frame.place).is_ok()) {
                return;
            }
            n += 1;
            let length = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
            let header = record_header(frame.at, length);
            wrote = out.write_all(&header).and_then(|()| out.write_all(frame.bytes));
        })
    {}
    wrote?;
    out.flush()?;
    // The story of the call was read from the same files: fewer packets now mean that a disk fails.
    match legs.iter().map(|l| l.packets).sum::<u64>() {
        all if all == n => Ok(()),
        all => Err(io::Error::other(format!("only {n} of {all} packets of the spool can be read again"))),
    }
}
