//! TCP connections: what a receiver has acknowledged and we have never seen.
//!
//! An acknowledgement is proof: the bytes were on the wire, and the mirror does not have them.

use super::finding::{Finding, Severity, count, examples, percent, share};
use crate::limits::{DOCTOR_CONNECTIONS, DOCTOR_HOLES, EXAMPLES, TCP_ACKED_AGE};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::transport::Tcp;
use hashbrown::HashMap;
use serde_json::json;

/// Bytes beyond all that a window holds (RFC 7323): not a hole but another beginning.
const NONSENSE: u32 = 1 << 24;

/// One direction of a connection.
#[derive(Clone, Default)]
struct Way {
    segments: u64,
    bytes: u64,
    /// The sequence number behind the last byte known of.
    end: Option<u32>,
    /// First and last acknowledgement by the other side that we have seen, of what this one sends.
    acked: Option<(u32, u32)>,
    /// From, to, and when that was acknowledged.
    holes: Vec<(u32, u32, Option<CaptureTime>)>,
    lost: u64,
    lost_holes: u64,
}

/// The two directions; of the lower address first.
#[derive(Clone, Default)]
struct Connection {
    ways: [Way; 2],
    last_at: CaptureTime,
}

/// The connections that signal.
#[derive(Default)]
pub(super) struct Connections {
    all: HashMap<(Endpoint, Endpoint), Connection>,
    bytes: u64,
    /// Of connections that are over.
    over: Tally,
    count: u64,
}

/// What connections lack.
#[derive(Clone, Default)]
struct Tally {
    lost: u64,
    holes: u64,
    with_holes: u64,
    shown: Vec<String>,
    one_way: Vec<String>,
    one_way_count: u64,
    one_way_bytes: u64,
}

fn distance(from: u32, to: u32) -> i64 {
    i64::from(to.wrapping_sub(from) as i32)
}

impl Connections {
    /// Is it known what this direction has sent so far?
    pub(super) fn follows(&self, source: Endpoint, destination: Endpoint) -> bool {
        let c = self.all.get(&(source.min(destination), source.max(destination)));
        c.is_some_and(|c| c.ways[usize::from(source > destination)].end.is_some())
    }

    pub(super) fn segment(
        &mut self,
        at: CaptureTime,
        source: Endpoint,
        destination: Endpoint,
        tcp: &Tcp<'_>,
    ) {
        let key = (source.min(destination), source.max(destination));
        if !self.all.contains_key(&key) {
            if self.all.len() >= DOCTOR_CONNECTIONS {
                return;
            }
            self.count += 1;
        }
        let c = self.all.entry(key).or_default();
        c.last_at = at;
        let way = usize::from(source > destination);
        if tcp.syn && c.ways[way].end.is_some_and(|e| e != tcp.sequence.wrapping_add(1)) {
            // The ports are used again.
            c.ways = <[Way; 2]>::default();
        }
        let sent = &mut c.ways[way];
        sent.segments += 1;
        self.bytes += tcp.payload.len() as u64;
        if !tcp.rst {
            sent.data(tcp.sequence.wrapping_add(u32::from(tcp.syn)), tcp.payload.len() as u32);
        }
        // The first SYN acknowledges nothing, a reset anything.
        if !tcp.rst && tcp.acknowledgment != 0 {
            c.ways[1 - way].acknowledged(at, tcp.acknowledgment);
        }
    }

    /// Gives up the holes that nothing has filled in time.
    pub(super) fn sweep(&mut self, now: CaptureTime) {
        for c in self.all.values_mut() {
            c.ways.iter_mut().for_each(|w| w.settle(now));
        }
        if self.all.len() >= DOCTOR_CONNECTIONS {
            let old = |c: &Connection| now.since(c.last_at).as_secs() >= 60;
            let gone: Vec<_> = self.all.iter().filter(|(_, c)| old(c)).map(|(k, _)| *k).collect();
            gone.iter().for_each(|k| self.close(k));
        }
    }

    /// Nothing was heard for a while, or all was: what is known of the connections is added up.
    pub(super) fn settle(&mut self, now: CaptureTime) {
        for c in self.all.values_mut() {
            c.ways.iter_mut().for_each(|w| w.settle(now));
        }
        let mut keys: Vec<_> = self.all.keys().copied().collect();
        keys.sort();
        keys.iter().for_each(|k| self.close(k));
    }

    fn close(&mut self, key: &(Endpoint, Endpoint)) {
        if let Some(c) = self.all.remove(key) {
            self.over.add(key, &c);
        }
    }

    /// Of all connections.
    fn tally(&self) -> Tally {
        let mut t = self.over.clone();
        self.all.iter().for_each(|(key, c)| t.add(key, c));
        t
    }

    pub(super) fn counted(&self) -> u64 {
        self.count
    }

    pub(super) fn holes(&self) -> Option<Finding> {
        let t = self.tally();
        (t.lost > 0).then(|| {
            let all = t.lost + self.bytes;
            let text = format!(
                "{} of SIP over TCP were acknowledged by their receivers and never came here, in {} ({} of what was sent){}: messages in them are missing or unreadable.",
                count(t.lost, "byte"),
                count(t.holes, "hole"),
                percent(t.lost, all),
                examples(&t.shown, t.with_holes),
            );
            let numbers = [
                ("bytes_lost", t.lost.into()),
                ("bytes_seen", self.bytes.into()),
                ("share", share(t.lost, all)),
                ("holes", t.holes.into()),
                ("connections", t.with_holes.into()),
                ("examples", json!(t.shown)),
            ];
            let remedy = "The mirror loses packets: see the drops of its destination port on the switch, and `ethtool -S IFACE` here. Large segments may be too long for the mirror's path: `ethtool -K IFACE gro off lro off` here, and an MTU for the tunnel (ERSPAN, VXLAN, GRE) at least 54 bytes above that of the phones.";
            Finding::new("tcp-holes", Severity::Problem, &numbers, text, remedy)
        })
    }

