//! Why a flow was tied to the leg that has it, and what was not tied at all.

use super::{FlowKey, LegId, Owner, Route, Switchboard};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;

/// Other legs that are told of; an address may be claimed by 64.
const OTHERS: usize = 4;

/// Why a flow leaves the leg it was tied to.
pub(in crate::call) const ENDED: &str = "the call that had it has ended";
/// The same for media alone.
pub(in crate::call) const SILENT: &str = "it was media alone that has fallen silent";
/// The same between two calls that are up.
pub(in crate::call) const FITS: &str = "its source fits the new call better";

/// The same for a flow that came before the answer of the new call.
pub(in crate::call) const SECOND: &str =
    "it began just before the new call named the address, where the other one had media already";

/// What a claim on a place is worth: the greatest has the flow. On the destination before the source (symmetric RTP)
/// comes first, see [`Switchboard::best`].
type Merit = (bool, bool, u8, bool, LegId);

/// A flow that was tied.
#[derive(Clone, Debug)]
pub(in crate::call) struct Tie {
    pub(in crate::call) flow: FlowKey,
    /// The end of the flow that the leg claims.
    pub(in crate::call) address: Endpoint,
    /// It is claimed as the port for RTCP.
    pub(in crate::call) rtcp: bool,
    /// How well the source fits: 2 it is named, 1 its host is, 0 neither.
    pub(in crate::call) fit: u8,
    /// Other legs that claim the address: what decided.
    pub(in crate::call) others: Vec<(LegId, Decided)>,
    /// Still others.
    pub(in crate::call) more: usize,
}

/// What spoke for the leg that got a flow, against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::call) enum Decided {
    /// The other has ended.
    Ended,
    /// To the other it would be RTCP.
    Rtcp,
    /// Its source fits less.
    Source,
    /// It has media there already.
    Taken,
    /// Nothing but that the other is older.
    Older,
}

/// Packets of a leg's flows that are not in its spool.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::call) struct LeftOut {
    /// After its end.
    pub(in crate::call) late: u64,
    /// The last of those.
    pub(in crate::call) late_at: CaptureTime,
    /// Packets that had to be looked up one by one: there were too many flows.
    pub(in crate::call) untied: u64,
}

impl Switchboard {
    /// Why the last flow was tied as it was; once.
    pub(in crate::call) fn tied(&mut self) -> Option<Box<Tie>> {
        self.tied.take()
    }

    pub(super) fn merit(&self, at: CaptureTime, o: &Owner, flow: &FlowKey) -> Merit {
        let live = matches!(self.open_or_ended(at, o.leg), Route::Leg(_));
        (live, !o.rtcp, self.fit(o.leg, flow), o.flows == 0, o.leg)
    }

    /// Why `leg` has the best claim; to be asked before it has the flow.
    pub(super) fn why(&self, at: CaptureTime, flow: FlowKey, leg: LegId, address: Endpoint) -> Tie {
        let all = self.places.get(&address).map_or(&[][..], |p| p.as_slice());
        let own = all.iter().find(|o| o.leg == leg);
        let rtcp = own.is_some_and(|o| o.rtcp);
        let fit = self.fit(leg, &flow);
        let mut others = Vec::new();
        if let Some(own) = own.map(|o| self.merit(at, o, &flow)) {
            let other = |o: &Owner| (o.leg, decided(own, self.merit(at, o, &flow)));
            others.extend(all.iter().filter(|o| o.leg != leg).map(other));
        }
        // Those that are up are of interest.
        others.sort_by_key(|o| (o.1 == Decided::Ended, o.0));
        let more = others.len().saturating_sub(OTHERS);
        others.truncate(OTHERS);
        Tie { flow, address, rtcp, fit, others, more }
    }

    /// A packet came after the end of the call it would have been of. Says nothing when that is sealed already.
    pub(in crate::call) fn came_late(&mut self, at: CaptureTime, flow: FlowKey) {
        let leg = self.flows.get(&flow).map(|t| t.leg).or_else(|| self.best(at, flow).map(|b| b.0));
        if let Some(l) = leg.and_then(|l| self.legs.get_mut(&l)) {
            l.left_out.late += 1;
            l.left_out.late_at = l.left_out.late_at.max(at);
        }
    }

    pub(super) fn count_untied(&mut self, leg: LegId) {
        if let Some(l) = self.legs.get_mut(&leg) {
            l.left_out.untied += 1;
        }
    }

    /// What of a leg's flows is not in its spool, or was hard to place.
    pub(in crate::call) fn left_out(&self, leg: LegId) -> LeftOut {
        self.legs.get(&leg).map(|l| l.left_out).unwrap_or_default()
    }
}

/// The first thing in which they differ.
fn decided(own: Merit, other: Merit) -> Decided {
    let differs = [own.0 != other.0, own.1 != other.1, own.2 != other.2, own.3 != other.3];
    let all = [Decided::Ended, Decided::Rtcp, Decided::Source, Decided::Taken];
    differs.iter().zip(all).find(|d| *d.0).map_or(Decided::Older, |d| d.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decided_is_the_first_difference() {
        let own = (true, true, 2, true, LegId(9));
        let than = |o: Merit| decided(own, o);
        assert_eq!(than((false, false, 0, false, LegId(1))), Decided::Ended);
        assert_eq!(than((true, false, 0, false, LegId(1))), Decided::Rtcp);
        assert_eq!(than((true, true, 1, true, LegId(1))), Decided::Source);
        assert_eq!(than((true, true, 2, false, LegId(1))), Decided::Taken);
        assert_eq!(than((true, true, 2, true, LegId(1))), Decided::Older);
    }
}
