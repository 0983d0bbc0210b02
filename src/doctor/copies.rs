//! Packets that are there more than once: the same port mirrored twice, or both sides of a router.
//!
//! A copy has the same addresses, ports and payload; MAC addresses, tags, time to live, identification and checksum may
//! be others. What a host sends again is none: it comes later than any mirror takes, and on the same path under an
//! identification of its own.

use super::finding::{Finding, Severity, count, examples, percent, share};
use super::path::{Path, Way};
use crate::limits::{COPIES_REMEMBERED, EXAMPLES, PATHS_COUNTED};
use crate::time::CaptureTime;
use crate::wire::ip::{Ip, protocol};
use hashbrown::{DefaultHashBuilder, HashMap};
use serde_json::{Value, json};
use std::hash::{BuildHasher, Hash, Hasher};
use std::time::Duration;

/// The longest that a copy of the same path is behind. Both ports of a switch are mirrored within 100 µs. A retransmission
/// of RTP takes a round trip to ask for, or is sent a packet time (10 ms and more) later; SIP waits for 500 ms
/// (RFC 3261, 17.1.1.1), TCP for 200 ms and more.
const SAME_PATH: Duration = Duration::from_millis(8);

/// The same for a copy that took another path: routers and tunnels queue. Below one packet time, which is 20 ms.
const OTHER_PATH: Duration = Duration::from_millis(19);

/// From how many copies on, and from what share of the packets, they are told: one in a hundred is more than retries
/// and loops on a LAN make; five are no coincidence in a short capture.
const ENOUGH: (u64, u64) = (5, 100);

#[derive(Clone, Copy)]
struct Seen {
    fingerprint: u64,
    at: CaptureTime,
    id: u16,
    path: Path,
}

/// Packets and copies, counted by path.
pub(super) struct Copies {
    by: DefaultHashBuilder,
    /// A packet has one place, which the next that falls on it takes.
    last: Vec<Option<Seen>>,
    /// Packets looked at, copies not among them.
    packets: u64,
    copies: u64,
    ways: HashMap<Way, u64>,
    /// Packets of each path, copies among them.
    paths: HashMap<Path, u64>,
    /// Copies: the path of the first, and its own.
    pairs: HashMap<(Path, Path), u64>,
    beyond: u64,
    slowest: Duration,
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            by: DefaultHashBuilder::default(),
            last: Vec::new(),
            packets: 0,
            copies: 0,
            ways: HashMap::new(),
            paths: HashMap::new(),
            pairs: HashMap::new(),
            beyond: 0,
            slowest: Duration::ZERO,
        }
    }
}

impl Copies {
    /// Looks at a packet (or a fragment) that is no tunnel; says whether it is a copy.
    pub(super) fn is_copy(&mut self, at: CaptureTime, ip: &Ip<'_>, path: &Path) -> bool {
        // Acknowledgements without data are alike by nature.
        if ip.protocol == protocol::TCP && ip.payload.len() <= 32 {
            return false;
        }
        let fingerprint = self.fingerprint(ip);
        let id = ip.bytes.get(4..6).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
        let id = if ip.source.is_ipv4() { id } else { 0 };
        let seen = Seen { fingerprint, at, id, path: *path };
        if self.last.is_empty() {
            self.last.resize(COPIES_REMEMBERED, None);
        }
        let Some(slot) = self.last.get_mut(fingerprint as usize % COPIES_REMEMBERED) else { return false };
        count_bounded(&mut self.paths, *path, &mut self.beyond);
        if let Some(first) = slot.filter(|f| f.fingerprint == fingerprint && is_copy(f, &seen)) {
            self.copies += 1;
            *self.ways.entry(first.path.differs(path)).or_default() += 1;
            count_bounded(&mut self.pairs, (first.path, *path), &mut self.beyond);
            self.slowest = self.slowest.max(at.since(first.at));
            return true;
        }
        *slot = Some(seen);
        self.packets += 1;
        false
    }

    /// All of a packet that no hop rewrites.
    fn fingerprint(&self, ip: &Ip<'_>) -> u64 {
        let mut h = self.by.build_hasher();
        (ip.source, ip.destination, ip.protocol).hash(&mut h);
        if let Some(f) = ip.fragment {
            (f.id, f.offset).hash(&mut h);
        }
        let checksum = match (ip.protocol, ip.fragment.is_none_or(|f| f.offset == 0)) {
            (protocol::UDP, true) => 6..8,
            (protocol::TCP, true) => 16..18,
            _ => 0..0,
        };
        let part = |r| ip.payload.get(r).unwrap_or_default();
        h.write(part(0..checksum.start.min(ip.payload.len())));
        h.write(part(checksum.end.min(ip.payload.len())..ip.payload.len()));
        h.finish()
    }

    pub(super) fn counted(&self) -> (u64, u64) {
        (self.packets, self.copies)
    }

