//! The Homer encapsulation protocol (HEP): a packet that a capture agent elsewhere has seen, with its addresses and time.
//!
//! Version 3 is chunks of (vendor, type, length); versions 1 and 2 are a fixed header. Compressed payloads are not read.

use super::endpoint::Endpoint;
use super::ip::protocol;
use super::{array, be16, be32, rtp, sip};
use crate::time::CaptureTime;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use thiserror::Error;

/// What an agent has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hep<'a> {
    /// Who sent the packet that the agent saw.
    pub source: Endpoint,
    /// Who it was sent to.
    pub destination: Endpoint,
    /// Its IP protocol.
    pub protocol: u8,
    /// When the agent saw it, by the agent's clock.
    pub told_at: Option<CaptureTime>,
    /// The agent's number; 0 when it does not say.
    pub agent: u32,
    /// What it is.
    pub kind: Kind,
    /// Its payload.
    pub payload: &'a [u8],
}

/// What an agent says that a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A SIP message.
    Sip,
    /// An RTP packet.
    Rtp,
    /// An RTCP packet as it was on the wire.
    Rtcp,
    /// Reports, logs and other protocols, by their number.
    Other(u8),
    /// Compressed, whatever it is.
    Compressed,
}

/// Why a datagram is no HEP that can be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HepError {
    /// Another protocol.
    #[error("no HEP of version 1, 2 or 3")]
    Version,
    /// A length reaches past the end, or is shorter than its own header.
    #[error("a length in it makes no sense")]
    Length,
    /// Addresses, ports or payload are missing.
    #[error("it lacks an address, a port or the payload")]
    Incomplete,
}

/// Chunks of one datagram that are looked at; agents send some fifteen.
const MOST_CHUNKS: usize = 256;

/// Is this HEP version 3 beyond doubt: its magic, and the length that it says?
#[must_use]
pub fn is_hep3(b: &[u8]) -> bool {
    b.starts_with(b"HEP3") && be16(b, 4).is_some_and(|n| usize::from(n) == b.len())
}

/// Reads a datagram.
///
/// # Errors
/// [`HepError`].
pub fn parse(b: &[u8]) -> Result<Hep<'_>, HepError> {
    match b.first() {
        Some(b'H') if b.starts_with(b"HEP3") => version3(b),
        Some(1 | 2) => fixed(b),
        _ => Err(HepError::Version),
    }
}

#[derive(Default)]
struct Chunks<'a> {
    addresses: [Option<IpAddr>; 2],
    ports: [u16; 2],
    protocol: Option<u8>,
    seconds: Option<u32>,
    micros: u32,
    kind: Option<u8>,
    agent: u32,
    payload: Option<&'a [u8]>,
    compressed: bool,
}

fn version3(b: &[u8]) -> Result<Hep<'_>, HepError> {
    let length = usize::from(be16(b, 4).ok_or(HepError::Length)?);
    let mut rest = b.get(6..length).ok_or(HepError::Length)?;
    let mut c = Chunks::default();
    for _ in 0..MOST_CHUNKS {
        if rest.is_empty() {
            break;
        }
        let length = usize::from(be16(rest, 4).ok_or(HepError::Length)?);
        let value = rest.get(6..length).ok_or(HepError::Length)?;
        // Chunks of vendors mean nothing here.
        if be16(rest, 0) == Some(0) {
            c.take(be16(rest, 2).unwrap_or(0), value);
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    c.hep()
}

impl<'a> Chunks<'a> {
    fn take(&mut self, kind: u16, value: &'a [u8]) {
        let v4 = || array::<4>(value, 0).map(|a| Ipv4Addr::from(a).into());
        let v6 = || array::<16>(value, 0).map(|a| Ipv6Addr::from(a).into());
        let [source, destination] = &mut self.addresses;
        let [from, to] = &mut self.ports;
        match kind {
            2 => self.protocol = value.first().copied(),
            3 => *source = v4().or(*source),
            4 => *destination = v4().or(*destination),
            5 => *source = v6().or(*source),
            6 => *destination = v6().or(*destination),
            7 => *from = be16(value, 0).unwrap_or(0),
            8 => *to = be16(value, 0).unwrap_or(0),
            9 => self.seconds = be32(value, 0),
            10 => self.micros = be32(value, 0).unwrap_or(0),
            11 => self.kind = value.first().copied(),
            12 => self.agent = be32(value, 0).or(be16(value, 0).map(u32::from)).unwrap_or(0),
            15 => self.payload = Some(value),
            16 => (self.payload, self.compressed) = (Some(value), true),
            _ => {}
        }
    }

    fn hep(self) -> Result<Hep<'a>, HepError> {
        let [Some(source), Some(destination)] = self.addresses else { return Err(HepError::Incomplete) };
        let payload = self.payload.ok_or(HepError::Incomplete)?;
        let [from, to] = self.ports;
        let told = |s: u32| CaptureTime::from_parts(i64::from(s), i64::from(self.micros.min(999_999)) * 1000);
        Ok(Hep {
            source: Endpoint::new(source, from),
            destination: Endpoint::new(destination, to),
            protocol: self.protocol.unwrap_or(protocol::UDP),
            told_at: self.seconds.map(told),
            agent: self.agent,
            kind: if self.compressed { Kind::Compressed } else { kind(self.kind, payload) },
            payload,
        })
    }
}

