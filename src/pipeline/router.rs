//! The tap's end of the channels: packets are gathered into batches, by leg.

use super::board::Part;
use super::{Mode, PipelineError, Shared};
use crate::archive::finish::Job;
use crate::call::listener::{Output, Over, Track};
use crate::call::note::{Note, Place};
use crate::call::record::Carried;
use crate::call::switchboard::LegId;
use crate::call::witness::Loss;
use crate::limits::{BATCH_BYTES, BATCH_PACKETS, CONTROL_BYTES, CONTROL_ENTRIES};
use crate::spool::format::record_header;
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use hashbrown::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What the tap hands to a spool worker, many at once.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// Records of the spool, header and packet, one behind the other.
    pub(super) bytes: Vec<u8>,
}

/// Kept small: there is one for each packet.
pub(super) enum Entry {
    Open(LegId, Box<str>),
    /// A leg that is on disk already: its folder, and the lengths of its files as far as they are whole.
    Resume(LegId, Box<(PathBuf, [u64; 2])>),
    Packet {
        leg: LegId,
        at: CaptureTime,
        /// Length of its record, which is behind those before it in the bytes of the batch.
        length: u32,
        track: Track,
    },
    Note(LegId, Box<Note>),
    /// With which of the call's legs it is.
    Close(LegId, Arc<Ending>, u32),
    /// What is in the buffers goes to the kernel now.
    Flush,
}

/// A call that is over: its legs may be with several workers, and the last one to close makes it a job.
pub(super) struct Ending {
    folders: Mutex<Vec<Option<PathBuf>>>,
    open: AtomicUsize,
    over: Over,
    carried: Option<Carried>,
}

impl Ending {
    /// A leg is closed; gives the job when it was the last.
    pub(super) fn closed(&self, index: u32, folder: Option<PathBuf>) -> Option<Job> {
        let mut folders = super::locked(&self.folders);
        if let Some(f) = folders.get_mut(index as usize) {
            *f = folder;
        }
        let last = self.open.fetch_sub(1, Ordering::AcqRel) == 1;
        let folders = folders.iter_mut().filter_map(Option::take);
        last.then(|| Job { folders: folders.collect(), over: self.over, carried: self.carried.clone() })
    }
}

/// The way to one worker.
pub(super) struct Lane {
    batch: Batch,
    to: Sender<Batch>,
    /// Entries of the batch, and their bytes, that a full queue has left here: no media among them.
    kept: (usize, usize),
    /// Media that a full queue has cost.
    lost: HashMap<LegId, Lost>,
}

#[derive(Clone, Copy)]
struct Lost {
    packets: u64,
    from: CaptureTime,
    to: CaptureTime,
}

/// The tap's end of the channels.
pub(super) struct Router {
    lanes: Vec<Lane>,
    empty: Receiver<Batch>,
    shared: Arc<Shared>,
    mode: Mode,
}

impl Router {
    pub(super) fn new(
        lanes: Vec<Sender<Batch>>,
        empty: Receiver<Batch>,
        shared: Arc<Shared>,
        mode: Mode,
    ) -> Self {
        let lane = |to| Lane { batch: Batch::default(), to, kept: (0, 0), lost: HashMap::new() };
        Self { lanes: lanes.into_iter().map(lane).collect(), empty, shared, mode }
    }

    /// A leg stays with one worker: its packets come to the disk in order.
    fn worker(&self, leg: LegId) -> usize {
        let n = self.lanes.len().max(1) as u64;
        usize::try_from(leg.0 % n).unwrap_or(0)
    }

    pub(super) fn push(&mut self, leg: LegId, entry: Entry) {
        let n = self.worker(leg);
        let Some(lane) = self.lanes.get_mut(n) else { return };
        lane.batch.entries.push(entry);
        if lane.is_full() {
            self.send(n);
        }
    }

    /// Sends what is gathered for a worker. A replay waits for room in the queue; live, the tap never does.
    fn send(&mut self, n: usize) {
        let fresh = self.empty.try_recv().unwrap_or_default();
        let Some(lane) = self.lanes.get_mut(n) else { return };
        let full = std::mem::replace(&mut lane.batch, fresh);
        // A worker only ends before the tap when it has died.
        match self.mode {
            Mode::Replay => {
                if lane.to.send(full).is_err() {
                    self.shared.fail(PipelineError::Died);
                }
            }
            Mode::Live => match lane.to.try_send(full) {
                Ok(()) => {
                    if lane.sent() {
                        self.shared.well(Part::Queue, n);
                    }
                }
                Err(TrySendError::Full(batch)) => self.shared.queue_full(n, lane.keep(batch)),
                Err(TrySendError::Disconnected(_)) => self.shared.fail(PipelineError::Died),
            },
        }
    }

