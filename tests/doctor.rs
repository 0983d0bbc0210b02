//! The mirror doctor on packets made by hand: each finding is made when it should be and not when it should not, and
//! captures of healthy calls have none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod support;

use earwitness::doctor::{Doctor, Finding, Severity};
use earwitness::time::CaptureTime;
use earwitness::wire::frame::LinkType;
use earwitness::wire::ip::protocol;
use earwitness::wire::{ip, transport};
use serde_json::Value;
use std::net::IpAddr;
use support::{array, run, testdata, text};

/// How a packet comes.
#[derive(Clone, Copy)]
struct Way {
    vlan: Option<u16>,
    ttl: u8,
    id: u16,
    macs: u8,
}

const PLAIN: Way = Way { vlan: None, ttl: 64, id: 7, macs: 2 };

#[derive(Default)]
struct Mirror {
    doctor: Doctor,
    frames: Vec<(i64, Vec<u8>)>,
    /// The frames are given as they are made, and not in order of time.
    as_made: bool,
    end: i64,
}

impl Mirror {
    fn frame(&mut self, us: i64, frame: &[u8]) {
        self.end = self.end.max(us);
        self.frames.push((us, frame.to_vec()));
    }

    /// Gives what was gathered to the doctor.
    fn hear(&mut self) {
        if !self.as_made {
            self.frames.sort_by_key(|f| f.0);
        }
        for (us, frame) in self.frames.drain(..) {
            self.doctor.frame(
                CaptureTime::from_micros(1_700_000_000_000_000 + us),
                LinkType::Ethernet,
                &frame,
            );
        }
    }

    fn ip(&mut self, us: i64, way: Way, from: &str, to: &str, proto: u8, payload: &[u8]) {
        self.frame(us, &ethernet(way, &packet(way, from, to, proto, payload)));
    }

    fn udp(&mut self, us: i64, way: Way, from: (&str, u16), to: (&str, u16), payload: &[u8]) {
        let udp = transport::udp_bytes(from.1, to.1, payload);
        self.ip(us, way, from.0, to.0, protocol::UDP, &udp);
    }

    fn rtp(&mut self, us: i64, from: (&str, u16), to: (&str, u16), ssrc: u32, sequence: u16) {
        self.udp(us, Way { id: sequence, ..PLAIN }, from, to, &rtp(ssrc, sequence));
    }

    /// RTP every 20 ms; of the packets whose number `lost` names nothing is heard.
    fn speech(
        &mut self,
        ms: std::ops::Range<i64>,
        from: (&str, u16),
        to: (&str, u16),
        ssrc: u32,
        lost: impl Fn(i64) -> bool,
    ) {
        for n in ms.start / 20..ms.end / 20 {
            if !lost(n) {
                self.rtp(n * 20_000 + i64::from(ssrc % 19) * 1_000, from, to, ssrc, n as u16);
            }
        }
    }

    fn sip(&mut self, ms: i64, from: &str, to: &str, first: &str, rest: &str, sdp: Option<(&str, u16)>) {
        let message = sip(first, rest, sdp);
        self.udp(ms * 1_000, Way { id: ms as u16, ..PLAIN }, (from, 5060), (to, 5060), message.as_bytes());
    }

    /// A call of ten seconds; who listens leaves out what `heard` does not let pass.
    fn call(&mut self, ms: i64, heard: impl Fn(&str, &str) -> bool) {
        let (a, b) = (A, B);
        let mut say = |ms, from, to, first: &str, rest: &str, sdp| {
            if heard(from, first) {
                self.sip(ms, from, to, first, rest, sdp);
            }
        };
        let head = |cseq: &str, tag: &str| {
            format!("Call-ID: c{ms}\r\nCSeq: {cseq}\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>{tag}\r\n")
        };
        say(ms, a, b, "INVITE sip:b@x SIP/2.0", &head("1 INVITE", ""), Some((a, 4000)));
        say(ms + 10, b, a, "SIP/2.0 180 Ringing", &head("1 INVITE", ";tag=2"), None);
        say(ms + 20, b, a, "SIP/2.0 200 OK", &head("1 INVITE", ";tag=2"), Some((b, 5000)));
        say(ms + 30, a, b, "ACK sip:b@x SIP/2.0", &head("1 ACK", ";tag=2"), None);
        say(ms + 10_000, a, b, "BYE sip:b@x SIP/2.0", &head("2 BYE", ";tag=2"), None);
        say(ms + 10_010, b, a, "SIP/2.0 200 OK", &head("2 BYE", ";tag=2"), None);
    }

