//! Anomalies as the PROTOS c07-sip suite tries them, generated anew: each field of an INVITE, overlong, empty, doubled,
//! missing, with format strings, huge numbers, repeated separators, control characters, bad UTF-8. Thousands of them in
//! one capture amid twenty calls that are real.

use crate::judge;
use crate::mutants::{real_calls, replayed};
use crate::mutate::NASTY;
use crate::packet::{self, Frame, RAW};
use crate::support::{BIN, verified};
use std::net::Ipv4Addr;
use std::process::Command;

const START: i64 = 1_700_000_000_000_000_000;
const REAL: u16 = 20;

/// The fields of an INVITE, each with what is usual; `%` is where its own number goes.
const FIELDS: [&str; 26] = [
    "INVITE",
    " ",
    "sip:bob@10.0.0.2:5060",
    " ",
    "SIP/2.0",
    "\r\nVia: ",
    "SIP/2.0/UDP 10.66.6.6:5060",
    ";branch=",
    "z9hG4bK%",
    "\r\nFrom: ",
    "\"Eve\" ",
    "<sip:eve@10.66.6.6>",
    ";tag=",
    "%",
    "\r\nTo: ",
    "<sip:bob@10.0.0.2>",
    "\r\nCall-ID: ",
    "protos-%@h",
    "\r\nCSeq: ",
    "1 INVITE",
    "\r\nContact: ",
    "<sip:eve@10.66.6.6:5060;x=y?q=z>",
    "\r\nContent-Type: ",
    "application/sdp",
    "\r\nContent-Length: ",
    "#",
];
const BODY: [&str; 12] = [
    "v=",
    "0",
    "\r\no=",
    "e 1 1 IN IP4 10.66.6.6",
    "\r\nc=",
    "IN IP4 10.66.6.6",
    "\r\nm=audio ",
    "4000",
    " RTP/AVP ",
    "0 101",
    "\r\na=rtpmap:",
    "101 telephone-event/8000",
];

fn anomalies() -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = NASTY.iter().map(|n| n.to_vec()).collect();
    for many in [17, 129, 1_025, 9_000, 40_000] {
        out.push(vec![b'a'; many]);
    }
    for (separator, many) in
        [":", ";", ",", "<", ">", "@", "/", "=", " ", "\t", "\r\n", "\n", "\r\n ", "\"", "\\", "%n", "("]
            .into_iter()
            .flat_map(|s| [2, 300, 5_000].map(|n| (s, n)))
    {
        out.push(separator.repeat(many).into_bytes());
    }
    for number in [
        "2147483647",
        "2147483648",
        "-2147483648",
        "18446744073709551616",
        "65536",
        "0x41",
        "1e9",
        "00000000001",
    ] {
        out.push(number.into());
    }
    for control in [0u8, 1, 7, 8, 11, 27, 127, 128, 255] {
        out.push(vec![control; 33]);
    }
    out.push(b"\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80".to_vec());
    out.push("sip:%73%69%70@%00.%2e".into());
    out
}

/// The message in which field `field` is `anomaly`; every fourth keeps what is usual behind it.
fn message(field: usize, anomaly: &[u8], n: usize, call: usize) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = FIELDS
        .iter()
        .chain(&["\r\n\r\n"])
        .chain(&BODY)
        .chain(&["\r\n"])
        .map(|f| f.as_bytes().to_vec())
        .collect();
    let usual = parts[field].clone();
    parts[field] = if n.is_multiple_of(4) { [anomaly, &usual].concat() } else { anomaly.to_vec() };
    let length: usize = parts.iter().skip(FIELDS.len() + 1).map(Vec::len).sum();
    let mut out = Vec::new();
    for p in parts {
        match p.as_slice() {
            b"#" => out.extend(length.to_string().bytes()),
            _ => out.extend(
                p.iter().flat_map(|b| if *b == b'%' { call.to_string().into_bytes() } else { vec![*b] }),
            ),
        }
    }
    out
}

/// All of them over ten seconds, over UDP in fragments where they are long, and every third over TCP too; `a_call` of
/// them have one Call-ID.
fn attack(a_call: usize) -> Vec<Frame> {
    let (eve, bob) = (Ipv4Addr::new(10, 66, 6, 6), Ipv4Addr::new(10, 0, 0, 2));
    let anomalies = anomalies();
    let fields = FIELDS.len() + 1 + BODY.len();
    let all = fields * anomalies.len();
    let mut out = Vec::new();
    let mut sequence = 1u32;
    for n in 0..all {
        let text = message(n / anomalies.len(), &anomalies[n % anomalies.len()], n, n / a_call);
        let at = START + n as i64 * 10_000_000_000 / all as i64;
        let mut give = |bytes: Vec<u8>| out.push(Frame { at, link: RAW, bytes });
        let whole = packet::udp((eve, 5060), (bob, 5060), &text);
        packet::fragments(&whole, 1_480, n as u16).into_iter().for_each(&mut give);
        if n % 3 == 0 {
            for piece in text.chunks(1_460) {
                give(packet::tcp((eve, 40_000), (bob, 5060), sequence, 0x18, piece));
                sequence = sequence.wrapping_add(piece.len() as u32);
            }
        }
    }
    assert!(all > 3_000, "only {all} messages");
    out
}

fn real() -> Vec<Frame> {
    let all = (0..REAL).map(|n| judge::call(START + i64::from(n) * 450_000_000, n, 60));
    let mut out: Vec<Frame> = all.flatten().collect();
    out.sort_by_key(|f| f.at);
    out
}

#[test]
fn thousands_of_anomalies_cost_the_tap_no_call() {
    let alone = judge::listen(&real()).unharmed;
    let judge = judge::listen(&judge::together(attack(1), real()));
    assert!(judge.unharmed == alone, "a call that is real was harmed");
    assert!(judge.seen.len() > 1_000, "{} legs: is it still INVITEs?", judge.seen.len());
}

/// The program in 3 GiB of address space, with its threads, and at most ten minutes of a processor.
#[test]
fn thousands_of_anomalies_cost_the_program_no_recording() {
    let alone = replayed(&real(), tempfile::tempdir().unwrap().path());
    assert_eq!(alone.len(), usize::from(REAL));
    let folder = tempfile::tempdir().unwrap();
    let (capture, data) = (folder.path().join("c.pcap"), folder.path().join("data"));
    std::fs::write(&capture, packet::as_pcap(&judge::together(attack(60), real()))).unwrap();
    let limits = "ulimit -v 3145728; ulimit -t 600; exec \"$0\" replay \"$1\" --json --data \"$2\"";
    let out = Command::new("sh").args(["-c", limits, BIN]).args([&capture, &data]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && !said.contains("panicked"), "{}: {said}", out.status);
    verified(&data);
    let lines = String::from_utf8(out.stdout).unwrap();
    let calls: Vec<_> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(real_calls(&data, &calls) == alone, "a recording of a real call is another than alone");
}