    /// How full the fullest queue is, 0 to 1.
    pub(super) fn fill(&self) -> f64 {
        let fill = |l: &Lane| l.to.len() as f64 / l.to.capacity().unwrap_or(usize::MAX).max(1) as f64;
        self.lanes.iter().map(fill).fold(0.0, f64::max)
    }

    /// Sends what is gathered, full or not. `write`: the workers shall give to the kernel what they hold.
    pub(super) fn flush(&mut self, write: bool) {
        for n in 0..self.lanes.len() {
            let Some(lane) = self.lanes.get_mut(n) else { continue };
            if write {
                lane.batch.entries.push(Entry::Flush);
            }
            if !lane.batch.entries.is_empty() {
                self.send(n);
            }
        }
    }
}

/// The record of a packet in the bytes of a batch, which begins at `from`; the next one begins where `from` is then.
pub(super) fn record<'a>(bytes: &'a [u8], from: &mut usize, length: u32) -> &'a [u8] {
    let begin = *from;
    *from += length as usize;
    bytes.get(begin..*from).unwrap_or_default()
}

impl Lane {
    fn is_full(&self) -> bool {
        let (entries, bytes) = self.kept;
        self.batch.entries.len() - entries >= BATCH_PACKETS || self.batch.bytes.len() - bytes >= BATCH_BYTES
    }

    /// The queue has room: what it has cost is noted on the legs. Says whether that was anything.
    fn sent(&mut self) -> bool {
        self.kept = (0, 0);
        let cost = !self.lost.is_empty();
        for (leg, Lost { packets, from, to }) in self.lost.drain() {
            let note = Note::Lost { from, to, packets, place: Place::Queue };
            self.batch.entries.push(Entry::Note(leg, Box::new(note)));
        }
        cost
    }

    /// The queue is full: media are let go and counted; what says which calls there are is kept. Gives the packets let go.
    fn keep(&mut self, full: Batch) -> u64 {
        let (mut from, mut let_go) = (0, 0);
        let mut kept = Batch::default();
        for (i, entry) in full.entries.into_iter().enumerate() {
            match entry {
                Entry::Packet { leg, at, length, track } => {
                    let record = record(&full.bytes, &mut from, length);
                    if track == Track::Signalling && kept.bytes.len() + record.len() <= CONTROL_BYTES {
                        kept.bytes.extend_from_slice(record);
                        kept.entries.push(Entry::Packet { leg, at, length, track });
                    } else {
                        let_go += 1;
                        let lost = self.lost.entry(leg).or_insert(Lost { packets: 0, from: at, to: at });
                        (lost.packets, lost.to) = (lost.packets + 1, at);
                    }
                }
                Entry::Close(leg, ending, index) => {
                    // Behind its end nobody would know whose loss it was.
                    if let Some(Lost { packets, from, to }) = self.lost.remove(&leg) {
                        let note = Note::Lost { from, to, packets, place: Place::Queue };
                        kept.entries.push(Entry::Note(leg, Box::new(note)));
                    }
                    kept.entries.push(Entry::Close(leg, ending, index));
                }
                // One that waits already is enough.
                Entry::Flush if i < self.kept.0 => {}
                // For hours nothing was taken: those calls are sealed at the next start, from what is there.
                _ if kept.entries.len() >= CONTROL_ENTRIES => let_go += 1,
                other => kept.entries.push(other),
            }
        }
        self.kept = (kept.entries.len(), kept.bytes.len());
        self.batch = kept;
        let_go
    }
}

impl Output for Router {
    fn open(&mut self, leg: LegId, name: &str) {
        self.push(leg, Entry::Open(leg, name.into()));
    }

    fn packet(&mut self, leg: LegId, track: Track, at: CaptureTime, ip_packet: &[u8]) {
        let n = self.worker(leg);
        let Some(lane) = self.lanes.get_mut(n) else { return };
        let length = u32::try_from(ip_packet.len()).unwrap_or(u32::MAX);
        let header = record_header(at, length);
        lane.batch.bytes.extend_from_slice(&header);
        lane.batch.bytes.extend_from_slice(ip_packet);
        let length = length.saturating_add(header.len() as u32);
        lane.batch.entries.push(Entry::Packet { leg, at, length, track });
        if lane.is_full() {
            self.send(n);
        }
    }

    fn note(&mut self, leg: LegId, note: &Note) {
        self.push(leg, Entry::Note(leg, Box::new(note.clone())));
    }

    fn finish(&mut self, legs: &[LegId], over: Over, carried: Option<Carried>) {
        let folders = Mutex::new(vec![None; legs.len()]);
        let ending = Arc::new(Ending { folders, open: AtomicUsize::new(legs.len()), over, carried });
        for (leg, i) in legs.iter().zip(0..) {
            self.push(*leg, Entry::Close(*leg, ending.clone(), i));
        }
    }

    fn primary(&mut self, primary: Endpoint, loss: &Loss) {
        self.shared.primary(primary, loss);
    }
}
