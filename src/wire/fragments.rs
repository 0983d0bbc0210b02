//! IP reassembly (RFC 791, 3.2; RFC 8200, 4.5): bounded in datagrams, bytes and age.
//!
//! SIPREC INVITEs over UDP are 3 to 4 kB, so fragments are the normal case there, in any order, doubled and
//! interleaved. A mirror may lose a piece; what is never finished is dropped by age and counted. A datagram that is whole is
//! remembered for a moment: of a packet that the mirror gives twice the pieces come twice, and what is left over of them
//! must not end up in the next datagram of that identification.

use super::ip::Ip;
use crate::limits::{
    FRAGMENT_AGE, FRAGMENT_BYTES, FRAGMENT_COPIES, FRAGMENTED_DATAGRAMS, FRAGMENTS_PER_DATAGRAM,
};
use crate::time::CaptureTime;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::net::IpAddr;

type Key = (IpAddr, IpAddr, u8, u32);

struct Piece {
    offset: usize,
    more: bool,
    bytes: Vec<u8>,
    /// It came once more.
    again: bool,
}

#[derive(Default)]
struct Datagram {
    serial: u64,
    first_at: CaptureTime,
    pieces: Vec<Piece>,
    /// When its last missing piece came.
    whole_at: Option<CaptureTime>,
}

/// The table of unfinished datagrams.
#[derive(Default)]
pub struct Fragments {
    open: HashMap<Key, Datagram>,
    /// In order of their beginning; some are no longer open.
    order: VecDeque<(u64, Key)>,
    serial: u64,
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
        if end > usize::from(u16::MAX) || ip.missing > 0 || ip.payload.is_empty() {
            return None;
        }
        // IPv6 reassembly does not look at the protocol, which only the first piece is sure to know.
        let protocol = if ip.source.is_ipv4() { ip.protocol } else { 0 };
        let key = (ip.source, ip.destination, protocol, f.id);
        if self.open.get(&key).is_some_and(|d| d.is_past(at)) {
            self.remove(&key);
        }
        let known = self.open.contains_key(&key);
        while !self.open.is_empty()
            && (self.bytes + ip.payload.len() > FRAGMENT_BYTES
                || (!known && self.open.len() >= FRAGMENTED_DATAGRAMS))
        {
            self.drop_oldest();
        }
        if !self.open.contains_key(&key) {
            self.begin(key, at);
        }
        let d = self.open.get_mut(&key)?;
        let before = d.bytes();
        let piece = Piece { offset: f.offset, more: f.more, bytes: ip.payload.to_vec(), again: false };
        let (whole, anew) = d.take(at, piece);
        self.given_up += u64::from(anew);
        self.bytes = (self.bytes + d.bytes()).saturating_sub(before);
        Some(ip.with_payload(ip.protocol, &whole?))
    }

    fn begin(&mut self, key: Key, at: CaptureTime) {
        self.serial += 1;
        self.order.push_back((self.serial, key));
        self.open.insert(key, Datagram { serial: self.serial, first_at: at, ..Datagram::default() });
        if self.order.len() > 2 * FRAGMENTED_DATAGRAMS {
            let open = &self.open;
            self.order.retain(|(serial, k)| open.get(k).is_some_and(|d| d.serial == *serial));
        }
    }

    /// Unfinished datagrams now, and those that were whole a moment ago.
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
                d.whole_at = d.whole_at.map(|t| t.min(at));
            }
        }
        self.swept_at = at;
        let old = |d: &Datagram| d.is_past(at) || at.since(d.first_at) > FRAGMENT_AGE;
        let old: Vec<Key> = self.open.iter().filter(|(_, d)| old(d)).map(|(k, _)| *k).collect();
        for k in &old {
            self.remove(k);
        }
    }

    fn drop_oldest(&mut self) {
        while let Some((serial, key)) = self.order.pop_front() {
            if self.open.get(&key).is_some_and(|d| d.serial == serial) {
                return self.remove(&key);
            }
        }
    }

    /// Forgets a datagram; one that never was whole is counted.
    fn remove(&mut self, k: &Key) {
        if let Some(d) = self.open.remove(k) {
            self.bytes = self.bytes.saturating_sub(d.bytes());
            self.given_up += u64::from(d.whole_at.is_none());
        }
    }
}

impl Datagram {
    fn bytes(&self) -> usize {
        self.pieces.iter().map(|p| p.bytes.len()).sum()
    }

