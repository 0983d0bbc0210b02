//! PURE. Bytes to checked views: parse once, then trust.
//!
//! Every parser returns a view whose accessors cannot fail, or an error that names what was wrong. Nothing here
//! keeps state but [`fragments`], which is bounded and told the time.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod arp;
pub mod bib;
pub mod endpoint;
pub mod fragments;
pub mod frame;
pub mod glance;
pub mod hep;
pub mod icmp;
pub mod ip;
pub mod multipart;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod sip_frame;
pub mod sip_name;
pub mod siprec;
mod transfer;
pub mod transport;
pub mod tunnel;
pub mod websocket;

/// The first `N` bytes of `b` from `at` as an array; `None` when they are not all there.
pub(crate) fn array<const N: usize>(b: &[u8], at: usize) -> Option<[u8; N]> {
    b.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Big-endian 16 bits at `at`.
pub(crate) fn be16(b: &[u8], at: usize) -> Option<u16> {
    array(b, at).map(u16::from_be_bytes)
}

/// Big-endian 32 bits at `at`.
pub(crate) fn be32(b: &[u8], at: usize) -> Option<u32> {
    array(b, at).map(u32::from_be_bytes)
}
