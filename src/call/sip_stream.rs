//! SIP over TCP: segments of many connections become messages (RFC 9293; RFC 3261, 18.3).
//!
//! Captures are not polite: streams are joined in the middle, segments come out of order, twice, with other
//! boundaries, or never. What cannot be put in order within [`TCP_HOLE_AGE`] is a hole; reading resumes behind it at
//! the next first line of a message. Memory is bounded for each stream and in all.

use crate::limits::{TCP_ACKED_AGE, TCP_BYTES, TCP_HOLE_AGE, TCP_STREAM_BYTES, TCP_STREAMS};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::sip;
use crate::wire::sip_frame::{Framer, Framing};
use crate::wire::transport::Tcp;
use hashbrown::HashMap;
use std::time::Duration;

/// A message cut out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// When the last of its bytes was captured.
    pub at: CaptureTime,
    /// TCP sequence number of its first byte.
    pub sequence: u32,
    /// The message.
    pub bytes: Vec<u8>,
}

/// Source and destination.
pub type Direction = (Endpoint, Endpoint);

/// One direction of a connection.
#[derive(Default)]
struct Stream {
    /// Sequence number of the first byte in `ready`.
    front: u32,
    /// Bytes in order, from the last message boundary on.
    ready: Vec<u8>,
    /// Where in `ready` each captured piece ends, and when it came.
    pieces: Vec<(usize, CaptureTime)>,
    /// Segments beyond a hole, in order of sequence, with when they came.
    ahead: Vec<(u32, CaptureTime, Vec<u8>)>,
    hole_since: Option<CaptureTime>,
    framer: Framer,
    /// Its sender has nothing more to say.
    fin: bool,
    last_at: CaptureTime,
}

/// All TCP directions that carry SIP.
#[derive(Default)]
pub struct SipStreams {
    open: HashMap<(Endpoint, Endpoint), Stream>,
    bytes: usize,
    /// Holes that were given up.
    pub holes: u64,
    /// Streams that were dropped because there were too many or they held too much.
    pub dropped: u64,
}

impl SipStreams {
    /// Takes a segment; gives the messages that it completes, with the direction they went.
    ///
    /// A stream is followed from its SYN, or from the first segment that begins like SIP.
    pub fn add(
        &mut self,
        at: CaptureTime,
        source: Endpoint,
        destination: Endpoint,
        tcp: &Tcp<'_>,
    ) -> Vec<(Direction, Vec<Cut>)> {
        let mut out = Vec::new();
        let (key, back) = ((source, destination), (destination, source));
        if !tcp.syn && !tcp.rst {
            // What the receiver has acknowledged and we have not seen, the mirror has lost.
            let lost =
                |s: &Stream| s.hole_for(at) > TCP_ACKED_AGE && distance(s.next(), tcp.acknowledgment) > 0;
            self.give_up_if(back, lost, &mut out);
        }
        if tcp.syn || tcp.rst {
            self.forget(&key);
        }
        if let Some(s) = self.open.get_mut(&key) {
            s.fin |= tcp.fin;
        }
        let known = self.open.contains_key(&key);
        let sip = known || Self::is_sip_port(source, destination) || sip::looks_like(tcp.payload);
        if tcp.rst || !sip || (tcp.payload.is_empty() && !tcp.syn) {
            return out;
        }
        if !known && self.open.len() >= TCP_STREAMS {
            self.drop_idlest();
        }
        let start = tcp.sequence.wrapping_add(u32::from(tcp.syn));
        let s = self.open.entry(key).or_insert_with(|| Stream { front: start, ..Stream::default() });
        let before = s.held();
        s.last_at = at;
        s.insert(at, start, tcp.payload);
        out.push((key, s.messages()));
        if s.held() > TCP_STREAM_BYTES && !s.ahead.is_empty() {
            self.holes += 1;
            s.skip_hole();
            out.push((key, s.messages()));
        }
        if s.held() > TCP_STREAM_BYTES {
            *s = Stream { front: s.next(), last_at: at, ..Stream::default() };
        }
        self.bytes = (self.bytes + s.held()).saturating_sub(before);
        if self.bytes > TCP_BYTES {
            self.drop_idlest();
        }
        out
    }