/// By the number of the agent's protocol type, and by what it looks like: agents send reports in JSON as RTCP, and the old
/// versions say nothing.
fn kind(told: Option<u8>, payload: &[u8]) -> Kind {
    match told {
        Some(1) => Kind::Sip,
        Some(4) if rtp::looks_like(payload) && !rtp::is_rtcp(payload) => Kind::Rtp,
        Some(4 | 5) if rtp::is_rtcp(payload) => Kind::Rtcp,
        None if sip::looks_like(payload.trim_ascii_start()) => Kind::Sip,
        None if rtp::is_rtcp(payload) => Kind::Rtcp,
        None if rtp::looks_like(payload) => Kind::Rtp,
        n => Kind::Other(n.unwrap_or(0)),
    }
}

/// Versions 1 and 2: eight bytes, the addresses, in version 2 the time and the agent's number in the byte order of the
/// agent's host, which is mostly little-endian.
fn fixed(b: &[u8]) -> Result<Hep<'_>, HepError> {
    let [version, length, family, proto] = array(b, 0).ok_or(HepError::Length)?;
    let (addresses, wide) = match family {
        2 => (8, false),
        10 | 28 | 30 => (32, true), // AF_INET6 of Linux, FreeBSD, macOS
        _ => return Err(HepError::Version),
    };
    let dated = version == 2;
    if usize::from(length) != 8 + addresses + if dated { 12 } else { 0 } {
        return Err(HepError::Length);
    }
    let address = |at: usize| match wide {
        true => array::<16>(b, at).map(|a| IpAddr::from(Ipv6Addr::from(a))),
        false => array::<4>(b, at).map(|a| IpAddr::from(Ipv4Addr::from(a))),
    };
    let payload = b.get(usize::from(length)..).ok_or(HepError::Length)?;
    let source = address(8).ok_or(HepError::Length)?;
    let destination = address(8 + addresses / 2).ok_or(HepError::Length)?;
    let number = |at: usize| array::<4>(b, 8 + addresses + at).filter(|_| dated);
    let (seconds, micros) = (number(0), number(4));
    let little = micros.is_none_or(|m| u32::from_le_bytes(m) < 1_000_000);
    let read = |n: [u8; 4]| if little { u32::from_le_bytes(n) } else { u32::from_be_bytes(n) };
    let agent = array::<2>(b, 16 + addresses).filter(|_| dated).map_or(0, u16::from_le_bytes);
    Chunks {
        addresses: [Some(source), Some(destination)],
        ports: [be16(b, 4).unwrap_or(0), be16(b, 6).unwrap_or(0)],
        protocol: Some(proto),
        seconds: seconds.map(read),
        micros: micros.map_or(0, read),
        kind: None,
        agent: u32::from(if little { agent } else { agent.swap_bytes() }),
        payload: Some(payload),
        compressed: false,
    }
    .hep()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk(vendor: u16, kind: u16, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for v in [vendor, kind, value.len() as u16 + 6] {
            out.extend(v.to_be_bytes());
        }
        out.extend(value);
        out
    }

    fn hep3(chunks: &[Vec<u8>]) -> Vec<u8> {
        let all = chunks.concat();
        [b"HEP3".as_slice(), &(all.len() as u16 + 6).to_be_bytes(), &all].concat()
    }

    fn usual(payload: Vec<u8>, kind: u8) -> Vec<Vec<u8>> {
        vec![
            chunk(0, 1, &[2]),
            chunk(0, 2, &[17]),
            chunk(0, 3, &[10, 0, 0, 1]),
            chunk(0, 4, &[10, 0, 0, 2]),
            chunk(0, 7, &5060u16.to_be_bytes()),
            chunk(0, 8, &5061u16.to_be_bytes()),
            chunk(0, 9, &1_700_000_000u32.to_be_bytes()),
            chunk(0, 10, &5u32.to_be_bytes()),
            chunk(0, 11, &[kind]),
            chunk(0, 12, &2001u32.to_be_bytes()),
            chunk(0x1234, 3, b"what a vendor says"),
            chunk(0, 0x77, b"?"),
            payload,
        ]
    }

    #[test]
    fn version_three() {
        let b = hep3(&usual(chunk(0, 15, b"SIP/2.0 200 OK"), 1));
        let h = parse(&b).unwrap();
        assert_eq!(
            (h.source.to_string(), h.destination.to_string()),
            ("10.0.0.1:5060".into(), "10.0.0.2:5061".into())
        );
        assert_eq!((h.agent, h.kind, h.payload), (2001, Kind::Sip, &b"SIP/2.0 200 OK"[..]));
        assert_eq!(h.told_at, Some(CaptureTime::from_parts(1_700_000_000, 5_000)));
        assert!(is_hep3(&b) && !is_hep3(&b[..b.len() - 1]));
        let b = hep3(&usual(chunk(0, 16, b"x\x9c"), 1));
        assert_eq!(parse(&b).unwrap().kind, Kind::Compressed);
        let b = hep3(&usual(chunk(0, 15, b"{\"report\":1}"), 5));
        assert_eq!(parse(&b).unwrap().kind, Kind::Other(5));
    }

    #[test]
    fn lengths_that_lie() {
        let mut b = hep3(&usual(chunk(0, 15, b"SIP/2.0 200 OK"), 1));
        b.truncate(40);
        assert_eq!(parse(&b), Err(HepError::Length));
        assert_eq!(parse(&hep3(&[vec![0, 0, 0, 1, 0, 5]])), Err(HepError::Length));
        assert_eq!(parse(&hep3(&[vec![0, 0, 0, 1, 0, 0]])), Err(HepError::Length));
        assert_eq!(parse(&hep3(&[])), Err(HepError::Incomplete));
        assert_eq!(parse(b"GET / HTTP/1.1"), Err(HepError::Version));
    }

    #[test]
    fn version_two_and_one() {
        let mut b = vec![2, 28, 2, 17, 0x13, 0xc4, 0x13, 0xc5, 10, 0, 0, 1, 10, 0, 0, 2];
        b.extend(1_700_000_000u32.to_le_bytes());
        b.extend(7u32.to_le_bytes());
        b.extend([9, 0, 0, 0]);
        b.extend(b"OPTIONS sip:a SIP/2.0\r\n");
        let h = parse(&b).unwrap();
        assert_eq!((h.agent, h.kind, h.source.port(), h.destination.port()), (9, Kind::Sip, 5060, 5061));
        assert_eq!(h.told_at, Some(CaptureTime::from_parts(1_700_000_000, 7_000)));
        let one = [&[1, 16][..], &b[2..16], b"\x80\0\0\x01\0\0\0\0\0\0\0\x07"].concat();
        assert_eq!((parse(&one).unwrap().kind, parse(&one).unwrap().told_at), (Kind::Rtp, None));
    }

    proptest! {
        #[test]
        fn never_panics(b in proptest::collection::vec(any::<u8>(), 0..120), v in 0u8..4) {
            let mut b = b;
            match v { 3 => { b.splice(0..0, *b"HEP3"); }, v => if let Some(x) = b.first_mut() { *x = v; } }
            let _ = parse(&b);
        }
    }
}
