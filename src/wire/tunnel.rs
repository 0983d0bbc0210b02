//! Tunnels that mirrors use: from the outer IP packet to the frame that was mirrored.

use super::frame::{FrameError, Network, by_ethertype, ethernet};
use super::hep;
use super::ip::{Ip, protocol};
use super::transport::Udp;
use super::{be16, be32};

/// The mirrored packet inside a tunnel over IP; `None` when `ip` is no tunnel.
#[must_use]
pub fn over_ip<'a>(ip: &Ip<'a>) -> Option<Result<Network<'a>, FrameError>> {
    match ip.protocol {
        protocol::IPIP | protocol::IPV6 => Some(Ok(Network::Ip(ip.payload))),
        protocol::GRE => Some(gre(ip.payload)),
        protocol::MPLS => Some(by_ethertype(0x8847, ip.payload)),
        _ => None,
    }
}

/// Is this VXLAN with a group policy (draft-smith-vxlan-group-policy, Linux `gbp`)? Its first byte is that of RTP with eight
/// contributing sources, so that more than the port must fit: flags, reserved bytes, and an Ethernet frame inside.
#[must_use]
pub fn is_group_policy(udp: &Udp<'_>) -> bool {
    let b = udp.payload;
    matches!(udp.destination_port, 4789 | 8472)
        && b.first() == Some(&0x88)
        && b.get(1).is_some_and(|f| f & 0xb7 == 0)
        && b.get(7) == Some(&0)
        && be16(b, 20).is_some_and(|e| matches!(e, 0x0800 | 0x0806 | 0x86dd | 0x8100 | 0x88a8))
}

/// The mirrored packet inside a tunnel over UDP; `None` when the datagram is none.
///
/// All these headers begin with a byte below 0x80, so RTP (version 2) is never taken for one.
#[must_use]
pub fn over_udp<'a>(udp: &Udp<'a>) -> Option<Result<Network<'a>, FrameError>> {
    let b = udp.payload;
    match udp.destination_port {
        // VXLAN (RFC 7348), also on the port Linux first used.
        4789 | 8472 if b.first()? & 0x08 != 0 && b.len() > 8 => Some(ethernet(b.get(8..)?)),
        // VXLAN-GPE: a next-protocol byte when the P bit is set, else plain VXLAN.
        4790 if b.first()? & 0x0c == 0x08 => Some(ethernet(b.get(8..)?)),
        4790 if b.first()? & 0x0c == 0x0c => Some(match b.get(3)? {
            1 | 2 => Ok(Network::Ip(b.get(8..)?)),
            3 => ethernet(b.get(8..)?),
            _ => Ok(Network::Other),
        }),
        // Geneve (RFC 8926): options of 4 × the low six bits.
        6081 if b.first()? >> 6 == 0 => {
            let options = usize::from(b.first()? & 0x3f) * 4;
            let inner = b.get(8 + options..)?;
            Some(match be16(b, 2)? {
                0x6558 => ethernet(inner),
                e => by_ethertype(e, inner),
            })
        }
        37008 if *b.first()? == 1 => Some(tzsp(b)),
        // GTP-U version 1 (3GPP TS 29.281): a user's packet.
        2152 if b.first()? >> 4 == 3 && *b.get(1)? == 255 => Some(gtp(b)),
        9060 if hep::is_hep3(b) => Some(Ok(Network::Hep(b))),
        _ => None,
    }
}

/// GRE (RFC 1701, 2784, 2890), version 0; ERSPAN types I to III are what Cisco's remote SPAN puts into it.
fn gre(b: &[u8]) -> Result<Network<'_>, FrameError> {
    let short = FrameError::Short("GRE");
    let flags = be16(b, 0).ok_or(short)?;
    let proto = be16(b, 2).ok_or(short)?;
    if flags & 0x7 != 0 {
        return Ok(Network::Other); // version 1 is PPTP
    }
    // Checksum and offset (there for either), key, sequence number.
    let optional = [0xc000, 0x2000, 0x1000].iter().filter(|&&f| flags & f != 0).count();
    let mut at = 4 + 4 * optional;
    if flags & 0x4000 != 0 {
        // Routing: entries up to one of length 0 (RFC 1701).
        loop {
            let length = usize::from(*b.get(at + 3).ok_or(short)?);
            at += 4 + length;
            if length == 0 {
                break;
            }
        }
    }
    let inner = b.get(at..).ok_or(short)?;
    match proto {
        0x6558 => ethernet(inner),
        // Type I has neither sequence number nor ERSPAN header, type II has both.
        0x88be if flags & 0x1000 == 0 => ethernet(inner),
        0x88be => ethernet(inner.get(8..).ok_or(FrameError::Short("ERSPAN"))?),
        0x22eb => erspan3(inner),
        e => by_ethertype(e, inner),
    }
}

/// GTP-U: four bytes more when a flag says so, then extension headers of 4 × their length.
fn gtp(b: &[u8]) -> Result<Network<'_>, FrameError> {
    let short = FrameError::Short("GTP-U");
    let flags = *b.first().ok_or(short)?;
    let mut at = if flags & 7 == 0 { 8 } else { 12 };
    let mut next = if flags & 4 == 0 { 0 } else { *b.get(11).ok_or(short)? };
    while next != 0 {
        let length = usize::from(*b.get(at).ok_or(short)?).max(1) * 4;
        next = *b.get(at + length - 1).ok_or(short)?;
        at += length;
    }
    Ok(Network::Ip(b.get(at..).ok_or(short)?))
}

