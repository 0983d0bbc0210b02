//! Which dialogs are one call: the near-end and far-end dialogs of a Cisco Built-in Bridge.

use crate::limits::HALVES_WAITING;
use crate::time::CaptureTime;
use crate::wire::bib::Bib;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::time::Duration;

/// CUCM sends the two INVITEs some 5 ms apart; a resume after hold, with the same reference, comes seconds later.
const TOGETHER: Duration = Duration::from_secs(2);

/// Calls of one reference that are looked at: two recorded lines may share it, not more.
const ALIKE: usize = 8;

struct Half {
    bib: Bib,
    at: CaptureTime,
    call: u64,
}

/// Built-in Bridge calls by what their dialogs have in common.
#[derive(Default)]
pub struct Pairing {
    /// Halves that wait for the other.
    waiting: HashMap<String, SmallVec<[Half; 1]>>,
    /// How many.
    halves: usize,
    swept_at: CaptureTime,
    /// Calls that are up.
    up: HashMap<String, SmallVec<[u64; 1]>>,
}

impl Pairing {
    /// The call that this leg completes; else the leg waits, as the first of `call`.
    pub fn join(&mut self, at: CaptureTime, bib: &Bib, call: u64) -> Option<u64> {
        if at.since(self.swept_at) >= TOGETHER {
            self.swept_at = at;
            self.waiting.retain(|_, halves| {
                halves.retain(|h| at.since(h.at) <= TOGETHER);
                !halves.is_empty()
            });
            self.halves = self.waiting.values().map(SmallVec::len).sum();
        }
        let key = bib.key();
        if let Some(halves) = self.waiting.get_mut(&key) {
            let fits = |h: &Half| h.bib.leg != bib.leg && h.bib.is_alike(bib) && at.since(h.at) <= TOGETHER;
            if let Some(i) = halves.iter().position(fits) {
                self.halves = self.halves.saturating_sub(1);
                return Some(halves.remove(i).call);
            }
        }
        let halves = self.waiting.entry(key).or_default();
        if self.halves < HALVES_WAITING && halves.len() < ALIKE {
            halves.push(Half { bib: bib.clone(), at, call });
            self.halves += 1;
        }
        None
    }

    /// A call of this reference is up.
    pub fn begin(&mut self, bib: &Bib, call: u64) {
        let calls = self.up.entry(bib.key()).or_default();
        if !calls.contains(&call) && calls.len() < ALIKE {
            calls.push(call);
        }
    }

    /// The calls of this reference that are up.
    pub fn up(&self, bib: &Bib) -> &[u64] {
        self.up.get(&bib.key()).map_or(&[], SmallVec::as_slice)
    }

    /// A call is over.
    pub fn end(&mut self, bib: &Bib, call: u64) {
        let key = bib.key();
        if let Some(calls) = self.up.get_mut(&key) {
            calls.retain(|c| *c != call);
            if calls.is_empty() {
                self.up.remove(&key);
            }
        }
    }

    /// A call of this reference has become part of another one.
    pub fn merged(&mut self, bib: &Bib, from: u64, into: u64) {
        for h in self.waiting.get_mut(&bib.key()).into_iter().flatten().filter(|h| h.call == from) {
            h.call = into;
        }
        self.end(bib, from);
        self.begin(bib, into);
    }

    /// The clock was set back: nobody waits for the other half any more.
    pub fn set_back(&mut self) {
        self.waiting.clear();
        (self.halves, self.swept_at) = (0, CaptureTime::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip_name::NameAddr;

    fn bib(leg: &str, refci: u32, device: &str) -> Bib {
        Bib::parse(&NameAddr::parse(format!("<sip:1@c;x-{leg}end;x-refci={refci}{device}>").as_bytes()))
            .unwrap()
    }

    #[test]
    fn either_leg_first_and_never_two_of_a_kind() {
        let t = |s| CaptureTime::from_parts(s, 0);
        let (one, two) = (";x-nearenddevice=SEP1", ";x-nearenddevice=SEP2");
        let mut p = Pairing::default();
        assert_eq!(p.join(t(0), &bib("far", 7, one), 1), None);
        assert_eq!(p.join(t(0), &bib("near", 8, one), 2), None);
        assert_eq!(p.join(t(0), &bib("near", 7, two), 3), None);
        assert_eq!(p.join(t(1), &bib("near", 7, one), 4), Some(1));
        assert_eq!(p.join(t(1), &bib("near", 7, one), 5), None);
        assert_eq!(p.join(t(9), &bib("far", 7, one), 6), None); // resumed later: the other half comes with it
    }

    #[test]
    fn a_half_that_does_not_name_its_device_fits_one_that_does() {
        let t = CaptureTime::from_parts(1, 0);
        let mut p = Pairing::default();
        assert_eq!(p.join(t, &bib("near", 7, ""), 1), None);
        assert_eq!(p.join(t, &bib("far", 7, ";x-nearenddevice=SEP1"), 2), Some(1));
    }

    #[test]
    fn a_half_whose_call_became_part_of_another() {
        let t = CaptureTime::from_parts(1, 0);
        let mut p = Pairing::default();
        p.begin(&bib("near", 7, ""), 1);
        assert_eq!(p.join(t, &bib("near", 7, ""), 2), None);
        p.begin(&bib("near", 7, ""), 2);
        p.merged(&bib("near", 7, ""), 2, 1);
        assert_eq!(p.up(&bib("far", 7, "")), [1]);
        assert_eq!(p.join(t, &bib("far", 7, ""), 3), Some(1));
    }

    #[test]
    fn calls_that_are_up_are_known_until_they_end() {
        let mut p = Pairing::default();
        p.begin(&bib("near", 7, ""), 1);
        p.begin(&bib("far", 7, ""), 1);
        assert_eq!(p.up(&bib("near", 7, ";x-nearenddevice=SEP1")), [1]);
        p.end(&bib("near", 7, ""), 1);
        assert!(p.up.is_empty());
    }
}
