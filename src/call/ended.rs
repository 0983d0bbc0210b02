//! What has ended not long ago, remembered by its hash alone.
//!
//! An hour of ended flows, named in full, took more memory than the calls that are up. 64 bits of a keyed hash are
//! enough: of 100,000 remembered, one in 10¹⁴ others is taken for one of them.

use crate::limits::{TOMBSTONE_AGE, TOMBSTONES};
use crate::time::CaptureTime;
use hashbrown::{DefaultHashBuilder, HashMap};
use std::hash::{BuildHasher as _, Hash};

/// Things that have ended, each with the time; at most [`TOMBSTONES`], for [`TOMBSTONE_AGE`].
#[derive(Default)]
pub(super) struct Ended {
    hasher: DefaultHashBuilder,
    ends: HashMap<u64, CaptureTime>,
}

impl Ended {
    /// This has ended; not remembered when there are too many.
    pub(super) fn insert(&mut self, what: &(impl Hash + ?Sized), at: CaptureTime) {
        if self.ends.len() < TOMBSTONES {
            self.ends.insert(self.hasher.hash_one(what), at);
        }
    }

    /// Has this ended, as far as is remembered?
    #[must_use]
    pub(super) fn contains(&self, what: &(impl Hash + ?Sized)) -> bool {
        self.ends.contains_key(&self.hasher.hash_one(what))
    }

    /// Forgets what ended long ago.
    pub(super) fn sweep(&mut self, now: CaptureTime) {
        self.ends.retain(|_, t| now.since(*t) < TOMBSTONE_AGE);
    }

    /// The clock was set back: nothing is younger than now.
    pub(super) fn set_back(&mut self, now: CaptureTime) {
        for t in self.ends.values_mut() {
            *t = (*t).min(now);
        }
    }
}
