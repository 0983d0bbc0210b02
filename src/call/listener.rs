//! The tap's understanding: frames go in, each call's packets come out, in order, with the end of each call.
//!
//! Signalling is understood on the thread that reads the packets, so an RTP packet never races the INVITE that
//! announces it, the map of media needs no lock, and a replay gives the same result every time.

use super::agents::{AgentReport, Agents};
use super::ahead::Expected;
use super::clocks::{Clocks, Dated};
use super::copies::Copies;
pub use super::counters::Counters;
use super::dialog::Heard;
use super::note::Note;
use super::record::Carried;
use super::remarks;
use super::resume::Resumed;
use super::roster::Roster;
use super::sip_stream::{Cut, Direction, SipStreams};
use super::switchboard::{FlowKey, LegId};
use super::witness::{Loss, PrimaryReport};
use crate::limits::TUNNEL_DEPTH;
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::fragments::Fragments;
use crate::wire::frame::{self, LinkType, Network};
use crate::wire::ip::{self, Ip, protocol};
use crate::wire::transport::{Tcp, Udp};
use crate::wire::{arp, hep, icmp, rtp, sip, transport, tunnel};
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
    /// A leg begins. `name` is a file name that is the same in every replay.
    fn open(&mut self, leg: LegId, name: &str);
    /// A packet of a leg: a whole IP packet.
    fn packet(&mut self, leg: LegId, track: Track, at: CaptureTime, ip_packet: &[u8]);
    /// Something to keep beside the packets of a leg.
    fn note(&mut self, leg: LegId, note: &Note);
    /// All legs of a call are over. `carried`: its primary was lost meanwhile.
    fn finish(&mut self, legs: &[LegId], over: Over, carried: Option<Carried>);
    /// A primary was lost, or (the loss has its end) is back: once each.
    fn primary(&mut self, primary: Endpoint, loss: &Loss);
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
    /// A call of a Built-in Bridge whose dialogs were ended, as they are for a hold: how long it may take to go on.
    pub resume: Duration,
}

/// A step of the capture clock that one frame alone does not make.
const LEAP: Duration = Duration::from_secs(20);

/// The state of everything heard.
pub struct Listener {
    pub(super) roster: Roster,
    streams: SipStreams,
    fragments: Fragments,
    copies: Copies,
    agents: Agents,
    clocks: Clocks,
    /// Steady time, as all that follows.
    now: CaptureTime,
    /// A time far ahead of `now` that one frame told of.
    leap: Option<CaptureTime>,
    /// The packet that was last looked into was cut off.
    cut_outside: bool,
    swept_at: CaptureTime,
    counters: Counters,
}

