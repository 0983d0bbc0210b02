//! Connections whose SYN was heard, before it is known what they carry.
//!
//! Their first segments come in any order, and may be too small to tell anything. They are held until the first bytes in
//! sequence are the beginning of SIP or of a WebSocket for it, or of something else: then the connection is forgotten. They
//! have a room of their own, so that a flood of SYNs takes none from streams that carry SIP.

use super::sip_stream::Direction;
use super::tcp_stream::{Stream, begins_sip};
use crate::limits::{TCP_HOLE_AGE, TCP_OPENING_BYTES, TCP_OPENING_STREAM_BYTES, TCP_OPENINGS};
use crate::time::CaptureTime;
use crate::wire::{sip, websocket};
use hashbrown::HashMap;
use memchr::{memchr, memmem};

/// What the first bytes of a direction are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    Sip,
    Foreign,
    /// Too few to tell.
    More,
}

/// The longest name of a method.
const METHOD_BYTES: usize = 20;

/// Judges the first bytes in sequence.
fn judge(b: &[u8]) -> Opening {
    // Keep-alives of SIP may come first.
    let blanks = b.iter().take_while(|c| matches!(c, b'\r' | b'\n' | b' ' | b'\t' | 0)).count();
    let b = b.get(blanks..).unwrap_or_default();
    if sip::looks_like(b) || websocket::opens(b) || websocket::begins(b) {
        return Opening::Sip;
    }
    let front_of = |word: &[u8]| b.starts_with(word) || word.starts_with(b);
    let more = if front_of(b"GET ") || front_of(b"HTTP/1.1 101") {
        memmem::find(b, b"\r\n\r\n").is_none()
    } else {
        memchr(b'\n', b).is_none() && (front_of(b"SIP/2.0 ") || may_be_method(b))
    };
    if more { Opening::More } else { Opening::Foreign }
}

/// Is this the front of a request's first line, as far as it goes?
fn may_be_method(b: &[u8]) -> bool {
    let end = b.iter().position(|c| *c == b' ').unwrap_or(b.len());
    end <= METHOD_BYTES && b.iter().take(end).all(|c| c.is_ascii_uppercase() || matches!(c, b'_' | b'-'))
}

/// Directions of connections that have opened.
#[derive(Default)]
pub(super) struct Openings {
    all: HashMap<Direction, Stream>,
    bytes: usize,
    /// Those that held something and were dropped for want of room.
    pub(super) dropped: u64,
}

impl Openings {
    /// Its SYN was heard, or its answer told of it.
    pub(super) fn begin(&mut self, at: CaptureTime, key: Direction, syn: u32) {
        self.put(key, Stream::new(syn.wrapping_add(1), Some(syn), at));
    }

    /// No SYN was heard, and a first line seems to begin here, at the end of a segment.
    pub(super) fn begin_inside(
        &mut self,
        at: CaptureTime,
        key: &Direction,
        sequence: u32,
        line: &[u8],
    ) -> Option<Stream> {
        if self.all.get(key).is_some_and(|s| s.syn().is_some() || s.begins_near(sequence)) {
            return None;
        }
        self.put(*key, Stream::new(sequence, None, at));
        self.add(at, key, sequence, line, false)
    }

    fn put(&mut self, key: Direction, s: Stream) {
        self.take(&key);
        if self.all.len() >= TCP_OPENINGS {
            self.drop_idlest();
        }
        self.all.insert(key, s);
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.bytes
    }

    pub(super) fn get_mut(&mut self, key: &Direction) -> Option<&mut Stream> {
        self.all.get_mut(key)
    }

    pub(super) fn get(&self, key: &Direction) -> Option<&Stream> {
        self.all.get(key)
    }

    /// The opening that a segment with this sequence number belongs to.
    pub(super) fn of(&mut self, key: &Direction, sequence: u32) -> Option<&mut Stream> {
        if self.all.is_empty() {
            return None;
        }
        self.all.get_mut(key).filter(|s| s.begins_near(sequence))
    }

