//! The way of a party's voice from host to host: which of its streams pass on what another one brought.

use crate::limits::LEGS_PER_CALL;
use std::collections::{BTreeMap, BTreeSet};

/// The host that sends a stream and the one that gets it.
pub(super) type Step<'a> = (&'a str, &'a str);

/// The steps that the voice of one party takes.
#[derive(Default)]
pub(super) struct Ways<'a> {
    steps: Vec<Step<'a>>,
    /// The hosts that may send on what came to a host.
    on: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Ways<'a> {
    /// Of streams. Beyond a few a leg no way is known.
    pub(super) fn of(streams: impl Iterator<Item = Step<'a>>) -> Self {
        // Phones on one host send to it: that leads nowhere.
        let steps: BTreeSet<Step<'a>> = streams.filter(|s| s.0 != s.1).collect();
        let mut out =
            Self { steps: steps.into_iter().take(2 * LEGS_PER_CALL).collect(), on: BTreeMap::new() };
        for from in out.steps.iter().map(|s| s.1) {
            let mut seen: BTreeSet<&str> = BTreeSet::from([from]);
            let mut next = vec![from];
            while let Some(host) = next.pop() {
                let there = out.steps.iter().filter(|s| s.0 == host).map(|s| s.1);
                next.extend(there.filter(|h| seen.insert(h)));
            }
            out.on.insert(from, seen);
        }
        out
    }

    fn leads(&self, from: &str, to: &str) -> bool {
        self.on.get(from).is_some_and(|hosts| hosts.contains(to))
    }

    /// Does one of these steps follow from the other, through gateways between two other hosts?
    pub(super) fn is_passed_on(&self, a: Step<'_>, b: Step<'_>) -> bool {
        let back_and_forth = a.1 == b.0 && b.1 == a.0;
        a.0 != b.0 && a.1 != b.1 && !back_and_forth && (self.leads(a.1, b.0) || self.leads(b.1, a.0))
    }

    /// May both have one origin: does one follow from the other, or both from a third?
    pub(super) fn may_be_one(&self, a: Step<'_>, b: Step<'_>) -> bool {
        let from_both = |s: &Step<'_>| self.leads(s.1, a.0) && self.leads(s.1, b.0);
        self.leads(a.1, b.0) || self.leads(b.1, a.0) || self.steps.iter().any(from_both)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways<'a>(steps: &[Step<'a>]) -> Ways<'a> {
        Ways::of(steps.iter().copied())
    }

    #[test]
    fn legs_from_a_bridge_have_a_voice_each() {
        let w = ways(&[("b", "bridge"), ("c", "bridge"), ("bridge", "a")]);
        assert!(!w.may_be_one(("b", "bridge"), ("c", "bridge")));
        assert!(w.may_be_one(("b", "bridge"), ("bridge", "a")));
        let w = ways(&[("bridge", "b"), ("bridge", "c")]);
        assert!(!w.may_be_one(("bridge", "b"), ("bridge", "c")));
        // What the bridge was told by one, it tells to both.
        let w = ways(&[("a", "bridge"), ("bridge", "b"), ("bridge", "c")]);
        assert!(w.may_be_one(("bridge", "b"), ("bridge", "c")));
    }

    #[test]
    fn twice_through_one_gateway() {
        let legs = [("a", "sbc"), ("sbc", "pbx"), ("pbx", "sbc"), ("sbc", "b")];
        let w = ways(&legs);
        for (i, x) in legs.iter().enumerate() {
            assert!(legs.iter().skip(i + 1).all(|y| w.may_be_one(*x, *y)));
        }
        assert!(w.is_passed_on(("a", "sbc"), ("sbc", "b")));
    }

    #[test]
    fn what_is_not_passed_on() {
        let w = ways(&[("a", "b"), ("b", "a"), ("c", "b"), ("h", "h")]);
        for (x, y) in [(("a", "b"), ("b", "a")), (("a", "b"), ("c", "b")), (("h", "h"), ("h", "h"))] {
            assert!(!w.is_passed_on(x, y) && !w.is_passed_on(y, x));
        }
    }

    #[test]
    fn more_hosts_than_a_call_has_legs() {
        let names: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
        let w = Ways::of(names.iter().zip(names.iter().skip(1)).map(|(a, b)| (a.as_str(), b.as_str())));
        assert_eq!(w.steps.len(), 2 * LEGS_PER_CALL);
    }
}