    /// Passes time: holes that nothing has filled for [`TCP_HOLE_AGE`] are given up.
    pub fn sweep(&mut self, now: CaptureTime) -> Vec<(Direction, Vec<Cut>)> {
        let old = |s: &Stream| s.hole_for(now) > TCP_HOLE_AGE;
        let mut keys: Vec<Direction> = self.open.iter().filter(|(_, s)| old(s)).map(|(k, _)| *k).collect();
        keys.sort();
        let mut out = Vec::new();
        for key in keys {
            self.give_up_if(key, old, &mut out);
        }
        out
    }

    /// The clock was set back: nothing is younger than now.
    pub fn set_back(&mut self, now: CaptureTime) {
        for s in self.open.values_mut() {
            s.last_at = s.last_at.min(now);
            s.hole_since = s.hole_since.map(|t| t.min(now));
        }
    }

    fn give_up_if(
        &mut self,
        key: Direction,
        lost: impl Fn(&Stream) -> bool,
        out: &mut Vec<(Direction, Vec<Cut>)>,
    ) {
        let Some(s) = self.open.get_mut(&key).filter(|s| lost(s)) else { return };
        let before = s.held();
        self.holes += 1;
        s.skip_hole();
        out.push((key, s.messages()));
        self.bytes = (self.bytes + s.held()).saturating_sub(before);
    }

    /// Has the other side of this direction closed it first? What is closed then is no sign of anything.
    #[must_use]
    pub fn peer_closed(&self, source: Endpoint, destination: Endpoint) -> bool {
        self.open.get(&(destination, source)).is_some_and(|s| s.fin)
    }

    /// Is this direction followed?
    #[must_use]
    pub fn knows(&self, source: Endpoint, destination: Endpoint) -> bool {
        self.open.contains_key(&(source, destination))
    }

    /// What is still there when the capture ends: messages behind holes that will not be filled any more.
    pub fn drain(&mut self) -> Vec<(Direction, Vec<Cut>)> {
        let mut out = Vec::new();
        for (key, mut s) in self.open.drain() {
            let mut cuts = Vec::new();
            while !s.ahead.is_empty() {
                self.holes += 1;
                s.skip_hole();
                cuts.extend(s.messages());
            }
            out.push((key, cuts));
        }
        self.bytes = 0;
        out.retain(|(_, c)| !c.is_empty());
        out.sort_by_key(|(k, _)| *k);
        out
    }

    /// Registered ports of SIP; on them a stream is followed even when it is joined inside a message.
    fn is_sip_port(a: Endpoint, b: Endpoint) -> bool {
        [a.port(), b.port()].iter().any(|p| (5060..=5062).contains(p))
    }

    fn forget(&mut self, key: &(Endpoint, Endpoint)) {
        if let Some(s) = self.open.remove(key) {
            self.bytes = self.bytes.saturating_sub(s.held());
        }
    }

    /// Drops some at once: to find them all must be looked at, and a flood would have that done for each segment.
    fn drop_idlest(&mut self) {
        let mut all: Vec<_> = self.open.iter().map(|(k, s)| (s.last_at, *k)).collect();
        let some = all.len() / 64;
        if some < all.len() {
            all.select_nth_unstable(some);
        }
        for (_, k) in all.iter().take(some + 1) {
            self.dropped += 1;
            self.forget(k);
        }
    }
}

/// Signed distance from `a` to `b` on the circle of sequence numbers.
fn distance(a: u32, b: u32) -> i64 {
    i64::from(b.wrapping_sub(a) as i32)
}

impl Stream {
    fn held(&self) -> usize {
        self.ready.len() + self.ahead.iter().map(|a| a.2.len() + 48).sum::<usize>()
    }

    fn next(&self) -> u32 {
        self.front.wrapping_add(self.ready.len() as u32)
    }

    /// How long bytes have been missing.
    fn hole_for(&self, now: CaptureTime) -> Duration {
        self.hole_since.map_or(Duration::ZERO, |t| now.since(t))
    }

