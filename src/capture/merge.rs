//! Several captures as one, in order of time.

use super::file::{CaptureFile, Frame, Trouble};
use crate::time::CaptureTime;
use crate::wire::frame::LinkType;
use std::path::PathBuf;

/// A frame held back while others are earlier.
struct Held {
    at: CaptureTime,
    link: LinkType,
    bytes: Vec<u8>,
    place: u64,
}

struct Lane {
    file: CaptureFile,
    held: Option<Held>,
    /// To be used again.
    spare: Vec<u8>,
}

impl Lane {
    fn advance(&mut self) {
        if let Some(h) = self.held.take() {
            self.spare = h.bytes;
        }
        if let Some(f) = self.file.next_frame() {
            let mut bytes = std::mem::take(&mut self.spare);
            bytes.clear();
            bytes.extend_from_slice(f.bytes);
            self.held = Some(Held { at: f.at, link: f.link, bytes, place: f.place });
        }
    }
}

/// Captures that are read together. One alone is passed through without a copy.
pub struct Merged {
    lanes: Vec<Lane>,
    started: bool,
}

impl Merged {
    /// Reads these files together; each frame comes in order of time, as far as each file itself is in order.
    #[must_use]
    pub fn new(files: Vec<CaptureFile>) -> Self {
        Self {
            lanes: files.into_iter().map(|file| Lane { file, held: None, spare: Vec::new() }).collect(),
            started: false,
        }
    }

    /// Gives the next frame to `take`, and which file it is of; false at the end.
    pub fn next(&mut self, take: impl FnOnce(usize, Frame<'_>)) -> bool {
        if let [only] = self.lanes.as_mut_slice() {
            return only.file.next_frame().map(|f| take(0, f)).is_some();
        }
        if !self.started {
            self.started = true;
            self.lanes.iter_mut().for_each(Lane::advance);
        }
        let earliest = self
            .lanes
            .iter_mut()
            .enumerate()
            .filter(|l| l.1.held.is_some())
            .min_by_key(|l| l.1.held.as_ref().map(|h| h.at));
        let Some((from, lane)) = earliest else { return false };
        if let Some(h) = &lane.held {
            take(from, Frame { at: h.at, link: h.link, bytes: &h.bytes, place: h.place });
        }
        lane.advance();
        true
    }

    /// Bytes read so far, of all files together.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.lanes.iter().map(|l| l.file.position()).sum()
    }

    /// What could not be read, by file.
    #[must_use]
    pub fn troubles(&self) -> Vec<(PathBuf, Trouble)> {
        let of = |l: &Lane| {
            let more = (l.file.more_troubles > 0).then(|| Trouble {
                position: l.file.position(),
                what: format!("{} more parts could not be read", l.file.more_troubles),
            });
            let all = l.file.troubles.iter().cloned().chain(more);
            all.map(|t| (l.file.path().to_owned(), t)).collect::<Vec<_>>()
        };
        self.lanes.iter().flat_map(of).collect()
    }

    /// Frames of link types that are not known.
    #[must_use]
    pub fn unknown_link(&self) -> u64 {
        self.lanes.iter().map(|l| l.file.unknown_link).sum()
    }
}
