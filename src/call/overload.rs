//! When this host cannot keep up with all calls: the newest are refused whole, the older ones are recorded whole.
//!
//! A call is admitted with its first packet of media, all its legs together. While no more are admitted, that packet and
//! all behind it are let go, and counted on the call; its signalling is kept, so that the ledger has a row that says so.
//! Calls that were admitted may be shed, the newest first, those whose primary was lost last. What was refused stays so.

use super::listener::{Listener, Output};
use super::note::{Note, Place};
use super::roster::Roster;
use super::switchboard::{FlowKey, LegId};
use crate::time::CaptureTime;
use crate::wire::rtp;
use std::collections::BTreeSet;

/// What was let go because this host could not keep up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Calls that lack media for it.
    pub calls: u64,
    /// Their packets.
    pub packets: u64,
    /// Messages of dialogs that had said too much, when all dialogs together took all the memory they may: in the spool, and not
    /// followed.
    pub unheard: u64,
    /// Packets of RTP that no call had claimed, not held for one meanwhile.
    pub unclaimed: u64,
}

/// Packets of a refused leg.
#[derive(Debug, Default)]
pub(super) struct LetGo {
    /// It is noted in the leg's spool that it is refused.
    noted: bool,
    packets: u64,
    from: CaptureTime,
    to: CaptureTime,
}

impl LetGo {
    /// Of a leg that an earlier run has refused.
    pub(super) fn before() -> Self {
        Self { noted: true, ..Self::default() }
    }
}

/// Which calls are recorded.
#[derive(Debug)]
pub(super) struct Admission {
    /// Why no more are admitted now; `None` while they are.
    closed: Option<String>,
    /// Calls admitted at once, at most.
    most: usize,
    /// Calls that have media and were admitted; they are numbered as they begin.
    recorded: BTreeSet<u64>,
    /// Calls that were shed and have lost nothing by it so far.
    shed: BTreeSet<u64>,
    refusals: Refusals,
}

impl Default for Admission {
    fn default() -> Self {
        let (recorded, shed) = (BTreeSet::new(), BTreeSet::new());
        Self { closed: None, most: usize::MAX, recorded, shed, refusals: Refusals::default() }
    }
}

impl Admission {
    fn is_open(&self) -> bool {
        self.closed.is_none() && self.recorded.len() < self.most
    }

    fn why(&self) -> String {
        self.closed.clone().unwrap_or_else(|| format!("max_calls, {}, were recorded", self.most))
    }

    pub(super) fn leave_unheard(&mut self) {
        self.refusals.unheard += 1;
    }

    /// A call of an earlier run has media.
    pub(super) fn resume(&mut self, call: u64) {
        self.recorded.insert(call);
    }

    /// A call is over, or part of another.
    pub(super) fn forget(&mut self, call: u64) -> bool {
        self.shed.remove(&call);
        self.recorded.remove(&call)
    }

    /// May media that no call has claimed become a call of its own? Packets that may not are counted.
    pub(super) fn takes_unclaimed(&mut self, packets: usize) -> bool {
        let open = self.is_open();
        self.refusals.unclaimed += if open { 0 } else { packets as u64 };
        open
    }
}

impl Roster {
    /// May a packet of this leg be recorded, its first or one of a refused leg? If not, it is counted.
    pub(super) fn admits(&mut self, at: CaptureTime, id: LegId, out: &mut impl Output) -> bool {
        let Some(leg) = self.legs.get(&id) else { return false };
        let call = leg.call;
        if !leg.refused {
            if self.admission.recorded.contains(&call) {
                return true;
            }
            let others = self.calls.get(&call).map_or(&[][..], Vec::as_slice);
            let refused = others.iter().any(|l| self.legs.get(l).is_some_and(|l| l.refused));
            if !refused && self.admission.is_open() {
                return self.admission.recorded.insert(call);
            }
            self.refuse(call, true);
        }
        self.pass_by(at, id, out);
        false
    }

    fn refuse(&mut self, call: u64, refused: bool) {
        for id in self.calls.get(&call).map_or(&[][..], Vec::as_slice) {
            if let Some(l) = self.legs.get_mut(id) {
                l.refused = refused;
            }
            self.switchboard.revoke(*id);
        }
    }

