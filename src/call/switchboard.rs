//! From media flows to the legs of calls.
//!
//! A *place* is an address that signalling named for media. A *flow* (source, destination, SSRC) is tied to a leg
//! once, by the best claim on its destination, and stays tied: a second call that gets the same port (a restarted
//! recorder, a load generator) takes over only what fits it better. One hash look-up a packet.

use super::ended::Ended;
use super::offer::Claim;
use crate::limits::{FLOWS, FLOWS_PER_LEG, MEDIA_LINGER, OWNERS_PER_PLACE, SECOND_FLOWS};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::{BTreeSet, VecDeque};

mod again;
pub(super) mod tie;

use tie::{LeftOut, Tie};

/// Names a leg of a call while it is live; counts up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u64);

/// What keeps one sender's packets apart from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// Where it comes from.
    pub source: Endpoint,
    /// Where it goes.
    pub destination: Endpoint,
    /// RTP synchronization source; 0 for RTCP and what is no RTP.
    pub ssrc: u32,
}

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To this leg.
    Leg(LegId),
    /// The same, of a flow that was tied to it just now: `Switchboard::tied` says why.
    Tied(LegId),
    /// To a call that has ended.
    Ended,
    /// Nobody named it (yet).
    Unclaimed,
}

#[derive(Clone, Copy)]
struct Owner {
    leg: LegId,
    /// The port above an RTP port, where RTCP goes unless told otherwise (RFC 3550, 11).
    rtcp: bool,
    /// Flows to this place that are tied to the leg.
    flows: usize,
}

/// Who claims a place.
type Owners = SmallVec<[Owner; 2]>;

/// What the switchboard knows of a leg.
#[derive(Default)]
struct LegMedia {
    /// Where media comes from and goes to, as its descriptions say.
    known: Vec<Endpoint>,
    /// Places it owns, those for RTCP too.
    owned: Vec<Endpoint>,
    flows: Vec<FlowKey>,
    ended_at: Option<CaptureTime>,
    /// The dialog that describes it, when it has none of its own.
    of: Option<LegId>,
    /// Legs that it describes besides.
    joined: SmallVec<[LegId; 1]>,
    left_out: LeftOut,
}

/// The map from media to legs.
#[derive(Default)]
pub struct Switchboard {
    places: HashMap<Endpoint, Owners>,
    flows: HashMap<FlowKey, LegId>,
    /// The same flows by where they go.
    arriving: BTreeSet<(Endpoint, FlowKey)>,
    legs: HashMap<LegId, LegMedia>,
    /// Flows of calls that have ended; another SSRC on the same ports is another call's.
    ended: Ended,
    /// Flows and claims that were not remembered because there were too many.
    pub overflow: u64,
    /// Why the last flow was tied as it was.
    tied: Option<Box<Tie>>,
    /// Flows that began where their leg had media already, and when; the last first.
    second: VecDeque<(CaptureTime, FlowKey)>,
}

impl Switchboard {
    /// Takes note of all that a dialog's descriptions claim; gives the addresses that are new to it.
    pub fn claim(&mut self, leg: LegId, claims: &[Claim]) -> Vec<Endpoint> {
        let mut new = Vec::new();
        for c in claims {
            let Some(address) = c.media.address else { continue };
            if self.legs.entry(leg).or_default().known.contains(&address) {
                continue;
            }
            self.legs.entry(leg).or_default().known.push(address);
            new.push(address);
            self.own(address, Owner { leg, rtcp: false, flows: 0 });
            let rtcp = c.media.rtcp_port.or(address.port().checked_add(1)).map(|p| address.with_port(p));
            if let Some(r) = rtcp.filter(|r| *r != address) {
                self.own(r, Owner { leg, rtcp: true, flows: 0 });
            }
        }
        new
    }

    /// A leg that no signalling describes is of the call of a dialog.
    pub fn join(&mut self, alone: LegId, dialog: LegId) {
        let ended_at = self.legs.get(&dialog).and_then(|d| d.ended_at);
        let m = self.legs.entry(alone).or_default();
        (m.of, m.ended_at) = (Some(dialog), ended_at);
        self.legs.entry(dialog).or_default().joined.push(alone);
    }

