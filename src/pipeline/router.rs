//! The tap's end of the channels: packets are gathered into batches, by call.

use super::{PipelineError, Shared};
use crate::call::listener::{Output, Over, Track};
use crate::call::record::Carried;
use crate::call::switchboard::LegId;
use crate::limits::{BATCH_BYTES, BATCH_PACKETS};
use crate::spool::format::record_header;
use crate::time::CaptureTime;
use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;

/// What the tap hands to a spool worker, many at once.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// Records of the spool, header and packet, one behind the other.
    pub(super) bytes: Vec<u8>,
}

pub(super) enum Entry {
    Open(LegId, String),
    Packet { leg: LegId, track: Track, end: usize },
    Finish(Vec<LegId>, Over, Option<Carried>),
}

/// The tap's end of the channels.
pub(super) struct Router {
    pub(super) lanes: Vec<(Batch, Sender<Batch>)>,
    pub(super) empty: Receiver<Batch>,
    pub(super) shared: Arc<Shared>,
}

impl Router {
    fn lane(&mut self, call: u64) -> Option<&mut (Batch, Sender<Batch>)> {
        let n = self.lanes.len() as u64;
        self.lanes.get_mut(usize::try_from(call % n.max(1)).unwrap_or(0))
    }

    fn push(&mut self, call: u64, entry: Entry) {
        let fresh = || self.empty.try_recv().unwrap_or_default();
        let n = self.lanes.len() as u64;
        let Some(lane) = self.lanes.get_mut(usize::try_from(call % n.max(1)).unwrap_or(0)) else { return };
        lane.0.entries.push(entry);
        if lane.0.entries.len() >= BATCH_PACKETS || lane.0.bytes.len() >= BATCH_BYTES {
            let full = std::mem::replace(&mut lane.0, fresh());
            // A worker only ends before the tap when it has died.
            if lane.1.send(full).is_err() {
                self.shared.fail(PipelineError::Died);
            }
        }
    }

    pub(super) fn flush(&mut self) {
        for (batch, lane) in &mut self.lanes {
            let _ = lane.send(std::mem::take(batch));
        }
    }
}

impl Output for Router {
    fn open(&mut self, call: u64, leg: LegId, name: &str) {
        self.push(call, Entry::Open(leg, name.to_owned()));
    }

    fn packet(&mut self, call: u64, leg: LegId, track: Track, at: CaptureTime, ip_packet: &[u8]) {
        let Some((batch, _)) = self.lane(call) else { return };
        let length = u32::try_from(ip_packet.len()).unwrap_or(u32::MAX);
        batch.bytes.extend_from_slice(&record_header(at, length));
        batch.bytes.extend_from_slice(ip_packet);
        let end = batch.bytes.len();
        self.push(call, Entry::Packet { leg, track, end });
    }

    fn finish(&mut self, call: u64, legs: &[LegId], over: Over, carried: Option<Carried>) {
        self.push(call, Entry::Finish(legs.to_vec(), over, carried));
    }
}
