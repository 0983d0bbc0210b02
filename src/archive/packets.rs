//! The packets of a call as one pcap file: signalling and media of all its legs, in order of capture.

use crate::capture::file::CaptureFile;
use crate::capture::merge::Merged;
use crate::spool::format::{FILE_HEADER, MEDIA, SIGNALLING, record_header};
use crate::spool::read::LegStory;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes the packets of these legs to `path`; gives their number.
///
/// # Errors
/// When the spool cannot be read or the file not be written.
pub fn write(legs: &[LegStory], path: &Path) -> io::Result<u64> {
    let spooled = legs.iter().flat_map(|l| [l.folder.join(SIGNALLING), l.folder.join(MEDIA)]);
    let files: Vec<CaptureFile> = spooled.filter_map(|p| CaptureFile::open(&p).ok()).collect();
    let mut merged = Merged::new(files);
    let mut out = BufWriter::with_capacity(256 << 10, File::create(path)?);
    out.write_all(&FILE_HEADER)?;
    let mut n = 0;
    let mut failed = None;
    while merged.next(|at, _, bytes| {
        n += 1;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let wrote = out.write_all(&record_header(at, length)).and_then(|()| out.write_all(bytes));
        failed = wrote.err();
    }) {
        if let Some(e) = failed {
            return Err(e);
        }
    }
    out.flush()?;
    Ok(n)
}