    /// Ties a flow to a leg that no signalling describes.
    pub fn tie(&mut self, leg: LegId, flow: FlowKey) {
        self.legs.entry(leg).or_default().flows.push(flow);
        self.flows.insert(flow, leg);
        self.arriving.insert((flow.destination, flow));
        self.count(flow, leg, |n| n + 1);
    }

    fn untie(&mut self, flow: FlowKey) {
        if let Some(leg) = self.flows.remove(&flow) {
            self.arriving.remove(&(flow.destination, flow));
            self.count(flow, leg, |n| n.saturating_sub(1));
        }
    }

    fn count(&mut self, flow: FlowKey, leg: LegId, change: impl Fn(usize) -> usize) {
        let owners = self.places.get_mut(&flow.destination);
        if let Some(o) = owners.and_then(|p| p.iter_mut().find(|o| o.leg == leg)) {
            o.flows = change(o.flows);
        }
    }

    /// Where a packet of this flow belongs at this time.
    pub fn route(&mut self, at: CaptureTime, flow: FlowKey) -> Route {
        if let Some(leg) = self.flows.get(&flow) {
            return self.open_or_ended(at, *leg);
        }
        let Some((leg, address)) = self.best(at, flow) else {
            return if self.ended.contains(&flow) { Route::Ended } else { Route::Unclaimed };
        };
        let route = self.open_or_ended(at, leg);
        let many = self.legs.get(&leg).is_some_and(|l| l.flows.len() >= FLOWS_PER_LEG);
        if self.flows.len() >= FLOWS || many {
            self.overflow += 1;
            self.count_untied(leg);
        } else if route == Route::Leg(leg) {
            self.tied = Some(Box::new(self.why(at, flow, leg, address)));
            let here = self.places.get(&flow.destination);
            if here.is_some_and(|p| p.iter().any(|o| o.leg == leg && o.flows > 0)) {
                self.second.truncate(SECOND_FLOWS - 1);
                self.second.push_front((at, flow));
            }
            self.tie(leg, flow);
            return Route::Tied(leg);
        }
        route
    }

    /// The leg's dialog has ended: its media counts for [`MEDIA_LINGER`] more.
    pub fn end(&mut self, leg: LegId, at: Option<CaptureTime>) {
        let Some(l) = self.legs.get_mut(&leg) else { return };
        l.ended_at = at;
        for m in l.joined.clone() {
            if let Some(m) = self.legs.get_mut(&m) {
                m.ended_at = at;
            }
        }
    }

    /// Forgets a leg; its addresses are remembered as those of an ended call for a while. Gives its flows.
    pub fn remove(&mut self, leg: LegId, at: CaptureTime) -> Vec<FlowKey> {
        let Some(l) = self.legs.remove(&leg) else { return Vec::new() };
        for f in l.flows.iter().copied() {
            if self.flows.get(&f) == Some(&leg) {
                self.untie(f);
                if l.ended_at.is_some() {
                    self.ended.insert(&f, at);
                }
            }
        }
        for a in l.owned {
            self.leave(a, leg);
        }
        l.flows
    }

    /// Legs that claim this address.
    #[must_use]
    pub fn owners(&self, address: Endpoint) -> SmallVec<[LegId; 2]> {
        self.places.get(&address).map(|p| p.iter().map(|o| o.leg).collect()).unwrap_or_default()
    }

    /// The clock was set back: nothing is younger than now.
    pub fn set_back(&mut self, now: CaptureTime) {
        for t in self.legs.values_mut().filter_map(|l| l.ended_at.as_mut()) {
            *t = (*t).min(now);
        }
        self.ended.set_back(now);
    }

    /// Forgets old ends.
    pub fn sweep(&mut self, at: CaptureTime) {
        self.ended.sweep(at);
    }

