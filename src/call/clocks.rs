//! Two clocks: the host's, which people and NTP set, and one that only goes on.
//!
//! Everything in the tap waits and compares in *steady* time, which is the host's clock as it was when the tap began.
//! When that clock is set, the difference is kept here, and nothing that waits is early or late by it. What goes out is
//! dated by the host's clock again.

use super::listener::{Output, Over, Track};
use super::note::Note;
use super::reason::Reason;
use super::record::Carried;
use super::switchboard::LegId;
use super::witness::Loss;
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use std::time::Duration;

/// How long after a step frames may come that were stamped before it.
const STALE: Duration = Duration::from_secs(1);

/// What the host's clock is ahead of steady time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clocks {
    /// Nanoseconds.
    ahead: i64,
    /// The same before the last step, and until when frames of then may come.
    before: Option<(i64, CaptureTime)>,
}

fn moved(at: CaptureTime, by: i64) -> CaptureTime {
    CaptureTime(at.0.saturating_add(by))
}

impl Clocks {
    /// The host's clock was set.
    pub(super) fn step(&mut self, from: CaptureTime, to: CaptureTime, now: CaptureTime) {
        self.before = Some((self.ahead, now + STALE));
        self.ahead = self.ahead.saturating_add(to.0.saturating_sub(from.0));
    }

    /// Steady time of what the host's clock stamped; `now` is the steady time of the last frame.
    pub(super) fn steady(&self, at: CaptureTime, now: CaptureTime) -> CaptureTime {
        let steady = moved(at, -self.ahead);
        let far = |t: CaptureTime| t.0.abs_diff(now.0);
        match self.before.filter(|b| now <= b.1).map(|b| moved(at, -b.0)) {
            Some(stale) if far(stale) < far(steady) => stale,
            _ => steady,
        }
    }

    /// The host's clock at a steady time, as it is set now.
    pub(super) fn host(&self, steady: CaptureTime) -> CaptureTime {
        moved(steady, self.ahead)
    }

    pub(super) fn loss(&self, l: &Loss) -> Loss {
        Loss { from: self.host(l.from), back: l.back.map(|t| self.host(t)), evidence: l.evidence.clone() }
    }
}

/// Dates what goes out by the host's clock.
pub(super) struct Dated<'a, O> {
    pub(super) out: &'a mut O,
    pub(super) clocks: Clocks,
}

impl<O: Output> Output for Dated<'_, O> {
    fn open(&mut self, leg: LegId, name: &str) {
        self.out.open(leg, name);
    }

    fn packet(&mut self, leg: LegId, track: Track, at: CaptureTime, ip_packet: &[u8]) {
        self.out.packet(leg, track, self.clocks.host(at), ip_packet);
    }

    fn note(&mut self, leg: LegId, note: &Note) {
        let dated = match note {
            Note::Carried(c) => Note::Carried(Carried { lost_at: self.clocks.host(c.lost_at), ..c.clone() }),
            Note::Reason(r) => Note::Reason(Reason { at: self.clocks.host(r.at), ..r.clone() }),
            Note::Refused { at, why } => Note::Refused { at: self.clocks.host(*at), why: why.clone() },
            Note::Lost { from, to, packets, place } => {
                let [from, to] = [*from, *to].map(|t| self.clocks.host(t));
                Note::Lost { from, to, packets: *packets, place: *place }
            }
            other => other.clone(),
        };
        self.out.note(leg, &dated);
    }

    fn finish(&mut self, legs: &[LegId], over: Over, carried: Option<Carried>) {
        let dated = carried.map(|c| Carried { lost_at: self.clocks.host(c.lost_at), ..c });
        self.out.finish(legs, over, dated);
    }

    fn primary(&mut self, primary: Endpoint, loss: &Loss) {
        self.out.primary(primary, &self.clocks.loss(loss));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_stamped_before_a_step_and_after_it() {
        let t = |s: i64| CaptureTime::from_parts(s, 0);
        for by in [3600, -3600, 3, -3] {
            let mut c = Clocks::default();
            c.step(t(1000), t(1000 + by), t(1000));
            assert_eq!(c.steady(t(1000), t(1000)), t(1000), "stamped before, {by}");
            assert_eq!(c.steady(t(1000 + by), t(1000)), t(1000), "stamped after, {by}");
            assert_eq!(c.steady(t(1005 + by), t(1005)), t(1005), "later, {by}");
            assert_eq!(c.host(t(1005)), t(1005 + by));
        }
    }
}
