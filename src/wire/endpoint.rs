//! A transport address, compact and quick to hash.

use std::fmt;
use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An IP address and a port. IPv4 is kept as an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), so that one
/// fixed-size key serves both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Endpoint {
    hi: u64,
    lo: u64,
    port: u16,
}

const V4_MAPPED: u64 = 0xffff_0000_0000;

impl Endpoint {
    /// From an address and a port.
    #[must_use]
    pub fn new(ip: IpAddr, port: u16) -> Self {
        match ip {
            IpAddr::V4(v4) => Self { hi: 0, lo: V4_MAPPED | u64::from(u32::from(v4)), port },
            IpAddr::V6(v6) => {
                let v = u128::from(v6);
                Self { hi: (v >> 64) as u64, lo: v as u64, port }
            }
        }
    }

    /// The address.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        if self.hi == 0 && self.lo >> 32 == 0xffff {
            return IpAddr::V4(Ipv4Addr::from(self.lo as u32));
        }
        IpAddr::V6(Ipv6Addr::from(u128::from(self.hi) << 64 | u128::from(self.lo)))
    }

    /// The port; 0 in an address without one.
    #[must_use]
    pub fn port(self) -> u16 {
        self.port
    }

    /// The same address with another port.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Do both name the same host?
    #[must_use]
    pub fn same_host(self, other: Self) -> bool {
        self.hi == other.hi && self.lo == other.lo
    }

    /// Feeds the address alone to a hasher; one of IPv4 in one piece.
    pub(crate) fn hash_address(self, state: &mut impl Hasher) {
        if self.hi != 0 {
            state.write_u64(self.hi);
        }
        state.write_u64(self.lo);
    }

    /// `0.0.0.0` or `::`, which in SDP once meant hold (RFC 3264, 8.4).
    #[must_use]
    pub fn is_unspecified(self) -> bool {
        self.ip().is_unspecified()
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(a: SocketAddr) -> Self {
        Self::new(a.ip(), a.port())
    }
}

/// `10.0.0.1:5060`, `[2001:db8::1]:5060`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip(), self.port).fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_both_families() {
        for s in ["10.1.2.3:5060", "[2001:db8::1]:4000", "0.0.0.0:0", "[::1]:9"] {
            let a: SocketAddr = s.parse().unwrap();
            assert_eq!(Endpoint::from(a).to_string(), s);
        }
        assert!(Endpoint::from("0.0.0.0:4".parse::<SocketAddr>().unwrap()).is_unspecified());
    }
}