    fn findings(mut self) -> Vec<Finding> {
        self.hear();
        self.doctor.finish();
        self.doctor.findings(CaptureTime::from_micros(1_700_000_000_000_000 + self.end))
    }

    /// What it finds, but for that little was heard: most of these scenes are small.
    fn words(self) -> Vec<String> {
        let words = self.findings().into_iter().map(|f| f.finding);
        words.filter(|w| w != "too-little-heard" && w != "media-without-signalling").collect()
    }

    fn finding(self, word: &str) -> Finding {
        let all = self.findings();
        let words: Vec<_> = all.iter().map(|f| f.finding.clone()).collect();
        all.into_iter().find(|f| f.finding == word).unwrap_or_else(|| panic!("no {word} in {words:?}"))
    }
}

const A: &str = "10.0.0.1";
const B: &str = "10.0.0.2";

fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut b = vec![0x80, 0];
    b.extend(sequence.to_be_bytes());
    b.extend((u32::from(sequence) * 160).to_be_bytes());
    b.extend(ssrc.to_be_bytes());
    b.extend([sequence as u8; 160]);
    b
}

fn sip(first: &str, rest: &str, sdp: Option<(&str, u16)>) -> String {
    let body = sdp
        .map(|(ip, port)| format!("v=0\r\nc=IN IP4 {ip}\r\nm=audio {port} RTP/AVP 0\r\n"))
        .unwrap_or_default();
    let kind = if sdp.is_some() { "Content-Type: application/sdp\r\n" } else { "" };
    format!("{first}\r\n{rest}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn packet(way: Way, from: &str, to: &str, proto: u8, payload: &[u8]) -> Vec<u8> {
    let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let mut p = ip::packet(from, to, proto, payload);
    p[4..6].copy_from_slice(&way.id.to_be_bytes());
    p[8] = way.ttl;
    p
}

fn ethernet(way: Way, ip: &[u8]) -> Vec<u8> {
    let mut f = vec![way.macs; 12];
    f[0] = 2;
    if let Some(v) = way.vlan {
        f.extend([0x81, 0]);
        f.extend(v.to_be_bytes());
    }
    f.extend([8, 0]);
    f.extend(ip);
    f
}

fn number(f: &Finding, key: &str) -> u64 {
    f.numbers[key].as_u64().unwrap_or_else(|| panic!("{key} of {f:?}"))
}

#[test]
fn a_healthy_call_has_no_finding() {
    let mut m = Mirror::default();
    m.speech(0..10_000, (A, 4000), (B, 5000), 1, |_| false);
    m.speech(0..10_000, (B, 5000), (A, 4000), 2, |_| false);
    m.call(0, |_, _| true);
    assert_eq!(m.findings(), []);
}

#[test]
fn copies_are_counted_by_path_and_what_is_sent_again_is_none() {
    let routed = Way { ttl: 63, macs: 4, id: 9_999, vlan: Some(20) };
    for (copy, after_us, way) in
        [(PLAIN, 60, "identical"), (routed, 90, "routed"), (routed, 15_000, "routed")]
    {
        let mut m = Mirror::default();
        for n in 0..100u16 {
            let us = i64::from(n) * 20_000;
            m.udp(us, PLAIN, (A, 4000), (B, 5000), &rtp(1, n));
            m.udp(us + after_us, copy, (A, 4000), (B, 5000), &rtp(1, n));
        }
        let f = m.finding("copies");
        assert_eq!((number(&f, "copies"), number(&f, "packets")), (100, 100));
        assert_eq!(f.numbers["ways"], serde_json::json!({ way: 100 }));
        let path = &array(&f.numbers["paths"])[0];
        assert_eq!((path["copies"].as_u64(), array(&f.numbers["paths"]).len()), (Some(100), 1));
        assert!(text(&path["first"]).ends_with("TTL 64") && f.text.starts_with("Every packet"), "{f:?}");
        assert_eq!(text(&path["copy"]).contains("VLAN 20"), way == "routed", "{path}");
    }
    // One of two ways is mirrored twice: a part.
    let mut m = Mirror::default();
    for n in 0..100u16 {
        let us = i64::from(n) * 20_000;
        m.rtp(us, (A, 4000), (B, 5000), 1, n);
        m.rtp(us + 30, (A, 4000), (B, 5000), 1, n);
        m.rtp(us + 60, (B, 5000), (A, 4000), 2, n);
    }
    let f = m.finding("copies");
    assert_eq!((number(&f, "copies"), number(&f, "packets")), (100, 200));
    assert!(f.text.starts_with("A part"), "{f:?}");
    // Sent again by the sender, under an identification of its own or a packet time later; two streams of one SSRC; SIP
    // after T1; the end packets of a digit.
    let mut m = Mirror::default();
    for n in 0..200u16 {
        let us = i64::from(n) * 20_000;
        m.udp(us, Way { id: 2 * n, ..PLAIN }, (A, 4000), (B, 5000), &rtp(1, n));
        m.udp(us + 400, Way { id: 2 * n + 1, ..PLAIN }, (A, 4000), (B, 5000), &rtp(1, n));
        m.udp(us + 10, PLAIN, (A, 4002), (B, 5002), &rtp(1, n));
        m.udp(us + 10_500, PLAIN, (A, 4002), (B, 5002), &rtp(1, n));
        m.udp(us + 5, PLAIN, (A, 4004), (B, 5004), &rtp(1, n));
    }
    let invite = sip("INVITE sip:b@x SIP/2.0", "Call-ID: r\r\nCSeq: 1 INVITE\r\n", None);
    for n in 0..7 {
        m.udp(5_000_000 + n * 500_000, PLAIN, (A, 5060), (B, 5060), invite.as_bytes());
    }
    assert_eq!(m.words(), [""; 0]);
}

#[test]
fn loss_on_many_streams_at_once_is_the_mirrors_and_on_one_the_networks() {
    let streams = |lost: &dyn Fn(u32, i64) -> bool| {
        let mut m = Mirror::default();
        // In the order of time, as they come.
        for n in 0..500i64 {
            for ssrc in (0..12u32).filter(|s| !lost(*s, n)) {
                let (from, to) = ((A, 4000 + ssrc as u16), (B, 5000 + ssrc as u16));
                m.rtp(n * 20_000 + i64::from(ssrc) * 1_000, from, to, ssrc, n as u16);
            }
        }
        m
    };
    let f = streams(&|_, n| (100..110).contains(&n) || (300..305).contains(&n)).finding("lost-by-mirror");
    assert_eq!((number(&f, "lost"), number(&f, "shared_moments"), f.severity), (180, 2, Severity::Problem));
    assert!(f.text.contains("on 12 of 12 active ones"), "{}", f.text);
    let f = streams(&|s, n| s == 3 && n % 20 == 7).finding("lost-in-network");
    assert_eq!((number(&f, "lost"), number(&f, "streams_with_loss")), (25, 1));
    // Alike on all, and never at once.
    let f = streams(&|s, n| n % 40 == i64::from(s) * 3).finding("lost-by-mirror");
    assert_eq!((f.severity, number(&f, "lost_in_shared_moments")), (Severity::Warning, 0), "{}", f.text);
    // Late is not lost, and another beginning of the sequence is none either.
    let mut m = Mirror::default();
    for n in 0..200u16 {
        let sequence = match n {
            100.. => n + 1_500,
            _ if n % 50 == 10 => n + 1,
            _ if n % 50 == 11 => n - 1,
            _ => n,
        };
        m.rtp(i64::from(n) * 20_000, (A, 4000), (B, 5000), 1, sequence);
    }
    assert_eq!(m.words(), [""; 0]);
}

#[test]
fn receivers_that_lack_nothing_prove_the_mirrors_loss() {
    for (their, word, proven) in [([0u8, 0], "lost-by-mirror", true), ([20, 40], "lost-in-network", false)] {
        let mut m = Mirror::default();
        m.speech(0..10_000, (A, 4000), (B, 5000), 77, |n| n % 25 == 3);
        let report = |lost: u8| {
            let mut b = vec![0x81, 201, 0, 7, 0, 0, 0, 2, 0, 0, 0, 77, 0, 0, 0, lost];
            b.extend([0; 16]);
            b
        };
        m.udp(10_000_500, PLAIN, (B, 5001), (A, 4001), &report(their[0]));
        m.speech(10_020..20_000, (A, 4000), (B, 5000), 77, |n| n % 25 == 3);
        m.udp(20_000_500, PLAIN, (B, 5001), (A, 4001), &report(their[1]));
        let f = m.finding(word);
        assert_eq!(
            (&f.numbers["proven_by_receivers"], number(&f, "receiver_reports")),
            (&Value::Bool(proven), 2)
        );
    }
}

#[test]
fn receivers_that_lack_the_same_clear_the_mirror_though_all_streams_lose_alike() {
    // At the same moments, and each at its own.
    for apart in [0, 3] {
        let mut m = Mirror::default();
        for (from, to, lost) in [(0, 500, 20u8), (500, 1_000, 40)] {
            for n in from..to {
                for s in (0..6u16).filter(|s| n % 25 != 3 + i64::from(s * apart)) {
                    m.rtp(
                        n * 20_000 + i64::from(s),
                        (A, 4000 + 2 * s),
                        (B, 5000 + 2 * s),
                        70 + u32::from(s),
                        n as u16,
                    );
                }
            }
            for s in 0..6u8 {
                let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 2, 0, 0, 0, 70 + s, 0, 0, 0, lost];
                report.extend([0; 16]);
                let s = 2 * u16::from(s);
                m.udp(to * 20_000 - 500, PLAIN, (B, 5001 + s), (A, 4001 + s), &report);
            }
        }
        let f = m.finding("lost-in-network");
        assert!(f.text.contains("the receivers report the same"), "{}", f.text);
    }
}

