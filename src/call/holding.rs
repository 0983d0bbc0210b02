//! A recorded call on hold. CUCM ends both dialogs of its Built-in Bridge by BYE, and begins two new ones with the same
//! reference when the call goes on: one call (docs/decisions/0010-bib-hold.md).

use super::dialog::Dialog;
use super::listener::Output;
use super::note::Note;
use super::offer::Side;
use super::roster::{Leg, Roster};
use super::switchboard::LegId;
use crate::limits::{RESUMES_AWAITED, SIGNALLING_LINGER};
use crate::time::CaptureTime;
use crate::wire::bib::Bib;
use std::time::Duration;

/// The next recording of a call begins at most that long before the last one is ended.
const OVERLAP: Duration = Duration::from_secs(2);

/// May the call of this dialog go on in another one? The recorder's own BYE is no hold.
pub(super) fn may_be_held(d: &Dialog) -> bool {
    d.bib.is_some() && d.answered_at.is_some() && d.bye_by == Some(Side::Caller)
}

/// A reference is of one call. Where an old version has none, the far end tells one call of a phone from its next.
fn goes_on_in(held: &Bib, new: &Bib) -> bool {
    !new.refci.is_empty() || held.far_address == new.far_address
}

impl Roster {
    /// The call that this new dialog of a Built-in Bridge goes on with: the dialog of its leg has ended there.
    pub(super) fn held_call(&self, bib: &Bib) -> Option<u64> {
        let goes_on = |call: &&u64| {
            let of_leg =
                |l: &&Leg| l.dialog.as_ref().and_then(|d| d.bib.as_ref()).is_some_and(|b| b.leg == bib.leg);
            let legs = self.calls.get(*call).map_or(&[][..], Vec::as_slice);
            let mut dialogs = legs.iter().filter_map(|id| self.legs.get(id)).filter(of_leg).peekable();
            dialogs.peek().is_some()
                && dialogs.filter_map(|l| l.dialog.as_ref()).all(|d| {
                    may_be_held(d) && d.bib.as_ref().is_some_and(|b| b.is_alike(bib) && goes_on_in(b, bib))
                })
        };
        self.pairing.up(bib).iter().rev().find(goes_on).copied()
    }

    /// The call of which only the other leg is up, however long: its reference tells that this dialog is of it.
    pub(super) fn half_call(&self, bib: &Bib) -> Option<u64> {
        let is_half = |call: &&u64| {
            let legs = self.calls.get(*call).map_or(&[][..], Vec::as_slice);
            let dialogs = || legs.iter().filter_map(|id| self.legs.get(id)?.dialog.as_deref());
            let other = |d: &Dialog| d.bib.as_ref().is_some_and(|b| b.leg != bib.leg && b.is_alike(bib));
            dialogs().all(other) && dialogs().any(|d| d.ended_at().is_none())
        };
        let up = if bib.refci.is_empty() { &[][..] } else { self.pairing.up(bib) };
        up.iter().rev().find(is_half).copied()
    }

    /// A dialog of a Built-in Bridge was ended by CUCM, which had begun the next one just before: of that call, too.
    pub(super) fn unite_with_next(&mut self, id: LegId, out: &mut impl Output) {
        let Some((call, d)) = self.legs.get(&id).and_then(|l| Some((l.call, l.dialog.as_deref()?))) else {
            return;
        };
        let (Some(bib), Some(bye), Some(answered)) = (&d.bib, d.bye_at, d.answered_at) else { return };
        if bib.refci.is_empty() || !may_be_held(d) {
            return;
        }
        let bib = bib.clone();
        let is_next = |l: &LegId| {
            self.legs.get(l).and_then(|l| l.dialog.as_deref()).is_some_and(|n| {
                let same = n.bib.as_ref().is_some_and(|b| b.leg == bib.leg && b.is_alike(&bib));
                let soon = answered < n.first_at && n.first_at <= bye && bye.since(n.first_at) <= OVERLAP;
                same && soon && n.ended_at().is_none()
            })
        };
        let others = self.pairing.up(&bib).iter().filter(|c| **c != call);
        let mut next = others.filter_map(|c| self.calls.get(c)?.iter().copied().find(is_next));
        let (Some(other), None) = (next.next(), next.next()) else { return };
        let Some(theirs) = self.legs.get(&other).map(|l| l.call) else { return };
        self.merge(id, other, "resumed", out);
        self.pairing.merged(&bib, call.max(theirs), call.min(theirs));
    }

    /// Says in the spool that a dialog is of the call of another one.
    pub(super) fn note_same(&mut self, id: LegId, call: u64, why: &str, out: &mut impl Output) {
        let first = self.calls.get(&call).into_iter().flatten().find(|l| **l != id);
        let first = first.and_then(|l| self.legs.get(l)).filter(|l| !l.call_id.is_empty());
        let Some(call_id) = first.map(|l| String::from_utf8_lossy(&l.call_id).into_owned()) else { return };
        self.answered(id, out);
        out.note(id, &Note::Same { call_id, why: why.to_owned() });
    }

    /// Legs that only wait for their call to go on give back the addresses that others may use meanwhile.
    pub(super) fn rest(&mut self, now: CaptureTime) {
        let resting = |l: &Leg| {
            !l.rests
                && now.since(l.last_at) > SIGNALLING_LINGER
                && l.dialog.as_ref().is_some_and(|d| d.bye_at.is_some() && may_be_held(d))
        };
        let all: Vec<LegId> = self.legs.iter().filter(|(_, l)| resting(l)).map(|(id, _)| *id).collect();
        for id in all {
            let flows = self.switchboard.remove(id, now);
            self.relayed.forget(id, &flows);
            let Some(leg) = self.legs.get_mut(&id) else { continue };
            leg.rests = true;
            self.resting += 1;
        }
    }

    /// How long a dialog that was ended is waited for: the answer to its BYE, and that its call goes on.
    pub(super) fn linger(&self, d: &Dialog) -> Duration {
        let waits = may_be_held(d) && self.resting <= RESUMES_AWAITED;
        if waits { SIGNALLING_LINGER.max(self.patience.resume) } else { SIGNALLING_LINGER }
    }
}