    fn own(&mut self, address: Endpoint, mut owner: Owner) {
        let l = self.legs.entry(owner.leg).or_default();
        let here = |f: &&FlowKey| f.destination == address && self.flows.get(*f) == Some(&owner.leg);
        owner.flows = l.flows.iter().filter(here).count();
        if !l.owned.contains(&address) {
            l.owned.push(address);
        }
        let p = self.places.entry(address).or_default();
        if p.iter().any(|o| o.leg == owner.leg) {
            return;
        }
        // A place that so many claim is named by a flood: those that have no media there give way, the oldest first.
        if p.len() >= OWNERS_PER_PLACE {
            self.overflow += 1;
            match p.iter().position(|o| o.flows == 0) {
                Some(i) => drop(p.remove(i)),
                None => return,
            }
        }
        p.push(owner);
    }

    fn leave(&mut self, address: Endpoint, leg: LegId) {
        if let Some(p) = self.places.get_mut(&address) {
            p.retain(|o| o.leg != leg);
            if p.is_empty() {
                self.places.remove(&address);
            }
        }
    }

    /// Flows that go to this address.
    fn arriving(&self, address: Endpoint) -> impl Iterator<Item = &FlowKey> {
        let least = FlowKey { source: Endpoint::default(), destination: Endpoint::default(), ssrc: 0 };
        let here = self.arriving.range((address, least)..).take_while(move |(a, _)| *a == address);
        here.map(|(_, f)| f)
    }

    fn open_or_ended(&self, at: CaptureTime, leg: LegId) -> Route {
        let Some(l) = self.legs.get(&leg) else { return Route::Ended };
        match l.ended_at {
            Some(t) if at.since(t) > MEDIA_LINGER => Route::Ended,
            _ => Route::Leg(leg),
        }
    }

    /// How well a flow's source fits what a leg's descriptions say.
    fn fit(&self, leg: LegId, flow: &FlowKey) -> u8 {
        let describes = self.legs.get(&leg).map_or(leg, |l| l.of.unwrap_or(leg));
        let Some(l) = self.legs.get(&describes) else { return 0 };
        if l.known.contains(&flow.source) {
            return 2;
        }
        u8::from(l.known.iter().any(|a| a.same_host(flow.source)))
    }

