//! PURE. The mirror doctor: what is wrong with what we are given to hear, and how to put it right.
//!
//! Frames go in, findings come out (docs/doctor.md). It keeps counts and bounded tables, writes nothing, and knows no
//! clock but that of the frames. `earwitness doctor` asks it about files and interfaces, a running recorder about
//! samples of what it records.

mod calls;
mod capture;
mod copies;
mod finding;
mod lines;
mod loss;
mod path;
mod pieces;
mod signalling;
mod streams;
mod tags;
mod tcp;
mod verdict;

pub use finding::{Finding, Severity};
pub use path::{Path, Way};

use crate::call::sip_stream::{Cut, Direction, SipStreams};
use crate::limits::TUNNEL_DEPTH;
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::fragments::Fragments;
use crate::wire::frame::{self, FrameError, LinkType, Network};
use crate::wire::ip::{self, Ip, protocol};
use crate::wire::transport::{Tcp, Udp};
use crate::wire::{rtcp, rtp, sip, transport, tunnel};
use calls::Calls;
use capture::Capture;
use copies::Copies;
use pieces::Pieces;
use signalling::Signalling;
use std::collections::BTreeMap;
use std::time::Duration;
use streams::Streams;
use tags::Tags;
use tcp::Connections;

/// What the doctor has heard.
#[derive(Default)]
pub struct Doctor {
    capture: Capture,
    copies: Copies,
    pieces: Pieces,
    fragments: Fragments,
    tags: Tags,
    tcp: Connections,
    sip_streams: SipStreams,
    signalling: Signalling,
    calls: Calls,
    streams: Streams,
    tunnels: BTreeMap<&'static str, u64>,
    tagged: u64,
    media: u64,
    /// Not all was heard, by intent: what is named by no signalling may have been named meanwhile.
    sampled: bool,
    /// SIP was heard at a time, in the clear and encrypted.
    ever: (bool, bool),
    swept_at: CaptureTime,
}

impl Doctor {
    /// Takes a frame.
    pub fn frame(&mut self, at: CaptureTime, link: LinkType, bytes: &[u8]) {
        self.capture.frame(at, bytes.len());
        if link == LinkType::Ethernet && bytes.first().is_some_and(|b| b & 1 == 1) {
            self.capture.multicast += 1;
        }
        if at.0.abs_diff(self.swept_at.0) >= Duration::from_millis(250).as_nanos() as u64 {
            self.swept_at = at;
            self.sweep(at);
        }
        let n = frame::decode(link, bytes);
        self.network(at, n, bytes, Some(link), Path::default(), 0);
    }

    /// Frames that this host has dropped: in the kernel, at the network card.
    pub fn dropped(&mut self, kernel: u64, interface: u64) {
        self.capture.dropped(kernel, interface);
    }

    /// What comes next is not what followed: nothing is missing in between.
    pub fn deaf(&mut self) {
        let now = self.capture.last_at;
        self.sampled = true;
        let cuts = self.sip_streams_over();
        self.cut(cuts);
        self.capture.deaf();
        self.pieces.deaf();
        self.fragments = Fragments::default();
        self.sip_streams = SipStreams::default();
        self.tcp.settle(now);
        self.signalling.deaf();
        self.streams.deaf();
    }

    /// Begins to count anew. Calls stay known.
    pub fn renew(&mut self) {
        let now = self.capture.last_at;
        let mut calls = std::mem::take(&mut self.calls);
        calls.renew(now);
        let sip_streams = std::mem::take(&mut self.sip_streams);
        *self = Self { calls, sip_streams, sampled: self.sampled, ever: self.heard_sip(), ..Self::default() };
    }

    /// Was SIP heard at any time, in the clear or encrypted?
    fn heard_sip(&self) -> (bool, bool) {
        (self.ever.0 || self.signalling.is_clear(), self.ever.1 || self.signalling.is_encrypted())
    }

