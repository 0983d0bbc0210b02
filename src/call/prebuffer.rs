//! Media that nobody has named yet: held for the signalling that may come, or kept as a call of its own when it
//! turns out to be sustained RTP.

use super::switchboard::FlowKey;
use crate::limits::{PREBUFFER_AGE, PREBUFFER_BYTES, PREBUFFER_FLOWS, PREBUFFER_SILENCE, SUSTAINED_AGE};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::rtp;
use hashbrown::HashMap;
use std::collections::BTreeSet;

/// A held packet: when it came, and its IP packet.
pub type Held = (CaptureTime, Vec<u8>);

/// Packets that must follow one another by sequence number before a flow is believed to be RTP.
const BELIEVED: u32 = 10;

/// The same, for a flow to be recorded before its time: nothing but a call goes on like that.
const SUSTAINED: u32 = 50;

/// Which flows have waited long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ripe {
    /// Those that have waited [`PREBUFFER_AGE`], or are sustained RTP and have waited [`SUSTAINED_AGE`].
    Old,
    /// Room is needed: those that are sustained RTP, however short they have waited, and those that no signalling can
    /// claim any more.
    Believed,
    /// All: the capture has ended.
    All,
}

struct Waiting {
    first_at: CaptureTime,
    last_at: CaptureTime,
    packets: Vec<Held>,
    bytes: usize,
    last_sequence: u16,
    payload_type: u8,
    in_sequence: u32,
}

/// Unclaimed flows.
#[derive(Default)]
pub struct Prebuffer {
    flows: HashMap<FlowKey, Waiting>,
    by_address: BTreeSet<(Endpoint, FlowKey)>,
    bytes: usize,
    /// Packets that were let go without ever being claimed.
    pub dropped: u64,
}

impl Prebuffer {
    /// Holds a packet. What is no valid RTP is not held.
    pub fn hold(&mut self, at: CaptureTime, flow: FlowKey, payload: &[u8], ip_packet: &[u8]) {
        let Ok(r) = rtp::parse(payload) else {
            self.dropped += 1;
            return;
        };
        if !self.flows.contains_key(&flow) {
            if self.flows.len() >= PREBUFFER_FLOWS {
                self.dropped += 1;
                return;
            }
            for a in [flow.source, flow.destination] {
                self.by_address.insert((a, flow));
            }
        }
        let w = self.flows.entry(flow).or_insert_with(|| Waiting {
            first_at: at,
            last_at: at,
            packets: Vec::new(),
            bytes: 0,
            last_sequence: r.sequence.wrapping_sub(1),
            payload_type: r.payload_type,
            in_sequence: 0,
        });
        w.last_at = at;
        // A little loss and disorder is RTP too; another payload type or a jump is not believed.
        let step = r.sequence.wrapping_sub(w.last_sequence);
        if (1..20).contains(&step) && r.payload_type == w.payload_type {
            w.in_sequence += 1;
        }
        (w.last_sequence, w.payload_type) = (r.sequence, r.payload_type);
        if self.bytes + ip_packet.len() > PREBUFFER_BYTES {
            self.dropped += 1;
            return;
        }
        self.bytes += ip_packet.len();
        w.bytes += ip_packet.len();
        w.packets.push((at, ip_packet.to_vec()));
    }

    /// Gives up what is held for an address that is now named, in order of time. Flows that have fallen silent stay:
    /// they are of whoever had the address before.
    pub fn claim(&mut self, at: CaptureTime, address: Endpoint) -> Vec<(FlowKey, Held)> {
        let mut out: Vec<(FlowKey, Held)> = Vec::new();
        let flows: Vec<FlowKey> = self.there(address).filter(|f| self.is_live(at, f)).collect();
        for flow in flows {
            out.extend(self.take(&flow).into_iter().map(|p| (flow, p)));
        }
        out.sort_by_key(|p| p.1.0);
        out
    }

    /// What [`Prebuffer::claim`] would leave at this address because it has fallen silent: flows, how many packets of
    /// each, and when the last one came.
    #[must_use]
    pub fn silent_at(&self, at: CaptureTime, address: Endpoint) -> Vec<(FlowKey, u64, CaptureTime)> {
        let held = |f: &FlowKey| self.flows.get(f).map(|w| (*f, w.packets.len() as u64, w.last_at));
        self.there(address).filter(|f| !self.is_live(at, f)).filter_map(|f| held(&f)).collect()
    }