    fn insert(&mut self, at: CaptureTime, sequence: u32, payload: &[u8]) {
        let gap = distance(self.next(), sequence);
        if gap.unsigned_abs() > 16 << 20 {
            // Another connection on the same ports whose SYN was not seen.
            *self = Self { front: sequence, last_at: at, ..Self::default() };
            self.append(at, payload);
            return;
        }
        if gap <= 0 {
            let seen = usize::try_from(-gap).unwrap_or(usize::MAX);
            self.append(at, payload.get(seen..).unwrap_or_default());
            self.join();
            return;
        }
        self.hole_since.get_or_insert(at);
        let i = self.ahead.partition_point(|a| distance(sequence, a.0) < 0);
        match self.ahead.get_mut(i) {
            Some(a) if a.0 == sequence => {
                if payload.len() > a.2.len() {
                    a.2 = payload.to_vec();
                }
            }
            _ => self.ahead.insert(i, (sequence, at, payload.to_vec())),
        }
    }

    fn append(&mut self, at: CaptureTime, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.ready.extend_from_slice(bytes);
            self.pieces.push((self.ready.len(), at));
        }
    }

    /// Moves to `ready` what has become contiguous.
    fn join(&mut self) {
        while let Some((sequence, ..)) = self.ahead.first() {
            let gap = distance(self.next(), *sequence);
            if gap > 0 {
                return;
            }
            let (_, at, bytes) = self.ahead.remove(0);
            let seen = usize::try_from(-gap).unwrap_or(usize::MAX);
            self.append(at, bytes.get(seen..).unwrap_or_default());
        }
        self.hole_since = None;
    }

    /// Gives up the bytes that are missing, and with them the message they were part of.
    fn skip_hole(&mut self) {
        self.hole_since = None;
        if let Some((sequence, ..)) = self.ahead.first() {
            self.front = *sequence;
            self.ready.clear();
            self.pieces.clear();
            self.join();
            // A second hole has been there since what is behind it came.
            self.hole_since = self.ahead.first().map(|a| a.1);
        }
    }

    fn messages(&mut self) -> Vec<Cut> {
        let mut out = Vec::new();
        let mut at = 0;
        loop {
            let rest = self.ready.get(at..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            match self.framer.frame(self.front.wrapping_add(at as u32), rest) {
                Framing::More => break,
                Framing::Junk(n) => at += n.max(1),
                Framing::Message(n) => {
                    let sequence = self.front.wrapping_add(at as u32);
                    let bytes = rest.get(..n).unwrap_or(rest).to_vec();
                    out.push(Cut { at: self.came(at, at + n), sequence, bytes });
                    at += n.max(1);
                }
            }
        }
        let at = at.min(self.ready.len());
        self.ready.drain(..at);
        self.pieces.retain_mut(|p| {
            p.0 = p.0.saturating_sub(at);
            p.0 > 0
        });
        self.front = self.front.wrapping_add(at as u32);
        out
    }

    /// When the last of these bytes of `ready` came.
    fn came(&self, from: usize, to: usize) -> CaptureTime {
        let first = self.pieces.partition_point(|p| p.0 <= from);
        let mut start = if first == 0 { 0 } else { from };
        let mut last = None;
        for (end, at) in self.pieces.iter().skip(first) {
            if start >= to {
                break;
            }
            last = last.max(Some(*at));
            start = *end;
        }
        last.unwrap_or(self.last_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(n: usize) -> Vec<u8> {
        let body = "x".repeat(n * 37 % 400);
        format!(
            "INFO sip:a SIP/2.0\r\nCall-ID: {n}\r\nCSeq: 1 INFO\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into()
    }

    fn end(p: u16) -> Endpoint {
        Endpoint::new("10.0.0.1".parse().unwrap(), p)
    }

    fn segment(sequence: u32, payload: &[u8]) -> Tcp<'_> {
        Tcp {
            source_port: 1,
            destination_port: 5060,
            sequence,
            acknowledgment: 0,
            syn: false,
            fin: false,
            rst: false,
            payload,
        }
    }

    fn feed(s: &mut SipStreams, at: i64, sequence: u32, payload: &[u8]) -> Vec<Vec<u8>> {
        let t = CaptureTime::from_parts(at, 0);
        let mut got = s.sweep(t);
        got.extend(s.add(t, end(1), end(5060), &segment(sequence, payload)));
        got.into_iter().flat_map(|g| g.1).map(|c| c.bytes).collect()
    }

    proptest! {
        #[test]
        fn any_segmentation_order_and_copies(sizes in proptest::collection::vec(1usize..90, 1..60), seed in any::<u64>(), start in any::<u32>()) {
            let want: Vec<Vec<u8>> = (0..5).map(message).collect();
            let all = want.concat();
            let mut pieces = Vec::new();
            let (mut at, mut i) = (0, 0);
            while at < all.len() {
                let n = sizes[i % sizes.len()].min(all.len() - at);
                // segments overlap with what came before
                let from = at.saturating_sub(seed as usize % 20);
                pieces.push((from, at + n));
                at += n;
                i += 1;
            }
            // local disorder and copies, the first segment first (the stream is known by it)
            for k in 1..pieces.len().saturating_sub(1) {
                if (seed >> (k % 60)) & 1 == 1 { pieces.swap(k, k + 1); }
            }
            let copies: Vec<_> = pieces.iter().copied().filter(|p| p.0 % 3 == 0).collect();
            pieces.extend(copies);
            let mut s = SipStreams::default();
            let mut got = Vec::new();
            for (a, z) in pieces {
                got.extend(feed(&mut s, 0, start.wrapping_add(a as u32), &all[a..z]));
            }
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn a_hole_costs_the_message_it_is_in_and_no_more() {
        let all: Vec<Vec<u8>> = (1..5).map(message).collect();
        let (a, z) = (all[0].len(), all[0].len() + all[1].len());
        let bytes = all.concat();
        let mut s = SipStreams::default();
        let mut got = feed(&mut s, 0, 0, &bytes[..a + 10]);
        got.extend(feed(&mut s, 0, (z - 5) as u32, &bytes[z - 5..z + 20]));
        got.extend(feed(&mut s, 9, (z + 20) as u32, &bytes[z + 20..]));
        assert_eq!(got, [all[0].clone(), all[2].clone(), all[3].clone()]);
        assert_eq!(s.holes, 1);
    }

    #[test]
    fn what_the_receiver_has_acknowledged_is_not_waited_for() {
        let all: Vec<Vec<u8>> = (1..4).map(message).collect();
        let (a, z) = (all[0].len(), all[0].len() + all[1].len());
        let bytes = all.concat();
        let mut s = SipStreams::default();
        let ms = |m: i64| CaptureTime(m * 1_000_000);
        s.add(ms(0), end(1), end(5060), &segment(0, &bytes[..a]));
        s.add(ms(10), end(1), end(5060), &segment(z as u32, &bytes[z..]));
        let ack = Tcp { acknowledgment: bytes.len() as u32, ..segment(0, b"") };
        assert!(s.add(ms(20), end(5060), end(1), &ack).is_empty());
        let got = s.add(ms(300), end(5060), end(1), &ack);
        assert_eq!(got.len(), 1);
        assert_eq!((&got[0].1[0].bytes, got[0].1[0].at), (&all[2], ms(10)));
    }

    #[test]
    fn joined_in_the_middle() {
        let mut s = SipStreams::default();
        let b = [&b"a=sendonly\r\n"[..], &message(3)].concat();
        assert_eq!(feed(&mut s, 0, 77, &b), [message(3)]);
    }

    #[test]
    fn the_end_of_the_capture_gives_what_is_behind_a_hole() {
        let mut s = SipStreams::default();
        feed(&mut s, 0, 0, b"INVITE sip:a");
        feed(&mut s, 0, 100, &message(1));
        let left = s.drain();
        assert_eq!(left[0].1[0].bytes, message(1));
    }

    #[test]
    fn memory_is_bounded() {
        let mut s = SipStreams::default();
        feed(&mut s, 0, 0, b"INVITE sip:a SIP/2.0\r\nCall-ID: ");
        for i in 1..2_000u32 {
            feed(&mut s, 0, i * 2_000, &[b'A'; 1_400]);
        }
        assert!(s.bytes <= TCP_STREAM_BYTES + 4_096, "{}", s.bytes);
    }
}
