//! Frames made by hand, with any times, and what the tap makes of them.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop, and uses what it needs"
)]

use earwitness::call::listener::{Listener, Output, Over, Patience, Track};
use earwitness::call::note::Note;
use earwitness::call::record::Carried;
use earwitness::call::switchboard::LegId;
use earwitness::call::witness::Loss;
use earwitness::time::CaptureTime;
use earwitness::wire::endpoint::Endpoint;
use earwitness::wire::frame::LinkType;
use earwitness::wire::{ip, transport};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Counts what each leg got.
#[derive(Default)]
pub struct Tape {
    pub legs: BTreeMap<LegId, (u64, u64)>,
    pub calls: Vec<(Vec<LegId>, Over)>,
    pub notes: Vec<(LegId, Note)>,
    pub carried: Vec<Option<Carried>>,
    pub primaries: Vec<(Endpoint, Loss)>,
    /// Times of the last packet of each leg, as they are written.
    pub last_at: BTreeMap<LegId, CaptureTime>,
}

impl Output for Tape {
    fn open(&mut self, leg: LegId, _: &str) {
        assert!(self.legs.insert(leg, (0, 0)).is_none());
    }
    fn packet(&mut self, leg: LegId, track: Track, at: CaptureTime, _: &[u8]) {
        self.last_at.insert(leg, at);
        let counts = self.legs.get_mut(&leg).expect("a packet of a leg that is not open");
        match track {
            Track::Signalling => counts.0 += 1,
            Track::Media => counts.1 += 1,
        }
    }
    fn note(&mut self, leg: LegId, note: &Note) {
        assert!(self.legs.contains_key(&leg), "a note of a leg that is not open");
        self.notes.push((leg, note.clone()));
    }
    fn finish(&mut self, legs: &[LegId], over: Over, carried: Option<Carried>) {
        self.calls.push((legs.to_vec(), over));
        self.carried.push(carried);
    }
    fn primary(&mut self, primary: Endpoint, loss: &Loss) {
        self.primaries.push((primary, loss.clone()));
    }
}

pub struct Scene<O = Tape> {
    pub listener: Listener,
    pub tape: O,
    pub shift_ms: i64,
}

pub const CALLER: &str = "10.0.0.1";
pub const CALLEE: &str = "10.0.0.2";

/// The instant so many milliseconds after the beginning of a scene.
pub fn time(ms: i64) -> CaptureTime {
    CaptureTime(1_700_000_000_000_000_000 + ms * 1_000_000)
}

impl<O: Output + Default> Scene<O> {
    pub fn on() -> Self {
        let s = Duration::from_secs;
        let patience = Patience { media: s(60), hold: s(14_400), setup: s(180), resume: s(10) };
        Self { listener: Listener::new(patience), tape: O::default(), shift_ms: 0 }
    }

    pub fn udp(&mut self, ms: i64, from: (&str, u16), to: (&str, u16), payload: &[u8]) {
        let (a, b): (IpAddr, IpAddr) = (from.0.parse().unwrap(), to.0.parse().unwrap());
        let packet = ip::packet(a, b, ip::protocol::UDP, &transport::udp_bytes(from.1, to.1, payload));
        self.ip(ms, &packet);
    }

    pub fn ip(&mut self, ms: i64, packet: &[u8]) {
        self.listener.frame(time(ms + self.shift_ms), LinkType::RawIp, packet, &mut self.tape);
    }

    /// A message; `sdp` is the host and port it describes.
    pub fn sip(
        &mut self,
        ms: i64,
        from: &str,
        to: &str,
        start: &str,
        headers: &str,
        sdp: Option<(&str, u16)>,
    ) {
        let body =
            sdp.map_or(String::new(), |(h, p)| format!("v=0\r\nc=IN IP4 {h}\r\nm=audio {p} RTP/AVP 0\r\n"));
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!("{start}\r\n{headers}\r\n{kind}Content-Length: {}\r\n\r\n{body}", body.len());
        self.udp(ms, (from, 5060), (to, 5060), text.as_bytes());
    }

    pub fn request(&mut self, ms: i64, method: &str, headers: &str, sdp: Option<(&str, u16)>) {
        self.sip(ms, CALLER, CALLEE, &format!("{method} sip:b@h SIP/2.0"), headers, sdp);
    }

    pub fn answer(&mut self, ms: i64, status: &str, headers: &str, sdp: Option<(&str, u16)>) {
        self.sip(ms, CALLEE, CALLER, &format!("SIP/2.0 {status}"), headers, sdp);
    }

    /// Packets every 20 ms from `ms` on.
    pub fn rtp(&mut self, ms: std::ops::Range<i64>, from: (&str, u16), to: (&str, u16), ssrc: u32) {
        for t in ms.step_by(20) {
            let n = (t / 20) as u32;
            let mut b = vec![0x80, 0, (n >> 8) as u8, n as u8];
            b.extend((n * 160).to_be_bytes());
            b.extend(ssrc.to_be_bytes());
            b.extend([0xff; 160]);
            self.udp(t, from, to, &b);
        }
    }

    /// Nothing of interest happens until then.
    pub fn later(&mut self, ms: i64) {
        self.udp(ms, ("10.9.9.9", 9), ("10.9.9.8", 9), b"tick");
    }
}

impl Scene {
    pub fn new() -> Self {
        Self::on()
    }

    /// Ends the capture: (signalling, media) of each call's legs, and why it was over.
    pub fn close(mut self) -> Vec<(u64, u64, Over)> {
        self.listener.close(&mut self.tape);
        let sum = |legs: &[LegId], pick: fn(&(u64, u64)) -> u64| {
            legs.iter().map(|l| pick(&self.tape.legs[l])).sum()
        };
        self.tape.calls.iter().map(|(l, over)| (sum(l, |c| c.0), sum(l, |c| c.1), *over)).collect()
    }
}

pub fn headers(call_id: &str, cseq: &str, from_tag: &str, to_tag: &str) -> String {
    let to = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    format!("Call-ID: {call_id}\r\nCSeq: {cseq}\r\nFrom: <sip:a@h>;tag={from_tag}\r\nTo: <sip:b@h>{to}")
}

pub const PHONE: Option<(&str, u16)> = Some((CALLER, 4000));
pub const OTHER: Option<(&str, u16)> = Some((CALLEE, 5000));
