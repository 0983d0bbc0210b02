//! The tap's understanding: frames go in, each call's packets come out, in order, with the end of each call.
//!
//! Signalling is understood on the thread that reads the packets, so an RTP packet never races the INVITE that
//! announces it, the map of media needs no lock, and a replay gives the same result every time.

use super::dialog::{Dialog, Heard};
use super::pairing::Pairing;
use super::prebuffer::Prebuffer;
use super::sip_stream::SipStreams;
use super::switchboard::{FlowKey, LegId, Route, Switchboard};
use crate::limits::{DIALOGS, SIGNALLING_LINGER, TOMBSTONE_AGE, TOMBSTONES, TUNNEL_DEPTH};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::fragments::Fragments;
use crate::wire::frame::{self, LinkType, Network};
use crate::wire::ip::{self, Ip, protocol};
use crate::wire::transport::{Tcp, Udp};
use crate::wire::{rtp, sip, transport, tunnel};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::time::Duration;

/// Which of a leg's two spool files a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Track {
    /// SIP.
    Signalling,
    /// What went to the addresses that signalling named: RTP, RTCP and their neighbours.
    Media,
}

/// Why the tap gives a call to be finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Its signalling says so.
    Signalled,
    /// No media for the configured time.
    Silent,
    /// No answer and no more signalling.
    Unanswered,
    /// The capture ended.
    CaptureEnded,
}

/// What the tap tells the workers. Packets of a leg come in order of capture, behind its `open`.
pub trait Output {
    /// A leg begins. `call` chooses the worker; `name` is a file name that is the same in every replay.
    fn open(&mut self, call: u64, leg: LegId, name: &str);
    /// A packet of a leg: a whole IP packet.
    fn packet(&mut self, call: u64, leg: LegId, track: Track, at: CaptureTime, ip_packet: &[u8]);
    /// All legs of a call are over.
    fn finish(&mut self, call: u64, legs: &[LegId], over: Over);
}

/// When a call that says nothing more is over.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// An answered call without media.
    pub media: Duration,
    /// The same while on hold, or when no media was ever seen.
    pub hold: Duration,
    /// An INVITE without a final answer.
    pub setup: Duration,
}

/// What happened to the packets; every one that is not in a recording is counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames read.
    pub frames: u64,
    /// Frames whose headers make no sense.
    pub malformed: u64,
    /// Packets cut off by the capture's snap length.
    pub truncated: u64,
    /// SIP messages understood.
    pub sip: u64,
    /// What began like SIP and was none, or had no Call-ID.
    pub sip_bad: u64,
    /// Packets of media given to calls.
    pub media: u64,
    /// Media for calls that had ended.
    pub after_end: u64,
    /// Dialogs that were refused because there were too many.
    pub dialogs_refused: u64,
}

struct Leg {
    call: u64,
    /// Empty in a call that is media alone.
    call_id: Vec<u8>,
    /// `None` in a call that is media alone.
    dialog: Option<Box<Dialog>>,
    media_at: Option<CaptureTime>,
    last_at: CaptureTime,
}

/// The state of everything heard.
pub struct Listener {
    patience: Patience,
    legs: HashMap<LegId, Leg>,
    by_call_id: HashMap<Vec<u8>, LegId>,
    calls: BTreeMap<u64, Vec<LegId>>,
    ended_ids: HashMap<Vec<u8>, CaptureTime>,
    /// Calls of media alone, by their two addresses in order.
    media_only: HashMap<(Endpoint, Endpoint), LegId>,
    switchboard: Switchboard,
    prebuffer: Prebuffer,
    streams: SipStreams,
    fragments: Fragments,
    pairing: Pairing,
    next: u64,
    now: CaptureTime,
    swept_at: CaptureTime,
    counters: Counters,
}

