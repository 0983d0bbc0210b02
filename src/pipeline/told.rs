//! What a running pipeline tells of itself, and is told of the node.

use super::board::{Part, Trouble};
use super::shared::locked;
use super::{Figures, Pipeline, wall_clock};
use std::sync::atomic::Ordering;

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
