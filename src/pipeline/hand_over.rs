//! The way from the tap to a spool worker alone, for `benches/stages`.

use super::router::{Batch, Entry, Router};
use super::{Mode, Shared};
use crate::call::listener::{Output as _, Track};
use crate::call::switchboard::LegId;
use crate::limits::{BATCHES_QUEUED, BATCHES_RECYCLED};
use crate::time::CaptureTime;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;

/// The tap's end.
pub struct TapEnd(Router);

/// A worker's end.
pub struct WorkerEnd {
    batches: Receiver<Batch>,
    emptied: Sender<Batch>,
}

/// Both ends of the ways to so many workers, as in a replay: who finds a queue full waits.
#[must_use]
pub fn ways(workers: usize) -> (TapEnd, Vec<WorkerEnd>) {
    let (emptied, empty) = bounded(BATCHES_RECYCLED * workers);
    let (lanes, ends) = (0..workers)
        .map(|_| {
            let (lane, batches) = bounded(BATCHES_QUEUED);
            (lane, WorkerEnd { batches, emptied: emptied.clone() })
        })
        .unzip();
    (TapEnd(Router::new(lanes, empty, Arc::new(Shared::default()), Mode::Replay)), ends)
}

impl TapEnd {
    /// Hands over a packet of a leg.
    pub fn packet(&mut self, leg: u64, at: CaptureTime, ip_packet: &[u8]) {
        self.0.packet(LegId(leg), Track::Media, at, ip_packet);
    }

    /// Hands over the rest, and hangs up.
    pub fn end(mut self) {
        self.0.flush(false);
    }
}

impl WorkerEnd {
    /// Takes all packets, and gives the batches back; says how many packets and bytes.
    #[must_use]
    pub fn run(&self) -> (u64, u64) {
        let mut all = (0, 0);
        for mut batch in &self.batches {
            all.0 += batch.entries.iter().filter(|e| matches!(e, Entry::Packet { .. })).count() as u64;
            all.1 += batch.bytes.len() as u64;
            batch.entries.clear();
            batch.bytes.clear();
            let _ = self.emptied.try_send(batch);
        }
        all
    }
}