    /// A packet of a refused leg. Of silence its call is told by as ever.
    fn pass_by(&mut self, at: CaptureTime, id: LegId, out: &mut impl Output) {
        self.admission.refusals.packets += 1;
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.media_at = Some(self.now);
        let (call, joined) = (leg.call, leg.joined);
        let l = leg.let_go.get_or_insert_default();
        (l.from, l.to) = (if l.packets == 0 { at } else { l.from }, at);
        l.packets += 1;
        let told = std::mem::replace(&mut l.noted, true);
        if let Some(d) = joined.and_then(|d| self.legs.get_mut(&d)) {
            d.media_at = Some(self.now);
        }
        if !told {
            self.admission.shed.remove(&call);
            let others = self.calls.get(&call).map_or(&[][..], Vec::as_slice);
            let first =
                others.iter().filter(|l| self.legs.get(*l).is_some_and(|l| l.let_go.is_some())).count() == 1;
            self.admission.refusals.calls += u64::from(first);
            out.note(id, &Note::Refused { at, why: self.admission.why() });
        }
    }

    /// How much was let go of a leg that is over, or waits for the next run.
    pub(super) fn note_let_go(&mut self, id: LegId, out: &mut impl Output) {
        let Some(l) = self.legs.get_mut(&id).and_then(|l| l.let_go.as_deref_mut()) else { return };
        let (packets, from, to) = (std::mem::take(&mut l.packets), l.from, l.to);
        if packets > 0 {
            out.note(id, &Note::Lost { from, to, packets, place: Place::Refused });
        }
    }

    /// The same of all legs.
    pub(super) fn note_all_let_go(&mut self, out: &mut impl Output) {
        for id in self.legs.keys().copied().collect::<Vec<_>>() {
            self.note_let_go(id, out);
        }
    }

    /// Legs of one call have become part of another: when one of the two is recorded, all of it is.
    pub(super) fn admit_together(&mut self, old: u64, call: u64) {
        let recorded = self.admission.forget(old);
        if recorded || self.admission.recorded.contains(&call) {
            self.admission.recorded.insert(call);
            self.admission.shed.remove(&call);
            self.refuse(call, false);
        }
    }

    /// Media that nobody has named, while no calls are admitted: not even held. What is held already stays so.
    pub(super) fn passes_over(&mut self, flow: &FlowKey, payload: &[u8]) -> bool {
        let over =
            self.admission.closed.is_some() && !self.prebuffer.holds(flow) && rtp::parse(payload).is_ok();
        self.admission.refusals.unclaimed += u64::from(over);
        over
    }

    /// Sheds the newest calls until so many are left; those whose primary was lost go last.
    fn shed(&mut self, keep: usize) {
        for carried_too in [false, true] {
            let more = self.admission.recorded.len().saturating_sub(keep);
            let may = |c: &&u64| carried_too || !self.is_carried(**c);
            let newest: Vec<u64> =
                self.admission.recorded.iter().rev().filter(may).take(more).copied().collect();
            for call in newest {
                self.admission.recorded.remove(&call);
                self.admission.shed.insert(call);
                self.refuse(call, true);
            }
        }
    }

    fn is_carried(&self, call: u64) -> bool {
        let legs = self.calls.get(&call).map_or(&[][..], Vec::as_slice);
        legs.iter().any(|id| self.legs.get(id).is_some_and(|l| l.carried.is_some()))
    }

    /// Calls are admitted again. Those that were shed and have lost nothing by it go on.
    fn reopen(&mut self) {
        self.admission.closed = None;
        for call in std::mem::take(&mut self.admission.shed) {
            self.refuse(call, false);
            self.admission.recorded.insert(call);
        }
    }
}

impl Listener {
    /// No more calls are recorded than these at once: newer ones are refused.
    pub fn bound_calls(&mut self, most: usize) {
        self.roster.admission.most = most;
    }

    /// Admits no more calls, for this reason, and keeps at most so many of those that are recorded: the oldest.
    pub fn refuse(&mut self, why: &str, keep: usize) {
        self.roster.admission.closed = Some(why.to_owned());
        self.roster.shed(keep);
    }

    /// Admits calls again.
    pub fn admit(&mut self) {
        self.roster.reopen();
    }

    /// Calls in progress that have media and are recorded.
    #[must_use]
    pub fn recorded_up(&self) -> usize {
        self.roster.admission.recorded.len()
    }

    /// What was let go because this host could not keep up.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        self.roster.admission.refusals
    }
}
