//! The calls that are up: which leg a message or a packet of media belongs to, and when a call is over.

use super::dialog::{Dialog, Heard};
use super::listener::{Counters, Output, Over, Patience, Track};
use super::pairing::Pairing;
use super::prebuffer::{Prebuffer, Ripe};
use super::record::Carried;
use super::resume::Resumed;
use super::switchboard::{FlowKey, LegId, Route, Switchboard};
use super::witness::Witness;
use crate::limits::{DIALOGS, SIGNALLING_LINGER, TOMBSTONE_AGE, TOMBSTONES};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::icmp::Unreachable;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::time::Duration;

struct Leg {
    call: u64,
    /// Empty in a call that is media alone.
    call_id: Vec<u8>,
    /// The two addresses of a call that is media alone.
    ends: (Endpoint, Endpoint),
    /// `None` in a call that is media alone.
    dialog: Option<Box<Dialog>>,
    media_at: Option<CaptureTime>,
    last_at: CaptureTime,
}

/// Everything that is up.
pub struct Roster {
    patience: Patience,
    legs: HashMap<LegId, Leg>,
    by_call_id: HashMap<Vec<u8>, LegId>,
    calls: BTreeMap<u64, Vec<LegId>>,
    ended_ids: HashMap<Vec<u8>, CaptureTime>,
    /// Calls of media alone, by their two addresses in order.
    media_only: HashMap<(Endpoint, Endpoint), LegId>,
    switchboard: Switchboard,
    prebuffer: Prebuffer,
    pairing: Pairing,
    /// What watches the primaries.
    pub(super) witness: Witness,
    /// The time of the last frame that is believed: how long a leg has been silent is told by it.
    now: CaptureTime,
    next_leg: u64,
    next_call: u64,
    /// When calls of a primary were last looked through for a sign that is cheap to fake.
    looked: HashMap<Endpoint, CaptureTime>,
}