    /// Takes a segment that belongs to one; gives the stream when it carries SIP, as the segment itself may tell, or the
    /// port does of all that may not open a WebSocket.
    pub(super) fn add(
        &mut self,
        at: CaptureTime,
        key: &Direction,
        sequence: u32,
        payload: &[u8],
        sip_port: bool,
    ) -> Option<Stream> {
        let s = self.all.get_mut(key)?;
        let before = s.held();
        s.insert(at, sequence, payload);
        let held = s.held();
        let mut found = if begins_sip(payload) { Opening::Sip } else { judge(s.ready()) };
        if sip_port && (found == Opening::Foreign || s.has_hole()) {
            found = Opening::Sip;
        }
        if found == Opening::More && held > TCP_OPENING_STREAM_BYTES {
            found = if s.has_sip() { Opening::Sip } else { Opening::Foreign };
        }
        self.bytes = (self.bytes + held).saturating_sub(before);
        match found {
            Opening::Sip => return self.take(key),
            Opening::Foreign => drop(self.take(key)),
            Opening::More if self.bytes > TCP_OPENING_BYTES => self.drop_idlest(),
            Opening::More => {}
        }
        None
    }

    /// Those whose first bytes have been missing for too long, and that carry SIP.
    pub(super) fn sweep(&mut self, now: CaptureTime) -> Vec<(Direction, Stream)> {
        self.give_up(|s| s.hole_for(now) > TCP_HOLE_AGE)
    }

    /// The capture ends: those that carry SIP.
    pub(super) fn drain(&mut self) -> Vec<(Direction, Stream)> {
        let out = self.give_up(Stream::has_hole);
        *self = Self { dropped: self.dropped, ..Self::default() };
        out
    }

    fn give_up(&mut self, over: impl Fn(&Stream) -> bool) -> Vec<(Direction, Stream)> {
        let mut keys: Vec<_> = self.all.iter().filter(|(_, s)| over(s)).map(|(k, _)| *k).collect();
        keys.sort();
        let taken = keys.into_iter().filter_map(|k| Some((k, self.take(&k)?)));
        taken.filter(|(_, s)| s.has_sip()).collect()
    }

    pub(super) fn set_back(&mut self, now: CaptureTime) {
        self.all.values_mut().for_each(|s| s.set_back(now));
    }

    fn take(&mut self, key: &Direction) -> Option<Stream> {
        let s = self.all.remove(key)?;
        self.bytes = self.bytes.saturating_sub(s.held());
        Some(s)
    }

    /// Drops an eighth at once: to find them all must be looked at.
    fn drop_idlest(&mut self) {
        let mut all: Vec<_> = self.all.iter().map(|(k, s)| (s.last_at, *k)).collect();
        let some = all.len() / 8;
        if some < all.len() {
            all.select_nth_unstable(some);
        }
        for (_, k) in all.iter().take(some + 1) {
            self.dropped += u64::from(self.take(k).is_some_and(|s| s.held() > 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn first_bytes() {
        let upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
        let answer = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
        for sip in [
            "INVITE sip:a SIP/2.0\r\n",
            "SIP/2.0 200 OK\r\n",
            "\r\n\r\n\0OPTIONS sip:b SIP/2.0\r\n",
            upgrade,
            answer,
        ] {
            let b = sip.as_bytes();
            assert_eq!(judge(b), Opening::Sip, "{sip}");
            let told = (0..b.len()).find(|n| judge(&b[..*n]) != Opening::More).unwrap_or(b.len());
            assert_eq!(judge(&b[..told]), Opening::Sip, "{sip} at {told}");
        }
        let web = "GET / HTTP/1.1\r\nHost: sip\r\n\r\n";
        let others = [
            "POST / HTTP/1.1\r\n",
            "HTTP/1.1 200",
            web,
            "SSH-2.0-x",
            "\x16\x03\x01",
            "220 mail",
            "EHLO x\r\n",
        ];
        for other in others.map(str::as_bytes) {
            assert_eq!(judge(other), Opening::Foreign);
        }
        assert_eq!(judge(b"PUT /a HTTP/1.1\r\nX: INVITE sip:a SIP/2.0\r\n"), Opening::Foreign);
    }

    proptest! {
        #[test]
        fn what_is_foreign_stays_foreign(b in "[A-Z]{0,3}[ -~\r\n]{0,40}", n in 0usize..40) {
            let (b, n) = (b.as_bytes(), n.min(b.len()));
            prop_assert!(judge(&b[..n]) != Opening::Foreign || !sip::looks_like(b) || b.contains(&b'\n'));
        }
    }
}