/// ERSPAN type III (draft-foschiano-erspan-03): 12 bytes, 8 more when the last bit says so.
fn erspan3(b: &[u8]) -> Result<Network<'_>, FrameError> {
    let short = FrameError::Short("ERSPAN III");
    let last = be32(b, 8).ok_or(short)?;
    let head = if last & 1 == 1 { 20 } else { 12 };
    let inner = b.get(head..).ok_or(short)?;
    match last >> 10 & 0x1f {
        2 => Ok(Network::Ip(inner)), // frame type 2 is IP, 0 is Ethernet
        _ => ethernet(inner),
    }
}

/// TZSP (TaZmen sniffer protocol): tags until the end tag, then the frame.
fn tzsp(b: &[u8]) -> Result<Network<'_>, FrameError> {
    let short = FrameError::Short("TZSP");
    // Keep-alives (4) and port openers (5) carry nothing; what is not Ethernet is not read.
    if matches!(b.get(1), Some(4 | 5)) || be16(b, 2).ok_or(short)? != 1 {
        return Ok(Network::Other);
    }
    let mut at = 4;
    loop {
        match *b.get(at).ok_or(short)? {
            0 => at += 1,
            1 => return ethernet(b.get(at + 1..).ok_or(short)?),
            _ => at += 2 + usize::from(*b.get(at + 1).ok_or(short)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ip, transport};
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn inner_frame() -> Vec<u8> {
        let mut f = vec![0; 12];
        f.extend([8, 0, 0x45, 9, 9]);
        f
    }

    fn through(proto: u8, payload: &[u8]) -> Vec<u8> {
        let a: IpAddr = "192.0.2.1".parse().unwrap();
        let p = ip::packet(a, a, proto, payload);
        let outer = ip::parse(&p).unwrap();
        let got = match over_ip(&outer) {
            Some(r) => r,
            None => over_udp(&transport::udp(outer.payload).unwrap()).unwrap(),
        };
        match got.unwrap() {
            Network::Ip(b) => b.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    fn udp(port: u16, body: &[u8]) -> Vec<u8> {
        transport::udp_bytes(4000, port, body)
    }

    #[test]
    fn every_tunnel_of_the_mirrors() {
        let f = inner_frame();
        let cat = |head: &[u8]| [head, &f].concat();
        assert_eq!(through(47, &cat(&[0, 0, 0x65, 0x58])), [0x45, 9, 9]);
        assert_eq!(through(47, &cat(&[0, 0, 0x88, 0xbe])), [0x45, 9, 9]); // ERSPAN I
        let two = [&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1][..], &[0x10, 1, 0, 1, 0, 0, 0, 0]].concat();
        assert_eq!(through(47, &cat(&two)), [0x45, 9, 9]);
        let three =
            [&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..], &[0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], &[0; 8]]
                .concat();
        assert_eq!(through(47, &cat(&three)), [0x45, 9, 9]);
        // Frame type 2 (bits 10 to 14 of the last word): IP without Ethernet.
        let ip = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 8, 0, 0x45, 9, 9];
        assert_eq!(through(47, &ip), [0x45, 9, 9]);
        assert_eq!(through(4, &[0x45, 9, 9]), [0x45, 9, 9]);
        assert_eq!(through(17, &udp(4789, &cat(&[8, 0, 0, 0, 0, 0, 5, 0]))), [0x45, 9, 9]);
        assert_eq!(through(17, &udp(4790, &[0x0c, 0, 0, 1, 0, 0, 5, 0, 0x45, 9, 9])), [0x45, 9, 9]);
        assert_eq!(through(17, &udp(6081, &cat(&[1, 0, 0x65, 0x58, 0, 0, 1, 0, 7, 7, 7, 7]))), [0x45, 9, 9]);
        assert_eq!(through(17, &udp(37008, &cat(&[1, 0, 0, 1, 10, 1, 99, 0, 1]))), [0x45, 9, 9]);
        let gtp = [0x34, 255, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 9, 0, 0x45, 9, 9];
        assert_eq!(through(17, &udp(2152, &gtp)), [0x45, 9, 9]);
    }

    #[test]
    fn a_group_policy_is_told_from_rtp() {
        let told = |port, b: &[u8]| {
            is_group_policy(&Udp { source_port: 1, destination_port: port, payload: b, missing: 0 })
        };
        let policy = [&[0x88, 8, 0, 5, 0, 0, 5, 0][..], &[2; 12], &[8, 0, 0x45, 9, 9]].concat();
        assert!(told(4789, &policy) && told(8472, &policy));
        assert!(!told(5000, &policy));
        let rtp = [&[0x88, 0, 0, 5, 0, 0, 5, 0][..], &[2; 40]].concat();
        assert!(!told(4789, &rtp) && !told(4789, &policy[..12]));
        assert_eq!(through(17, &udp(4789, &policy)), [0x45, 9, 9]);
    }

    proptest! {
        #[test]
        fn never_panics(b in proptest::collection::vec(any::<u8>(), 0..80),
                        port in prop_oneof![Just(4789u16), Just(8472), Just(4790), Just(6081), Just(37008), Just(2152), Just(9060)]) {
            let _ = gre(&b);
            let _ = over_udp(&Udp { source_port: 1, destination_port: port, payload: &b, missing: 0 });
        }
    }
}