    /// Was it whole so long ago that nothing more of it comes?
    fn is_past(&self, at: CaptureTime) -> bool {
        self.whole_at.is_some_and(|t| at.since(t) > FRAGMENT_COPIES)
    }

    /// Takes a piece; gives the payload when every byte of it is there, and once more when every piece has come once more.
    /// The second says whether an unfinished datagram was given up for another one with its identification.
    fn take(&mut self, at: CaptureTime, piece: Piece) -> (Option<Vec<u8>>, bool) {
        let mut anew = false;
        let alike = self.pieces.iter_mut().find(|p| p.offset == piece.offset);
        match alike {
            Some(p) if p.bytes == piece.bytes => {
                p.again = true;
                let copy = self.whole_at.is_some() && self.pieces.iter().all(|p| p.again);
                if copy {
                    self.pieces.iter_mut().for_each(|p| p.again = false);
                }
                return (if copy { self.whole() } else { None }, false);
            }
            Some(p) if self.whole_at.is_none() && piece.bytes.starts_with(&p.bytes) => *p = piece,
            Some(p) if p.bytes.starts_with(&piece.bytes) => return (None, false),
            None if self.whole_at.is_none() => {
                if self.pieces.len() < FRAGMENTS_PER_DATAGRAM {
                    self.pieces.push(piece);
                }
            }
            // Other bytes in the same place, or after the end: another datagram. What came twice may be of it.
            _ => {
                anew = self.whole_at.is_none();
                let kept = self.whole_at.is_some();
                self.pieces.retain(|p| kept && p.again && p.offset != piece.offset);
                self.pieces.iter_mut().for_each(|p| p.again = false);
                self.pieces.push(piece);
                (self.whole_at, self.first_at) = (None, at);
            }
        }
        let whole = self.whole();
        if whole.is_some() {
            self.whole_at = Some(at);
        }
        (whole, anew)
    }

    /// The payload when every byte of it is there; of overlapping pieces the earlier in place wins.
    fn whole(&mut self) -> Option<Vec<u8>> {
        let length = self.pieces.iter().find(|p| !p.more).map(|p| p.offset + p.bytes.len())?;
        if self.bytes() < length {
            return None;
        }
        self.pieces.sort_by_key(|p| p.offset);
        let mut out = Vec::with_capacity(length);
        for p in &self.pieces {
            let skip = out.len().checked_sub(p.offset)?;
            out.extend_from_slice(p.bytes.get(skip..).unwrap_or_default());
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
    fn copies_of_pieces_are_a_copy_of_the_whole_and_spoil_no_other() {
        let mut f = Fragments::default();
        let t = |ms: i64| CaptureTime(ms * 1_000_000);
        let (a, b, c) = ([1; 16], [2; 16], [3; 16]);
        assert!(f.add(t(0), &piece(0, 0, true, &a)).is_none());
        assert!(f.add(t(0), &piece(0, 0, true, &a)).is_none());
        assert!(f.add(t(0), &piece(0, 16, false, &b)).is_some());
        assert!(f.add(t(0), &piece(0, 16, false, &b)).is_some(), "each piece has come twice");
        // The same identification again, its last piece alike and first.
        assert!(f.add(t(1), &piece(0, 16, false, &b)).is_none());
        let got = f.add(t(1), &piece(0, 0, true, &c)).unwrap();
        assert_eq!(parse(&got).unwrap().payload, [c, b].concat());
        for copy in [&piece(0, 0, true, &c), &piece(0, 16, false, &b)] {
            let whole = f.add(t(2), copy).is_some();
            assert_eq!(whole, copy.fragment.unwrap().offset == 16);
        }
        // One that lacks its end gives way to the next of its identification.
        assert!(f.add(t(500), &piece(0, 0, true, &b)).is_none());
        assert!(f.add(t(501), &piece(0, 0, true, &a)).is_none());
        let got = f.add(t(501), &piece(0, 16, false, &c)).unwrap();
        assert_eq!((parse(&got).unwrap().payload, f.given_up), (&[a, c].concat()[..], 1));
    }

    #[test]
    fn a_lost_piece_gives_nothing() {
        let mut f = Fragments::default();
        assert!(f.add(CaptureTime(0), &piece(1, 0, true, &[0; 16])).is_none());
        assert!(f.add(CaptureTime(0), &piece(1, 24, false, &[0; 8])).is_none());
        let _ = packet("10.0.0.1".parse().unwrap(), "10.0.0.1".parse().unwrap(), 17, b"");
    }
}
