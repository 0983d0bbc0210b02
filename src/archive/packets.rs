//! The packets of a call as one pcap file: signalling and media of all its legs, in order of capture.

use crate::capture::merge::Merged;
use crate::disk::Disk;
use crate::spool::format::{FILE_HEADER, MEDIA, SIGNALLING, record_header};
use crate::spool::read::{self, LegStory};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes the packets of these legs to `path`; gives their number.
///
/// # Errors
/// When the spool cannot be read to its end or the file not be written.
pub fn write(legs: &[LegStory], path: &Path, disk: &Disk) -> io::Result<u64> {
    let mut files = Vec::new();
    let tracks =
        |l: &LegStory| [(l.folder.join(SIGNALLING), l.redated(0)), (l.folder.join(MEDIA), l.redated(1))];
    for (file, redated) in legs.iter().flat_map(tracks) {
        // As it was opened to be read: a file without a whole header has nothing.
        let file = read::open(&file).map_err(|e| io::Error::other(e.to_string()))?;
        files.extend(file.map(|f| f.redate(&redated)));
    }
    let mut merged = Merged::new(files);
    let mut out = BufWriter::with_capacity(256 << 10, disk.create(path)?);
    out.write_all(&FILE_HEADER)?;
    let mut n = 0;
    let mut wrote = Ok(());
    while wrote.is_ok()
        && merged.next(|at, _, bytes| {
            n += 1;
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            wrote = out.write_all(&record_header(at, length)).and_then(|()| out.write_all(bytes));
        })
    {}
    wrote?;
    out.flush()?;
    // The story of the call was read from the same files: fewer packets now mean that a disk fails.
    match legs.iter().map(|l| l.packets).sum::<u64>() {
        all if all == n => Ok(n),
        all => Err(io::Error::other(format!("only {n} of {all} packets of the spool can be read again"))),
    }
}
