//! Several threads that read one interface, each its own ring of a PACKET_FANOUT group, for one tap.
//!
//! A reader copies the frames of its ring into batches that are used again. When the tap is behind, the batches are all under
//! way and the reader waits: its ring fills, and what finds it full is counted by the kernel, as without readers.

use super::fanout::Group;
use super::lanes::{Frames, Lane, Lanes, Said, Shown};
use super::live::{Dropped, Got, Live, LiveError, Options, Threads};
use crate::limits::{BATCH_BYTES, BATCH_PACKETS, HOLDBACK, READER_BATCHES, READER_LOOK};
use crate::time::CaptureTime;
use crate::wire::frame::LinkType;
use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The threads that read an interface.
pub struct Readers {
    lanes: Option<Lanes>,
    /// Readable when a reader has told something.
    told: Arc<OwnedFd>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// The kind of the interface's frames.
    pub link: LinkType,
}

impl Readers {
    /// Opens the rings and starts a reader for each.
    ///
    /// # Errors
    /// [`LiveError`].
    pub fn open(name: &str, options: &Options, threads: Threads) -> Result<Self, LiveError> {
        let other = |e: std::io::Error| LiveError::Other { name: name.to_owned(), why: e.to_string() };
        // The rings share what one would have.
        let number = threads.number.max(1);
        let options = Options {
            ring_mb: (options.ring_mb / u32::try_from(number).unwrap_or(1)).max(1),
            ..options.clone()
        };
        let first = Live::open(name, &options)?;
        let group = Group::new(&first).map_err(other)?;
        let link = first.link;
        let mut rings = vec![first];
        for _ in 1..number {
            let ring = Live::open(name, &options)?;
            group.join(&ring).map_err(other)?;
            rings.push(ring);
        }
        let joined_at = (threads.clock)();
        let told = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| other(e.into()))?;
        let (told, stop) = (Arc::new(told), Arc::new(AtomicBool::new(false)));
        let mut readers = Self { lanes: None, told, stop, threads: Vec::new(), link };
        let mut lanes = Vec::new();
        for (n, ring) in rings.into_iter().enumerate() {
            let (lane, reader) = readers.lane(ring, n == 0, threads.clock);
            lanes.push(lane);
            let started = (threads.start)(format!("read-{n}"), Box::new(move || reader.run()));
            readers.threads.push(started.map_err(other)?);
        }
        readers.lanes = Some(Lanes::new(lanes, joined_at));
        Ok(readers)
    }

    fn lane(&self, ring: Live, first: bool, clock: fn() -> CaptureTime) -> (Lane, Reader) {
        let (to, full) = bounded(READER_BATCHES + 1);
        let (emptied, empty) = bounded(READER_BATCHES);
        for _ in 0..READER_BATCHES {
            let ends = Vec::with_capacity(BATCH_PACKETS);
            // There is room for all of them.
            let _ = emptied.send(Frames { ends, bytes: Vec::with_capacity(BATCH_BYTES / 2) });
        }
        let shown = Arc::new(Shown::default());
        let lane = Lane::new(full, emptied, shown.clone());
        let (told, stop) = (self.told.clone(), self.stop.clone());
        (lane, Reader { ring, first, to, empty, shown, told, stop, clock, counted_at: CaptureTime(0) })
    }

    /// The next frame in order of time.
    pub fn take(&mut self, now: CaptureTime) -> Got<'_> {
        self.lanes.as_mut().map_or(Got::Nothing, |l| l.take(now))
    }

    /// What was dropped since this was last asked.
    pub fn dropped(&mut self) -> Dropped {
        self.lanes.as_mut().map(Lanes::dropped).unwrap_or_default()
    }

    /// Are there frames that wait for earlier ones? Then there may be nothing to be told of them.
    #[must_use]
    pub fn waiting(&self) -> bool {
        self.lanes.as_ref().is_some_and(Lanes::waiting)
    }

    /// What was told is about to be taken: the next is to be waited for.
    pub fn heard(&self) {
        // Nothing was told: nothing to read.
        let _ = rustix::io::read(&*self.told, &mut [0; 8]);
    }
}

impl AsFd for Readers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}

impl Drop for Readers {
    /// The rings are gone when this returns: others on the interface would share its frames with them.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Who waits for a batch, or for room, is let go.
        self.lanes = None;
        for t in self.threads.drain(..) {
            // A reader that died has been told as gone.
            let _ = t.join();
        }
    }
}

/// What is left in a ring.
enum Left {
    /// Perhaps more.
    More,
    /// Nothing just now.
    Nothing,
    /// It is no more, and why.
    Gone(String),
}

/// What a thread has.
struct Reader {
    ring: Live,
    /// Counts what the card drops.
    first: bool,
    to: Sender<Said>,
    empty: Receiver<Frames>,
    shown: Arc<Shown>,
    told: Arc<OwnedFd>,
    stop: Arc<AtomicBool>,
    clock: fn() -> CaptureTime,
    counted_at: CaptureTime,
}

impl Reader {
    /// Reads until nobody wants it.
    fn run(mut self) {
        let Ok(mut frames) = self.empty.recv() else { return };
        while !self.stop.load(Ordering::Relaxed) {
            // Before the ring is looked at: what had come by then, and a block takes, is in it.
            let now = (self.clock)();
            let left = self.fill(&mut frames);
            let last = frames.ends.last().map(|f| f.0);
            if last.is_some() {
                let Ok(fresh) = self.empty.recv() else { return };
                let filled = std::mem::replace(&mut frames, fresh);
                if self.to.send(Said::Frames(filled)).is_err() {
                    return;
                }
            }
            let drained = match left {
                Left::More => None,
                Left::Nothing => Some(CaptureTime(now.0 - HOLDBACK.as_nanos() as i64)),
                Left::Gone(why) => {
                    let _ = self.to.send(Said::Gone(why));
                    self.tell();
                    return;
                }
            };
            if let Some(seen) = last.max(drained) {
                self.shown.seen.store(seen.0, Ordering::Release);
            }
            if last.is_some() {
                self.tell();
            }
            self.count(now);
            if drained.is_some() {
                self.wait();
            }
        }
    }

    /// Fills a batch with what is in the ring.
    fn fill(&mut self, frames: &mut Frames) -> Left {
        while frames.ends.len() < BATCH_PACKETS && frames.bytes.len() < BATCH_BYTES {
            match self.ring.take() {
                Got::Frame(at, bytes) => frames.push(at, bytes),
                Got::Nothing => return Left::Nothing,
                Got::Gone(why) => return Left::Gone(why),
            }
        }
        Left::More
    }

    fn tell(&self) {
        // It is full when it was told so often that the tap will look anyway.
        let _ = rustix::io::write(&*self.told, &1u64.to_ne_bytes());
    }

    /// Now and then: what was dropped.
    fn count(&mut self, now: CaptureTime) {
        if now.secs_since(self.counted_at).abs() < 0.25 {
            return;
        }
        self.counted_at = now;
        let d = self.ring.dropped();
        self.shown.kernel.fetch_add(d.kernel, Ordering::Relaxed);
        if self.first {
            self.shown.interface.fetch_add(d.interface, Ordering::Relaxed);
        }
    }

    fn wait(&self) {
        let most = Timespec { tv_sec: 0, tv_nsec: i64::from(READER_LOOK.subsec_nanos()) };
        // Interrupted, or an interface that is gone: the next look tells.
        let _ = poll(&mut [PollFd::new(&self.ring, PollFlags::IN)], Some(&most));
    }
}