    fn there(&self, address: Endpoint) -> impl Iterator<Item = FlowKey> {
        let least = FlowKey { source: Endpoint::default(), destination: Endpoint::default(), ssrc: 0 };
        let there = self.by_address.range((address, least)..).take_while(move |(a, _)| *a == address);
        there.map(|(_, f)| *f)
    }

    fn is_live(&self, at: CaptureTime, f: &FlowKey) -> bool {
        self.flows.get(f).is_some_and(|w| at.since(w.last_at) <= PREBUFFER_SILENCE)
    }

    /// The clock was set back: nothing is younger than now.
    pub fn set_back(&mut self, now: CaptureTime) {
        for w in self.flows.values_mut() {
            (w.first_at, w.last_at) = (w.first_at.min(now), w.last_at.min(now));
        }
    }

    /// Is something of this flow held?
    #[must_use]
    pub fn holds(&self, flow: &FlowKey) -> bool {
        self.flows.contains_key(flow)
    }

    /// Is there room for a packet of this length?
    #[must_use]
    pub fn has_room(&self, length: usize) -> bool {
        self.bytes + length <= PREBUFFER_BYTES && self.flows.len() < PREBUFFER_FLOWS
    }

    /// Flows whose time has come: those that are sustained RTP with their packets, in order; the others are let go.
    pub fn ripe(&mut self, at: CaptureTime, which: Ripe) -> Vec<(FlowKey, Vec<Held>)> {
        let mut old: Vec<(CaptureTime, FlowKey)> = self
            .flows
            .iter()
            .filter(|(_, w)| match which {
                Ripe::Old => {
                    let age = at.since(w.first_at);
                    age > PREBUFFER_AGE || w.in_sequence >= SUSTAINED && age > SUSTAINED_AGE
                }
                Ripe::Believed => w.in_sequence >= BELIEVED || at.since(w.last_at) > PREBUFFER_SILENCE,
                Ripe::All => true,
            })
            .map(|(k, w)| (w.first_at, *k))
            .collect();
        old.sort();
        let mut out = Vec::new();
        for (_, flow) in old {
            let believed = self.flows.get(&flow).is_some_and(|w| w.in_sequence >= BELIEVED);
            let packets = self.take(&flow);
            if believed {
                out.push((flow, packets));
            } else {
                self.dropped += packets.len() as u64;
            }
        }
        out
    }

    fn take(&mut self, flow: &FlowKey) -> Vec<Held> {
        let Some(w) = self.flows.remove(flow) else {
            return Vec::new();
        };
        self.bytes -= w.bytes;
        for a in [flow.source, flow.destination] {
            self.by_address.remove(&(a, *flow));
        }
        w.packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(n: u16) -> FlowKey {
        let e = |p| Endpoint::new("10.0.0.1".parse().unwrap(), p);
        FlowKey { source: e(n), destination: e(9), ssrc: 7 }
    }

    fn packet(seq: u16) -> Vec<u8> {
        let mut b = vec![0x80, 0];
        b.extend(seq.to_be_bytes());
        b.extend([0; 20]);
        b
    }

    #[test]
    fn a_claim_gets_all_that_waited() {
        let mut p = Prebuffer::default();
        for i in 0..5 {
            p.hold(CaptureTime(i), flow(1), &packet(i as u16), &[1; 50]);
            p.hold(CaptureTime(i), flow(2), &packet(i as u16), &[2; 50]);
        }
        p.hold(CaptureTime(0), flow(3), &packet(0), &[3; 50]);
        let late = CaptureTime(1) + PREBUFFER_SILENCE;
        let got = p.claim(late, flow(1).destination);
        assert_eq!(got.len(), 10);
        // The flow that had fallen silent is not of the call.
        assert_eq!((p.flows.len(), p.bytes), (1, 50));
    }

    #[test]
    fn only_sustained_rtp_becomes_a_call() {
        let mut p = Prebuffer::default();
        for i in 0..50 {
            p.hold(CaptureTime(i), flow(1), &packet(65_530u16.wrapping_add(i as u16)), &[1; 50]);
            p.hold(CaptureTime(i), flow(2), &packet((i * 7919) as u16), &[2; 50]);
            p.hold(CaptureTime(i), flow(3), b"not rtp at all", &[2; 50]);
        }
        assert!(p.ripe(CaptureTime(60), Ripe::Old).is_empty());
        let got = p.ripe(CaptureTime::from_parts(11, 0), Ripe::Old);
        assert_eq!(got.iter().map(|g| (g.0, g.1.len())).collect::<Vec<_>>(), [(flow(1), 50)]);
        assert_eq!(p.dropped, 100);
    }
}
