//! ARP for IPv4 over Ethernet (RFC 826): who asks for whom, and who answers.

use super::{array, be16};
use std::net::{IpAddr, Ipv4Addr};

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arp {
    /// Somebody asks where this address is.
    Request(IpAddr),
    /// This address answers.
    Reply(IpAddr),
}

/// Reads an ARP packet; `None` for anything but IPv4 requests and replies. A gratuitous request is a reply.
#[must_use]
pub fn parse(b: &[u8]) -> Option<Arp> {
    if be16(b, 2)? != 0x0800 || b.get(4..6)? != [6, 4] {
        return None;
    }
    let sender = IpAddr::V4(Ipv4Addr::from(array::<4>(b, 14)?));
    let target = IpAddr::V4(Ipv4Addr::from(array::<4>(b, 24)?));
    match be16(b, 6)? {
        1 if sender != target => Some(Arp::Request(target)),
        1 | 2 => Some(Arp::Reply(sender)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_and_reply() {
        let mut b = vec![0, 1, 8, 0, 6, 4, 0, 1];
        b.extend([2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
        assert_eq!(parse(&b), Some(Arp::Request("10.0.0.2".parse().unwrap())));
        b[7] = 2;
        assert_eq!(parse(&b), Some(Arp::Reply("10.0.0.1".parse().unwrap())));
        assert_eq!(parse(&b[..20]), None);
    }
}
