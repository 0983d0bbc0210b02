//! Whose the frames are that come next, as far as it can be told before those between were understood.

use super::listener::Listener;
use super::switchboard::{FlowKey, Lease, LegId};
use crate::limits::FRAMES_AHEAD;
use crate::wire::frame::LinkType;
use crate::wire::glance::{self, Plain};
use smallvec::SmallVec;
use std::ops::Range;

/// A frame that is of a leg, unless something comes between.
#[derive(Clone, Debug)]
pub struct Expected {
    lease: Lease,
    /// Where in the frame the IP packet is.
    ip: Range<usize>,
}

impl Listener {
    /// These frames come next: tells what each of them will be, in their order. All the look-ups wait for memory together.
    pub fn expect<'a>(
        &self,
        frames: impl Iterator<Item = (LinkType, &'a [u8])>,
        told: &mut Vec<Option<Expected>>,
    ) {
        told.clear();
        let plain: SmallVec<[Option<Plain>; FRAMES_AHEAD]> =
            frames.map(|(link, bytes)| glance::rtp(link, bytes)).collect();
        // Nothing but the look-ups, or fewer of them are under way at a time.
        told.extend(plain.into_iter().map(|p| {
            let Plain { source, destination, ssrc, ip } = p?;
            let lease = self.roster.switchboard.expect(&FlowKey { source, destination, ssrc })?;
            Some(Expected { lease, ip })
        }));
    }

    /// The leg and the IP packet of a frame, if what was told of it still holds.
    pub(super) fn still<'a>(&self, bytes: &'a [u8], told: Option<&Expected>) -> Option<(LegId, &'a [u8])> {
        let Expected { lease, ip } = told?;
        let leg = self.roster.switchboard.holds(lease, self.roster.now)?;
        Some((leg, bytes.get(ip.clone())?))
    }
}
