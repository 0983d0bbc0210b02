//! The flow of a plain RTP packet at a glance, unchecked: enough to have at hand what will be looked up.

use super::endpoint::Endpoint;
use super::frame::LinkType;
use super::{array, be16, be32};
use std::net::{IpAddr, Ipv4Addr};

/// Source, destination and what would be the SSRC of an Ethernet frame with at most one VLAN tag, an IPv4 packet without options
/// in it, and UDP in that. `None` of all others. Nothing is checked: it is a guess at what the parsers will find.
#[must_use]
pub fn flow(link: LinkType, frame: &[u8]) -> Option<(Endpoint, Endpoint, u32)> {
    if link != LinkType::Ethernet {
        return None;
    }
    let ip = if be16(frame, 12)? == 0x8100 { frame.get(18..)? } else { frame.get(14..)? };
    if *ip.first()? != 0x45 || *ip.get(9)? != 17 {
        return None;
    }
    let end = |address: usize, port: usize| {
        let address: [u8; 4] = array(ip, address)?;
        Some(Endpoint::new(IpAddr::V4(Ipv4Addr::from(address)), be16(ip, port)?))
    };
    Some((end(12, 20)?, end(16, 22)?, be32(ip, 36)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ip, transport};

    #[test]
    fn what_it_sees_is_what_is_there() {
        let (a, b) = ("10.0.0.1".parse().unwrap(), "10.9.0.2".parse().unwrap());
        let rtp = [0x80, 0, 0, 1, 0, 0, 0, 9, 0xde, 0xad, 0xbe, 0xef, 1, 2];
        let packet = ip::packet(a, b, ip::protocol::UDP, &transport::udp_bytes(4000, 5002, &rtp));
        let want = Some((Endpoint::new(a, 4000), Endpoint::new(b, 5002), 0xdead_beef));
        let plain = [&[2; 12][..], &[8, 0], &packet].concat();
        let tagged = [&[2; 12][..], &[0x81, 0, 0, 7, 8, 0], &packet].concat();
        assert_eq!(flow(LinkType::Ethernet, &plain), want);
        assert_eq!(flow(LinkType::Ethernet, &tagged), want);
        assert_eq!(flow(LinkType::RawIp, &plain), None);
        for n in 0..plain.len() {
            let _ = flow(LinkType::Ethernet, &plain[..n]);
        }
    }
}