#[test]
fn one_direction_of_media() {
    let call = |a: bool, b: bool| {
        let mut m = Mirror::default();
        m.call(0, |_, _| true);
        if a {
            m.speech(100..10_000, (A, 4000), (B, 5000), 1, |_| false);
        }
        if b {
            m.speech(100..10_000, (B, 5000), (A, 4000), 2, |_| false);
        }
        m
    };
    let f = call(true, false).finding("one-way-media");
    assert_eq!((number(&f, "calls"), number(&f, "one_way")), (1, 1));
    assert!(f.text.contains("10.0.0.2:5000 > 10.0.0.1:4000 of a to b"), "{}", f.text);
    assert!(f.remedy.unwrap().contains("monitor session"));
    assert_eq!(call(true, true).words(), [""; 0]);
    assert_eq!(call(false, false).words(), ["signalling-without-media"]);
    // Who sends to a recorder hears nothing back.
    let mut m = Mirror::default();
    let head = |cseq: &str, tag: &str| {
        format!(
            "Call-ID: s\r\nCSeq: {cseq}\r\nRequire: siprec\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>{tag}\r\n"
        )
    };
    m.sip(0, A, B, "INVITE sip:b@x SIP/2.0", &head("1 INVITE", ""), Some((A, 4000)));
    m.sip(10, B, A, "SIP/2.0 200 OK", &head("1 INVITE", ";tag=2"), Some((B, 5000)));
    m.sip(20, A, B, "ACK sip:b@x SIP/2.0", &head("1 ACK", ";tag=2"), None);
    m.speech(100..10_000, (A, 4000), (B, 5000), 1, |_| false);
    assert_eq!(m.words(), [""; 0]);
}

