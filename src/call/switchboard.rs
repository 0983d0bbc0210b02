//! From media flows to the legs of calls.
//!
//! A *place* is an address that signalling named for media. A *flow* (source, destination, SSRC) is tied to a leg
//! once, by the best claim on its destination, and stays tied: a second call that gets the same port (a restarted
//! recorder, a load generator) takes over only what fits it better. One hash look-up a packet.

use super::ended::Ended;
use super::offer::Claim;
use crate::limits::{FLOWS, FLOWS_PER_LEG, LEASE, MEDIA_LINGER, OWNERS_PER_PLACE, SECOND_FLOWS};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::collections::{BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};

mod again;
pub(super) mod tie;

use tie::{LeftOut, Tie};

/// Names a leg of a call while it is live; counts up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u64);

/// What keeps one sender's packets apart from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowKey {
    /// Where it comes from.
    pub source: Endpoint,
    /// Where it goes.
    pub destination: Endpoint,
    /// RTP synchronization source; 0 for RTCP and what is no RTP.
    pub ssrc: u32,
}

/// In as few pieces as there can be: it is done for each packet.
impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash_address(state);
        self.destination.hash_address(state);
        let ports = u64::from(self.source.port()) << 16 | u64::from(self.destination.port());
        state.write_u64(ports << 32 | u64::from(self.ssrc));
    }
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

/// What a flow is tied to. It is all that most packets touch: of ten thousand calls, legs are in no cache.
#[derive(Clone, Copy, Debug)]
struct Tied {
    leg: LegId,
    /// For [`LEASE`] from then on its packets are the leg's, whatever else is known of it.
    leased_at: CaptureTime,
}

impl Tied {
    /// Before all times.
    const NEVER: CaptureTime = CaptureTime(i64::MIN);

    fn to(leg: LegId) -> Self {
        Self { leg, leased_at: Self::NEVER }
    }

    /// The leg, while it is leased.
    fn at(self, now: CaptureTime) -> Option<LegId> {
        // Also when the clock was set back meanwhile.
        let age = now.0.wrapping_sub(self.leased_at.0);
        (0..LEASE.as_nanos() as i64).contains(&age).then_some(self.leg)
    }
}

/// What a flow is tied to, found ahead of its packet.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    tied: Tied,
    /// `Switchboard::changes` then.
    changes: u64,
}

/// The map from media to legs.
#[derive(Default)]
pub struct Switchboard {
    places: HashMap<Endpoint, Owners>,
    flows: HashMap<FlowKey, Tied>,
    /// The same flows by where they go.
    arriving: BTreeSet<(Endpoint, FlowKey)>,
    legs: HashMap<LegId, LegMedia>,
    /// Flows of calls that have ended; another SSRC on the same ports is another call's.
    ended: Ended,
    /// Counts what may have ended a lease before its time.
    changes: u64,
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
        self.revoke(alone);
    }

    /// Ties a flow to a leg that no signalling describes.
    pub fn tie(&mut self, leg: LegId, flow: FlowKey) {
        self.legs.entry(leg).or_default().flows.push(flow);
        self.changes += 1;
        self.flows.insert(flow, Tied::to(leg));
        self.arriving.insert((flow.destination, flow));
        self.count(flow, leg, |n| n + 1);
    }

    fn untie(&mut self, flow: FlowKey) {
        self.changes += 1;
        if let Some(Tied { leg, .. }) = self.flows.remove(&flow) {
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

    /// The leg of a flow whose packets need no closer look now.
    #[must_use]
    pub fn leased(&self, now: CaptureTime, flow: &FlowKey) -> Option<LegId> {
        self.flows.get(flow)?.at(now)
    }

    /// The lease of a flow whose packet comes soon.
    #[must_use]
    pub fn expect(&self, flow: &FlowKey) -> Option<Lease> {
        self.flows.get(flow).map(|tied| Lease { tied: *tied, changes: self.changes })
    }

    /// The leg of a lease, if it still runs and nothing was revoked or tied otherwise since.
    #[must_use]
    pub fn holds(&self, lease: &Lease, now: CaptureTime) -> Option<LegId> {
        (lease.changes == self.changes).then(|| lease.tied.at(now)).flatten()
    }

    /// A packet was looked at closely: those behind it need not be for a while.
    pub fn lease(&mut self, now: CaptureTime, flow: &FlowKey) {
        let Some(tied) = self.flows.get_mut(flow) else { return };
        if self.legs.get(&tied.leg).is_some_and(|l| l.ended_at.is_none()) {
            tied.leased_at = now;
        }
    }

    /// Something about a leg has changed: its packets are looked at again.
    pub fn revoke(&mut self, leg: LegId) {
        self.changes += 1;
        for f in self.legs.get(&leg).into_iter().flat_map(|l| &l.flows) {
            if let Some(tied) = self.flows.get_mut(f).filter(|t| t.leg == leg) {
                tied.leased_at = Tied::NEVER;
            }
        }
    }

    /// Where a packet of this flow belongs at this time.
    pub fn route(&mut self, at: CaptureTime, flow: FlowKey) -> Route {
        if let Some(tied) = self.flows.get(&flow) {
            return self.open_or_ended(at, tied.leg);
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
        if l.ended_at == at {
            return;
        }
        l.ended_at = at;
        let joined = l.joined.clone();
        self.revoke(leg);
        for m in joined {
            if let Some(m) = self.legs.get_mut(&m) {
                m.ended_at = at;
            }
            self.revoke(m);
        }
    }

    /// Forgets a leg; its addresses are remembered as those of an ended call for a while. Gives its flows.
    pub fn remove(&mut self, leg: LegId, at: CaptureTime) -> Vec<FlowKey> {
        let Some(l) = self.legs.remove(&leg) else { return Vec::new() };
        for f in l.flows.iter().copied() {
            if self.flows.get(&f).is_some_and(|t| t.leg == leg) {
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
        let here =
            |f: &&FlowKey| f.destination == address && self.flows.get(*f).is_some_and(|t| t.leg == owner.leg);
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
mod tests;
