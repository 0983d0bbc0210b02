//! One clock for a leg whose host's clock was set while it was up.
//!
//! Packets stay in the files as they were stamped. Each step has a note with the lengths of the files at that moment:
//! records behind them are dated by the new clock. What is read back is dated by one clock alone.

use super::format::Noted;
use crate::call::note::Note;
use crate::time::CaptureTime;

/// Which clock that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// That of the leg's beginning: a recording goes on as it began.
    Beginning,
    /// That of its end: what goes on goes on with the host's clock.
    End,
}

/// A step of the host's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Lengths of the signalling file and of that of all packets.
    pub(super) offsets: [u64; 2],
    /// Nanoseconds to add to what is behind them.
    pub(super) by: i64,
}

/// The steps of a leg; its notes are dated by the one clock too.
pub(super) fn one_clock(notes: &mut [Noted], base: Base) -> Vec<Step> {
    let by = |n: &Noted| match n.note {
        Note::ClockStep { from, to } => Some(from.0.saturating_sub(to.0)),
        _ => None,
    };
    let mut steps = Vec::new();
    // A file that lost its tail with the power is shorter than a note says: its next note says where it went on.
    let mut most = [u64::MAX; 2];
    for n in notes.iter().rev() {
        most = [most[0].min(n.signalling), most[1].min(n.all)];
        steps.extend(by(n).map(|by| Step { offsets: most, by }));
    }
    steps.reverse();
    // Notes that were damaged may say anything.
    let all = steps.iter().fold(0i64, |sum, s| sum.saturating_add(s.by));
    let mut shift = match base {
        Base::Beginning => 0,
        Base::End => all.saturating_neg(),
    };
    if shift != 0 {
        steps.insert(0, Step { offsets: [0; 2], by: shift });
    }
    for n in notes {
        let step = by(n).unwrap_or(0);
        let moved = |t: &mut CaptureTime| t.0 = t.0.saturating_add(shift);
        match &mut n.note {
            Note::Lost { from, to, .. } | Note::Restart { from, to } | Note::ClockStep { from, to } => {
                moved(from);
                moved(to);
            }
            Note::Carried(c) => moved(&mut c.lost_at),
            Note::Reason(r) => moved(&mut r.at),
            Note::Refused { at, .. } => moved(at),
            Note::Joined { .. } | Note::Same { .. } => {}
        }
        shift = shift.saturating_add(step);
    }
    steps
}
