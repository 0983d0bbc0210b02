//! When a call is over, and giving it out.

use super::listener::{Counters, Output, Over};
use super::prebuffer::Ripe;
use super::record::Carried;
use super::roster::{Leg, Roster};
use crate::limits::{SETUPS_FINISHED, SIGNALLING_LINGER};
use crate::time::CaptureTime;
use std::time::Duration;

impl Roster {
    /// Passes time: what has ended is given out.
    pub fn sweep(&mut self, now: CaptureTime, counters: &mut Counters, out: &mut impl Output) {
        self.promote(now, Ripe::Old, counters, out);
        self.switchboard.sweep(now);
        self.look_after(now, out);
        self.farewells.retain(|f| now.since(f.2) < SIGNALLING_LINGER * 2);
        self.ended_ids.sweep(now);
        self.sweep_setups(counters, out);
        let over: Vec<(u64, Over)> =
            self.calls.keys().filter_map(|c| self.over(now, *c).map(|o| (*c, o))).collect();
        self.rest(now);
        let mut setups = 0;
        for (call, over) in over {
            // The end of a flood must not be a flood for the disk.
            setups += usize::from(self.is_setup(call));
            if setups > SETUPS_FINISHED && self.is_setup(call) {
                continue;
            }
            self.adopt(call, out);
            self.finish(now, call, over, out);
        }
    }

    /// Media that is held for signalling to name it is given out as calls of its own: who goes on may join them.
    pub fn park(&mut self, now: CaptureTime, counters: &mut Counters, out: &mut impl Output) {
        self.promote(now, Ripe::All, counters, out);
        self.spool_setups(out);
        self.note_all_let_go(out);
    }

    /// The capture has ended: everything is given out.
    pub fn close(&mut self, now: CaptureTime, counters: &mut Counters, out: &mut impl Output) {
        self.promote(now, Ripe::All, counters, out);
        let all: Vec<u64> = self.calls.keys().copied().collect();
        for call in &all {
            self.adopt(*call, out);
        }
        for call in all {
            let over = self.over(now, call).unwrap_or(Over::CaptureEnded);
            self.finish(now, call, over, out);
        }
    }

    /// Is the call over at this time, and why? When its legs differ, the last word is that of the longest.
    fn over(&self, now: CaptureTime, call: u64) -> Option<Over> {
        let legs = self.calls.get(&call)?;
        let mut all: Option<(CaptureTime, Over)> = None;
        // Media that a dialog has named goes by that dialog.
        for leg in legs.iter().filter_map(|id| self.legs.get(id)).filter(|l| l.joined.is_none()) {
            let one = self.leg_over(now, leg)?;
            all = all.filter(|a| a.0 >= one.0).or(Some(one));
        }
        all.map(|a| a.1)
    }

    fn leg_over(&self, now: CaptureTime, leg: &Leg) -> Option<(CaptureTime, Over)> {
        let last = leg.media_at.map_or(leg.last_at, |m| m.max(leg.last_at));
        let idle = now.since(self.listens_since.map_or(last, |t| t.max(last)));
        let Some(d) = &leg.dialog else {
            return (idle > self.patience.media).then_some((last, Over::Silent));
        };
        if d.ended_at().is_some() {
            return (now.since(leg.last_at) > self.linger(d)).then_some((last, Over::Signalled));
        }
        let over = if d.answered_at.is_none() { Over::Unanswered } else { Over::Silent };
        self.patience_with(leg).filter(|p| idle > p.0).map(|_| (last, over))
    }

    /// How long a leg that has not ended may be silent, and the key of the configuration that says so.
    pub(super) fn patience_with(&self, leg: &Leg) -> Option<(Duration, &'static str)> {
        let p = self.patience;
        let (media, hold, setup) =
            ((p.media, "media_timeout_s"), (p.hold, "hold_timeout_s"), (p.setup, "setup_timeout_s"));
        let Some(d) = &leg.dialog else { return Some(media) };
        if d.ended_at().is_some() {
            return None;
        }
        Some(match (d.answered_at, leg.media_at) {
            // Early media, then ringing: silence is no end before the answer.
            (None, _) => setup,
            (Some(_), None) => hold,
            (_, Some(_)) if d.on_hold() => hold,
            (_, Some(_)) => media,
        })
    }

    pub(super) fn finish(&mut self, now: CaptureTime, call: u64, over: Over, out: &mut impl Output) {
        let Some(legs) = self.calls.remove(&call) else {
            return;
        };
        let carried: Vec<Carried> = legs.iter().filter_map(|id| self.carry(*id, out)).collect();
        self.explain_end(&legs, over, out);
        self.admission.forget(call);
        for id in &legs {
            self.answered(*id, out);
            self.note_let_go(*id, out);
            let flows = self.switchboard.remove(*id, now);
            self.relayed.forget(*id, &flows);
            let Some(leg) = self.legs.remove(id) else { continue };
            self.resting -= usize::from(leg.rests);
            self.weight -= leg.weight;
            if let Some(d) = &leg.dialog {
                self.forget_tokens(*id, d);
            }
            if let Some(bib) = leg.dialog.as_ref().and_then(|d| d.bib.as_ref()) {
                self.pairing.end(bib, call);
            }
            if let Some(p) = leg.primary {
                self.recorded.remove(&(p, *id));
            }
            if leg.dialog.is_none() {
                self.alone.remove(leg.ends, *id);
            } else if self.by_call_id.get(&leg.call_id) == Some(id) {
                // Not that of a younger leg of the same Call-ID, when an earlier run left both.
                self.by_call_id.remove(&leg.call_id);
                self.ended_ids.insert(leg.call_id.as_slice(), now);
            }
        }
        out.finish(&legs, over, carried.into_iter().next());
    }
}
