//! Captures taken apart: classic pcap of Ethernet or raw IP, little-endian.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Bytes of a file header and of a record header.
pub const FILE_HEADER: usize = 24;
pub const RECORD_HEADER: usize = 16;

/// A record of a capture.
pub struct Record<'a> {
    /// Where its header begins in the file.
    pub place: usize,
    /// Header and frame.
    pub whole: &'a [u8],
    pub at_us: i64,
    /// From the IP header on, without padding of the link; empty when there is none.
    pub ip: &'a [u8],
}

/// A UDP datagram.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Datagram {
    pub at_us: i64,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub payload: Vec<u8>,
}

fn u32_at(b: &[u8], at: usize) -> usize {
    u32::from_le_bytes(b[at..at + 4].try_into().unwrap()) as usize
}

/// The records of a capture file's bytes, to the last.
#[track_caller]
pub fn records(b: &[u8]) -> Vec<Record<'_>> {
    let nanoseconds = match &b[..4] {
        [0xd4, 0xc3, 0xb2, 0xa1] => false,
        [0x4d, 0x3c, 0xb2, 0xa1] => true,
        other => panic!("no capture of ours: {other:x?}"),
    };
    let ethernet = match u32_at(b, 20) {
        1 => true,
        101 => false,
        other => panic!("link type {other}"),
    };
    let mut out = Vec::new();
    let mut at = FILE_HEADER;
    while at < b.len() {
        let (length, fraction) = (u32_at(b, at + 8), u32_at(b, at + 4) as i64);
        let whole = &b[at..at + RECORD_HEADER + length];
        let at_us = u32_at(b, at) as i64 * 1_000_000 + if nanoseconds { fraction / 1000 } else { fraction };
        let frame = &whole[RECORD_HEADER..];
        out.push(Record {
            place: at,
            whole,
            at_us,
            ip: trimmed(if ethernet { behind_ethernet(frame) } else { frame }),
        });
        at += whole.len();
    }
    out
}

fn behind_ethernet(frame: &[u8]) -> &[u8] {
    match frame.get(12..) {
        Some([0x81, 0x00, _, _, 0x08 | 0x86, _, rest @ ..]) => rest,
        Some([0x08, 0x00, rest @ ..] | [0x86, 0xdd, rest @ ..]) => rest,
        _ => &[],
    }
}

fn trimmed(ip: &[u8]) -> &[u8] {
    let told = match ip {
        [v, _, a, b, ..] if v >> 4 == 4 => usize::from(u16::from_be_bytes([*a, *b])),
        [v, _, _, _, a, b, ..] if v >> 4 == 6 => usize::from(u16::from_be_bytes([*a, *b])) + 40,
        _ => 0,
    };
    &ip[..told.min(ip.len())]
}

/// Source and destination of an IP packet, protocol and what it carries.
pub fn ip(b: &[u8]) -> Option<(IpAddr, IpAddr, u8, &[u8])> {
    let v4 = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&b[at..at + 4]).unwrap());
    let v6 = |at: usize| IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&b[at..at + 16]).unwrap()));
    match b.first()? >> 4 {
        4 => Some((v4(12), v4(16), b[9], &b[usize::from(b[0] & 15) * 4..])),
        6 => Some((v6(8), v6(24), b[6], &b[40..])),
        _ => None,
    }
}

/// The UDP datagrams of a capture that are no fragments.
pub fn datagrams(bytes: &[u8]) -> Vec<Datagram> {
    let one = |r: &Record<'_>| {
        let (source, destination, 17, udp) = ip(r.ip)? else { return None };
        let fragment = r.ip[0] >> 4 == 4 && (r.ip[6] & 0x3f, r.ip[7]) != (0, 0);
        let port = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
        (!fragment).then(|| Datagram {
            at_us: r.at_us,
            source: SocketAddr::new(source, port(0)),
            destination: SocketAddr::new(destination, port(2)),
            payload: udp[8..].to_vec(),
        })
    };
    records(bytes).iter().filter_map(one).collect()
}

/// The packets of an RTP stream, by its addresses and SSRC as they stand in a record.
pub fn rtp(all: &[Datagram], source: &str, destination: &str, ssrc: &str) -> Vec<Datagram> {
    let (a, b): (SocketAddr, SocketAddr) = (source.parse().unwrap(), destination.parse().unwrap());
    let ssrc = u32::from_str_radix(ssrc.trim_start_matches("0x"), 16).unwrap().to_be_bytes();
    let is = |d: &&Datagram| {
        let p = &d.payload;
        let rtp = p.len() >= 12 && p[0] >> 6 == 2 && !(200..=206).contains(&p[1]);
        rtp && (d.source, d.destination) == (a, b) && p[8..12] == ssrc
    };
    all.iter().filter(is).cloned().collect()
}

/// Packets (of whatever kind) that hold the start of a SIP message, by its Call-ID; copies of a packet count.
pub fn sip_messages(bytes: &[u8], call_id: &str) -> usize {
    let header = format!("\r\nCall-ID: {call_id}");
    let count = |r: &Record<'_>| {
        r.ip.windows(header.len()).filter(|w| w.eq_ignore_ascii_case(header.as_bytes())).count()
    };
    records(bytes).iter().map(count).sum()
}

/// Where the first INVITE comes from.
#[track_caller]
pub fn inviter(bytes: &[u8]) -> IpAddr {
    let is_invite = |r: &&Record<'_>| r.ip.windows(11).any(|w| w == b"INVITE sip:");
    ip(records(bytes).iter().find(is_invite).expect("no INVITE").ip).unwrap().0
}

/// A capture of some of the records of another.
pub fn capture<'a>(of: &[u8], records: impl IntoIterator<Item = &'a Record<'a>>) -> Vec<u8> {
    let mut out = of[..FILE_HEADER].to_vec();
    records.into_iter().for_each(|r| out.extend_from_slice(r.whole));
    out
}

/// The bytes of a capture in `testdata/`.
pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
