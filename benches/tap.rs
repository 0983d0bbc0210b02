//! What a packet costs the tap: a million RTP frames of 500 calls through `Listener`, best of several rounds.
//!
//! `cargo bench --bench tap` (or `--profile quick`). To compare two versions, run both in turns on a quiet machine.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use earwitness::call::listener::{Listener, Output, Over, Patience, Track};
use earwitness::call::note::Note;
use earwitness::call::record::Carried;
use earwitness::call::switchboard::LegId;
use earwitness::call::witness::Loss;
use earwitness::time::CaptureTime;
use earwitness::wire::endpoint::Endpoint;
use earwitness::wire::frame::LinkType;
use earwitness::wire::ip::{self, protocol};
use earwitness::wire::transport;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const CALLS: u32 = 500;
const FRAMES: u32 = 1_000_000;
const ROUNDS: usize = 9;

/// Takes everything and keeps a sum of it.
#[derive(Default)]
struct Sink(u64);

impl Output for Sink {
    fn open(&mut self, _: LegId, _: &str) {}
    fn packet(&mut self, leg: LegId, _: Track, _: CaptureTime, ip_packet: &[u8]) {
        self.0 = self.0.wrapping_add(leg.0 + black_box(ip_packet).len() as u64);
    }
    fn note(&mut self, _: LegId, _: &Note) {}
    fn finish(&mut self, _: &[LegId], _: Over, _: Option<Carried>) {}
    fn primary(&mut self, _: Endpoint, _: &Loss) {}
}

fn host(a: u8, n: u32) -> IpAddr {
    Ipv4Addr::new(10, a, (n >> 8) as u8, n as u8).into()
}

fn ethernet(packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], packet].concat()
}

fn udp(from: (IpAddr, u16), to: (IpAddr, u16), payload: &[u8]) -> Vec<u8> {
    ethernet(&ip::packet(from.0, to.0, protocol::UDP, &transport::udp_bytes(from.1, to.1, payload)))
}

/// The two messages that open a call.
fn signalling(n: u32) -> [Vec<u8>; 2] {
    let (a, b) = (host(1, n), host(2, n));
    let head = |start: &str, to: &str, host: IpAddr, port: u16| {
        format!(
            "{start}\r\nVia: SIP/2.0/UDP {a};branch=z{n}\r\nFrom: <sip:a@{a}>;tag=1\r\nTo: <sip:b@{b}>{to}\r\nCall-ID: {n}\r\n\
             CSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\nv=0\r\nc=IN IP4 {host}\r\nm=audio {port} RTP/AVP 0\r\n"
        )
    };
    let invite = head(&format!("INVITE sip:b@{b} SIP/2.0"), "", a, 4000);
    let ok = head("SIP/2.0 200 OK", ";tag=2", b, 5000);
    [udp((a, 5060), (b, 5060), invite.as_bytes()), udp((b, 5060), (a, 5060), ok.as_bytes())]
}

/// One RTP frame of each direction of each call.
fn media() -> Vec<Vec<u8>> {
    let frame = |n: u32, back: bool| {
        let ends = [(host(1, n), 4000), (host(2, n), 5000)];
        let (from, to) = if back { (ends[1], ends[0]) } else { (ends[0], ends[1]) };
        let mut rtp = vec![0x80, 0, 0, 0, 0, 0, 0, 0];
        rtp.extend((n * 2 + u32::from(back)).to_be_bytes());
        rtp.resize(172, 0xff);
        udp(from, to, &rtp)
    };
    (0..CALLS).flat_map(|n| [frame(n, false), frame(n, true)]).collect()
}

fn main() {
    let patience = Patience {
        media: Duration::from_secs(60),
        hold: Duration::from_secs(60),
        setup: Duration::from_secs(60),
        resume: Duration::from_secs(10),
    };
    let mut best = f64::MAX;
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let mut listener = Listener::new(patience);
        let mut sink = Sink::default();
        let at = CaptureTime::from_parts(1_700_000_000, 0);
        for n in 0..CALLS {
            for f in signalling(n) {
                listener.frame(at, LinkType::Ethernet, &f, &mut sink);
            }
        }
        let mut frames = media();
        let each = frames.len() as u32;
        let begun = Instant::now();
        for i in 0..FRAMES {
            let f = &mut frames[(i % each) as usize];
            let turn = i / each;
            f[44..46].copy_from_slice(&(turn as u16).to_be_bytes());
            f[46..50].copy_from_slice(&(turn * 160).to_be_bytes());
            // 50 packets a second of each stream.
            let at = at + Duration::from_nanos(u64::from(i) * 20_000_000 / u64::from(each));
            listener.frame(at, LinkType::Ethernet, f, &mut sink);
        }
        let ns = begun.elapsed().as_nanos() as f64 / f64::from(FRAMES);
        assert_eq!(listener.counters().media, u64::from(FRAMES), "every packet is of a call");
        best = best.min(ns);
        all.push(format!("{ns:.1}"));
        black_box(sink.0);
    }
    println!("tap: {best:.1} ns a packet (best of {ROUNDS}: {})", all.join(" "));
}
