//! A plain RTP packet at a glance: what nearly every frame is, told without the parsers that know all the others.

use super::endpoint::Endpoint;
use super::frame::LinkType;
use super::{array, be16, be32, rtp};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

/// What is told of a plain RTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Where it comes from.
    pub source: Endpoint,
    /// Where it goes.
    pub destination: Endpoint,
    /// RTP synchronization source.
    pub ssrc: u32,
    /// Where in the frame the IP packet is.
    pub ip: Range<usize>,
}

/// Ethernet header, and the same with one VLAN tag.
const ETHERNET: usize = 14;
const TAGGED: usize = 18;
/// IPv4 header without options, and the UDP header.
const IPV4: usize = 20;
const UDP: usize = 8;
/// RTP header without contributing sources (RFC 3550, 5.1).
const RTP: usize = 12;

/// RTP in UDP in one whole IPv4 packet without options, in an Ethernet frame with at most one VLAN tag. `None` of all others, and
/// where there is any doubt: of what it tells, the parsers tell the same.
#[must_use]
pub fn rtp(link: LinkType, frame: &[u8]) -> Option<Plain> {
    if link != LinkType::Ethernet {
        return None;
    }
    let (at, kind) = match be16(frame, 12)? {
        0x8100 => (TAGGED, be16(frame, 16)?),
        kind => (ETHERNET, kind),
    };
    let head: [u8; IPV4 + UDP + RTP] = array(frame, at)?;
    let head = head.as_slice();
    let length = usize::from(be16(head, 2)?);
    // Neither fragment nor cut off, and UDP says the same of its length.
    let whole = be16(head, 6)? & 0x3fff == 0
        && at + length <= frame.len()
        && usize::from(be16(head, IPV4 + 4)?) + IPV4 == length
        && length >= head.len();
    let is_udp = kind == 0x0800 && *head.first()? == 0x45 && *head.get(9)? == 17;
    let payload = head.get(IPV4 + UDP..)?;
    let end = |address: usize, port: usize| {
        let address: [u8; 4] = array(head, address)?;
        Some(Endpoint::new(IpAddr::V4(Ipv4Addr::from(address)), be16(head, port)?))
    };
    let destination = end(16, IPV4 + 2)?;
    // On VXLAN's ports a tunnel may begin like RTP.
    let tunnel = matches!(destination.port(), 4789 | 8472);
    if !(whole && is_udp && rtp::looks_like(payload) && !rtp::is_rtcp(payload) && !tunnel) {
        return None;
    }
    Some(Plain { source: end(12, IPV4)?, destination, ssrc: be32(payload, 8)?, ip: at..at + length })
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Network, decode};
    use super::super::tunnel;
    use super::*;
    use crate::wire::{ip, transport};
    use proptest::prelude::*;

    const BODY: [u8; 14] = [0x80, 0, 0, 1, 0, 0, 0, 9, 0xde, 0xad, 0xbe, 0xef, 1, 2];

    fn packet(payload: &[u8]) -> Vec<u8> {
        let (a, b) = ("10.0.0.1".parse().unwrap(), "10.9.0.2".parse().unwrap());
        ip::packet(a, b, ip::protocol::UDP, &transport::udp_bytes(4000, 5002, payload))
    }

    fn plain(payload: &[u8]) -> Vec<u8> {
        [&[2; 12][..], &[8, 0], &packet(payload)].concat()
    }

    fn tagged(payload: &[u8]) -> Vec<u8> {
        [&[2; 12][..], &[0x81, 0, 0, 7, 8, 0], &packet(payload)].concat()
    }

    /// The same by the parsers, and nothing if they would not take it for a whole RTP packet.
    fn parsed(frame: &[u8]) -> Option<(Endpoint, Endpoint, u32, &[u8])> {
        let Ok(Network::Ip(bytes)) = decode(LinkType::Ethernet, frame) else { return None };
        let ip = ip::parse(bytes).ok().filter(|ip| ip.fragment.is_none() && ip.missing == 0)?;
        let udp = transport::udp(ip.payload).filter(|_| ip.protocol == ip::protocol::UDP)?;
        let is_rtp = rtp::looks_like(udp.payload) && !tunnel::is_group_policy(&udp);
        let end = |ip, port| Endpoint::new(ip, port);
        let ends = (end(ip.source, udp.source_port), end(ip.destination, udp.destination_port));
        is_rtp.then(|| (ends.0, ends.1, rtp::peek_ssrc(udp.payload), ip.bytes))
    }

    #[test]
    fn plain_packets_are_told() {
        for frame in [plain(&BODY), tagged(&BODY), [&plain(&BODY)[..], &[0; 6]].concat()] {
            let p = rtp(LinkType::Ethernet, &frame).unwrap();
            let told = (p.source, p.destination, p.ssrc, &frame[p.ip]);
            assert_eq!(told.2, 0xdead_beef);
            assert_eq!(Some(told), parsed(&frame));
            assert_eq!(rtp(LinkType::RawIp, &frame), None);
            // But for what is behind the packet, all of it must be there.
            let length = frame.len() - if frame.len() == plain(&BODY).len() + 6 { 6 } else { 0 };
            assert!((0..length).all(|n| rtp(LinkType::Ethernet, &frame[..n]).is_none()));
        }
    }

    proptest! {
        /// Whatever else it is: what is told is what the parsers tell.
        #[test]
        fn what_is_told_is_what_the_parsers_tell(tag in any::<bool>(), extra in 0usize..8,
                                                 body in proptest::collection::vec(any::<u8>(), 0..30),
                                                 changes in proptest::collection::vec((0usize..64, any::<u8>()), 0..4)) {
            let mut frame = if tag { tagged(&[&BODY[..], &body].concat()) } else { plain(&[&BODY[..], &body].concat()) };
            frame.resize(frame.len() + extra, 0);
            for (at, to) in changes {
                if let Some(b) = frame.get_mut(at) { *b = to; }
            }
            if let Some(p) = rtp(LinkType::Ethernet, &frame) {
                prop_assert_eq!(Some((p.source, p.destination, p.ssrc, &frame[p.ip])), parsed(&frame));
            }
        }
    }
}