impl Listener {
    /// A listener that has heard nothing.
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
            streams: SipStreams::default(),
            fragments: Fragments::default(),
            pairing: Pairing::default(),
            next: 0,
            now: CaptureTime(i64::MIN),
            swept_at: CaptureTime(i64::MIN),
            counters: Counters::default(),
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Calls in progress.
    #[must_use]
    pub fn calls_up(&self) -> usize {
        self.calls.len()
    }

    /// Takes a frame.
    pub fn frame(&mut self, at: CaptureTime, link: LinkType, bytes: &[u8], out: &mut impl Output) {
        self.counters.frames += 1;
        self.tick(at, out);
        let network = frame::decode(link, bytes);
        self.network(at, network, 0, out);
    }

    /// Passes time: calls whose patience is at an end are given out.
    pub fn tick(&mut self, at: CaptureTime, out: &mut impl Output) {
        // A capture clock that is set back takes the timers with it.
        self.now = at;
        if at.since(self.swept_at) >= Duration::from_secs(1) || at < self.swept_at {
            self.swept_at = at;
            self.sweep(out);
        }
    }

    /// The capture has ended: everything is given out.
    pub fn close(&mut self, out: &mut impl Output) {
        for ((source, destination), cuts) in self.streams.drain() {
            for c in cuts {
                self.cut_message(self.now, source, destination, &c, out);
            }
        }
        self.promote(true, out);
        for call in self.calls.keys().copied().collect::<Vec<_>>() {
            let over = self.over(call).unwrap_or(Over::CaptureEnded);
            self.finish(call, over, out);
        }
    }

    fn network(
        &mut self,
        at: CaptureTime,
        n: Result<Network<'_>, frame::FrameError>,
        depth: usize,
        out: &mut impl Output,
    ) {
        let bytes = match n {
            Ok(Network::Ip(b)) if depth <= TUNNEL_DEPTH => b,
            Ok(Network::Arp(_) | Network::Other) => return,
            _ => return self.counters.malformed += 1,
        };
        let Ok(ip) = ip::parse(bytes) else {
            return self.counters.malformed += 1;
        };
        self.counters.truncated += u64::from(ip.missing > 0);
        if ip.fragment.is_some() {
            if let Some(whole) = self.fragments.add(at, &ip) {
                if let Ok(ip) = ip::parse(&whole) {
                    self.packet(at, &ip, depth, out);
                }
            }
            return;
        }
        self.packet(at, &ip, depth, out);
    }

    fn packet(&mut self, at: CaptureTime, ip: &Ip<'_>, depth: usize, out: &mut impl Output) {
        match ip.protocol {
            protocol::UDP => match transport::udp(ip.payload) {
                Some(udp) => self.udp(at, ip, &udp, depth, out),
                None => self.counters.malformed += 1,
            },
            protocol::TCP => match transport::tcp(ip.payload) {
                Some(tcp) => self.tcp(at, ip, &tcp, out),
                None => self.counters.malformed += 1,
            },
            _ => {
                if let Some(inner) = tunnel::over_ip(ip) {
                    self.network(at, inner, depth + 1, out);
                }
            }
        }
    }

    fn udp(&mut self, at: CaptureTime, ip: &Ip<'_>, udp: &Udp<'_>, depth: usize, out: &mut impl Output) {
        let source = Endpoint::new(ip.source, udp.source_port);
        let destination = Endpoint::new(ip.destination, udp.destination_port);
        if !rtp::looks_like(udp.payload) {
            if let Some(inner) = tunnel::over_udp(udp) {
                return self.network(at, inner, depth + 1, out);
            }
            if sip::looks_like(udp.payload) {
                return self.sip(at, source, destination, udp.payload, ip.bytes, out);
            }
        }
        let flow = FlowKey { source, destination, ssrc: rtp::peek_ssrc(udp.payload) };
        match self.switchboard.route(at, flow) {
            Route::Leg(leg) => self.media(at, leg, ip.bytes, out),
            Route::Ended => self.counters.after_end += 1,
            Route::Unclaimed => self.prebuffer.hold(at, flow, udp.payload, ip.bytes),
        }
    }

