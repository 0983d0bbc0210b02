//! Which dialogs are one call: the near-end and far-end dialogs of a Cisco Built-in Bridge.

use crate::limits::HALVES_WAITING;
use crate::time::CaptureTime;
use crate::wire::bib::{Bib, Leg};
use hashbrown::HashMap;
use std::time::Duration;

/// CUCM sends the two INVITEs some 5 ms apart; a resume after hold, with the same reference, comes seconds later.
const TOGETHER: Duration = Duration::from_secs(2);

struct Half {
    leg: Leg,
    at: CaptureTime,
    call: u64,
}

/// Halves of Built-in Bridge calls that wait for the other.
#[derive(Default)]
pub struct Pairing {
    waiting: HashMap<(String, Option<String>), Half>,
    swept_at: CaptureTime,
}

impl Pairing {
    /// The call that this leg completes; else the leg waits, as the first of `call`.
    pub fn join(&mut self, at: CaptureTime, bib: &Bib, call: u64) -> Option<u64> {
        if at.since(self.swept_at) >= TOGETHER {
            self.swept_at = at;
            self.waiting.retain(|_, h| at.since(h.at) <= TOGETHER);
        }
        let key = (bib.refci.clone(), bib.near_device.clone());
        let fits = |h: &Half| h.leg != bib.leg && at.since(h.at) <= TOGETHER;
        if self.waiting.get(&key).is_some_and(fits) {
            return self.waiting.remove(&key).map(|h| h.call);
        }
        if self.waiting.len() >= HALVES_WAITING {
            return None;
        }
        self.waiting.insert(key, Half { leg: bib.leg, at, call });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip_name::NameAddr;

    fn bib(leg: &str, refci: u32, device: &str) -> Bib {
        Bib::parse(&NameAddr::parse(
            format!("<sip:1@c;x-{leg}end;x-refci={refci};x-nearenddevice={device}>").as_bytes(),
        ))
        .unwrap()
    }

    #[test]
    fn either_leg_first_and_never_two_of_a_kind() {
        let t = |s| CaptureTime::from_parts(s, 0);
        let mut p = Pairing::default();
        assert_eq!(p.join(t(0), &bib("far", 7, "SEP1"), 1), None);
        assert_eq!(p.join(t(0), &bib("near", 8, "SEP1"), 2), None);
        assert_eq!(p.join(t(0), &bib("near", 7, "SEP2"), 3), None);
        assert_eq!(p.join(t(1), &bib("near", 7, "SEP1"), 4), Some(1));
        assert_eq!(p.join(t(1), &bib("near", 7, "SEP1"), 5), None);
        assert_eq!(p.join(t(9), &bib("far", 7, "SEP1"), 6), None); // resumed later: a call of its own
    }
}
