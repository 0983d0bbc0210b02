//! SIP over TCP: segments of many connections become messages (RFC 9293; RFC 3261, 18.3).
//!
//! Captures are not polite: streams are joined in the middle, segments come out of order, twice, with other
//! boundaries, or never. What cannot be put in order within [`TCP_HOLE_AGE`] is a hole; reading resumes behind it at
//! the next first line of a message. Memory is bounded for each stream and in all.

use super::tcp_opening::Openings;
use super::tcp_stream::{Stream, begins_sip, distance};
use crate::limits::{TCP_ACKED_AGE, TCP_BYTES, TCP_HOLE_AGE, TCP_STREAM_BYTES, TCP_STREAMS};
use crate::time::CaptureTime;
use crate::wire::endpoint::Endpoint;
use crate::wire::sip_frame::cut_first_line;
use crate::wire::transport::Tcp;
use hashbrown::HashMap;

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

/// All TCP directions that carry SIP.
#[derive(Default)]
pub struct SipStreams {
    open: HashMap<Direction, Stream>,
    openings: Openings,
    bytes: usize,
    /// Holes that were given up.
    pub holes: u64,
    /// Streams that were dropped because there were too many or they held too much.
    pub dropped: u64,
    /// Messages in WebSocket frames that were compressed, and are not read.
    pub compressed: u64,
}

impl SipStreams {
    /// Takes a segment; gives the messages that it completes, with the direction they went.
    ///
    /// A stream is followed when its first bytes behind its SYN begin like SIP, or from the first segment that does.
    pub fn add(
        &mut self,
        at: CaptureTime,
        source: Endpoint,
        destination: Endpoint,
        tcp: &Tcp<'_>,
    ) -> Vec<(Direction, Vec<Cut>)> {
        let mut out = Vec::new();
        let (key, back) = ((source, destination), (destination, source));
        if tcp.syn && !tcp.rst {
            self.begin(at, key, tcp.sequence, |s| s.began_with(at, tcp.sequence));
            // The answer tells of both; the SYN itself acknowledges nothing.
            let ack = tcp.acknowledgment;
            if ack != 0 {
                self.begin(at, back, ack.wrapping_sub(1), |s| s.answered(at, ack));
            }
        } else if !tcp.rst {
            // What the receiver has acknowledged and we have not seen, the mirror has lost.
            let lost =
                |s: &Stream| s.hole_for(at) > TCP_ACKED_AGE && distance(s.next(), tcp.acknowledgment) > 0;
            self.give_up_if(back, lost, &mut out);
        }
        if tcp.payload.is_empty() && !tcp.fin && !tcp.rst {
            return out;
        }
        let start = tcp.sequence.wrapping_add(u32::from(tcp.syn));
        let (opening, known) = match self.openings.of(&key, start) {
            Some(s) => (true, Some(s)),
            None => (false, self.open.get_mut(&key)),
        };
        let is_known = known.is_some();
        if let Some(s) = known {
            s.fin |= tcp.fin;
            s.reset |= tcp.rst && s.may_reset(tcp.sequence);
        }
        if tcp.rst || tcp.payload.is_empty() {
            return out;
        }
        let sip_port = Self::is_sip_port(source, destination);
        if opening {
            if let Some(s) = self.openings.add(at, &key, start, tcp.payload, sip_port) {
                self.follow(key, s, &mut out);
            }
        } else if is_known || sip_port || begins_sip(tcp.payload) {
            if !is_known {
                self.follow(key, Stream::new(start, None, at), &mut out);
            }
            self.read(key, &mut out, |s| s.insert(at, start, tcp.payload));
        } else if let Some(n) = cut_first_line(tcp.payload) {
            let line = tcp.payload.get(n..).unwrap_or_default();
            if let Some(s) = self.openings.begin_inside(at, &key, start.wrapping_add(n as u32), line) {
                self.follow(key, s, &mut out);
            }
        }
        out
    }

    /// A SYN was heard, or of, that is not known already. What goes on with the stream that had its ports until now is
    /// still taken for that one's.
    fn begin(
        &mut self,
        at: CaptureTime,
        key: Direction,
        syn: u32,
        mut known: impl FnMut(&mut Stream) -> bool,
    ) {
        if !self.openings.get_mut(&key).is_some_and(&mut known) && !self.open.get_mut(&key).is_some_and(known)
        {
            self.openings.begin(at, key, syn);
        }
    }