impl Roster {
    /// Nothing is up.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            legs: HashMap::new(),
            by_call_id: HashMap::new(),
            calls: BTreeMap::new(),
            ended_ids: HashMap::new(),
            media_only: HashMap::new(),
            switchboard: Switchboard::default(),
            prebuffer: Prebuffer::default(),
            pairing: Pairing::default(),
            witness: Witness::default(),
            now: CaptureTime::default(),
            next_leg: 0,
            next_call: 0,
            looked: HashMap::new(),
        }
    }

    /// What this part has counted: media that was let go unclaimed, and flows beyond the limits.
    #[must_use]
    pub fn let_go(&self) -> (u64, u64) {
        (self.prebuffer.dropped, self.switchboard.overflow)
    }

    /// Calls in progress.
    #[must_use]
    pub fn calls_up(&self) -> usize {
        self.calls.len()
    }

    /// Time passes.
    pub fn pass(&mut self, now: CaptureTime) {
        self.now = now;
    }

    /// Takes a SIP message and the packet it is kept as.
    pub fn signalling(
        &mut self,
        heard: &Heard<'_>,
        packet: &[u8],
        counters: &mut Counters,
        out: &mut impl Output,
    ) {
        self.watch_outside(heard);
        let Some(id) = self.leg_of(heard, counters, out) else { return };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(dialog) = &mut leg.dialog else { return };
        let named = dialog.hear(heard);
        leg.last_at = self.now;
        out.packet(id, Track::Signalling, heard.at, packet);
        if let Some(primary) = dialog.primary() {
            watch(&mut self.witness, heard, primary);
        }
        let new = if named { self.switchboard.claim(id, dialog.media.claims()) } else { Vec::new() };
        self.switchboard.end(id, dialog.ended_at());
        for address in new {
            for (_, (t, p)) in self.prebuffer.claim(heard.at, address) {
                self.keep(t, id, &p, counters, out);
            }
        }
    }

    /// Takes a datagram that may be media.
    pub fn media(
        &mut self,
        at: CaptureTime,
        flow: FlowKey,
        payload: &[u8],
        ip_packet: &[u8],
        counters: &mut Counters,
        out: &mut impl Output,
    ) {
        match self.switchboard.route(at, flow) {
            Route::Leg(leg) => self.keep(at, leg, ip_packet, counters, out),
            Route::Ended => counters.after_end += 1,
            Route::Unclaimed => {
                if !self.prebuffer.has_room(ip_packet.len()) {
                    self.promote(at, Ripe::Believed, counters, out);
                    // What was promoted now has a leg of its own.
                    if let Route::Leg(leg) = self.switchboard.route(at, flow) {
                        return self.keep(at, leg, ip_packet, counters, out);
                    }
                }
                self.prebuffer.hold(at, flow, payload, ip_packet);
            }
        }
    }

    fn keep(
        &mut self,
        at: CaptureTime,
        id: LegId,
        ip_packet: &[u8],
        counters: &mut Counters,
        out: &mut impl Output,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.media_at = Some(self.now);
        counters.media += 1;
        out.packet(id, Track::Media, at, ip_packet);
    }

    /// A datagram could not be delivered: told to the witness when it was media or signalling of a call that is up.
    pub fn unreachable(&mut self, at: CaptureTime, u: &Unreachable) {
        if self.witness.is_primary(u.destination) {
            if self.may_look(at, u.destination) && self.calls_with(u.destination) {
                self.witness.refused(at, u.destination);
            }
            return;
        }
        for id in self.switchboard.owners(u.destination) {
            let dialog = self.legs.get(&id).and_then(|l| l.dialog.as_ref());
            let live = dialog.filter(|d| d.ended_at().is_none() && d.answered_at.is_some() && !d.on_hold());
            // What the recorder itself sends back may well go to a closed port.
            let primary = live.and_then(|d| d.primary()).filter(|p| p.same_host(u.destination));
            if let Some(p) = primary {
                return self.witness.unreachable(at, p);
            }
        }
    }

    /// A primary has closed, reset or refused a TCP connection.
    pub fn disconnected(&mut self, at: CaptureTime, primary: Endpoint, refused: bool) {
        if !self.witness.is_primary(primary) || !self.may_look(at, primary) || !self.calls_with(primary) {
            return;
        }
        if refused {
            self.witness.refused(at, primary);
        } else {
            self.witness.closed(at, primary);
        }
    }

    /// All calls are looked through at most ten times a second for each primary.
    fn may_look(&mut self, at: CaptureTime, primary: Endpoint) -> bool {
        let last = self.looked.insert(primary, at);
        last.is_none_or(|t| at < t || at.since(t) >= Duration::from_millis(100))
    }

    /// Is a call up that this primary records?
    fn calls_with(&self, primary: Endpoint) -> bool {
        let up =
            |d: &Dialog| d.primary() == Some(primary) && d.ended_at().is_none() && d.answered_at.is_some();
        self.legs.values().any(|l| l.dialog.as_ref().is_some_and(|d| up(d)))
    }

    /// OPTIONS and other requests outside dialogs tell of a primary too.
    fn watch_outside(&mut self, heard: &Heard<'_>) {
        if Dialog::begins_with(heard.message) {
            return;
        }
        if self.witness.is_primary(heard.source) {
            watch(&mut self.witness, heard, heard.source);
        } else if self.witness.is_primary(heard.destination) {
            watch(&mut self.witness, heard, heard.destination);
        }
    }

    /// The leg of a message's dialog, opened when it is the first of a dialog worth following.
    fn leg_of(&mut self, heard: &Heard<'_>, counters: &mut Counters, out: &mut impl Output) -> Option<LegId> {
        let call_id = heard.message.call_id();
        if let Some(id) = self.by_call_id.get(call_id).copied() {
            let again = self
                .legs
                .get(&id)
                .and_then(|l| Some((l.call, l.dialog.as_ref()?)))
                .filter(|(_, d)| d.is_left_by(heard.message));
            let Some((call, _)) = again else { return Some(id) };
            self.finish(heard.at, call, Over::Signalled, out);
        }
        if !Dialog::begins_with(heard.message) {
            return None;
        }
        // What straggles in behind the end does not make a call, a new INVITE with the old Call-ID does.
        if self.ended_ids.contains_key(call_id) && !heard.message.is_request("INVITE") {
            return None;
        }
        if self.by_call_id.len() >= DIALOGS {
            counters.calls_refused += 1;
            return None;
        }
        let dialog = Dialog::new(heard);
        let (id, own) = (self.leg_number(), self.call_number());
        let joined = dialog.bib.as_ref().and_then(|bib| self.pairing.join(heard.at, bib, own));
        let call = joined.filter(|c| self.calls.contains_key(c)).unwrap_or(own);
        if call != own {
            self.next_call -= 1;
        }
        let name = name_of(b"dialog", call_id, heard.at);
        self.by_call_id.insert(call_id.to_vec(), id);
        let leg = Leg {
            call,
            call_id: call_id.to_vec(),
            ends: Default::default(),
            dialog: Some(Box::new(dialog)),
            media_at: None,
            last_at: heard.at,
        };
        self.open(id, &name, leg, out);
        Some(id)
    }

    fn open(&mut self, id: LegId, name: &str, leg: Leg, out: &mut impl Output) {
        self.calls.entry(leg.call).or_default().push(id);
        out.open(id, name);
        self.legs.insert(id, leg);
    }

    fn leg_number(&mut self) -> LegId {
        self.next_leg += 1;
        LegId(self.next_leg - 1)
    }

    /// Counts calls without a gap: the workers share them out by this number.
    fn call_number(&mut self) -> u64 {
        self.next_call += 1;
        self.next_call - 1
    }

    /// Passes time: what has ended is given out.
    pub fn sweep(&mut self, now: CaptureTime, counters: &mut Counters, out: &mut impl Output) {
        self.promote(now, Ripe::Old, counters, out);
        self.switchboard.sweep(now);
        self.ended_ids.retain(|_, t| now.since(*t) < TOMBSTONE_AGE);
        let over: Vec<(u64, Over)> =
            self.calls.keys().filter_map(|c| self.over(now, *c).map(|o| (*c, o))).collect();
        for (call, over) in over {
            self.finish(now, call, over, out);
        }
    }

    /// Goes on with a leg of an earlier run. Legs come in order of their beginning.
    pub fn resume(&mut self, r: Resumed) -> LegId {
        let (id, own) = (self.leg_number(), self.call_number());
        let bib = r.dialog.as_ref().and_then(|d| Some((d.first_at, d.bib.as_ref()?)));
        let joined = bib.and_then(|(at, bib)| self.pairing.join(at, bib, own));
        let call = joined.filter(|c| self.calls.contains_key(c)).unwrap_or(own);
        let ends = r.flows.first().map(|f| (f.source.min(f.destination), f.source.max(f.destination)));
        let mut leg = Leg {
            call,
            call_id: Vec::new(),
            ends: ends.unwrap_or_default(),
            dialog: None,
            media_at: r.media_at,
            last_at: r.last_at,
        };
        if let Some(d) = r.dialog {
            leg.call_id = d.call_id.clone().into_bytes();
            self.by_call_id.insert(leg.call_id.clone(), id);
            self.switchboard.claim(id, d.media.claims());
            self.switchboard.end(id, d.ended_at());
            leg.dialog = Some(Box::new(d));
        } else {
            self.media_only.insert(leg.ends, id);
        }
        for f in r.flows {
            self.switchboard.tie(id, f);
        }
        self.calls.entry(call).or_default().push(id);
        self.legs.insert(id, leg);
        id
    }

    /// Legs in progress.
    pub fn legs_up(&self) -> impl Iterator<Item = LegId> {
        self.legs.keys().copied()
    }

    /// Media that is held for signalling to name it is given out as calls of its own: who goes on may join them.
    pub fn park(&mut self, now: CaptureTime, counters: &mut Counters, out: &mut impl Output) {
        self.promote(now, Ripe::All, counters, out);
    }

    /// The capture has ended: everything is given out.
    pub fn close(&mut self, now: CaptureTime, counters: &mut Counters, out: &mut impl Output) {
        self.promote(now, Ripe::All, counters, out);
        for call in self.calls.keys().copied().collect::<Vec<_>>() {
            let over = self.over(now, call).unwrap_or(Over::CaptureEnded);
            self.finish(now, call, over, out);
        }
    }

    /// Is the call over at this time, and why? When its legs differ, the last word is that of the longest.
    fn over(&self, now: CaptureTime, call: u64) -> Option<Over> {
        let legs = self.calls.get(&call)?;
        let mut all: Option<(CaptureTime, Over)> = None;
        for leg in legs.iter().filter_map(|id| self.legs.get(id)) {
            let one = self.leg_over(now, leg)?;
            all = all.filter(|a| a.0 >= one.0).or(Some(one));
        }
        all.map(|a| a.1)
    }

    fn leg_over(&self, now: CaptureTime, leg: &Leg) -> Option<(CaptureTime, Over)> {
        let last = leg.media_at.map_or(leg.last_at, |m| m.max(leg.last_at));
        let idle = now.since(last);
        let Some(d) = &leg.dialog else {
            return (idle > self.patience.media).then_some((last, Over::Silent));
        };
        if let Some(t) = d.ended_at() {
            return (now.since(leg.last_at.max(t)) > SIGNALLING_LINGER).then_some((last, Over::Signalled));
        }
        let (patience, over) = match (d.answered_at, leg.media_at) {
            // Early media, then ringing: silence is no end before the answer.
            (None, _) => (self.patience.setup, Over::Unanswered),
            (Some(_), None) => (self.patience.hold, Over::Silent),
            (_, Some(_)) if d.on_hold() => (self.patience.hold, Over::Silent),
            (_, Some(_)) => (self.patience.media, Over::Silent),
        };
        (idle > patience).then_some((last, over))
    }

    fn finish(&mut self, now: CaptureTime, call: u64, over: Over, out: &mut impl Output) {
        let Some(legs) = self.calls.remove(&call) else {
            return;
        };
        let carried = legs.iter().find_map(|id| self.carried(self.legs.get(id)?));
        for id in &legs {
            self.switchboard.remove(*id, now);
            let Some(leg) = self.legs.remove(id) else { continue };
            if leg.dialog.is_none() {
                self.media_only.remove(&leg.ends);
            } else if self.by_call_id.remove(&leg.call_id).is_some() && self.ended_ids.len() < TOMBSTONES {
                self.ended_ids.insert(leg.call_id, now);
            }
        }
        out.finish(&legs, over, carried);
    }

    /// How a leg was carried past the loss of its primary.
    fn carried(&self, leg: &Leg) -> Option<Carried> {
        let d = leg.dialog.as_ref()?;
        let to = d.ended_at().or(leg.media_at).unwrap_or(leg.last_at);
        let primary = d.primary()?;
        let loss = self.witness.caught(primary, d.answered_at?, to)?;
        Some(Carried { primary: primary.to_string(), lost_at: loss.from, evidence: loss.evidence.clone() })
    }

    /// Sustained RTP that nobody named becomes a call of its own; both directions of a conversation one.
    fn promote(&mut self, now: CaptureTime, which: Ripe, counters: &mut Counters, out: &mut impl Output) {
        for (flow, packets) in self.prebuffer.ripe(now, which) {
            let Some(first) = packets.first().map(|p| p.0) else {
                continue;
            };
            if self.legs.len() >= DIALOGS {
                counters.calls_refused += 1;
                continue;
            }
            let ends = (flow.source.min(flow.destination), flow.source.max(flow.destination));
            let id = match self.media_only.get(&ends) {
                Some(id) => *id,
                None => {
                    let (id, call) = (self.leg_number(), self.call_number());
                    let name = name_of(b"media", format!("{flow:?}").as_bytes(), first);
                    self.media_only.insert(ends, id);
                    let leg =
                        Leg { call, call_id: Vec::new(), ends, dialog: None, media_at: None, last_at: first };
                    self.open(id, &name, leg, out);
                    id
                }
            };
            self.switchboard.tie(id, flow);
            for (t, p) in packets {
                self.keep(t, id, &p, counters, out);
            }
        }
    }
}

/// A folder name for a leg's spool: from the wire, so that it is the same in every replay.
fn name_of(kind: &[u8], what: &[u8], at: CaptureTime) -> String {
    super::identity::short_hash(&[kind, what, &at.nanos().to_be_bytes()])
}

/// Tells the witness of a message to or from a primary.
fn watch(witness: &mut Witness, heard: &Heard<'_>, primary: Endpoint) {
    let m = heard.message;
    if heard.source == primary {
        witness.heard(heard.at, primary);
    } else if m.status().is_none() && m.method() != b"ACK" {
        let key = [m.call_id(), m.header("cseq").unwrap_or_default()].join(&b' ');
        witness.asked(heard.at, primary, &key);
    }
}