    /// The leg with the best claim: on the destination before the source (symmetric RTP), RTP before RTCP, live
    /// before ended, by the source, one that has no flow here yet, the newest.
    fn best(&self, at: CaptureTime, flow: FlowKey) -> Option<(LegId, Endpoint)> {
        for address in [flow.destination, flow.source] {
            let Some(p) = self.places.get(&address) else {
                continue;
            };
            if let Some(o) = p.iter().max_by_key(|o| self.merit(at, o, &flow)) {
                return Some((o.leg, address));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::offer::{Said, Side};
    use super::*;
    use crate::limits::{MEDIA_BEFORE_ITS_ANSWER, TOMBSTONE_AGE};
    use crate::wire::sdp;

    fn end(s: &str) -> Endpoint {
        s.parse::<std::net::SocketAddr>().unwrap().into()
    }

    fn claims(sides: &[(&str, u16)]) -> Vec<Claim> {
        let describe = |(ip, port): &(&str, u16)| {
            sdp::parse(format!("c=IN IP4 {ip}\nm=audio {port} RTP/AVP 0\n").as_bytes()).remove(0)
        };
        sides
            .iter()
            .map(|s| Claim {
                at: CaptureTime(0),
                side: Side::Caller,
                index: 0,
                media: describe(s),
                said: Said::default(),
            })
            .collect()
    }

    fn flow(source: &str, destination: &str, ssrc: u32) -> FlowKey {
        FlowKey { source: end(source), destination: end(destination), ssrc }
    }

    /// Tied just now or before: it is the leg's.
    fn route(s: &mut Switchboard, at: CaptureTime, f: FlowKey) -> Route {
        match s.route(at, f) {
            Route::Tied(leg) => Route::Leg(leg),
            other => other,
        }
    }

    const T0: CaptureTime = CaptureTime(0);

    #[test]
    fn both_ways_rtcp_and_symmetric() {
        let mut s = Switchboard::default();
        s.claim(LegId(1), &claims(&[("10.0.0.1", 4000), ("10.0.0.2", 5000)]));
        for f in [
            flow("10.0.0.1:4000", "10.0.0.2:5000", 1),
            flow("10.0.0.2:5000", "10.0.0.1:4000", 2),
            flow("10.0.0.1:4001", "10.0.0.2:5001", 0),
            flow("10.0.0.1:4000", "192.0.2.1:9", 1),
        ] {
            assert_eq!(route(&mut s, T0, f), Route::Leg(LegId(1)), "{f:?}");
        }
        assert_eq!(route(&mut s, T0, flow("10.0.0.1:4444", "192.0.2.1:9", 1)), Route::Unclaimed);
    }

    #[test]
    fn a_reused_port_is_told_apart_by_source() {
        let mut s = Switchboard::default();
        s.claim(LegId(1), &claims(&[("10.0.0.1", 4000), ("10.0.0.9", 5000)]));
        let old = flow("10.0.0.1:4000", "10.0.0.9:5000", 1);
        assert_eq!(route(&mut s, T0, old), Route::Leg(LegId(1)));
        s.claim(LegId(2), &claims(&[("10.0.0.3", 4000), ("10.0.0.9", 5000)]));
        assert_eq!(route(&mut s, T0, old), Route::Leg(LegId(1)));
        assert_eq!(route(&mut s, T0, flow("10.0.0.3:4000", "10.0.0.9:5000", 1)), Route::Leg(LegId(2)));
    }

    #[test]
    fn media_before_the_answer_of_its_call_is_no_second_stream_of_another() {
        let mut s = Switchboard::default();
        let all = claims(&[("10.0.0.1", 4000), ("10.0.0.9", 5000)]);
        s.claim(LegId(1), &all);
        let [old, new] = [1, 2].map(|n| flow(&format!("10.0.0.1:2400{n}"), "10.0.0.9:5000", n));
        for f in [old, new] {
            assert_eq!(route(&mut s, T0, f), Route::Leg(LegId(1)));
        }
        let mut claimed = |leg, at| {
            let named = s.claim(LegId(leg), &all);
            s.reconsider(at, LegId(leg), &named, |_| true)
        };
        assert!(claimed(2, T0 + MEDIA_BEFORE_ITS_ANSWER * 2).is_empty());
        assert_eq!(claimed(3, T0 + MEDIA_BEFORE_ITS_ANSWER), [(new, LegId(1), tie::SECOND)]);
        assert_eq!(route(&mut s, T0, new), Route::Leg(LegId(3)));
        assert_eq!(route(&mut s, T0, old), Route::Leg(LegId(1)));
    }

    #[test]
    fn two_legs_from_one_phone_to_one_port_get_a_stream_each() {
        let mut s = Switchboard::default();
        for leg in [1, 2] {
            s.claim(LegId(leg), &claims(&[("10.0.0.1", 4000), ("10.0.0.9", 5000)]));
        }
        let a = route(&mut s, T0, flow("10.0.0.1:24000", "10.0.0.9:5000", 7));
        let b = route(&mut s, T0, flow("10.0.0.1:24002", "10.0.0.9:5000", 7));
        assert_ne!(a, b);
    }

    #[test]
    fn after_the_end() {
        let mut s = Switchboard::default();
        let f = flow("10.0.0.1:4000", "10.0.0.2:5000", 1);
        s.claim(LegId(1), &claims(&[("10.0.0.1", 4000), ("10.0.0.2", 5000)]));
        s.end(LegId(1), Some(T0));
        assert_eq!(route(&mut s, T0 + MEDIA_LINGER, f), Route::Leg(LegId(1)));
        let late = T0 + MEDIA_LINGER * 3;
        assert_eq!(route(&mut s, late, f), Route::Ended);
        s.remove(LegId(1), late);
        assert_eq!(route(&mut s, late, f), Route::Ended);
        s.claim(LegId(2), &claims(&[("10.0.0.1", 4000), ("10.0.0.2", 5000)]));
        assert_eq!(route(&mut s, late, f), Route::Leg(LegId(2)));
        s.sweep(late + TOMBSTONE_AGE);
        s.remove(LegId(2), late);
        assert_eq!(route(&mut s, late, f), Route::Unclaimed);
        assert!(s.places.is_empty() && s.flows.is_empty() && s.legs.is_empty());
    }
}