    /// Follows a stream from now on, in place of the one that had its ports before.
    fn follow(&mut self, key: Direction, s: Stream, out: &mut Vec<(Direction, Vec<Cut>)>) {
        if let Some(mut before) = self.open.remove(&key) {
            self.bytes = self.bytes.saturating_sub(before.held());
            out.push((key, self.rest(&mut before)));
        }
        if self.open.len() >= TCP_STREAMS {
            self.drop_idlest();
        }
        self.bytes += s.held();
        self.open.insert(key, s);
        self.read(key, out, |_| ());
    }

    /// Does something to a stream that is followed, and cuts out the messages that are whole then.
    fn read(
        &mut self,
        key: Direction,
        out: &mut Vec<(Direction, Vec<Cut>)>,
        change: impl FnOnce(&mut Stream),
    ) {
        let Some(s) = self.open.get_mut(&key) else { return };
        let before = s.held();
        change(s);
        out.push((key, s.messages()));
        if s.held() > TCP_STREAM_BYTES && s.has_hole() {
            self.holes += 1;
            s.skip_hole();
            out.push((key, s.messages()));
        }
        if s.held() > TCP_STREAM_BYTES {
            s.let_go();
        }
        self.compressed += s.compressed();
        self.bytes = (self.bytes + s.held()).saturating_sub(before);
        if self.bytes > TCP_BYTES {
            self.drop_idlest();
        }
    }

    /// Passes time: holes that nothing has filled for [`TCP_HOLE_AGE`] are given up.
    pub fn sweep(&mut self, now: CaptureTime) -> Vec<(Direction, Vec<Cut>)> {
        let mut out = Vec::new();
        for (key, s) in self.openings.sweep(now) {
            self.follow(key, s, &mut out);
        }
        let old = |s: &Stream| s.hole_for(now) > TCP_HOLE_AGE;
        let mut keys: Vec<Direction> = self.open.iter().filter(|(_, s)| old(s)).map(|(k, _)| *k).collect();
        keys.sort();
        for key in keys {
            self.give_up_if(key, old, &mut out);
        }
        out
    }

    /// The clock was set back: nothing is younger than now.
    pub fn set_back(&mut self, now: CaptureTime) {
        for s in self.open.values_mut() {
            s.set_back(now);
        }
        self.openings.set_back(now);
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
        let back = (destination, source);
        self.openings.get(&back).or_else(|| self.open.get(&back)).is_some_and(|s| s.fin)
    }

    /// Was this direction opened, or is it followed, and was not reset?
    #[must_use]
    pub fn knows(&self, source: Endpoint, destination: Endpoint) -> bool {
        let key = (source, destination);
        self.openings.get(&key).or_else(|| self.open.get(&key)).is_some_and(|s| !s.reset)
    }

    /// Does this direction carry SIP, and was not reset?
    #[must_use]
    pub fn follows(&self, source: Endpoint, destination: Endpoint) -> bool {
        self.open.get(&(source, destination)).is_some_and(|s| !s.reset)
    }

    /// Is this the SYN that a direction which carries SIP began with?
    #[must_use]
    pub fn began_with(&self, source: Endpoint, destination: Endpoint, syn: u32) -> bool {
        self.open.get(&(source, destination)).is_some_and(|s| s.syn() == Some(syn))
    }

    /// Are segments of this direction held because one before them is missing?
    #[must_use]
    pub fn has_hole(&self, source: Endpoint, destination: Endpoint) -> bool {
        let key = (source, destination);
        self.openings.get(&key).or_else(|| self.open.get(&key)).is_some_and(Stream::has_hole)
    }

    /// Connections of which something was held, dropped for want of room before they had shown what they carry.
    #[must_use]
    pub fn unknown_dropped(&self) -> u64 {
        self.openings.dropped
    }

    /// What is still there when the capture ends: messages behind holes that will not be filled any more.
    pub fn drain(&mut self) -> Vec<(Direction, Vec<Cut>)> {
        let mut out = Vec::new();
        for (key, s) in self.openings.drain() {
            self.follow(key, s, &mut out);
        }
        for (key, mut s) in std::mem::take(&mut self.open) {
            let cuts = self.rest(&mut s);
            out.push((key, cuts));
        }
        self.bytes = 0;
        out.retain(|(_, c)| !c.is_empty());
        out.sort_by_key(|(k, _)| *k);
        out
    }

    /// What is behind the holes of a stream that is over.
    fn rest(&mut self, s: &mut Stream) -> Vec<Cut> {
        let mut cuts = Vec::new();
        while s.has_hole() {
            self.holes += 1;
            s.skip_hole();
            cuts.extend(s.messages());
        }
        cuts
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

#[cfg(test)]
impl SipStreams {
    fn openings_held(&self) -> usize {
        self.openings.held()
    }
}

#[cfg(test)]
mod tests;
