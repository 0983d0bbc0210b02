//! Bombs: little on the wire that would be much in a recorder without bounds.

use crate::bounds::{alone, ticks};
use crate::judge::{self, CALLEE, CALLER, Judge, Unharmed};
use crate::packet::{self, Frame, RAW};
use earwitness::call::listener::Listener;
use earwitness::limits::{DIALOGS, FLOWS_PER_LEG, MEDIA_PER_DIALOG, PREBUFFER_FLOWS, SETUPS};
use earwitness::time::CaptureTime;
use earwitness::wire::frame::LinkType;
use std::net::Ipv4Addr;

const MS: i64 = 1_000_000;
const START: i64 = 1_700_000_000_000_000_000;
/// Hosts of an attacker and of whom it attacks.
const EVE: Ipv4Addr = Ipv4Addr::new(10, 66, 6, 6);
const BOB: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// What a process has that holds nothing: the test's own, and its binary.
const BARE: u64 = 60;

/// A tap that a bomb is dropped on while a call is up. The call must come out as alone.
struct Field {
    listener: Listener,
    judge: Judge,
    rest: std::vec::IntoIter<Frame>,
    alone: Unharmed,
    packets: u64,
}

impl Field {
    fn new() -> Self {
        let call = judge::call(START, 1, 500);
        let alone = judge::listen(&call).unharmed;
        let mut field = Self {
            listener: judge::listener(),
            judge: Judge::default(),
            rest: call.into_iter(),
            alone,
            packets: 0,
        };
        field.real_until(START + 1_000 * MS);
        field
    }

    fn give(&mut self, at: i64, bytes: &[u8]) {
        self.packets += 1;
        self.listener.frame(CaptureTime(at), LinkType::RawIp, bytes, &mut self.judge);
    }

    /// The call goes on until then.
    fn real_until(&mut self, at: i64) {
        while self.rest.as_slice().first().is_some_and(|f| f.at <= at) {
            let f = self.rest.next().unwrap();
            self.give(f.at, &f.bytes);
        }
    }

    /// Attacks with this packet so many milliseconds after the beginning; the call goes on meanwhile.
    fn attack(&mut self, ms: i64, bytes: &[u8]) {
        self.real_until(START + ms * MS);
        self.give(START + ms * MS, bytes);
    }

    /// The call ends, and the capture.
    fn end(mut self) -> (Judge, earwitness::call::listener::Counters) {
        self.real_until(i64::MAX);
        let counters = self.listener.counters();
        self.judge.close(self.listener);
        assert!(self.judge.unharmed == self.alone, "the call that is real was harmed");
        (self.judge, counters)
    }
}

/// What so many packets of ordinary media cost, in hundredths of a second; at least one.
fn ordinary(packets: u64) -> u64 {
    let mut field = Field::new();
    let before = ticks();
    let bytes = packet::udp((CALLER, 20_004), (CALLEE, 20_006), &packet::rtp(7, 7, 7, 1));
    for n in 0..packets {
        field.give(START + 1_000 * MS, &bytes);
        if n % 1_000 == 0 {
            field.judge.forget();
        }
    }
    (ticks() - before).max(1)
}

/// Runs `bomb` and holds its cost to so many times that of ordinary packets; a second is always granted.
fn costs(times: u64, bomb: impl FnOnce() -> u64) {
    let before = ticks();
    let packets = bomb();
    let (cost, usual) = (ticks() - before, ordinary(packets));
    println!("{packets} packets: {cost} ticks, ordinary ones {usual}: 0 MiB");
    assert!(cost <= 100 + times * usual, "{cost} ticks for {packets} packets; ordinary ones took {usual}");
}