#[test]
fn one_party_of_recordings_never_comes() {
    let session = |m: &mut Mirror, n: u16, both: bool| {
        let start = i64::from(n) * 20_000;
        let lines = |from: &str, port: u16, way: &str| {
            let line = |port: u16| format!("m=audio {port} RTP/AVP 0\r\na={way}\r\n");
            format!("v=0\r\nc=IN IP4 {from}\r\n{}{}", line(port), line(port + 2))
        };
        let head = |cseq: &str, tag: &str, body: &str| {
            format!(
                "Call-ID: s{n}\r\nCSeq: {cseq}\r\nRequire: siprec\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>{tag}\r\n\
                 Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let mut say = |ms: i64, from, to, first: &str, rest: &str| {
            let message = format!("{first}\r\n{rest}");
            m.udp((start + ms) * 1_000, PLAIN, (from, 5060), (to, 5060), message.as_bytes());
        };
        let (here, there) = (4000 + 10 * n, 5000 + 10 * n);
        say(0, A, B, "INVITE sip:b@x SIP/2.0", &head("1 INVITE", "", &lines(A, here, "sendonly")));
        say(10, B, A, "SIP/2.0 200 OK", &head("1 INVITE", ";tag=2", &lines(B, there, "recvonly")));
        say(20, A, B, "ACK sip:b@x SIP/2.0", &head("1 ACK", ";tag=2", ""));
        let ms = start + 100..start + 10_000;
        m.speech(ms.clone(), (A, here), (B, there), u32::from(n), |_| false);
        if both {
            m.speech(ms, (A, here + 2), (B, there + 2), 100 + u32::from(n), |_| false);
        }
    };
    let mirror = |both: &[bool]| {
        let mut m = Mirror::default();
        (0..).zip(both).for_each(|(n, both)| session(&mut m, n, *both));
        m
    };
    assert_eq!(mirror(&[true, true]).words(), [""; 0]);
    let f = mirror(&[false, true, false]).finding("recording-stream-missing");
    assert_eq!((number(&f, "recordings"), number(&f, "lacking")), (3, 2));
    assert!(f.severity == Severity::Problem && f.text.contains("10.0.0.2:5002 of a to b"), "{}", f.text);
    // One party may say nothing.
    let f = mirror(&[false, true, true]).finding("recording-stream-missing");
    assert_eq!(f.severity, Severity::Note);
}

#[test]
fn one_direction_of_signalling_but_not_a_server_that_is_dead() {
    for silent in [A, B] {
        let mut m = Mirror::default();
        m.call(0, |from, _| from != silent);
        m.call(20_000, |from, _| from != silent);
        let (from, to) = if silent == A { (B, A) } else { (A, B) };
        m.speech(0..40_000, (from, 4000), (to, 5000), 1, |_| false);
        let f = m.finding("one-way-signalling");
        assert_eq!((number(&f, "pairs"), number(&f, "pairs_in_both_directions")), (1, 0), "{}", f.text);
    }
    // Nobody answers, and so it is said again.
    let mut m = Mirror::default();
    for ms in [0, 500, 1_500, 3_500, 7_500] {
        m.sip(
            ms,
            A,
            B,
            "INVITE sip:b@x SIP/2.0",
            "Call-ID: d\r\nCSeq: 1 INVITE\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n",
            None,
        );
        m.sip(
            ms,
            A,
            B,
            "BYE sip:b@x SIP/2.0",
            "Call-ID: e\r\nCSeq: 3 BYE\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\n",
            None,
        );
    }
    m.sip(
        20_000,
        A,
        B,
        "OPTIONS sip:b@x SIP/2.0",
        "Call-ID: f\r\nCSeq: 1 OPTIONS\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n",
        None,
    );
    m.sip(
        30_000,
        A,
        B,
        "OPTIONS sip:b@x SIP/2.0",
        "Call-ID: g\r\nCSeq: 1 OPTIONS\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n",
        None,
    );
    assert_eq!(m.words(), [""; 0]);
}

fn tcp(from: u16, to: u16, sequence: u32, acknowledgment: u32, payload: &[u8]) -> Vec<u8> {
    let mut b = transport::tcp_bytes(from, to, sequence, payload);
    b[8..12].copy_from_slice(&acknowledgment.to_be_bytes());
    b
}

#[test]
fn what_tcp_acknowledges_and_we_never_saw() {
    let options = sip("OPTIONS sip:b@x SIP/2.0", "Call-ID: t\r\nCSeq: 1 OPTIONS\r\n", None);
    let length = options.len() as u32;
    let talk = |seen: [bool; 2], back: bool| {
        let mut m = Mirror::default();
        for n in 0..20u32 {
            let ms = i64::from(n) * 1_000_000;
            if seen[usize::from(n == 7)] {
                m.ip(ms, PLAIN, A, B, protocol::TCP, &tcp(40_000, 5060, n * length, 1, options.as_bytes()));
            }
            if back {
                m.ip(ms + 500, PLAIN, B, A, protocol::TCP, &tcp(5060, 40_000, 1, (n + 1) * length, b""));
            }
        }
        m
    };
    assert_eq!(talk([true, true], true).words(), [""; 0]);
    let f = talk([true, false], true).finding("tcp-holes");
    assert_eq!((number(&f, "bytes_lost"), number(&f, "holes")), (u64::from(length), 1));
    let f = talk([false, false], true).finding("one-way-tcp");
    assert_eq!((number(&f, "connections"), number(&f, "bytes_lost")), (1, 19 * u64::from(length)));
    assert_eq!(talk([true, false], false).words(), [""; 0], "nobody has acknowledged it");
}

#[test]
fn tags_cut_packets_and_fragments() {
    let tagged = Way { vlan: Some(10), ..PLAIN };
    for (there, back, found) in [(tagged, PLAIN, 1), (tagged, tagged, 0), (PLAIN, PLAIN, 0)] {
        let mut m = Mirror::default();
        for n in 0..60u16 {
            m.udp(i64::from(n) * 20_000, there, (A, 4000), (B, 5000), &rtp(1, n));
            m.udp(i64::from(n) * 20_000 + 9, back, (B, 5000), (A, 4000), &rtp(2, n));
        }
        assert_eq!(m.words().iter().filter(|w| *w == "tags-on-one-side").count(), found);
    }

    let mut m = Mirror::default();
    for n in 0..60u16 {
        let udp = transport::udp_bytes(4000, 5000, &rtp(1, n));
        let frame = ethernet(PLAIN, &packet(PLAIN, A, B, protocol::UDP, &udp));
        m.frame(i64::from(n) * 20_000, &frame[..if n % 2 == 0 { 96 } else { frame.len() }]);
    }
    let f = m.finding("truncated");
    assert_eq!((number(&f, "truncated"), number(&f, "packets"), number(&f, "snap_length")), (30, 60, 96));

    let udp = transport::udp_bytes(5060, 5060, &[b'x'; 3_000]);
    let piece = |id: u16, offset: usize| {
        let end = (offset + 1_480).min(udp.len());
        let mut p = packet(Way { id, ..PLAIN }, A, B, protocol::UDP, &udp[offset..end]);
        let more = u16::from(end < udp.len()) << 13;
        p[6..8].copy_from_slice(&(more | (offset / 8) as u16).to_be_bytes());
        ethernet(PLAIN, &p)
    };
    let mut m = Mirror::default();
    for (id, pieces) in [
        (1u16, vec![2_960, 0, 1_480]),
        (2, vec![0]),
        (3, vec![1_480, 2_960]),
        (4, vec![0, 0, 1_480, 1_480, 2_960]),
    ] {
        for (n, offset) in pieces.into_iter().enumerate() {
            m.frame(i64::from(id) * 100_000 + n as i64 * 50, &piece(id, offset));
        }
    }
    let f = m.finding("fragments-lost");
    let counted =
        ["datagrams", "incomplete", "first_without_rest", "rest_without_first"].map(|k| number(&f, k));
    assert_eq!(counted, [4, 2, 1, 1]);
}

#[test]
fn clocks_that_jump_and_frames_out_of_order() {
    let two = |at: &dyn Fn(i64) -> i64| {
        let mut m = Mirror { as_made: true, ..Mirror::default() };
        for n in 0..400i64 {
            m.rtp(at(n * 20_000), (A, 4000), (B, 5000), 1, n as u16);
            m.rtp(at(n * 20_000 + 700), (B, 5000), (A, 4000), 2, n as u16);
        }
        m
    };
    assert_eq!(two(&|us| us).words(), [""; 0]);
    let f = two(&|us| if us > 4_000_000 { us - 3_600_000_000 } else { us }).finding("clock-jumps");
    assert_eq!((number(&f, "backwards"), number(&f, "ahead")), (1, 0));
    let f = two(&|us| if us > 4_000_000 { us + 30_000_000 } else { us }).finding("clock-jumps");
    assert_eq!((number(&f, "backwards"), number(&f, "ahead")), (0, 1));
    // A pause in which the senders' clocks went on.
    let mut m = two(&|us| us);
    for n in 0..400i64 {
        m.rtp(60_000_000 + n * 20_000, (A, 4000), (B, 5000), 1, 3_000 + n as u16);
        m.rtp(60_000_700 + n * 20_000, (B, 5000), (A, 4000), 2, 3_000 + n as u16);
    }
    assert!(!m.words().contains(&"clock-jumps".to_owned()));
    let f = two(&|us| if us / 20_000 % 10 == 3 { us - 25_000 } else { us }).finding("out-of-order");
    assert_eq!(f.severity, Severity::Note);
}

#[test]
fn what_is_encrypted_and_what_nobody_announced() {
    let mut m = Mirror::default();
    let mut hello = vec![22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    hello.resize(205, 9);
    for n in 0..20u32 {
        m.ip(i64::from(n) * 1_000_000, PLAIN, A, B, protocol::TCP, &tcp(40_000, 5061, n * 205, 1, &hello));
        m.ip(i64::from(n) * 1_000_000 + 9, PLAIN, A, B, protocol::TCP, &tcp(40_001, 443, n * 205, 1, &hello));
    }
    m.speech(0..10_000, (A, 4000), (B, 5000), 1, |_| false);
    let all = m.findings();
    let words: Vec<&str> = all.iter().map(|f| f.finding.as_str()).collect();
    assert_eq!(words, ["encrypted-signalling", "media-without-signalling"]);
    assert_eq!(all[0].numbers["servers"], serde_json::json!(["10.0.0.2:5061"]));
    assert!(all[1].text.contains("All SIP that is heard is encrypted"), "{}", all[1].text);
    assert_eq!(all[0].severity, Severity::Problem);
}

#[test]
fn drops_silence_and_noise() {
    let mut m = Mirror::default();
    m.doctor.dropped(5, 7);
    m.speech(0..2_000, (A, 4000), (B, 5000), 1, |_| false);
    let words = m.words();
    assert_eq!(words, ["interface-drops", "kernel-drops"]);
    assert_eq!(Mirror::default().words(), ["nothing-heard"]);
    let mut m = Mirror::default();
    let mut arp = vec![0xff; 14];
    arp[12..].copy_from_slice(&[8, 6]);
    (0..60).for_each(|n| m.frame(n * 1_000_000, &arp));
    let f = m.finding("no-calls-heard");
    assert!(f.text.contains("no mirror's destination"), "{}", f.text);
}

#[test]
fn a_new_round_and_samples_find_nothing_in_what_goes_on() {
    let mut m = Mirror::default();
    m.call(0, |_, _| true);
    for round in 0..4 {
        let ms = 100 + round * 10_000;
        m.speech(ms..ms + 6_000, (A, 4000), (B, 5000), 1, |_| false);
        m.speech(ms..ms + 6_000, (B, 5000), (A, 4000), 2, |_| false);
        m.hear();
        assert_eq!(m.doctor.findings(CaptureTime::from_micros(1_700_000_000_000_000 + m.end)), [], "{round}");
        if round % 2 == 0 { m.doctor.renew() } else { m.doctor.deaf() }
    }
}

proptest::proptest! {
    /// Whatever is done to its frames and their times, it stands.
    #[test]
    fn never_panics(changes in proptest::collection::vec((0usize..60, 0usize..400, proptest::prelude::any::<u8>()), 0..40),
                    cut in 0usize..300, jump in proptest::prelude::any::<i64>(), at in 0usize..60) {
        let mut m = Mirror { as_made: true, ..Mirror::default() };
        m.call(0, |_, _| true);
        m.speech(0..500, (A, 4000), (B, 5000), 1, |_| false);
        for n in 0..20u32 {
            let to = if n % 2 == 0 { 5060 } else { 4789 };
            m.ip(i64::from(n), PLAIN, A, B, protocol::TCP, &tcp(40_000, to, n * 9, n.wrapping_sub(5), b"OPTIONS sip:b SIP/2.0"));
        }
        for (frame, byte, with) in changes {
            let n = m.frames.len();
            let f = &mut m.frames[frame % n].1;
            let place = byte % f.len();
            f[place] = with;
        }
        let n = m.frames.len();
        m.frames[at % n].1.truncate(cut);
        let frames = std::mem::take(&mut m.frames);
        for (i, (us, f)) in frames.iter().enumerate() {
            let wild = if i == at { jump } else { us * 1_000 };
            m.doctor.frame(CaptureTime(wild), LinkType::Ethernet, f);
            if i % 16 == 9 { m.doctor.deaf() }
        }
        let findings = m.doctor.findings(CaptureTime(jump));
        let _ = m.doctor.verdict(CaptureTime(jump), &findings);
        m.doctor.renew();
        let _ = m.findings();
    }
}

#[test]
fn captures_of_healthy_calls_have_no_finding_and_json_says_so() {
    let healthy = [
        "basic_pcmu",
        "basic_pcma_tcp",
        "delayed_offer",
        "dtmf",
        "early_media",
        "frag_invite",
        "g722",
        "hold_resume",
        "ipv6",
        "reject",
        "cancel",
    ];
    for name in healthy {
        let ran = run(["doctor".as_ref(), "--json".as_ref(), testdata(&format!("{name}.pcap")).as_os_str()])
            .exit(0);
        let lines = ran.calls();
        let words: Vec<&str> = lines.iter().map(|l| text(&l["finding"])).collect();
        assert_eq!(words, ["verdict"], "{name}: {}", ran.stdout);
        assert_eq!(lines[0]["severity"], "well");
    }
    let lossy = run(["doctor".as_ref(), testdata("vlan_loss.pcap").as_os_str()]).exit(0);
    assert!(lossy.stdout.contains("missing"), "{}", lossy.stdout);
    assert!(lossy.stdout.lines().all(|l| l.chars().count() <= 80), "{}", lossy.stdout);
    run(["doctor"]).exit(2);
    run(["doctor", "/no/such/file"]).exit(1).one_line(&["/no/such/file"]);
}
