//! Link layers: from a captured frame to the network packet in it.

use super::{be16, be32};
use thiserror::Error;

/// How the frames of a source begin: the link types of libpcap (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// `LINKTYPE_ETHERNET` (1).
    Ethernet,
    /// `LINKTYPE_RAW` (101), `LINKTYPE_IPV4` (228), `LINKTYPE_IPV6` (229), and the raw types of BSD.
    RawIp,
    /// `LINKTYPE_LINUX_SLL` (113).
    LinuxSll,
    /// `LINKTYPE_LINUX_SLL2` (276).
    LinuxSll2,
    /// `LINKTYPE_NULL` (0) and `LINKTYPE_LOOP` (108).
    Null,
    /// `LINKTYPE_PPP` (9), and PPP in HDLC-like framing.
    Ppp,
    /// `LINKTYPE_PPP_ETHER` (51): a PPPoE session.
    Pppoe,
    /// `LINKTYPE_C_HDLC` (104).
    CiscoHdlc,
    /// A datagram of the Homer encapsulation protocol, from a socket of our own; no link type of libpcap.
    Hep,
}

impl LinkType {
    /// The link type of a libpcap number; `None` for one earwitness cannot read.
    #[must_use]
    pub fn from_number(n: u32) -> Option<Self> {
        Some(match n {
            0 | 108 => Self::Null,
            1 => Self::Ethernet,
            9 | 50 => Self::Ppp,
            12 | 14 | 101 | 228 | 229 => Self::RawIp,
            51 => Self::Pppoe,
            104 => Self::CiscoHdlc,
            113 => Self::LinuxSll,
            276 => Self::LinuxSll2,
            _ => return None,
        })
    }
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network<'a> {
    /// An IPv4 or IPv6 packet, with whatever trailer the link put behind it.
    Ip(&'a [u8]),
    /// An ARP packet.
    Arp(&'a [u8]),
    /// A datagram of the Homer encapsulation protocol ([`super::hep`]).
    Hep(&'a [u8]),
    /// Something of no interest here.
    Other,
}

/// Why a frame cannot be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// The frame ends inside a header.
    #[error("frame ends inside its {0} header")]
    Short(&'static str),
    /// More tags or labels than any network stacks.
    #[error("more than {MAX_TAGS} VLAN tags or MPLS labels")]
    Deep,
}

/// VLAN tags or MPLS labels that are followed: provider networks stack four, more is an attack.
const MAX_TAGS: usize = 8;

/// The network packet in a frame.
///
/// # Errors
/// [`FrameError`] when the frame ends inside a header, or stacks more tags than any network does.
pub fn decode(link: LinkType, frame: &[u8]) -> Result<Network<'_>, FrameError> {
    match link {
        LinkType::Ethernet => ethernet(frame),
        LinkType::RawIp => Ok(if frame.is_empty() { Network::Other } else { Network::Ip(frame) }),
        LinkType::LinuxSll => {
            let proto = be16(frame, 14).ok_or(FrameError::Short("SLL"))?;
            by_ethertype(proto, rest(frame, 16))
        }
        LinkType::LinuxSll2 => {
            let proto = be16(frame, 0).ok_or(FrameError::Short("SLL2"))?;
            by_ethertype(proto, frame.get(20..).ok_or(FrameError::Short("SLL2"))?)
        }
        // The address family is in the capturing host's byte order and differs by system; the IP version tells.
        LinkType::Null => Ok(Network::Ip(frame.get(4..).ok_or(FrameError::Short("loopback"))?)),
        LinkType::Pppoe => ppp(frame.get(6..).ok_or(FrameError::Short("PPPoE"))?),
        LinkType::CiscoHdlc => {
            let proto = be16(frame, 2).ok_or(FrameError::Short("C-HDLC"))?;
            by_ethertype(proto, rest(frame, 4))
        }
        LinkType::Hep => Ok(Network::Hep(frame)),
        LinkType::Ppp => ppp(if frame.starts_with(&[0xff, 0x03]) { rest(frame, 2) } else { frame }),
    }
}

/// The network packet in an Ethernet frame without preamble; the frame check sequence may be there or not.
pub(super) fn ethernet(frame: &[u8]) -> Result<Network<'_>, FrameError> {
    let ethertype = be16(frame, 12).ok_or(FrameError::Short("Ethernet"))?;
    by_ethertype(ethertype, rest(frame, 14))
}

/// What follows an `EtherType` (IEEE 802), tags and labels peeled off.
pub(super) fn by_ethertype(mut ethertype: u16, mut b: &[u8]) -> Result<Network<'_>, FrameError> {
    for _ in 0..MAX_TAGS {
        match ethertype {
            0x0800 | 0x86dd => return Ok(Network::Ip(b)),
            0x0806 => return Ok(Network::Arp(b)),
            // 802.1Q, 802.1ad, and the TPIDs of older provider bridges.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => {
                ethertype = be16(b, 2).ok_or(FrameError::Short("802.1Q"))?;
                b = rest(b, 4);
            }
            // Cisco's VN-Tag (802.1BR's elder), and the security tag of TrustSec.
            0x8926 => {
                ethertype = be16(b, 4).ok_or(FrameError::Short("VN-Tag"))?;
                b = rest(b, 6);
            }
            0x8909 if b.starts_with(&[1, 1]) => {
                ethertype = be16(b, 6).ok_or(FrameError::Short("TrustSec"))?;
                b = rest(b, 8);
            }
            0x8847 | 0x8848 => return mpls(b),
            // A length (IEEE 802.3): LLC and SNAP with an EtherType (RFC 1042).
            0..0x0600 if b.starts_with(&[0xaa, 0xaa, 3, 0, 0, 0]) => {
                ethertype = be16(b, 6).ok_or(FrameError::Short("SNAP"))?;
                b = rest(b, 8);
            }
            // PPPoE session (RFC 2516): six bytes, then PPP.
            0x8864 => return ppp(b.get(6..).ok_or(FrameError::Short("PPPoE"))?),
            _ => return Ok(Network::Other),
        }
    }
    Err(FrameError::Deep)
}

