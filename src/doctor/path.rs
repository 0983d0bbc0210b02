//! Paths: the way that a packet took to us, as its frame tells it.

use crate::wire::frame::LinkType;
use crate::wire::ip::Ip;
use std::fmt;
use std::net::IpAddr;

/// A tunnel around the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// What it is.
    pub name: &'static str,
    /// Who sends it.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
}

/// Tags that are told apart; more are as good as none.
const TAGS: usize = 4;

/// Tunnel, VLAN tags, MAC addresses (or what the capturing host wrote in their place) and time to live of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path {
    /// The innermost tunnel.
    pub tunnel: Option<Tunnel>,
    /// VLAN identifiers, outermost first; 0 where there is no tag.
    tags: [u16; TAGS],
    /// Number of tags.
    tagged: u8,
    /// Destination and source.
    macs: [u8; 12],
    /// The frame has MAC addresses.
    ethernet: bool,
    /// On an interface `any`: the number of the interface, and which way the packet went.
    cooked: Option<(u32, u8)>,
    /// Time to live, or hop limit.
    pub ttl: u8,
}

/// Is this the number of a VLAN tag (IEEE 802.1Q, 802.1ad, and those of older provider bridges)?
fn is_tag(b: &[u8]) -> bool {
    matches!(b, [0x81 | 0x91 | 0x92 | 0x93, 0x00] | [0x88, 0xa8])
}

impl Path {
    /// What stands before an IP packet in a frame of this link type, or in a tunnel (`None`), where what comes before
    /// the Ethernet header is the tunnel's own.
    pub(super) fn head(&mut self, link: Option<LinkType>, head: &[u8]) {
        (self.tags, self.tagged, self.ethernet, self.macs) = ([0; TAGS], 0, false, [0; 12]);
        let at = |n: usize| head.get(n).copied().unwrap_or(0);
        match link {
            Some(LinkType::LinuxSll) => self.cooked = Some((0, at(1))),
            Some(LinkType::LinuxSll2) => {
                self.cooked = Some((u32::from_be_bytes([at(4), at(5), at(6), at(7)]), at(10)));
            }
            Some(LinkType::Ethernet) | None if head.len() >= 14 => self.ethernet(head, link.is_some()),
            _ => {}
        }
    }

    /// Read from its end, where the `EtherType` stands before the packet: in a tunnel nobody knows where it begins.
    fn ethernet(&mut self, head: &[u8], whole: bool) {
        let mut end = head.len() - 2;
        let mut found = [0; TAGS];
        let mut n = 0;
        while n < TAGS
            && end >= 16
            && (!whole || (end - 12).is_multiple_of(4))
            && head.get(end - 4..end - 2).is_some_and(is_tag)
        {
            let tci = head.get(end - 2..end).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
            found[n] = tci & 0x0fff;
            n += 1;
            end -= 4;
        }
        // PPPoE and labels stand in between.
        let macs = if whole { head.get(..12) } else { head.get(end.saturating_sub(12)..end) };
        if let Some(macs) = macs.and_then(|m| m.try_into().ok()) {
            (self.macs, self.ethernet) = (macs, true);
        }
        for (to, from) in self.tags.iter_mut().zip(found[..n].iter().rev()) {
            *to = *from;
        }
        self.tagged = n as u8;
    }

    /// What the IP header says.
    pub(super) fn ip(&mut self, ip: &Ip<'_>) {
        let at = if ip.source.is_ipv4() { 8 } else { 7 };
        self.ttl = ip.bytes.get(at).copied().unwrap_or(0);
    }

    /// The IP packet is a tunnel: what is in it has a path of its own.
    pub(super) fn through(&mut self, name: &'static str, ip: &Ip<'_>) {
        self.tunnel = Some(Tunnel { name, source: ip.source, destination: ip.destination });
    }

    /// Has it a VLAN tag?
    #[must_use]
    pub fn is_tagged(&self) -> bool {
        self.tagged > 0
    }

    /// Could it have one?
    #[must_use]
    pub fn is_ethernet(&self) -> bool {
        self.ethernet
    }

    /// Its VLAN tags, outermost first.
    pub fn tags(&self) -> impl Iterator<Item = u16> {
        self.tags.into_iter().take(usize::from(self.tagged))
    }

    /// How another path of the same packet differs, the most telling first.
    #[must_use]
    pub fn differs(&self, other: &Self) -> Way {
        if self == other {
            Way::Same
        } else if self.tunnel != other.tunnel {
            Way::Tunnel
        } else if self.cooked != other.cooked {
            Way::Interface
        } else if self.ttl != other.ttl {
            Way::Routed
        } else if self.tags != other.tags || self.tagged != other.tagged {
            Way::Tags
        } else {
            Way::Macs
        }
    }
}

/// How the paths of a packet and of its copy differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// In nothing.
    Same,
    /// Another time to live: one copy is from before a router, one from behind it.
    Routed,
    /// Other VLAN tags.
    Tags,
    /// Only the MAC addresses.
    Macs,
    /// Another tunnel, or one in a tunnel and one outside.
    Tunnel,
    /// Another interface of the capturing host, or the same packet in and out.
    Interface,
}

/// `VLAN 10, 02:00:00:00:00:01 > 02:00:00:00:00:02, TTL 64, in ERSPAN 10.0.0.1 > 10.0.0.2`
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tagged > 0 {
            let tags: Vec<String> = self.tags().map(|t| t.to_string()).collect();
            write!(f, "VLAN {}, ", tags.join("/"))?;
        }
        if self.ethernet {
            let m: Vec<String> = self.macs.iter().map(|b| format!("{b:02x}")).collect();
            write!(f, "{} > {}, ", m[6..].join(":"), m[..6].join(":"))?;
        }
        if let Some((interface, way)) = self.cooked {
            let way = match way {
                0 => "in",
                4 => "out",
                _ => "seen",
            };
            match interface {
                0 => write!(f, "{way}, ")?,
                n => write!(f, "{way} on interface {n}, ")?,
            }
        }
        write!(f, "TTL {}", self.ttl)?;
        if let Some(t) = self.tunnel {
            write!(f, ", in {} {} > {}", t.name, t.source, t.destination)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_macs_in_frames_and_tunnels() {
        let mut head = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        head.extend([0x88, 0xa8, 0, 5, 0x81, 0, 0xe0, 6, 8, 0]);
        for (link, before) in [(Some(LinkType::Ethernet), vec![]), (None, vec![9; 16])] {
            let mut p = Path::default();
            p.head(link, &[before, head.clone()].concat());
            p.ttl = 63;
            assert_eq!(p.to_string(), "VLAN 5/6, 02:00:00:00:00:01 > 02:00:00:00:00:02, TTL 63");
        }
        let mut p = Path::default();
        p.head(Some(LinkType::Ethernet), &[2, 0, 0, 0, 0, 2, 2, 0, 0x81, 0, 0, 1, 8, 0]);
        assert!(!p.is_tagged(), "a MAC address is no tag");
        p.head(Some(LinkType::RawIp), &[]);
        assert_eq!(p.to_string(), "TTL 0");
    }

    #[test]
    fn how_copies_differ() {
        let a = Path { ttl: 64, ethernet: true, ..Path::default() };
        let routed = Path { ttl: 63, macs: [1; 12], ..a };
        assert_eq!((a.differs(&a), a.differs(&routed)), (Way::Same, Way::Routed));
        let tagged = Path { tagged: 1, tags: [7, 0, 0, 0], ..a };
        assert_eq!((a.differs(&tagged), a.differs(&Path { macs: [1; 12], ..a })), (Way::Tags, Way::Macs));
    }
}