    pub(super) fn finding(&self) -> Option<Finding> {
        if self.copies < ENOUGH.0 || self.copies * ENOUGH.1 < self.packets {
            return None;
        }
        // Of what the whole site sends, four in five and more are "every packet".
        let all = self.copies * 5 >= self.packets * 4;
        let (way, _) = self.ways.iter().max_by_key(|(w, n)| (**n, **w))?;
        let mut pairs: Vec<_> = self.pairs.iter().map(|(k, n)| (*n, *k)).collect();
        pairs.sort_by_cached_key(|(n, k)| (std::cmp::Reverse(*n), k.0.to_string(), k.1.to_string()));
        let shown: Vec<String> = pairs.iter().take(EXAMPLES).map(|p| self.line(p)).collect();
        let times = 1.0 + self.copies as f64 / self.packets.max(1) as f64;
        let text = format!(
            "{}: {} of {} SIP and RTP packets came with a copy ({times:.2} packets for each one sent), at most {:.3} ms behind it. {}. By path{}",
            if all { "Every packet is there twice or more" } else { "A part of the packets is there twice" },
            self.copies.min(self.packets),
            self.packets,
            self.slowest.as_secs_f64() * 1e3,
            says(*way),
            examples(&shown, pairs.len() as u64),
        );
        let by_path: Vec<Value> = pairs.iter().take(EXAMPLES).map(|(n, (a, b))| {
            json!({"first": a.to_string(), "copy": b.to_string(), "copies": n, "packets": self.paths.get(a).copied().unwrap_or(0)})
        }).collect();
        let ways: std::collections::BTreeMap<String, u64> =
            self.ways.iter().map(|(w, n)| (word(*w).to_owned(), *n)).collect();
        let numbers = [
            ("packets", self.packets.into()),
            ("copies", self.copies.into()),
            ("share", share(self.copies, self.packets)),
            ("slowest_ms", json!((self.slowest.as_secs_f64() * 1e6).round() / 1e3)),
            ("ways", json!(ways)),
            ("paths", by_path.into()),
            ("path_pairs", pairs.len().into()),
        ];
        Some(Finding::new("copies", Severity::Warning, &numbers, text, remedy(*way)))
    }

    fn line(&self, (n, (a, b)): &(u64, (Path, Path))) -> String {
        let of = self.paths.get(a).copied().unwrap_or(*n);
        if a == b {
            // Copies went the same way, so they are among its packets.
            let of = of.saturating_sub(*n);
            return format!(
                "{a}: {} ({})",
                count(*n, "identical copy").replace("copys", "copies"),
                percent(*n, of)
            );
        }
        format!("{a}, again as {b}: {n} ({})", percent(*n, of))
    }
}

fn is_copy(first: &Seen, now: &Seen) -> bool {
    let behind = Duration::from_nanos(now.at.0.abs_diff(first.at.0));
    if first.path == now.path { behind <= SAME_PATH && first.id == now.id } else { behind <= OTHER_PATH }
}

fn count_bounded<K: Hash + Eq>(map: &mut HashMap<K, u64>, key: K, beyond: &mut u64) {
    if let Some(n) = map.get_mut(&key) {
        *n += 1;
    } else if map.len() < PATHS_COUNTED {
        map.insert(key, 1);
    } else {
        *beyond += 1;
    }
}

fn word(way: Way) -> &'static str {
    match way {
        Way::Same => "identical",
        Way::Routed => "routed",
        Way::Tags => "other-tags",
        Way::Macs => "other-macs",
        Way::Tunnel => "other-tunnel",
        Way::Interface => "other-interface",
    }
}

fn says(way: Way) -> &'static str {
    match way {
        Way::Same => {
            "The copies are identical: the mirror sees a packet as it enters the switch and as it leaves it, or the switch floods it to several mirrored ports"
        }
        Way::Routed => {
            "The copies have another time to live: the mirror sees packets before and behind a router"
        }
        Way::Tags => {
            "The copies have other VLAN tags: the same packet is mirrored on two VLANs, or on a trunk and on an access port"
        }
        Way::Macs => {
            "The copies have other MAC addresses: the mirror sees packets on both sides of a gateway, proxy ARP or load balancer"
        }
        Way::Tunnel => "The copies come in different tunnels: two mirror sessions have the same traffic",
        Way::Interface => {
            "The capture is of all interfaces of its host (`any`), and the packets pass several of them"
        }
    }
}

fn remedy(way: Way) -> &'static str {
    match way {
        Way::Same => {
            "Mirror one direction of each port when both ends of a conversation are among the sources (Cisco: `monitor session 1 source interface … rx`), or leave out one of the two ports. Recordings are right all the same: copies are dropped."
        }
        Way::Routed => {
            "Take the ports or VLANs of only one side of the router as sources of the mirror. Recordings are right all the same: copies are dropped."
        }
        Way::Tags | Way::Macs => {
            "Take only one of the VLANs, or only one direction (`rx`), as source of the mirror. Recordings are right all the same: copies are dropped."
        }
        Way::Tunnel => {
            "End one of the two mirror sessions, or give them different sources. Recordings are right all the same: copies are dropped."
        }
        Way::Interface => "Capture on the interface that has the mirror (-i eth1), not on `any`.",
    }
}