impl Listener {
    /// A listener that has heard nothing.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self {
            roster: Roster::new(patience),
            streams: SipStreams::default(),
            fragments: Fragments::default(),
            copies: Copies::default(),
            agents: Agents::default(),
            clocks: Clocks::default(),
            now: CaptureTime(i64::MIN),
            leap: None,
            cut_outside: false,
            swept_at: CaptureTime(i64::MIN),
            counters: Counters::default(),
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let (unclaimed, flows_over) = self.roster.let_go();
        Counters {
            unclaimed,
            flows_over,
            fragments_given_up: self.fragments.given_up,
            tcp_holes: self.streams.holes,
            tcp_dropped: self.streams.dropped,
            tcp_unknown_dropped: self.streams.unknown_dropped(),
            web_compressed: self.streams.compressed,
            hep_bad: self.agents.bad,
            hep_compressed: self.agents.compressed,
            hep_other: self.agents.other,
            hep_redated: self.agents.redated,
            ..self.counters
        }
    }

    /// What is worth telling of the counters, for people; empty when all went into recordings.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        remarks::of(&self.counters(), self.refusals())
    }

    /// What each capture agent (HEP) has sent.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentReport> {
        self.agents.report()
    }

    /// Calls in progress.
    #[must_use]
    pub fn calls_up(&self) -> usize {
        self.roster.calls_up()
    }

    /// These addresses are primaries, also before they have said anything. To be told before [`Listener::resume`].
    pub fn watch(&mut self, primaries: &[Endpoint]) {
        self.roster.watch(primaries);
    }

    /// Calls in progress whose primary was lost.
    #[must_use]
    pub fn carried_up(&self) -> usize {
        self.roster.carried_up()
    }

    /// What is held of each primary, for `status`.
    #[must_use]
    pub fn primaries(&self) -> Vec<PrimaryReport> {
        let mut all = self.roster.primaries();
        for r in &mut all {
            for t in [&mut r.heard_at, &mut r.lost_at, &mut r.back_at].into_iter().flatten() {
                *t = self.clocks.host(*t);
            }
        }
        all
    }

    /// Takes a frame.
    pub fn frame(&mut self, at: CaptureTime, link: LinkType, bytes: &[u8], out: &mut impl Output) {
        self.expected(at, link, bytes, None, out);
    }

    /// Takes a frame of which [`Listener::expect`] has told this; the same, and cheaper.
    pub fn expected(
        &mut self,
        at: CaptureTime,
        link: LinkType,
        bytes: &[u8],
        told: Option<&Expected>,
        out: &mut impl Output,
    ) {
        let out = &mut Dated { out, clocks: self.clocks };
        let at = self.clocks.steady(at, self.now);
        self.counters.frames += 1;
        self.pass(at, out);
        if let Some((leg, ip_packet)) = self.still(bytes, told) {
            self.cut_outside = false;
            self.counters.media += 1;
            return out.packet(leg, Track::Media, at, ip_packet);
        }
        let network = frame::decode(link, bytes);
        self.network(at, network, 0, out);
    }

    /// Passes time: calls whose patience is at an end are given out.
    pub fn tick(&mut self, at: CaptureTime, out: &mut impl Output) {
        let out = &mut Dated { out, clocks: self.clocks };
        self.pass(self.clocks.steady(at, self.now), out);
    }

    /// Nothing can be heard now, as when no interface has a link: nobody is silent meanwhile.
    pub fn deaf(&mut self) {
        self.roster.deaf();
    }

    /// The host's clock was set: what was `from` is called `to` from now on. No patience is longer or shorter by it,
    /// and each leg that is up gets a note, behind which its packets are dated by the new clock.
    pub fn step(&mut self, from: CaptureTime, to: CaptureTime, out: &mut impl Output) {
        if from == to {
            return;
        }
        self.clocks.step(from, to, self.now);
        for leg in self.roster.legs_up() {
            out.note(leg, &Note::ClockStep { from, to });
        }
    }

    fn pass(&mut self, at: CaptureTime, out: &mut impl Output) {
        let first = self.now == CaptureTime(i64::MIN);
        // One frame stamped far ahead or far back is a wild timestamp; two are a pause in the capture, or its clock
        // was set.
        if !first && self.now.0.abs_diff(at.0) > LEAP.as_nanos() as u64 {
            let confirmed = self.leap.is_some_and(|t| t.0.abs_diff(at.0) <= LEAP.as_nanos() as u64);
            self.leap = Some(at);
            if confirmed {
                // A clock that is set back takes the timers with it.
                if at < self.now {
                    self.streams.set_back(at);
                    self.roster.set_back(at);
                }
                // The calls that go on say so within the next second; then is the time to look who does not.
                (self.now, self.swept_at) = (at, at);
                self.roster.pass(at);
            }
            return;
        }
        (self.now, self.leap) = (at, None);
        self.roster.pass(at);
        if at.since(self.swept_at) >= Duration::from_secs(1) {
            self.swept_at = at;
            let cuts = self.streams.sweep(at);
            self.messages(&cuts, out);
            self.roster.sweep(at, &mut self.counters, out);
        }
    }

    /// Goes on with a leg of an earlier run, which is in the spool already.
    pub fn resume(&mut self, leg: Resumed) -> LegId {
        self.roster.resume(leg)
    }

    /// Legs in progress.
    pub fn legs_up(&self) -> impl Iterator<Item = LegId> {
        self.roster.legs_up()
    }

    /// The recorder stops and another will go on: what is held in memory is given out, and the calls stay.
    pub fn park(&mut self, out: &mut impl Output) {
        let out = &mut Dated { out, clocks: self.clocks };
        let cuts = self.streams.drain();
        self.messages(&cuts, out);
        self.roster.park(self.now, &mut self.counters, out);
    }

    /// The capture has ended: everything is given out.
    pub fn close(&mut self, out: &mut impl Output) {
        let out = &mut Dated { out, clocks: self.clocks };
        let cuts = self.streams.drain();
        self.messages(&cuts, out);
        self.roster.close(self.now, &mut self.counters, out);
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
            Ok(Network::Arp(b)) => return self.arp(at, b, out),
            Ok(Network::Hep(b)) if depth <= TUNNEL_DEPTH => return self.hep(at, b, depth, out),
            Ok(Network::Other) => return,
            _ => return self.counters.malformed += 1,
        };
        let Ok(ip) = ip::parse(bytes) else {
            return self.counters.malformed += 1;
        };
        // Of a packet that was cut off before it went into the tunnel, nothing around it tells.
        self.counters.truncated += u64::from(ip.missing > 0 && (depth == 0 || !self.cut_outside));
        self.cut_outside = ip.missing > 0;
        if ip.fragment.is_some() {
            if let Some(whole) = self.fragments.add(at, &ip)
                && let Ok(ip) = ip::parse(&whole)
            {
                self.packet(at, &ip, depth, out);
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
            protocol::ICMP | protocol::ICMPV6 => {
                if let Some(u) = icmp::unreachable(ip) {
                    self.roster.unreachable(at, &u, out);
                }
            }
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
        if !rtp::looks_like(udp.payload) || tunnel::is_group_policy(udp) {
            if let Some(inner) = tunnel::over_udp(udp) {
                return self.network(at, inner, depth + 1, out);
            }
            // Line ends before the first line are ignored (RFC 3261, 7.5).
            let message = udp.payload.trim_ascii_start();
            if sip::looks_like(message) {
                return self.sip(at, source, destination, message, ip.bytes, out);
            }
        }
        let flow = FlowKey { source, destination, ssrc: rtp::peek_ssrc(udp.payload) };
        self.roster.media(at, flow, udp.payload, ip.bytes, &mut self.counters, out);
    }

    fn arp(&mut self, at: CaptureTime, bytes: &[u8], out: &mut impl Output) {
        match arp::parse(bytes) {
            Some(arp::Arp::Request(host)) => self.roster.sought(at, host, out),
            Some(arp::Arp::Reply(host)) => self.roster.found(host),
            None => {}
        }
    }

    /// What an agent elsewhere has heard, as if it had been heard here.
    fn hep(&mut self, at: CaptureTime, bytes: &[u8], depth: usize, out: &mut impl Output) {
        let Some((at, h)) = self.agents.take(at, hep::parse(bytes)) else { return };
        let (from, to) = (h.source, h.destination);
        let message = h.payload.trim_ascii_start();
        // An agent sends whole messages, however they came to it.
        if h.kind == hep::Kind::Sip && h.protocol != protocol::UDP && sip::looks_like(message) {
            let segment = transport::tcp_bytes(from.port(), to.port(), 0, message);
            let packet = ip::packet(from.ip(), to.ip(), protocol::TCP, &segment);
            return self.sip(at, from, to, message, &packet, out);
        }
        let segment = transport::udp_bytes(from.port(), to.port(), h.payload);
        let packet = ip::packet(from.ip(), to.ip(), protocol::UDP, &segment);
        self.network(at, Ok(Network::Ip(&packet)), depth + 1, out);
    }

    fn tcp(&mut self, at: CaptureTime, ip: &Ip<'_>, tcp: &Tcp<'_>, out: &mut impl Output) {
        let source = Endpoint::new(ip.source, tcp.source_port);
        let destination = Endpoint::new(ip.destination, tcp.destination_port);
        let refused = tcp.rst && !self.streams.knows(source, destination);
        self.roster.segment(at, source, destination, tcp, out);
        let cuts = self.streams.add(at, source, destination, tcp);
        self.messages(&cuts, out);
        if (tcp.fin || tcp.rst) && !self.streams.peer_closed(source, destination) {
            self.roster.disconnected(at, source, refused, out);
        }
    }

    /// Messages cut out of TCP streams are kept as segments of their own.
    fn messages(&mut self, cuts: &[(Direction, Vec<Cut>)], out: &mut impl Output) {
        for ((source, destination), cuts) in cuts {
            for c in cuts {
                let segment = transport::tcp_bytes(source.port(), destination.port(), c.sequence, &c.bytes);
                let packet = ip::packet(source.ip(), destination.ip(), protocol::TCP, &segment);
                self.sip(c.at, *source, *destination, &c.bytes, &packet, out);
            }
        }
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
        let Ok(message) = sip::parse(bytes) else { return self.counters.sip_bad += 1 };
        self.counters.sip += 1;
        if self.copies.is_copy(at, source, destination, bytes) {
            return self.counters.sip_copies += 1;
        }
        let heard = Heard { at, source, destination, message: &message };
        self.roster.signalling(&heard, packet, &mut self.counters, out);
    }
}
