//! Frames are understood some at a time.
//!
//! What is known of the flows of ten thousand calls is in no cache, and to wait for memory at each packet costs more than
//! all else that the tap does with it. So some frames are gathered, what they will need is asked for at once, and then
//! they are understood one by one, in their order, as ever.

use super::Pipeline;
use crate::call::ahead::Expected;
use crate::limits::{AHEAD_BYTES, FRAMES_AHEAD};
use crate::time::CaptureTime;
use crate::wire::frame::LinkType;

/// Frames that were taken and not understood yet.
#[derive(Default)]
pub(super) struct Ahead {
    /// When, how it begins, and where its bytes end.
    frames: Vec<(CaptureTime, LinkType, usize)>,
    bytes: Vec<u8>,
    /// What is expected of each of them.
    expected: Vec<Option<Expected>>,
}

impl Ahead {
    fn is_full(&self) -> bool {
        self.frames.len() >= FRAMES_AHEAD || self.bytes.len() >= AHEAD_BYTES
    }

    fn frames(&self) -> impl Iterator<Item = (CaptureTime, LinkType, &[u8])> {
        let mut from = 0;
        self.frames.iter().map(move |(at, link, end)| {
            let bytes = self.bytes.get(from..*end).unwrap_or_default();
            from = *end;
            (*at, *link, bytes)
        })
    }
}

impl Pipeline {
    /// Takes a frame; false when the pipeline has failed and nothing more is worth giving. It may be understood a few frames
    /// later, or with the next [`Pipeline::tick`].
    pub fn frame(&mut self, at: CaptureTime, link: LinkType, bytes: &[u8]) -> bool {
        self.ahead.bytes.extend_from_slice(bytes);
        self.ahead.frames.push((at, link, self.ahead.bytes.len()));
        if self.ahead.is_full() {
            self.catch_up();
        }
        self.frames += 1;
        // An error is looked for now and then: the channels stay open until the tap ends them.
        !self.frames.is_multiple_of(1024) || !self.shared.failed()
    }

    /// Understands what was only taken so far.
    pub fn catch_up(&mut self) {
        let mut ahead = std::mem::take(&mut self.ahead);
        let mut expected = std::mem::take(&mut ahead.expected);
        self.listener.expect(ahead.frames().map(|(_, link, bytes)| (link, bytes)), &mut expected);
        for ((at, link, bytes), told) in ahead.frames().zip(&expected) {
            self.end_of_restart(at);
            self.listener.expected(at, link, bytes, told.as_ref(), &mut self.router);
            self.mirror.frame(at, link, bytes);
        }
        ahead.frames.clear();
        ahead.bytes.clear();
        ahead.expected = expected;
        self.ahead = ahead;
    }
}