    fn media(&mut self, at: CaptureTime, id: LegId, ip_packet: &[u8], out: &mut impl Output) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.media_at = Some(at);
        self.counters.media += 1;
        out.packet(leg.call, id, Track::Media, at, ip_packet);
    }

    fn tcp(&mut self, at: CaptureTime, ip: &Ip<'_>, tcp: &Tcp<'_>, out: &mut impl Output) {
        let source = Endpoint::new(ip.source, tcp.source_port);
        let destination = Endpoint::new(ip.destination, tcp.destination_port);
        for cut in self.streams.add(at, source, destination, tcp) {
            self.cut_message(at, source, destination, &cut, out);
        }
    }

    /// A message cut out of a TCP stream is kept as a segment of its own.
    fn cut_message(
        &mut self,
        at: CaptureTime,
        source: Endpoint,
        destination: Endpoint,
        cut: &super::sip_stream::Cut,
        out: &mut impl Output,
    ) {
        let segment = transport::tcp_bytes(source.port(), destination.port(), cut.sequence, &cut.bytes);
        let packet = ip::packet(source.ip(), destination.ip(), protocol::TCP, &segment);
        self.sip(at, source, destination, &cut.bytes, &packet, out);
    }

    fn sip(
        &mut self,
        at: CaptureTime,
        source: Endpoint,
        destination: Endpoint,
        bytes: &[u8],
        packet: &[u8],
        out: &mut impl Output,
    ) {
        let Ok(message) = sip::parse(bytes) else {
            return self.counters.sip_bad += 1;
        };
        self.counters.sip += 1;
        let heard = Heard { at, source, destination, message: &message };
        let Some(id) = self.leg_of(&heard, out) else {
            return;
        };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(dialog) = &mut leg.dialog else { return };
        let named = dialog.hear(&heard);
        leg.last_at = at;
        out.packet(leg.call, id, Track::Signalling, at, packet);
        let new = if named { self.switchboard.claim(id, dialog.media.claims()) } else { Vec::new() };
        if let Some(t) = dialog.ended_at() {
            self.switchboard.end(id, t);
        }
        for address in new {
            for (_, (t, p)) in self.prebuffer.claim(address) {
                self.media(t, id, &p, out);
            }
        }
    }

    /// The leg of a message's dialog, opened when it is the first of a dialog worth following.
    fn leg_of(&mut self, heard: &Heard<'_>, out: &mut impl Output) -> Option<LegId> {
        let call_id = heard.message.call_id();
        if let Some(id) = self.by_call_id.get(call_id) {
            return Some(*id);
        }
        if !Dialog::begins_with(heard.message) {
            return None;
        }
        // What straggles in behind the end does not make a call, a new INVITE with the old Call-ID does.
        if self.ended_ids.contains_key(call_id) && !heard.message.is_request("INVITE") {
            return None;
        }
        if self.by_call_id.len() >= DIALOGS {
            self.counters.dialogs_refused += 1;
            return None;
        }
        let dialog = Dialog::new(heard);
        let (id, own) = (LegId(self.number()), self.number());
        let joined = dialog.bib.as_ref().and_then(|bib| self.pairing.join(heard.at, bib, own));
        let call = joined.filter(|c| self.calls.contains_key(c)).unwrap_or(own);
        let name = name_of(b"dialog", call_id, heard.at);
        self.by_call_id.insert(call_id.to_vec(), id);
        self.open(call, id, call_id, &name, Some(Box::new(dialog)), heard.at, out);
        Some(id)
    }

    fn open(
        &mut self,
        call: u64,
        id: LegId,
        call_id: &[u8],
        name: &str,
        dialog: Option<Box<Dialog>>,
        at: CaptureTime,
        out: &mut impl Output,
    ) {
        self.calls.entry(call).or_default().push(id);
        self.legs.insert(id, Leg { call, call_id: call_id.to_vec(), dialog, media_at: None, last_at: at });
        out.open(call, id, name);
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn sweep(&mut self, out: &mut impl Output) {
        let now = self.now;
        self.promote(false, out);
        self.switchboard.sweep(now);
        self.ended_ids.retain(|_, t| now.since(*t) < TOMBSTONE_AGE);
        let over: Vec<(u64, Over)> =
            self.calls.keys().filter_map(|c| self.over(*c).map(|o| (*c, o))).collect();
        for (call, over) in over {
            self.finish(call, over, out);
        }
    }

    /// Is the call over at this time, and why? When its legs differ, the last word is that of the longest.
    fn over(&self, call: u64) -> Option<Over> {
        let legs = self.calls.get(&call)?;
        let mut all: Option<(CaptureTime, Over)> = None;
        for leg in legs.iter().filter_map(|id| self.legs.get(id)) {
            let one = self.leg_over(leg)?;
            all = all.max_by_time(one);
        }
        all.map(|a| a.1)
    }

    fn leg_over(&self, leg: &Leg) -> Option<(CaptureTime, Over)> {
        let last = leg.media_at.map_or(leg.last_at, |m| m.max(leg.last_at));
        let idle = self.now.since(last);
        let Some(d) = &leg.dialog else {
            return (idle > self.patience.media).then_some((last, Over::Silent));
        };
        if let Some(t) = d.ended_at() {
            return (self.now.since(leg.last_at.max(t)) > SIGNALLING_LINGER)
                .then_some((last, Over::Signalled));
        }
        let (patience, over) = match (d.answered_at, leg.media_at) {
            (None, None) => (self.patience.setup, Over::Unanswered),
            (Some(_), None) => (self.patience.hold, Over::Silent),
            (_, Some(_)) if d.on_hold() => (self.patience.hold, Over::Silent),
            (_, Some(_)) => (self.patience.media, Over::Silent),
        };
        (idle > patience).then_some((last, over))
    }

    fn finish(&mut self, call: u64, over: Over, out: &mut impl Output) {
        let Some(legs) = self.calls.remove(&call) else {
            return;
        };
        for id in &legs {
            self.switchboard.remove(*id, self.now);
            let Some(leg) = self.legs.remove(id) else { continue };
            if leg.dialog.is_none() {
                self.media_only.retain(|_, l| l != id);
            } else if self.by_call_id.remove(&leg.call_id).is_some() && self.ended_ids.len() < TOMBSTONES {
                self.ended_ids.insert(leg.call_id, self.now);
            }
        }
        out.finish(call, &legs, over);
    }

    /// Sustained RTP that nobody named becomes a call of its own; both directions of a conversation one.
    fn promote(&mut self, all: bool, out: &mut impl Output) {
        for (flow, packets) in self.prebuffer.ripe(self.now, all) {
            let Some(first) = packets.first().map(|p| p.0) else {
                continue;
            };
            let ends = (flow.source.min(flow.destination), flow.source.max(flow.destination));
            let id = match self.media_only.get(&ends) {
                Some(id) => *id,
                None => {
                    let (id, call) = (LegId(self.number()), self.number());
                    let name = name_of(b"media", format!("{flow:?}").as_bytes(), first);
                    self.media_only.insert(ends, id);
                    self.open(call, id, &[], &name, None, first, out);
                    id
                }
            };
            self.switchboard.tie(id, flow);
            for (t, p) in packets {
                self.media(t, id, &p, out);
            }
        }
    }
}

trait MaxByTime {
    fn max_by_time(self, other: (CaptureTime, Over)) -> Self;
}

impl MaxByTime for Option<(CaptureTime, Over)> {
    fn max_by_time(self, other: (CaptureTime, Over)) -> Self {
        Some(self.filter(|s| s.0 >= other.0).unwrap_or(other))
    }
}

/// A folder name for a leg's spool: from the wire, so that it is the same in every replay.
fn name_of(kind: &[u8], what: &[u8], at: CaptureTime) -> String {
    super::identity::short_hash(&[kind, what, &at.nanos().to_be_bytes()])
}
