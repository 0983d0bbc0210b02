//! What a recording says when its call was refused: this host could not keep up, and the call was among the newest.

use crate::call::note::{Note, Place};
use crate::call::reason::{Reason, Topic};
use crate::call::record::Event;
use crate::spool::read::LegStory;
use crate::time::CaptureTime;

/// That a call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// Its first packet that was let go.
    pub(super) from: CaptureTime,
    /// Its last; `None` when it was not told, because the recorder was killed before.
    pub(super) to: Option<CaptureTime>,
    /// Packets that were let go, as far as they were counted.
    packets: u64,
    why: String,
}

impl Refused {
    /// As the notes of its legs say; `None` when it was not.
    pub(super) fn of(legs: &[LegStory]) -> Option<Self> {
        let notes = || legs.iter().flat_map(|l| &l.notes).map(|n| &n.note);
        let at = |n: &Note| match n {
            Note::Refused { at, why } => Some((*at, why.clone())),
            _ => None,
        };
        let (from, why) = notes().filter_map(at).min()?;
        let cost = |n: &Note| match n {
            Note::Lost { to, packets, place: Place::Refused, .. } => Some((*to, *packets)),
            _ => None,
        };
        let packets = notes().filter_map(cost).map(|c| c.1).sum();
        Some(Self { from, to: notes().filter_map(cost).map(|c| c.0).max(), packets, why })
    }
}

/// It on the timeline.
pub(super) fn event(legs: &[LegStory]) -> Option<Event> {
    let Refused { from, to, packets, why } = Refused::of(legs)?;
    let until = to.map_or_else(String::new, |t| format!(" to {t}"));
    let detail = format!(
        "the recorder could not keep up ({why}), and this call was among the newest: {packets} of its packets from here{until} were let go"
    );
    Some(Event { at: from, what: "refused".to_owned(), detail })
}

/// Why its sound is missing.
pub(super) fn reason(legs: &[LegStory]) -> Option<Reason> {
    let Refused { from, packets, why, .. } = Refused::of(legs)?;
    let why = format!(
        "this host could not keep up with all calls: {why}; the newest are refused, and the older ones whole"
    );
    Some(Reason::new(from, Topic::LeftOut, "the media of the call", "refused", why).of(packets))
}
