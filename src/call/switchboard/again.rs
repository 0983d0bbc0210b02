//! Flows that go from one leg to another, when another call names where they go.

use super::{FlowKey, LegId, Switchboard, tie};
use crate::limits::MEDIA_BEFORE_ITS_ANSWER;
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;

impl Switchboard {
    /// New claims on addresses: flows tied to them whose leg has ended are untied, and those that fit the new leg better at
    /// any of its addresses: only now it may have said where its sender is.
    /// `live`: does media flow in this leg? Media alone that does, and that the new leg has not joined, is another's.
    /// Gives those flows, the legs they were tied to, and why.
    pub fn reconsider(
        &mut self,
        at: CaptureTime,
        leg: LegId,
        addresses: &[Endpoint],
        live: impl Fn(LegId) -> bool,
    ) -> Vec<(FlowKey, LegId, &'static str)> {
        let known = self.legs.get(&leg).filter(|_| !addresses.is_empty()).map(|l| l.known.clone());
        let all = known.unwrap_or_default().into_iter();
        all.flat_map(|a| self.reconsider_one(at, leg, a, addresses.contains(&a), &live)).collect()
    }

    fn reconsider_one(
        &mut self,
        at: CaptureTime,
        leg: LegId,
        address: Endpoint,
        new: bool,
        live: &impl Fn(LegId) -> bool,
    ) -> Vec<(FlowKey, LegId, &'static str)> {
        let better = |f: &FlowKey| {
            // A flow that is listed is tied.
            let old = self.flows.get(f)?.leg;
            let gone = Some((*f, old, tie::ENDED));
            let Some(l) = self.legs.get(&old) else { return gone };
            let alone = l.known.is_empty() && l.of.is_none();
            if old == leg {
                None
            } else if l.ended_at.is_some() {
                gone.filter(|_| new)
            } else if alone {
                (new && !live(old)).then_some((*f, old, tie::SILENT))
            } else {
                let (has, had) = (self.fit(leg, f), self.fit(old, f));
                // Where its sender is, the new call may say later, in its ACK.
                let second = had < 2 && self.is_second(at, f);
                let why = if has > had { Some(tie::FITS) } else { second.then_some(tie::SECOND) };
                why.map(|why| (*f, old, why))
            }
        };
        let moved: Vec<_> = self.arriving(address).filter_map(better).collect();
        for f in &moved {
            self.untie(f.0);
        }
        moved
    }

    /// Did this flow begin just now, where its leg had media already?
    fn is_second(&self, at: CaptureTime, flow: &FlowKey) -> bool {
        self.second.iter().any(|(t, f)| f == flow && at.since(*t) <= MEDIA_BEFORE_ITS_ANSWER)
    }
}
