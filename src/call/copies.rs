//! Copies of SIP messages that a mirror gives: both its ports are mirrored, or a packet is heard before and behind a router.
//!
//! A copy has the addresses and every byte of the message, whatever became of its frame and its IP header, and comes within
//! milliseconds. A retransmission has all that too, and comes later. (Copies of RTP are kept, and told when the stream is put
//! in order; those over TCP have a sequence number that was there.)

use crate::limits::{SIP_COPIES, SIP_REMEMBERED};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use hashbrown::{DefaultHashBuilder, HashMap};
use std::collections::VecDeque;
use std::hash::BuildHasher;

/// The messages of the last moment.
#[derive(Default)]
pub(super) struct Copies {
    hasher: DefaultHashBuilder,
    /// When each was heard first.
    known: HashMap<u64, CaptureTime>,
    order: VecDeque<(CaptureTime, u64)>,
}

impl Copies {
    /// Was this message heard a moment ago?
    pub(super) fn is_copy(
        &mut self,
        at: CaptureTime,
        source: Endpoint,
        destination: Endpoint,
        message: &[u8],
    ) -> bool {
        let near = |t: CaptureTime| at.0.abs_diff(t.0) <= SIP_COPIES.as_nanos() as u64;
        while let Some((t, hash)) =
            self.order.front().copied().filter(|f| !near(f.0) || self.order.len() >= SIP_REMEMBERED)
        {
            self.order.pop_front();
            if self.known.get(&hash) == Some(&t) {
                self.known.remove(&hash);
            }
        }
        let hash = self.hasher.hash_one((source, destination, message));
        if self.known.get(&hash).is_some_and(|t| near(*t)) {
            return true;
        }
        self.known.insert(hash, at);
        self.order.push_back((at, hash));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_comes_at_once_and_a_retransmission_later() {
        let end = |p| Endpoint::new("10.0.0.1".parse().unwrap(), p);
        let at = |us: i64| CaptureTime(us * 1000);
        let mut c = Copies::default();
        let mut copy = |us: i64, to: u16, m: &[u8]| c.is_copy(at(us), end(1), end(to), m);
        assert!(!copy(0, 2, b"INVITE"));
        assert!(copy(90, 2, b"INVITE"));
        assert!(!copy(95, 3, b"INVITE"), "passed on by a proxy");
        assert!(!copy(99, 2, b"INVITE "));
        assert!(copy(40_000, 2, b"INVITE"), "also a third");
        assert!(!copy(500_000, 2, b"INVITE"));
        assert!(copy(499_990, 2, b"INVITE"), "the clock of the capture is not exact");
        for n in 0..20_000u32 {
            copy(600_000, 2, &n.to_be_bytes());
        }
        assert!(c.known.len() <= SIP_REMEMBERED && c.order.len() <= SIP_REMEMBERED);
    }
}
