//! What a running pipeline tells of itself, and is told of the node.

use super::board::{Part, Trouble};
use super::shared::locked;
use super::status::Memory;
use super::{Figures, Pipeline, wall_clock};
use crate::config::Config;
use crate::limits::memory::{Shape, parts, sum};
use std::sync::atomic::Ordering;

/// Spool workers, and as many finishers.
pub(super) fn workers(config: &Config) -> usize {
    match config.workers {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        n => n,
    }
}

/// What decides how much memory a live recorder with this configuration may take.
#[must_use]
pub fn memory(config: &Config, interfaces: usize) -> Shape {
    let (ring_mb, max_calls) = (config.ring_mb, config.max_calls);
    Shape { live: true, workers: workers(config), interfaces, ring_mb, max_calls }
}

impl Memory {
    /// Of a recorder of this shape with so many calls in progress.
    #[must_use]
    pub fn now(shape: &Shape, calls: usize) -> Self {
        let (usual_bytes, worst_bytes) = sum(&parts(shape, calls));
        Self { resident_bytes: super::host::resident().unwrap_or_default(), usual_bytes, worst_bytes }
    }
}

impl Pipeline {
    /// An interface, by its number, does not work, or works again.
    pub fn capture_wrong(&self, interface: usize, what: Option<&str>) {
        match what {
            Some(what) => self.shared.wrong(Part::Capture, interface, what),
            None => self.shared.well(Part::Capture, interface),
        }
    }

    /// Something happened to the node: the ledger shall have it (`earwitness events`).
    pub fn event(&self, what: &str, subject: &str, detail: &str) {
        self.shared.diary.tell(wall_clock(), what, subject, detail);
    }

    /// What is wrong now, then what was.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        self.shared.troubles()
    }

    /// What the stages behind the tap have counted.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let (queue_lost, disk_lost) = self.shared.lost();
        Figures { queue_lost, disk_lost, sealed: self.shared.sealed.load(Ordering::Relaxed) }
    }

    /// Free and all bytes of the data folder's disk, as they were a moment ago; `None` when it does not say.
    #[must_use]
    pub fn room(&self) -> Option<(u64, u64)> {
        *locked(&self.shared.room)
    }

    /// What of an earlier run's spool could not be read, and why; it stays where it is.
    #[must_use]
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }
}