    pub(super) fn one_way(&self) -> Option<Finding> {
        let t = self.tally();
        (t.one_way_count > 0).then(|| {
            let text = format!(
                "Of {} TCP connections with SIP only one direction is seen: the other sent {} that are acknowledged and never came here{}.",
                t.one_way_count,
                count(t.one_way_bytes, "byte"),
                examples(&t.one_way, t.one_way_count)
            );
            let numbers = [
                ("connections", t.one_way_count.into()),
                ("bytes_lost", t.one_way_bytes.into()),
                ("examples", json!(t.one_way)),
            ];
            Finding::new("one-way-tcp", Severity::Problem, &numbers, text, super::signalling::BOTH_DIRECTIONS)
        })
    }
}

impl Tally {
    fn add(&mut self, (a, b): &(Endpoint, Endpoint), c: &Connection) {
        for (n, w) in c.ways.iter().enumerate() {
            let (from, to) = if n == 0 { (a, b) } else { (b, a) };
            let acked = w.acked.map_or(0, |(first, last)| distance(first, last).max(0) as u64);
            if w.segments == 0 && acked > 0 {
                self.one_way_count += 1;
                self.one_way_bytes += acked;
                if self.one_way.len() < EXAMPLES {
                    self.one_way.push(format!("{from} > {to}: {}", count(acked, "byte")));
                }
            } else if w.lost > 0 && w.segments > 0 {
                self.lost += w.lost;
                self.holes += w.lost_holes;
                self.with_holes += 1;
                if self.shown.len() < EXAMPLES {
                    self.shown.push(format!(
                        "{from} > {to}: {} of {}",
                        w.lost,
                        count(w.lost + w.bytes, "byte")
                    ));
                }
            }
        }
    }
}

impl Way {
    fn data(&mut self, from: u32, length: u32) {
        let to = from.wrapping_add(length);
        self.bytes += u64::from(length);
        let Some(end) = self.end else {
            self.end = Some(to);
            return;
        };
        let ahead = distance(end, from);
        if ahead.unsigned_abs() > u64::from(NONSENSE) {
            (self.end, self.acked) = (Some(to), None);
            self.holes.clear();
            return;
        }
        if ahead > 0 {
            self.hole(end, from, None);
        } else {
            self.fill(from, to);
        }
        if distance(end, to) > 0 {
            self.end = Some(to);
        }
    }

    fn hole(&mut self, from: u32, to: u32, acked: Option<CaptureTime>) {
        if self.holes.len() < DOCTOR_HOLES {
            self.holes.push((from, to, acked));
        }
    }

    fn fill(&mut self, from: u32, to: u32) {
        let mut left = Vec::new();
        for &(a, z, acked) in &self.holes {
            if distance(a, from) > 0 {
                left.push((a, if distance(from, z) > 0 { from } else { z }, acked));
            }
            if distance(to, z) > 0 {
                left.push((if distance(a, to) > 0 { to } else { a }, z, acked));
            }
        }
        if !self.holes.is_empty() {
            left.dedup();
            left.truncate(DOCTOR_HOLES);
            self.holes = left;
        }
    }

    fn acknowledged(&mut self, at: CaptureTime, number: u32) {
        let first = self.acked.map_or(number, |a| a.0);
        let last = self.acked.map_or(number, |a| if distance(a.1, number) > 0 { number } else { a.1 });
        self.acked = Some((first, last));
        let Some(end) = self.end else { return };
        let ahead = distance(end, number);
        // One more than the bytes is what a FIN counts.
        if ahead > 1 && ahead < i64::from(NONSENSE) {
            self.hole(end, number, Some(at));
            self.end = Some(number);
        }
        for h in self.holes.iter_mut().filter(|h| distance(h.1, number) >= 0) {
            h.2.get_or_insert(at);
        }
    }

    fn settle(&mut self, now: CaptureTime) {
        let (lost, holes) = (&mut self.lost, &mut self.lost_holes);
        self.holes.retain(|(a, z, acked)| {
            let over = acked.is_some_and(|t| now.since(t) > TCP_ACKED_AGE);
            if over {
                *lost += distance(*a, *z).max(0) as u64;
                *holes += 1;
            }
            !over
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> CaptureTime {
        CaptureTime(ms * 1_000_000)
    }

    #[test]
    fn bytes_acknowledged_and_never_seen_but_not_those_that_come_late() {
        let mut w = Way::default();
        w.data(100, 50);
        w.data(200, 50); // 150 to 200 is not there
        w.acknowledged(at(0), 250);
        w.data(160, 20); // and a part of it comes
        w.settle(at(100));
        assert_eq!((w.lost, w.lost_holes), (0, 0), "may come yet");
        w.settle(at(300));
        assert_eq!((w.lost, w.lost_holes), (30, 2));
        w.acknowledged(at(400), 350);
        w.data(250, 100);
        w.settle(at(900));
        assert_eq!(w.lost, 30, "the acknowledgement was only earlier than the data");
    }

    #[test]
    fn a_wrap_and_what_a_fin_counts() {
        let mut w = Way::default();
        w.data(u32::MAX - 9, 10);
        w.data(0, 10);
        w.acknowledged(at(0), 11);
        w.settle(at(900));
        assert_eq!(w.lost, 0);
    }
}
