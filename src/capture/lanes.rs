//! The frames of several readers of one interface, as one source in order of time.
//!
//! Each reader has a lane: a bounded queue of batches, and the time up to which it has read. The earliest frame comes first;
//! it waits while a lane without one may still have an earlier one. So signalling and media come in one order, as from one
//! ring.

use super::live::{Dropped, Got};
use crate::limits::READER_PATIENCE;
use crate::time::CaptureTime;
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Frames on the way from a reader to the tap; used again when they are read.
#[derive(Default)]
pub struct Frames {
    /// When each was had, and where it ends.
    pub ends: Vec<(CaptureTime, usize)>,
    /// One behind the other.
    pub bytes: Vec<u8>,
}

impl Frames {
    /// Takes one more.
    pub fn push(&mut self, at: CaptureTime, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push((at, self.bytes.len()));
    }

    fn get(&self, n: usize) -> Option<(CaptureTime, &[u8])> {
        let (at, end) = *self.ends.get(n)?;
        let start = n.checked_sub(1).and_then(|b| self.ends.get(b)).map_or(0, |b| b.1);
        Some((at, self.bytes.get(start..end)?))
    }
}

/// What a reader says.
pub enum Said {
    /// What it has read.
    Frames(Frames),
    /// It cannot read any more, and why.
    Gone(String),
}

/// What a reader shows of itself.
#[derive(Default)]
pub struct Shown {
    /// All its frames up to this time are in the queue.
    pub seen: AtomicI64,
    /// What the kernel has dropped of its ring.
    pub kernel: AtomicU64,
    /// What the card has dropped.
    pub interface: AtomicU64,
}

/// The tap's end of the way from a reader.
pub struct Lane {
    full: Receiver<Said>,
    empty: Sender<Frames>,
    shown: Arc<Shown>,
    /// What is being read, and which frame of it is next.
    frames: Frames,
    next: usize,
    gone: Option<String>,
}

/// Where a lane is.
enum Head {
    /// Its next frame is of then.
    At(CaptureTime),
    /// It has none, and none up to then.
    Seen(CaptureTime),
}

impl Lane {
    /// The way from a reader that gets its empty batches by `empty`.
    #[must_use]
    pub fn new(full: Receiver<Said>, empty: Sender<Frames>, shown: Arc<Shown>) -> Self {
        Self { full, empty, shown, frames: Frames::default(), next: 0, gone: None }
    }

    fn head(&mut self) -> Head {
        loop {
            if let Some((at, _)) = self.frames.ends.get(self.next) {
                return Head::At(*at);
            }
            self.give_back();
            // Before the queue: what it says is then in the queue, or was.
            let seen = CaptureTime(self.shown.seen.load(Ordering::Acquire));
            match self.full.try_recv() {
                Ok(Said::Frames(f)) => self.frames = f,
                Ok(Said::Gone(why)) => self.gone = Some(why),
                Err(TryRecvError::Empty) => return Head::Seen(seen),
                Err(TryRecvError::Disconnected) => {
                    // It will have nothing more, so that nothing waits for it.
                    self.gone.get_or_insert_with(|| "its reader has ended".to_owned());
                    return Head::Seen(CaptureTime(i64::MAX));
                }
            }
        }
    }

    fn give_back(&mut self) {
        self.next = 0;
        if self.frames.bytes.capacity() > 0 {
            let mut read = std::mem::take(&mut self.frames);
            read.ends.clear();
            read.bytes.clear();
            // A reader that has ended needs none.
            let _ = self.empty.send(read);
        }
    }
}

/// The lanes of an interface.
pub struct Lanes {
    lanes: Vec<Lane>,
    /// Until then, rings had frames that others had too: they joined one after the other.
    joined_at: CaptureTime,
    before: Dropped,
}

impl Lanes {
    /// These lanes as one. `joined_at`: since when each frame is in one of them only.
    #[must_use]
    pub fn new(lanes: Vec<Lane>, joined_at: CaptureTime) -> Self {
        Self { lanes, joined_at, before: Dropped::default() }
    }

    /// The next frame in order of time.
    pub fn take(&mut self, now: CaptureTime) -> Got<'_> {
        let Some((first, at)) = self.first(now) else {
            // What the others still have comes first.
            return match self.lanes.iter().find_map(|l| l.gone.clone()).filter(|_| !self.waiting()) {
                Some(why) => Got::Gone(why),
                None => Got::Nothing,
            };
        };
        if at <= self.joined_at {
            self.skip_copies(first, at);
        }
        let Some(lane) = self.lanes.get_mut(first) else { return Got::Nothing };
        let n = lane.next;
        lane.next += 1;
        match lane.frames.get(n) {
            Some((at, bytes)) => Got::Frame(at, bytes),
            None => Got::Nothing,
        }
    }

    /// The lane that has the earliest frame, when no other can have an earlier one.
    fn first(&mut self, now: CaptureTime) -> Option<(usize, CaptureTime)> {
        let (mut first, mut seen) = (None::<(usize, CaptureTime)>, CaptureTime(i64::MAX));
        for (n, lane) in self.lanes.iter_mut().enumerate() {
            match lane.head() {
                Head::At(at) if first.is_none_or(|f| at < f.1) => first = Some((n, at)),
                Head::At(_) => {}
                Head::Seen(to) => seen = seen.min(to),
            }
        }
        // A reader that is not let run is not waited for without end; a clock may be ahead, or set.
        first.filter(|f| f.1 <= seen || f.1 > now || now.since(f.1) >= READER_PATIENCE)
    }

    /// Passes over what other lanes have of the same frame: it has the same nanosecond and the same bytes.
    fn skip_copies(&mut self, first: usize, at: CaptureTime) {
        let (before, rest) = self.lanes.split_at_mut(first);
        let Some((own, after)) = rest.split_first_mut() else { return };
        let Some((_, bytes)) = own.frames.get(own.next) else { return };
        for other in before.iter_mut().chain(after) {
            if other.frames.get(other.next) == Some((at, bytes)) {
                other.next += 1;
            }
        }
    }

    /// Has frames that wait for earlier ones of other lanes?
    #[must_use]
    pub fn waiting(&self) -> bool {
        self.lanes.iter().any(|l| l.next < l.frames.ends.len())
    }

    /// What was dropped since this was last asked.
    pub fn dropped(&mut self) -> Dropped {
        let sum = |of: fn(&Shown) -> &AtomicU64| -> u64 {
            self.lanes.iter().map(|l| of(&l.shown).load(Ordering::Relaxed)).sum()
        };
        let now = Dropped { kernel: sum(|s| &s.kernel), interface: sum(|s| &s.interface) };
        let before = std::mem::replace(&mut self.before, now);
        Dropped {
            kernel: now.kernel.saturating_sub(before.kernel),
            interface: now.interface.saturating_sub(before.interface),
        }
    }
}

#[cfg(test)]
mod tests;