/// MPLS labels (RFC 3032) down to the bottom of the stack; what follows is IP, or Ethernet in a pseudowire.
fn mpls(mut b: &[u8]) -> Result<Network<'_>, FrameError> {
    for _ in 0..MAX_TAGS {
        let label = be32(b, 0).ok_or(FrameError::Short("MPLS"))?;
        b = rest(b, 4);
        if label & 0x100 != 0 {
            return under_labels(b);
        }
    }
    Err(FrameError::Deep)
}

/// What is under MPLS labels says no header. An Ethernet pseudowire has a control word (RFC 4385) or none, and a MAC may
/// begin like IP or like a control word: what makes sense as a whole goes first, the first nibble decides the rest.
fn under_labels(b: &[u8]) -> Result<Network<'_>, FrameError> {
    let nibble = b.first().ok_or(FrameError::Short("MPLS"))? >> 4;
    let behind_word = rest(b, 4);
    if nibble == 0 && is_frame(behind_word) {
        return ethernet(behind_word);
    }
    if is_frame(b) {
        return ethernet(b);
    }
    match nibble {
        4 | 6 => Ok(Network::Ip(b)),
        0 if be32(b, 0) == Some(0) => ethernet(behind_word),
        _ => ethernet(b),
    }
}

/// Is this an Ethernet frame beyond doubt: does what follows its type begin as that type says?
fn is_frame(b: &[u8]) -> bool {
    let nibble = b.get(14).map(|x| x >> 4);
    match be16(b, 12) {
        Some(0x0800) => nibble == Some(4),
        Some(0x86dd) => nibble == Some(6),
        Some(0x0806 | 0x8100 | 0x88a8 | 0x9100 | 0x8847 | 0x8864) => b.len() > 18,
        _ => false,
    }
}

/// PPP (RFC 1661): a protocol number, compressed to one byte or not.
fn ppp(b: &[u8]) -> Result<Network<'_>, FrameError> {
    let first = *b.first().ok_or(FrameError::Short("PPP"))?;
    let (proto, at) = if first & 1 == 1 { (u16::from(first), 1) } else { (be16(b, 0).unwrap_or(0), 2) };
    Ok(match proto {
        0x0021 | 0x0057 => Network::Ip(rest(b, at)),
        _ => Network::Other,
    })
}

fn rest(b: &[u8], at: usize) -> &[u8] {
    b.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn peels_tags() {
        let mut f = vec![0; 12];
        f.extend([0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0, 0x45, 1]);
        assert_eq!(decode(LinkType::Ethernet, &f), Ok(Network::Ip(&[0x45, 1])));
        f.truncate(15);
        assert_eq!(decode(LinkType::Ethernet, &f), Err(FrameError::Short("802.1Q")));
    }

    #[test]
    fn endless_tags_are_an_error() {
        let mut f = vec![0; 12];
        f.extend([0x81, 0, 0, 5].repeat(100));
        assert_eq!(decode(LinkType::Ethernet, &f), Err(FrameError::Deep));
    }

    #[test]
    fn cooked_and_raw() {
        let mut sll = vec![0; 14];
        sll.extend([8, 0, 0x45]);
        assert_eq!(decode(LinkType::LinuxSll, &sll), Ok(Network::Ip(&[0x45])));
        let mut sll2 = vec![0x86, 0xdd];
        sll2.extend([0; 18]);
        sll2.push(0x60);
        assert_eq!(decode(LinkType::LinuxSll2, &sll2), Ok(Network::Ip(&[0x60])));
        assert_eq!(decode(LinkType::RawIp, &[0x45]), Ok(Network::Ip(&[0x45])));
        assert_eq!(decode(LinkType::Null, &[2, 0, 0, 0, 0x45]), Ok(Network::Ip(&[0x45])));
    }

    proptest! {
        #[test]
        fn never_panics(n in 0u32..300, b in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(l) = LinkType::from_number(n) {
                let _ = decode(l, &b);
            }
        }
    }
}
