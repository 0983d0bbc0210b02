//! Several captures as one, in order of time.

use super::file::{CaptureFile, Trouble};
use crate::time::CaptureTime;
use crate::wire::frame::LinkType;
use std::path::PathBuf;

/// A frame held back while others are earlier.
struct Held {
    at: CaptureTime,
    link: LinkType,
    bytes: Vec<u8>,
}

struct Lane {
    file: CaptureFile,
    held: Option<Held>,
}

impl Lane {
    fn advance(&mut self) {
        self.held = self.file.next_frame().map(|f| Held { at: f.at, link: f.link, bytes: f.bytes.to_vec() });
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
        Self { lanes: files.into_iter().map(|file| Lane { file, held: None }).collect(), started: false }
    }

    /// Gives the next frame to `take`; false at the end.
    pub fn next(&mut self, take: impl FnOnce(CaptureTime, LinkType, &[u8])) -> bool {
        if let [only] = self.lanes.as_mut_slice() {
            return only.file.next_frame().map(|f| take(f.at, f.link, f.bytes)).is_some();
        }
        if !self.started {
            self.started = true;
            self.lanes.iter_mut().for_each(Lane::advance);
        }
        let earliest =
            self.lanes.iter_mut().filter(|l| l.held.is_some()).min_by_key(|l| l.held.as_ref().map(|h| h.at));
        let Some(lane) = earliest else { return false };
        if let Some(h) = &lane.held {
            take(h.at, h.link, &h.bytes);
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
