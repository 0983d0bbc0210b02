//! A call whose id the ledger knows already: is it the same recording, a fuller one, or another call?
//!
//! Nothing that was recorded is given up for less. A second replay of a file changes nothing; a capture that holds
//! more of the call replaces the part; and what only shares the Call-ID (two halves of a capture replayed one by
//! one, a load generator that counts from 1 again) is kept beside it under an id of its own. A recording of the same
//! packets that could decode more of them takes the place of the one that could less: so a call whose codec was not
//! known is heard once its sealed packets are replayed by a build that knows it.

use crate::call::identity;
use crate::call::record::{CallRecord, Carried};
use crate::time::CaptureTime;

/// The event of a codec that was not decoded.
pub const NOT_DECODED: &str = "not-decoded";

/// How much of a call a recording holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    from: CaptureTime,
    to: CaptureTime,
    packets: u64,
    /// Codecs in it that were not decoded.
    undecoded: usize,
    /// Its dialogs, sorted.
    call_ids: Vec<String>,
}

impl Extent {
    /// The extent of a record.
    #[must_use]
    pub fn of(r: &CallRecord) -> Self {
        let starts = r.streams.iter().map(|s| s.started_at).chain(r.started_at).chain(r.answered_at);
        let ends = r.streams.iter().map(|s| s.ended_at).chain(r.ended_at);
        // The ledger keeps microseconds.
        let us = |t: Option<CaptureTime>| CaptureTime::from_micros(t.unwrap_or_default().micros());
        Self {
            from: us(starts.min().or(r.ended_at)),
            to: us(ends.max()),
            packets: r.streams.iter().map(|s| s.packets).sum(),
            undecoded: r.events.iter().filter(|e| e.what == NOT_DECODED).count(),
            call_ids: r.call_ids.clone(),
        }
    }

    /// Its dialogs.
    #[must_use]
    pub fn call_ids(&self) -> &[String] {
        &self.call_ids
    }

    /// Is it some of the dialogs of a call that holds all of it? So is what is left when the spool of a call of several
    /// dialogs was being removed and a kill came in between.
    #[must_use]
    pub fn is_part_of(&self, whole: &Self) -> bool {
        !self.call_ids.is_empty()
            && self.call_ids.len() < whole.call_ids.len()
            && self.call_ids.iter().all(|c| whole.call_ids.contains(c))
            && self.within(whole)
    }

    /// Is all of `self` in `other`?
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.from >= other.from && self.to <= other.to && self.packets <= other.packets
    }
}

/// What becomes of a call that was just finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody knows it, or it is fuller than what is known: it is sealed under its id.
    Seal,
    /// It is known already, as full or fuller.
    Known,
    /// Another call: it is sealed under [`apart`]'s id.
    Apart,
}

/// What the keeper of ids answers to a finished call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It may be sealed under this id, in place of a lesser recording with these files.
    Yours {
        /// Files of the lesser recording, relative to the data folder.
        replaces: Vec<String>,
        /// Ids of recordings of some of its dialogs, of which it holds all: their files are among those.
        supersedes: Vec<String>,
        /// That it was carried past the loss of its primary: what proved it may not be among its own packets.
        carried: Option<Carried>,
    },
    /// It is known already, as full or fuller.
    Known,
    /// Another call has the id.
    Apart,
    /// A call of this id is being sealed: ask again when those are sealed that were claimed before this one.
    Later,
}

/// Weighs a new recording against the known one of the same id.
#[must_use]
pub fn settle(new: &Extent, known: Option<&Extent>) -> Verdict {
    match known {
        None => Verdict::Seal,
        Some(k) if k.within(new) && (!new.within(k) || new.undecoded < k.undecoded) => Verdict::Seal,
        Some(k) if new.within(k) => Verdict::Known,
        Some(_) => Verdict::Apart,
    }
}

/// The id of a call beside another of the same Call-ID: still from the wire, by its own extent, so that the same
/// call gets the same id again and no two different ones share it.
#[must_use]
pub fn apart(id: &str, extent: &Extent) -> String {
    let (from, to) = (extent.from.micros().to_be_bytes(), extent.to.micros().to_be_bytes());
    identity::short_hash(&[b"apart", id.as_bytes(), &from, &to, &extent.packets.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(from: i64, to: i64, packets: u64) -> Extent {
        Extent { from: CaptureTime(from), to: CaptureTime(to), packets, undecoded: 2, call_ids: Vec::new() }
    }

    #[test]
    fn the_fuller_one_stays() {
        let known = extent(10, 20, 100);
        assert_eq!(settle(&known, None), Verdict::Seal);
        assert_eq!(settle(&known, Some(&known)), Verdict::Known);
        assert_eq!(settle(&extent(10, 15, 50), Some(&known)), Verdict::Known);
        assert_eq!(settle(&extent(10, 25, 150), Some(&known)), Verdict::Seal);
        assert_eq!(settle(&extent(15, 25, 100), Some(&known)), Verdict::Apart);
        assert_eq!(settle(&extent(30, 40, 9), Some(&known)), Verdict::Apart);
        assert_eq!(settle(&extent(10, 20, 120), Some(&known)), Verdict::Seal);
    }

    #[test]
    fn the_same_packets_decoded_by_more_codecs_take_the_place() {
        let known = extent(10, 20, 100);
        let decoded = Extent { undecoded: 0, ..known.clone() };
        assert_eq!(settle(&decoded, Some(&known)), Verdict::Seal);
        assert_eq!(settle(&known, Some(&decoded)), Verdict::Known);
        // But not a part of them.
        let part = Extent { undecoded: 0, ..extent(10, 15, 50) };
        assert_eq!(settle(&part, Some(&known)), Verdict::Known);
    }
}
