//! VLAN tags on one direction of a conversation and not on the other.

use super::finding::{Finding, Severity, count};
use super::path::Path;
use crate::limits::{DOCTOR_ENTRIES, EXAMPLES};
use crate::wire::endpoint::Endpoint;
use hashbrown::HashMap;
use serde_json::json;
use std::net::IpAddr;

/// Packets each way from which on a conversation tells something.
const ENOUGH: u64 = 5;

/// Two hosts, the lower address first; of what each sends: packets, and those with a tag.
#[derive(Clone, Copy, Default)]
struct Talk {
    packets: [u64; 2],
    tagged: [u64; 2],
}

/// Who talks to whom, with and without tags.
#[derive(Default)]
pub(super) struct Tags {
    all: HashMap<(IpAddr, IpAddr), Talk>,
}

impl Tags {
    pub(super) fn packet(&mut self, source: Endpoint, destination: Endpoint, path: &Path) {
        let (s, d) = (source.ip(), destination.ip());
        if !path.is_ethernet() {
            return;
        }
        let key = (s.min(d), s.max(d));
        if self.all.len() >= DOCTOR_ENTRIES && !self.all.contains_key(&key) {
            return;
        }
        let t = self.all.entry(key).or_default();
        let way = usize::from(s > d);
        t.packets[way] += 1;
        t.tagged[way] += u64::from(path.is_tagged());
    }

    pub(super) fn finding(&self) -> Option<Finding> {
        let both = |t: &&Talk| t.packets.iter().all(|n| *n >= ENOUGH);
        let known = self.all.values().filter(both).count() as u64;
        // All of one side and (nearly) none of the other: what a router or a hairpin leaves of both is no finding.
        let odd = |t: &Talk, way: usize| {
            t.tagged[way] == t.packets[way] && t.tagged[1 - way] * 20 <= t.packets[1 - way]
        };
        let mut found: Vec<String> = self
            .all
            .iter()
            .filter(|(_, t)| both(t))
            .filter_map(|((a, b), t)| match (odd(t, 0), odd(t, 1)) {
                (true, _) => Some(format!("{a} > {b} tagged, {b} > {a} not")),
                (_, true) => Some(format!("{b} > {a} tagged, {a} > {b} not")),
                _ => None,
            })
            .collect();
        if found.is_empty() {
            return None;
        }
        found.sort();
        let n = found.len() as u64;
        found.truncate(EXAMPLES);
        let text = format!(
            "In {} of {} one direction has VLAN tags and the other has none ({}): the mirror strips them on one side.",
            n,
            count(known, "conversation"),
            found.join("; ")
        );
        let numbers = [("conversations", known.into()), ("one_sided", n.into()), ("examples", json!(found))];
        let remedy = "earwitness reads both, and so must every filter: a `capture_filter` that says `vlan` (or does not) loses a direction elsewhere. To have tags on all: Cisco `monitor session 1 destination interface … encapsulation replicate`; on this host `ethtool -K IFACE rxvlan off`.";
        Some(Finding::new("tags-on-one-side", Severity::Note, &numbers, text, remedy))
    }
}