    /// Was any SIP or RTP heard since the beginning, whatever the rounds?
    #[must_use]
    pub fn has_heard_calls(&self) -> bool {
        let (clear, encrypted) = self.heard_sip();
        clear || encrypted || self.media > 0
    }

    /// Frames heard since the beginning, or since [`Doctor::renew`].
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.capture.frames
    }

    fn sip_streams_over(&mut self) -> Vec<(Direction, Vec<Cut>)> {
        self.sip_streams.drain()
    }

    fn sweep(&mut self, now: CaptureTime) {
        let cuts = self.sip_streams.sweep(now);
        self.cut(cuts);
        self.pieces.sweep(now);
        self.tcp.sweep(now);
        self.signalling.sweep(now);
    }

    fn network(
        &mut self,
        at: CaptureTime,
        n: Result<Network<'_>, FrameError>,
        around: &[u8],
        link: Option<LinkType>,
        mut path: Path,
        depth: usize,
    ) {
        let bytes = match n {
            Ok(Network::Ip(b)) if depth <= TUNNEL_DEPTH => b,
            Ok(_) => return,
            Err(_) => return self.capture.malformed += 1,
        };
        let Ok(ip) = ip::parse(bytes) else { return self.capture.malformed += 1 };
        path.head(link, around.get(..around.len().saturating_sub(bytes.len())).unwrap_or_default());
        path.ip(&ip);
        if depth == 0 {
            self.capture.packet(ip.missing, around.len());
        }
        if ip.fragment.is_none() {
            return self.packet(at, &ip, path, depth);
        }
        if self.copies.is_copy(at, &ip, &path) {
            return;
        }
        self.pieces.add(at, &ip);
        if let Some(whole) = self.fragments.add(at, &ip)
            && let Ok(ip) = ip::parse(&whole)
        {
            self.packet(at, &ip, path, depth);
        }
    }

    fn packet(&mut self, at: CaptureTime, ip: &Ip<'_>, path: Path, depth: usize) {
        let any = |a| Endpoint::new(a, 0);
        self.signalling.packet(any(ip.source), any(ip.destination));
        match ip.protocol {
            protocol::UDP => {
                if let Some(udp) = transport::udp(ip.payload) {
                    self.udp(at, ip, &udp, path, depth);
                }
            }
            protocol::TCP => {
                if let Some(tcp) = transport::tcp(ip.payload) {
                    self.tcp(at, ip, &tcp, &path);
                }
            }
            _ => {
                if let Some(inner) = tunnel::over_ip(ip) {
                    let name = tunnel_name(ip.protocol, 0, ip.payload);
                    self.through(at, ip, name, inner, ip.payload, path, depth);
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what is known of a packet on its way inwards")]
    fn through(
        &mut self,
        at: CaptureTime,
        ip: &Ip<'_>,
        name: &'static str,
        inner: Result<Network<'_>, FrameError>,
        around: &[u8],
        mut path: Path,
        depth: usize,
    ) {
        *self.tunnels.entry(name).or_default() += 1;
        path.through(name, ip);
        self.network(at, inner, around, None, path, depth + 1);
    }

    fn udp(&mut self, at: CaptureTime, ip: &Ip<'_>, udp: &Udp<'_>, path: Path, depth: usize) {
        let source = Endpoint::new(ip.source, udp.source_port);
        let destination = Endpoint::new(ip.destination, udp.destination_port);
        if rtp::looks_like(udp.payload) {
            return self.media(at, ip, source, destination, udp.payload, &path);
        }
        if let Some(inner) = tunnel::over_udp(udp) {
            let name = tunnel_name(protocol::UDP, udp.destination_port, udp.payload);
            return self.through(at, ip, name, inner, udp.payload, path, depth);
        }
        let message = udp.payload.trim_ascii_start();
        if sip::looks_like(message) {
            // What was put together from fragments was looked at piece by piece.
            if self.copies.is_copy(at, ip, &path) {
                return;
            }
            self.heard(source, destination, &path);
            return self.sip(at, source, destination, message, true);
        }
        if calls::is_dtls(udp.payload) {
            self.calls.dtls();
        }
        // Fax (T.38), STUN and the like are media too: it is the mirror that is asked for.
        self.calls.packet(source, destination);
    }

    fn media(
        &mut self,
        at: CaptureTime,
        ip: &Ip<'_>,
        source: Endpoint,
        destination: Endpoint,
        payload: &[u8],
        path: &Path,
    ) {
        if self.copies.is_copy(at, ip, path) {
            return;
        }
        let rtp = match rtp::parse(payload) {
            Ok(rtp) => rtp,
            Err(rtp::RtpError::Rtcp) => {
                rtcp::reports(payload).iter().for_each(|r| self.streams.report(source, destination, r));
                return;
            }
            Err(_) => return,
        };
        self.media += 1;
        self.heard(source, destination, path);
        self.calls.packet(source, destination);
        if let Some((captured, sent)) = self.streams.packet(at, source, destination, &rtp).next {
            self.capture.goes_on(at, captured, sent);
        }
    }

    fn heard(&mut self, source: Endpoint, destination: Endpoint, path: &Path) {
        self.tagged += u64::from(path.is_tagged());
        self.tags.packet(source, destination, path);
    }

    fn tcp(&mut self, at: CaptureTime, ip: &Ip<'_>, tcp: &Tcp<'_>, path: &Path) {
        let source = Endpoint::new(ip.source, tcp.source_port);
        let destination = Endpoint::new(ip.destination, tcp.destination_port);
        self.signalling.tls(source, destination, tcp.payload);
        let known =
            self.sip_streams.follows(source, destination) || self.sip_streams.follows(destination, source);
        if !known && !is_sip_port(source, destination) && !sip::looks_like(tcp.payload) {
            // It may be one of the first segments of a connection that will turn out to carry SIP.
            let cuts = self.sip_streams.add(at, source, destination, tcp);
            return self.cut(cuts);
        }
        if self.copies.is_copy(at, ip, path) {
            return;
        }
        self.heard(source, destination, path);
        // What came out of order before it was known to be SIP was not counted, and is not missing; a late copy of the SYN
        // begins nothing.
        let missing =
            !self.tcp.follows(source, destination) && self.sip_streams.has_hole(source, destination);
        let copy = tcp.syn && self.sip_streams.began_with(source, destination, tcp.sequence);
        if !missing && !copy {
            self.tcp.segment(at, source, destination, tcp);
        }
        let cuts = self.sip_streams.add(at, source, destination, tcp);
        self.cut(cuts);
    }

    fn cut(&mut self, cuts: Vec<(Direction, Vec<Cut>)>) {
        for ((source, destination), cuts) in cuts {
            for c in cuts {
                self.sip(c.at, source, destination, &c.bytes, false);
            }
        }
    }

    fn sip(&mut self, at: CaptureTime, source: Endpoint, destination: Endpoint, bytes: &[u8], udp: bool) {
        let Ok(m) = sip::parse(bytes) else { return self.signalling.unreadable += 1 };
        self.signalling.message(at, source, destination, &m, udp);
        self.calls.message(at, &m);
    }
}

/// SIP over TCP, and over TLS (RFC 3261, 19.1.2).
fn is_sip_port(a: Endpoint, b: Endpoint) -> bool {
    [a, b].iter().any(|e| matches!(e.port(), 5060 | 5061))
}

fn tunnel_name(protocol: u8, port: u16, payload: &[u8]) -> &'static str {
    match (protocol, port, payload.get(2..4)) {
        (protocol::GRE, _, Some([0x88, 0xbe] | [0x22, 0xeb])) => "ERSPAN",
        (protocol::GRE, ..) => "GRE",
        (protocol::MPLS, ..) => "MPLS",
        (protocol::UDP, 4789 | 8472 | 4790, _) => "VXLAN",
        (protocol::UDP, 6081, _) => "Geneve",
        (protocol::UDP, 37008, _) => "TZSP",
        (protocol::UDP, ..) => "UDP tunnel",
        _ => "IP in IP",
    }
}
