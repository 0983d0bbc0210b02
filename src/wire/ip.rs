//! IPv4 (RFC 791) and IPv6 (RFC 8200) packets.

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6ExtensionsSlice, Ipv6HeaderSlice};
use std::net::IpAddr;
use thiserror::Error;

/// IP protocol numbers used here (IANA).
pub mod protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IPv4 in IP (RFC 2003).
    pub const IPIP: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP (RFC 4213).
    pub const IPV6: u8 = 41;
    /// Generic routing encapsulation.
    pub const GRE: u8 = 47;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// MPLS in IP (RFC 4023).
    pub const MPLS: u8 = 137;
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The identification that the pieces share.
    pub id: u32,
    /// Place of this piece in the payload, bytes.
    pub offset: usize,
    /// More pieces follow this one.
    pub more: bool,
}

/// A checked view of an IP packet. Checksums are not verified: on a capturing host with offload they are
/// wrong in every packet it sends.
#[derive(Clone, Copy, Debug)]
pub struct Ip<'a> {
    /// The packet from its first header byte to its end; link trailers are cut off.
    pub bytes: &'a [u8],
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol of the payload (IANA number), extension headers skipped.
    pub protocol: u8,
    /// Set when this is a piece of a larger packet.
    pub fragment: Option<Fragment>,
    /// The payload, as far as it was captured.
    pub payload: &'a [u8],
    /// Bytes of the packet that the capture's snap length cut off.
    pub missing: usize,
}

/// Why an IP packet cannot be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum IpError {
    /// Neither version 4 nor 6.
    #[error("IP version {0} (4 and 6 are known)")]
    Version(u8),
    /// The header is cut off or contradicts itself.
    #[error("{0} header is cut off or contradicts itself")]
    Header(&'static str),
}

/// Checks an IP packet; `b` may be longer than it.
///
/// # Errors
/// [`IpError`] when it is no IP packet or its headers are not whole.
pub fn parse(b: &[u8]) -> Result<Ip<'_>, IpError> {
    match b.first().map_or(0, |x| x >> 4) {
        4 => v4(b),
        6 => v6(b),
        v => Err(IpError::Version(v)),
    }
}

fn v4(b: &[u8]) -> Result<Ip<'_>, IpError> {
    let bad = IpError::Header("IPv4");
    let h = Ipv4HeaderSlice::from_slice(b).map_err(|_| bad)?;
    let head = h.slice().len();
    // A total length of 0 is what segmentation offload leaves in captures made on the sending host.
    let total = match usize::from(h.total_len()) {
        0 => b.len(),
        n if n < head => return Err(bad),
        n => n,
    };
    let bytes = b.get(..total).unwrap_or(b);
    let offset = usize::from(h.fragments_offset().value()) * 8;
    let fragment = (h.more_fragments() || offset > 0).then(|| Fragment {
        id: u32::from(h.identification()),
        offset,
        more: h.more_fragments(),
    });
    Ok(Ip {
        bytes,
        source: h.source_addr().into(),
        destination: h.destination_addr().into(),
        protocol: h.protocol().0,
        fragment,
        payload: bytes.get(head..).unwrap_or_default(),
        missing: total - bytes.len(),
    })
}

fn v6(b: &[u8]) -> Result<Ip<'_>, IpError> {
    let bad = IpError::Header("IPv6");
    let h = Ipv6HeaderSlice::from_slice(b).map_err(|_| bad)?;
    let total = match usize::from(h.payload_length()) {
        0 => b.len(), // a jumbogram or segmentation offload
        n => 40 + n,
    };
    let bytes = b.get(..total).unwrap_or(b);
    let after = bytes.get(40..).unwrap_or_default();
    let (mut protocol, mut payload, mut fragment) = (h.next_header(), after, None);
    if let 0 | 43 | 44 | 51 | 60 = protocol.0 {
        let (ext, next, rest, error) = Ipv6ExtensionsSlice::from_slice_lax(protocol, after);
        // etherparse 0.21 iterates past the end of extensions that were cut off (found by scripts/fuzz).
        if error.is_some() {
            return Err(bad);
        }
        fragment = ext.into_iter().find_map(|e| match e {
            etherparse::Ipv6ExtensionSlice::Fragment(f) if f.is_fragmenting_payload() => Some(Fragment {
                id: f.identification(),
                offset: usize::from(f.fragment_offset().value()) * 8,
                more: f.more_fragments(),
            }),
            _ => None,
        });
        (protocol, payload) = (next, rest);
        if fragment.is_none() && protocol == IpNumber(44) {
            return Err(bad);
        }
    }
    Ok(Ip {
        bytes,
        source: h.source_addr().into(),
        destination: h.destination_addr().into(),
        protocol: protocol.0,
        fragment,
        payload,
        missing: total - bytes.len(),
    })
}

impl Ip<'_> {
    /// An unfragmented packet with the addresses of this one around another payload: for what was put together
    /// from fragments or segments. Payloads over 65,515 bytes are cut there.
    #[must_use]
    pub fn with_payload(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        packet(self.source, self.destination, protocol, payload)
    }
}

/// An IP packet made of its parts, with a right header checksum. A payload over 65,515 bytes is cut there.
#[must_use]
pub fn packet(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..usize::from(u16::MAX) - 20).unwrap_or(payload);
    let length = payload.len() as u16;
    let mut out = Vec::with_capacity(40 + payload.len());
    match (source, destination) {
        (IpAddr::V4(s), IpAddr::V4(d)) => {
            let mut h = etherparse::Ipv4Header { time_to_live: 64, ..Default::default() };
            (h.source, h.destination, h.protocol) = (s.octets(), d.octets(), IpNumber(protocol));
            h.total_len = length + 20;
            h.header_checksum = h.calc_header_checksum();
            out.extend_from_slice(&h.to_bytes());
        }
        (s, d) => {
            let v6 = |a: IpAddr| match a {
                IpAddr::V4(a) => a.to_ipv6_mapped().octets(),
                IpAddr::V6(a) => a.octets(),
            };
            let h = etherparse::Ipv6Header {
                payload_length: length,
                next_header: IpNumber(protocol),
                hop_limit: 64,
                source: v6(s),
                destination: v6(d),
                ..Default::default()
            };
            out.extend_from_slice(&h.to_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn made_packets_parse_back_and_trailers_are_cut() {
        for (s, d) in [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")] {
            let (s, d): (IpAddr, IpAddr) = (s.parse().unwrap(), d.parse().unwrap());
            let mut p = packet(s, d, protocol::UDP, b"hello");
            let whole = p.len();
            p.extend(b"trailer");
            let ip = parse(&p).unwrap();
            assert_eq!((ip.source, ip.destination, ip.protocol, ip.payload), (s, d, 17, &b"hello"[..]));
            assert_eq!((ip.bytes.len(), ip.missing), (whole, 0));
            let cut = parse(&p[..whole - 2]).unwrap();
            assert_eq!((cut.payload, cut.missing), (&b"hel"[..], 2));
        }
    }

    proptest! {
        #[test]
        fn never_panics(b in proptest::collection::vec(any::<u8>(), 0..120), v in prop_oneof![Just(0x45u8), Just(0x60u8)]) {
            let mut b = b;
            if let Some(x) = b.first_mut() { *x = v; }
            let _ = parse(&b);
        }
    }
}
