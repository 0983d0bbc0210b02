//! IP reassembly (RFC 791, 3.2; RFC 8200, 4.5): bounded in datagrams, bytes and age.
//!
//! SIPREC INVITEs over UDP are 3 to 4 kB, so fragments are the normal case there, in any order, doubled and
//! interleaved. A mirror may lose a piece; what is never finished is dropped by age and counted.

use super::ip::Ip;
use crate::limits::{FRAGMENT_AGE, FRAGMENT_BYTES, FRAGMENTED_DATAGRAMS, FRAGMENTS_PER_DATAGRAM};
use crate::time::CaptureTime;
use hashbrown::HashMap;
use std::net::IpAddr;

type Key = (IpAddr, IpAddr, u8, u32);

#[derive(Default)]
struct Datagram {
    first_at: CaptureTime,
    pieces: Vec<(usize, Vec<u8>)>,
    length: Option<usize>,
}

/// The table of unfinished datagrams.
#[derive(Default)]
pub struct Fragments {
    open: HashMap<Key, Datagram>,
    bytes: usize,
    swept_at: CaptureTime,
    /// Datagrams that were given up: too old, or the table was full.
    pub given_up: u64,
}

impl Fragments {
    /// Takes a fragment; gives the whole packet, unfragmented, when it was the last piece missing.
    pub fn add(&mut self, at: CaptureTime, ip: &Ip<'_>) -> Option<Vec<u8>> {
        let f = ip.fragment?;
        self.sweep(at);
        let end = f.offset + ip.payload.len();
        if end > usize::from(u16::MAX) || ip.missing > 0 {
            return None;
        }
        // IPv6 reassembly does not look at the protocol, which only the first piece is sure to know.
        let protocol = if ip.source.is_ipv4() { ip.protocol } else { 0 };
        let key = (ip.source, ip.destination, protocol, f.id);
        if !self.open.contains_key(&key) && self.open.len() >= FRAGMENTED_DATAGRAMS {
            self.drop_oldest();
        }
        while self.bytes + ip.payload.len() > FRAGMENT_BYTES && !self.open.is_empty() {
            self.drop_oldest();
        }
        let d = self.open.entry(key).or_insert_with(|| Datagram { first_at: at, ..Datagram::default() });
        if !f.more {
            d.length = Some(end);
        }
        if d.pieces.len() < FRAGMENTS_PER_DATAGRAM && !d.pieces.iter().any(|p| p.0 == f.offset) {
            self.bytes += ip.payload.len();
            d.pieces.push((f.offset, ip.payload.to_vec()));
        }
        let whole = d.whole()?;
        self.remove(&key);
        Some(ip.with_payload(ip.protocol, &whole))
    }

    /// Unfinished datagrams now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Is nothing unfinished?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn sweep(&mut self, at: CaptureTime) {
        if at.since(self.swept_at).as_secs() < 1 && at >= self.swept_at {
            return;
        }
        // The clock was set back: nothing is younger than now.
        if at < self.swept_at {
            for d in self.open.values_mut() {
                d.first_at = d.first_at.min(at);
            }
        }
        self.swept_at = at;
        let old: Vec<Key> =
            self.open.iter().filter(|(_, d)| at.since(d.first_at) > FRAGMENT_AGE).map(|(k, _)| *k).collect();
        self.given_up += old.len() as u64;
        for k in &old {
            self.remove(k);
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(k) = self.open.iter().min_by_key(|(_, d)| d.first_at).map(|(k, _)| *k) {
            self.given_up += 1;
            self.remove(&k);
        }
    }

    fn remove(&mut self, k: &Key) {
        if let Some(d) = self.open.remove(k) {
            self.bytes -= d.pieces.iter().map(|p| p.1.len()).sum::<usize>();
        }
    }
}

impl Datagram {
    /// The payload when every byte of it is there; of overlapping pieces the earlier in place wins.
    fn whole(&mut self) -> Option<Vec<u8>> {
        let length = self.length?;
        if self.pieces.iter().map(|p| p.1.len()).sum::<usize>() < length {
            return None;
        }
        self.pieces.sort_by_key(|p| p.0);
        let mut out = Vec::with_capacity(length);
        for (offset, b) in &self.pieces {
            let skip = out.len().checked_sub(*offset)?;
            out.extend_from_slice(b.get(skip..).unwrap_or_default());
        }
        out.truncate(length);
        (out.len() == length).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ip::{Fragment, packet, parse};
    use super::*;
    use proptest::prelude::*;

    fn piece(id: u32, offset: usize, more: bool, payload: &[u8]) -> Ip<'_> {
        let a: IpAddr = "10.0.0.1".parse().unwrap();
        Ip {
            bytes: payload,
            source: a,
            destination: a,
            protocol: 17,
            payload,
            missing: 0,
            fragment: Some(Fragment { id, offset, more }),
        }
    }

    proptest! {
        #[test]
        fn any_order_any_copies(len in 1usize..4000, size in 1usize..200, order in any::<u64>()) {
            let size = size * 8;
            let whole: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut at: Vec<usize> = (0..len).step_by(size).collect();
            at.extend(at.clone()); // each twice
            let n = at.len() as u64;
            for i in 0..n { at.swap(i as usize, (order.rotate_left(i as u32) % n) as usize); }
            let mut f = Fragments::default();
            let mut got = None;
            for o in at {
                let end = (o + size).min(len);
                got = got.or(f.add(CaptureTime(0), &piece(7, o, end < len, &whole[o..end])));
            }
            let got = got.unwrap();
            let ip = parse(&got).unwrap();
            prop_assert_eq!(ip.payload, &whole[..]);
        }
    }

    #[test]
    fn the_table_is_bounded_and_ages() {
        let mut f = Fragments::default();
        for id in 0..10_000 {
            assert!(f.add(CaptureTime(0), &piece(id, 0, true, &[1; 100])).is_none());
        }
        assert_eq!(f.len(), FRAGMENTED_DATAGRAMS);
        f.add(CaptureTime::from_parts(60, 0), &piece(1, 0, true, &[1]));
        assert_eq!((f.len(), f.bytes, f.given_up), (1, 1, 10_000));
    }

    #[test]
    fn a_lost_piece_gives_nothing() {
        let mut f = Fragments::default();
        assert!(f.add(CaptureTime(0), &piece(1, 0, true, &[0; 16])).is_none());
        assert!(f.add(CaptureTime(0), &piece(1, 24, false, &[0; 8])).is_none());
        let _ = packet("10.0.0.1".parse().unwrap(), "10.0.0.1".parse().unwrap(), 17, b"");
    }
}
