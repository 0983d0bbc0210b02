//! ICMP destination unreachable (RFC 792, RFC 4443): what a host says of a port that nobody listens on.

use super::be16;
use super::endpoint::Endpoint;
use super::ip::{self, Ip, protocol};

/// A datagram that could not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Who sent the datagram.
    pub source: Endpoint,
    /// Where it should have gone.
    pub destination: Endpoint,
    /// A hash of the datagram as it is quoted: the same in copies of one message, and in no two messages.
    pub quoted: u64,
}

/// Reads an ICMP or ICMPv6 message; `None` when it is no destination unreachable about UDP or TCP.
#[must_use]
pub fn unreachable(outer: &Ip<'_>) -> Option<Unreachable> {
    let kind = *outer.payload.first()?;
    match (outer.protocol, kind) {
        (protocol::ICMP, 3) | (protocol::ICMPV6, 1) => {}
        _ => return None,
    }
    // The quoted packet is cut off behind a few bytes of its payload: its ports are there.
    let bytes = outer.payload.get(8..)?;
    let quoted = ip::parse(bytes).ok()?;
    if !matches!(quoted.protocol, protocol::UDP | protocol::TCP) {
        return None;
    }
    Some(Unreachable {
        source: Endpoint::new(quoted.source, be16(quoted.payload, 0)?),
        destination: Endpoint::new(quoted.destination, be16(quoted.payload, 2)?),
        quoted: fnv(bytes),
    })
}

/// FNV-1a, 64 bits: told apart are only the messages of a tenth of a second.
fn fnv(b: &[u8]) -> u64 {
    b.iter().fold(0xcbf2_9ce4_8422_2325, |h, x| (h ^ u64::from(*x)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::super::{ip::packet, transport};
    use super::*;

    #[test]
    fn the_quoted_datagram_is_told() {
        let (phone, primary) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let lost = packet(phone, primary, protocol::UDP, &transport::udp_bytes(4000, 5000, &[0; 172]));
        let icmp = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &lost[..28]].concat();
        let outer = packet(primary, phone, protocol::ICMP, &icmp);
        let u = unreachable(&ip::parse(&outer).unwrap()).unwrap();
        assert_eq!((u.source, u.destination), (Endpoint::new(phone, 4000), Endpoint::new(primary, 5000)));
        let echo = packet(primary, phone, protocol::ICMP, &[8, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(unreachable(&ip::parse(&echo).unwrap()), None);
    }
}