fn invite(call_id: &str, cseq: u32, extra: &str, body: &str) -> Vec<u8> {
    let head = format!(
        "Call-ID: {call_id}\r\nCSeq: {cseq} INVITE\r\nFrom: <sip:e@h>;tag=E\r\nTo: <sip:b@h>\r\n{extra}"
    );
    let kind = if body.is_empty() || extra.contains("Content-Type") {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    packet::message("INVITE sip:b@h SIP/2.0", &(head + kind), body)
}

fn ok(call_id: &str, cseq: u32, body: &str) -> Vec<u8> {
    let head = format!(
        "Call-ID: {call_id}\r\nCSeq: {cseq} INVITE\r\nFrom: <sip:e@h>;tag=E\r\nTo: <sip:b@h>;tag=B\r\nContent-Type: application/sdp\r\n"
    );
    packet::message("SIP/2.0 200 OK", &head, body)
}

fn sdp(host: Ipv4Addr, port: u16) -> String {
    format!("v=0\r\nc=IN IP4 {host}\r\nm=audio {port} RTP/AVP 0\r\n")
}

fn sip(text: &[u8]) -> Vec<u8> {
    packet::udp((EVE, 5060), (BOB, 5060), text)
}

fn answer(text: &[u8]) -> Vec<u8> {
    packet::udp((BOB, 5060), (EVE, 5060), text)
}

#[test]
fn tunnels_a_hundred_deep() {
    alone("bombs::tunnels_a_hundred_deep", BARE, || {
        costs(20, || {
            let mut field = Field::new();
            for kind in 0..=255u8 {
                let mut bytes = sip(&invite("deep", 1, "", &sdp(EVE, 4000)));
                for depth in 0..100 {
                    bytes = packet::wrap(kind.wrapping_mul(depth).wrapping_add(kind / 10), &bytes);
                    field.attack(1_000 + i64::from(kind), &bytes);
                }
            }
            // Of those that are not too deep, one call.
            let packets = field.packets;
            let (judge, _) = field.end();
            assert_eq!(judge.seen.len(), 2);
            packets
        });
    });
}

#[test]
fn a_million_first_fragments() {
    alone("bombs::a_million_first_fragments", BARE + 64, || {
        costs(30, || {
            let mut field = Field::new();
            let whole = sip(&invite("f", 1, "", &sdp(EVE, 4000)));
            for n in 0..1_000_000u32 {
                let mut piece = packet::fragment(&whole[..20], n as u16, 0, true, &whole[20..60]);
                piece[15] = (n >> 16) as u8;
                field.attack(1_000 + i64::from(n / 200), &piece);
            }
            let packets = field.packets;
            let (_, counters) = field.end();
            assert!(counters.fragments_given_up > 900_000, "{counters:?}");
            packets
        });
    });
}

#[test]
fn fragments_that_overlap_and_never_end() {
    alone("bombs::fragments_that_overlap_and_never_end", BARE + 80, || {
        costs(400, || {
            let mut field = Field::new();
            let head = packet::ipv4(EVE, BOB, 17, &[]);
            // Datagrams of 65,535 bytes but for one piece; pieces that overlap by all but eight bytes; each doubled.
            for id in 0..400u16 {
                for n in 0..200usize {
                    if n != 7 {
                        let piece = packet::fragment(&head, id, n * 320, n < 199, &[n as u8; 480]);
                        field.attack(1_000 + i64::from(id), &piece);
                    }
                }
            }
            for n in 0..4_000usize {
                let piece = packet::fragment(&head, 999, 8 + n * 8, n < 3_999, &[n as u8; 1_400]);
                field.attack(2_000, &piece);
            }
            let packets = field.packets;
            field.end();
            packets
        });
    });
}

#[test]
fn one_ssrc_of_ten_thousand_sources() {
    alone("bombs::one_ssrc_of_ten_thousand_sources", BARE + 64, || {
        costs(30, || {
            let mut field = Field::new();
            field.attack(1_000, &sip(&invite("s", 1, "", &sdp(EVE, 4000))));
            field.attack(1_001, &answer(&ok("s", 1, &sdp(BOB, 5000))));
            for round in 0..10u16 {
                for n in 0..10_000u16 {
                    let from = (Ipv4Addr::from(0x0a80_0000 + u32::from(n)), 4000);
                    // To the call's own port, and to a port that nobody named.
                    for port in [5000, 7000] {
                        let bytes = packet::udp(from, (BOB, port), &packet::rtp(round, 0, 7, 1));
                        field.attack(1_100 + i64::from(round) * 20, &bytes);
                    }
                }
            }
            let packets = field.packets;
            let (_, counters) = field.end();
            assert!(counters.flows_over >= 100_000 - 10 * FLOWS_PER_LEG as u64, "{counters:?}");
            packets
        });
    });
}

#[test]
fn a_hundred_thousand_ssrcs_of_one_source() {
    alone("bombs::a_hundred_thousand_ssrcs_of_one_source", BARE + 96, || {
        costs(30, || {
            let mut field = Field::new();
            field.attack(1_000, &sip(&invite("s", 1, "", &sdp(EVE, 4000))));
            field.attack(1_001, &answer(&ok("s", 1, &sdp(BOB, 5000))));
            for n in 0..100_000u32 {
                let ms = 1_100 + i64::from(n / 20);
                field.attack(ms, &packet::udp((EVE, 4000), (BOB, 5000), &packet::rtp(1, 1, n, 1)));
                field.attack(ms, &packet::udp((EVE, 9000), (BOB, 9000), &packet::rtp(1, 1, n, 1)));
                if n % 1_000 == 0 {
                    assert!(field.listener.calls_up() <= 3 + PREBUFFER_FLOWS);
                }
            }
            let packets = field.packets;
            let (judge, _) = field.end();
            assert!(judge.seen.len() <= 3, "{} legs of streams of one packet", judge.seen.len());
            packets
        });
    });
}

#[test]
fn a_hundred_thousand_calls_that_nobody_answers() {
    // 128 MiB is what requests may take that wait; a dialog itself has its size too.
    alone("bombs::a_hundred_thousand_calls_that_nobody_answers", BARE + 700, || {
        costs(200, || {
            let mut field = Field::new();
            for n in 0..120_000u32 {
                let host = Ipv4Addr::from(0x0a80_0000 + n / 50_000);
                let text = invite(&format!("nobody-{n}"), 1, "", &sdp(host, n as u16));
                field.attack(1_000 + i64::from(n / 20), &sip(&text));
            }
            let packets = field.packets;
            assert!(field.listener.calls_up() <= DIALOGS);
            let (judge, counters) = field.end();
            assert!(counters.setups_let_go >= 19_000, "{counters:?}");
            assert!(judge.calls <= 2 + DIALOGS);
            packets
        });
    });
}

/// Names as long as a message: a hundred thousand dialogs of them would be gigabytes.
#[test]
fn names_as_long_as_a_message() {
    alone("bombs::names_as_long_as_a_message", BARE + 200, || {
        costs(1_000, || {
            let mut field = Field::new();
            let long = "x".repeat(28_000);
            for n in 0..6_000u32 {
                let id = if n % 2 == 0 { format!("{n}-{long}") } else { format!("short-{n}") };
                let from = format!("Contact: <sip:{long}@h>\r\n");
                let body = format!("{}m={long} 4000 RTP/AVP 0\r\na=label:{long}\r\n", sdp(EVE, n as u16));
                let text = match n % 4 {
                    0 => invite(&id, 1, "", ""),
                    1 => invite(&id, 1, &from, "").replace(b"<sip:e@h>", &format!("\"{long}\" <sip:e@h>")),
                    2 => ok(&id, 1, ""),
                    _ => ok(&id, 1, &body),
                };
                field.attack(1_000 + i64::from(n / 4), &sip(&text));
            }
            let packets = field.packets;
            assert!(field.listener.calls_up() <= SETUPS + DIALOGS);
            field.end();
            packets
        });
    });
}

trait Replace {
    fn replace(&self, what: &[u8], with: &str) -> Vec<u8>;
}

impl Replace for Vec<u8> {
    fn replace(&self, what: &[u8], with: &str) -> Vec<u8> {
        let text = String::from_utf8_lossy(self).replace(&*String::from_utf8_lossy(what), with);
        text.into_bytes()
    }
}

#[test]
fn a_hundred_thousand_re_invites() {
    alone("bombs::a_hundred_thousand_re_invites", BARE + 64, || {
        costs(300, || {
            let mut field = Field::new();
            for n in 1..100_000u32 {
                let ms = 1_000 + i64::from(n / 20);
                let hold = if n % 2 == 0 { "a=sendonly\r\n" } else { "" };
                field.attack(ms, &sip(&invite("again", n, "", &(sdp(EVE, n as u16) + hold))));
                field.attack(ms, &answer(&ok("again", n, &sdp(BOB, n as u16))));
            }
            let packets = field.packets;
            let (judge, _) = field.end();
            assert_eq!(judge.seen.len(), 2);
            const { assert!(MEDIA_PER_DIALOG < 1_000) };
            packets
        });
    });
}

#[test]
fn bodies_of_ten_thousand_parts_lines_and_elements() {
    alone("bombs::bodies_of_ten_thousand_parts_lines_and_elements", BARE + 64, || {
        costs(2_000, || {
            let mut field = Field::new();
            let many = |what: &str, n: usize| what.repeat(n).chars().take(60_000).collect::<String>();
            let multipart = "Content-Type: multipart/mixed;boundary=b\r\nRequire: siprec\r\n";
            let entities = "<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\">]><a>&c;&c;&c;</a>";
            let xml =
                |x: &str| format!("--b\r\nContent-Type: application/rs-metadata+xml\r\n\r\n{x}\r\n--b--\r\n");
            let bodies = [
                (multipart, many("--b\r\n\r\n", 10_000)),
                (multipart, many("--b\r\nContent-Type: application/sdp\r\n\r\n", 2_000)),
                (multipart, xml(&many("<a>", 20_000))),
                (multipart, xml(&(many("<a>", 9_000) + &"</a>".repeat(9_000)))),
                (multipart, xml(&format!("<a {}/>", many("b=\"\" ", 10_000)))),
                (
                    multipart,
                    xml(&format!("<a>{}</a>", many("<participant><send>1</send></participant>", 1_400))),
                ),
                (multipart, xml(&format!("<a>{}</a>", many("<participantstreamassoc id=\"\"/>", 2_000)))),
                (multipart, xml(entities)),
                ("", format!("v=0\r\nc=IN IP4 10.66.6.6\r\n{}", many("m=audio 4 RTP/AVP\r\n", 10_000))),
                ("", many("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n", 1_300)),
                ("", format!("m=audio 4000 RTP/AVP {}\r\n", many("0 ", 30_000))),
                ("", many("c=IN IP4 1.2.3.4\r\na=x\r\n", 3_000)),
                (&many("X: y\r\n", 10_000), String::new()),
                (&many("X\r\n y\r\n", 8_000), String::new()),
                (&many(" \r\n", 10_000), String::new()),
                (&(0..7_000).map(|n| format!("{n}:\r\n ")).collect::<String>(), String::new()),
            ];
            for round in 0..20u32 {
                for (n, (head, body)) in bodies.iter().enumerate() {
                    let text = invite(&format!("big-{n}"), 1 + round, head, body);
                    field.attack(1_000 + i64::from(round), &sip(&text));
                }
            }
            let packets = field.packets;
            field.end();
            packets
        });
    });
}

#[test]
fn streams_of_tcp_without_an_end() {
    alone("bombs::streams_of_tcp_without_an_end", BARE + 160, || {
        costs(100, || {
            let mut field = Field::new();
            let line = b"X-Endless: and so on, and so on, and so on\r\n".repeat(30);
            for stream in 0..400u16 {
                let (from, to) = ((EVE, 10_000 + stream), (BOB, 5060));
                let start = b"INVITE sip:b@h SIP/2.0\r\nCall-ID: t\r\nCSeq: 1 INVITE\r\n";
                field.attack(1_000, &packet::tcp(from, to, 0, 0x18, start));
                let mut next = start.len() as u32;
                for n in 0..100u32 {
                    // Every fourth stream has a hole in front of all of it.
                    let hole = if stream % 4 == 0 { 1_000 } else { 0 };
                    field.attack(1_000 + i64::from(n), &packet::tcp(from, to, next + hole, 0x18, &line));
                    next += line.len() as u32;
                }
            }
            // A head that goes on and on, and a body that comes byte by byte.
            let head = invite("slow", 1, &"X: y\r\n".repeat(8_000), &"b".repeat(9_000));
            let cut = head.len() - 9_000;
            let (from, to) = ((EVE, 9_999), (BOB, 5060));
            field.attack(1_200, &packet::tcp(from, to, 0, 0x18, &head[..cut]));
            for (n, byte) in head[cut..].iter().enumerate() {
                field.attack(1_200, &packet::tcp(from, to, (cut + n) as u32, 0x18, &[*byte]));
            }
            for (n, byte) in head[..cut].iter().enumerate() {
                field.attack(1_300, &packet::tcp((EVE, 9_998), to, n as u32, 0x18, &[*byte]));
            }
            let packets = field.packets;
            field.end();
            packets
        });
    });
}

#[test]
fn frames_of_every_length_from_nothing_on() {
    let mut field = Field::new();
    let whole = sip(&invite("cut", 1, "", &sdp(EVE, 4000)));
    for length in 0..=whole.len() {
        for kind in 0..10 {
            let wrapped = packet::wrap(kind, &whole);
            field.attack(1_000, &wrapped[..length.min(wrapped.len())]);
        }
    }
    for length in 0..70 {
        field.attack(1_001, &vec![0x45; length]);
        field.attack(1_001, &vec![0x60; length]);
    }
    let frame = Frame { at: START, link: RAW, bytes: Vec::new() };
    judge::listen([&frame]);
    field.end();
}
