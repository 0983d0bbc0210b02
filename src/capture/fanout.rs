//! PACKET_FANOUT (packet(7)): several rings of one interface, each frame in one of them.
//!
//! The group has a number of its own that the kernel gives: another recorder on the interface is in another group, and
//! hears everything too. Frames go by the hash of their flow, so that a ring has a flow in order. Not with the kernel putting
//! fragments together (`DEFRAG`): frames are kept as they were on the wire, and all rings meet again at the tap, so that it
//! does not matter in which of them a fragment is. A frame that finds its ring full goes to the next (`ROLLOVER`).

use nix::sys::socket::{GetSockOpt as _, SetSockOpt as _};
use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};
use std::os::fd::AsFd;

sockopt_impl!(
    /// The group of a packet socket: its number below, how frames are spread above.
    Fanout,
    Both,
    libc::SOL_PACKET,
    libc::PACKET_FANOUT,
    u32
);

/// `PACKET_FANOUT_FLAG_ROLLOVER`.
const ROLLOVER: u32 = 0x1000;
/// `PACKET_FANOUT_FLAG_UNIQUEID`.
const UNIQUE: u32 = 0x2000;

/// A group of rings.
pub struct Group(u32);

impl Group {
    /// A new group, with this ring in it.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(first: &impl AsFd) -> std::io::Result<Self> {
        Fanout.set(first, &((libc::PACKET_FANOUT_HASH | ROLLOVER | UNIQUE) << 16))?;
        Ok(Self(Fanout.get(first)? & 0xffff))
    }

    /// One ring more.
    ///
    /// # Errors
    /// What the system says.
    pub fn join(&self, ring: &impl AsFd) -> std::io::Result<()> {
        Ok(Fanout.set(ring, &(self.0 | (libc::PACKET_FANOUT_HASH | ROLLOVER) << 16))?)
    }
}
