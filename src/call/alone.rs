//! Calls of media alone, found by their addresses.

use super::switchboard::LegId;
use crate::wire::endpoint::Endpoint;
use hashbrown::HashMap;
use std::collections::BTreeSet;

/// The two addresses of a conversation, in order.
pub(super) type Ends = (Endpoint, Endpoint);

/// Legs that no signalling describes.
#[derive(Default)]
pub(super) struct Alone {
    by_ends: HashMap<Ends, LegId>,
    /// Those that no dialog has named yet, by each of their addresses.
    by_address: BTreeSet<(Endpoint, LegId)>,
    /// The same by their hosts: addresses without a port.
    by_hosts: BTreeSet<(Endpoint, Endpoint, LegId)>,
}

/// The two addresses of a flow or a message, in order.
pub(super) fn ends(a: Endpoint, b: Endpoint) -> Ends {
    (a.min(b), a.max(b))
}

/// The hosts of two addresses, in order.
pub(super) fn hosts((a, b): Ends) -> Ends {
    ends(a.with_port(0), b.with_port(0))
}

impl Alone {
    pub(super) fn len(&self) -> usize {
        self.by_ends.len()
    }

    /// Is there none that waits for a dialog to name it?
    pub(super) fn none_waits(&self) -> bool {
        self.by_address.is_empty()
    }

    pub(super) fn get(&self, ends: Ends) -> Option<LegId> {
        self.by_ends.get(&ends).copied()
    }

    pub(super) fn insert(&mut self, ends: Ends, leg: LegId) {
        self.by_ends.insert(ends, leg);
        self.by_address.extend([(ends.0, leg), (ends.1, leg)]);
        let (a, b) = hosts(ends);
        self.by_hosts.insert((a, b, leg));
    }

    /// A dialog has named it: nobody else can.
    pub(super) fn named(&mut self, ends: Ends, leg: LegId) {
        self.by_address.remove(&(ends.0, leg));
        self.by_address.remove(&(ends.1, leg));
        let (a, b) = hosts(ends);
        self.by_hosts.remove(&(a, b, leg));
    }

    pub(super) fn remove(&mut self, ends: Ends, leg: LegId) {
        self.named(ends, leg);
        if self.by_ends.get(&ends) == Some(&leg) {
            self.by_ends.remove(&ends);
        }
    }

    /// Unnamed legs that send to or from this address.
    pub(super) fn at(&self, address: Endpoint) -> impl Iterator<Item = LegId> {
        self.by_address.range((address, LegId(0))..=(address, LegId(u64::MAX))).map(|x| x.1)
    }

    /// Unnamed legs between these hosts.
    pub(super) fn between(&self, (a, b): Ends) -> impl Iterator<Item = LegId> {
        self.by_hosts.range((a, b, LegId(0))..=(a, b, LegId(u64::MAX))).map(|x| x.2)
    }
}
