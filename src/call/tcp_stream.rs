//! One direction of a TCP connection: its bytes in order, and the messages cut out of them.

use super::sip_stream::Cut;
use super::web::{Step, Web};
use crate::limits::TCP_HOLE_AGE;
use crate::time::CaptureTime;
use crate::wire::sip_frame::{Framer, Framing, may_begin};
use crate::wire::{sip, websocket};
use memchr::memmem;
use std::time::Duration;

/// Sequence numbers further apart are of two connections.
const SAME_CONNECTION: i64 = 16 << 20;

/// A RST this near is meant for the connection: windows are scaled, and the mirror may have lost some.
const RESET_WINDOW: i64 = 1 << 20;

/// The first segments of a connection are this near to its SYN; no window is larger before it is scaled.
const FIRST_WINDOW: i64 = 1 << 16;

/// A segment is not sent again after so long a silence: TCP doubles its patience from 0.2 s, and SIP has hung up long before.
const LAST_RETRANSMISSION: Duration = Duration::from_secs(32);

/// One direction of a connection.
#[derive(Default)]
pub(super) struct Stream {
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
    /// Its initial sequence number, when its SYN was heard.
    syn: Option<u32>,
    /// When it was first heard.
    since: CaptureTime,
    /// Its sender has nothing more to say.
    pub(super) fin: bool,
    /// It was reset; what goes on as if it had not been is believed.
    pub(super) reset: bool,
    pub(super) last_at: CaptureTime,
    /// Its messages are in WebSocket frames.
    web: Option<Web>,
}

/// Signed distance from `a` to `b` on the circle of sequence numbers.
pub(super) fn distance(a: u32, b: u32) -> i64 {
    i64::from(b.wrapping_sub(a) as i32)
}

/// Does this begin SIP, or a WebSocket for SIP, so that its connection is followed? What is on a port of SIP is in any case.
pub(super) fn begins_sip(payload: &[u8]) -> bool {
    sip::looks_like(payload) || may_begin(payload) || websocket::opens(payload) || websocket::begins(payload)
}

impl Stream {
    /// From this sequence number on.
    pub(super) fn new(front: u32, syn: Option<u32>, at: CaptureTime) -> Self {
        Self { front, syn, since: at, last_at: at, ..Self::default() }
    }

    /// Lets go of all that is held, and goes on behind it.
    pub(super) fn let_go(&mut self) {
        let web = self.web.as_ref().map(|_| Web { lost: true, ..Web::default() });
        let (fin, reset) = (self.fin, self.reset);
        *self = Self { fin, reset, web, since: self.since, ..Self::new(self.next(), self.syn, self.last_at) };
    }

    /// Is this the SYN that began it, once more, or late? A connection that is over is begun anew by the same one too.
    pub(super) fn began_with(&mut self, at: CaptureTime, syn: u32) -> bool {
        if self.is_over(at.since(self.last_at)) {
            return false;
        }
        let young = at.since(self.since) <= TCP_HOLE_AGE;
        let near = (0..FIRST_WINDOW).contains(&distance(syn.wrapping_add(1), self.next()));
        if self.syn.is_none() && young && near {
            self.syn = Some(syn);
        }
        self.syn == Some(syn)
    }

    /// Is this the acknowledgment of its SYN? It may acknowledge data that came with it too (RFC 7413).
    pub(super) fn answered(&mut self, at: CaptureTime, acknowledgment: u32) -> bool {
        let young = at.since(self.since) <= TCP_HOLE_AGE;
        let behind = |syn: u32| distance(syn.wrapping_add(1), acknowledgment);
        self.began_with(at, acknowledgment.wrapping_sub(1))
            || (young && self.syn.is_some_and(|s| (0..FIRST_WINDOW).contains(&behind(s))))
    }

    /// Is a segment with this sequence number one of the first, or of those that come right behind what is held?
    pub(super) fn begins_near(&self, sequence: u32) -> bool {
        (0..FIRST_WINDOW).contains(&distance(self.front, sequence))
    }

    /// Its initial sequence number, when its SYN was heard.
    pub(super) fn syn(&self) -> Option<u32> {
        self.syn
    }

    /// It was closed or reset, and has been silent for so long that no segment of it is under way.
    fn is_over(&self, silent: Duration) -> bool {
        (self.fin || self.reset) && silent > TCP_HOLE_AGE
    }

    /// The bytes in order that are no message yet.
    pub(super) fn ready(&self) -> &[u8] {
        &self.ready
    }

    /// Is there SIP in what is held? Each message has the words in its first line and in its Via.
    pub(super) fn has_sip(&self) -> bool {
        let mut runs = vec![self.ready.clone()];
        let mut next = self.next();
        for (sequence, _, bytes) in &self.ahead {
            match runs.last_mut() {
                Some(run) if *sequence == next => run.extend_from_slice(bytes),
                _ => runs.push(bytes.clone()),
            }
            next = sequence.wrapping_add(bytes.len() as u32);
        }
        runs.iter().any(|r| memmem::find(r, b"SIP/2.0").is_some() || websocket::begins(r))
    }

    /// May a RST of this sequence number be meant for it? What is far off is of another connection, or forged.
    pub(super) fn may_reset(&self, sequence: u32) -> bool {
        distance(self.next(), sequence).abs() <= RESET_WINDOW
    }

    /// The clock was set back: nothing is younger than now.
    pub(super) fn set_back(&mut self, now: CaptureTime) {
        self.last_at = self.last_at.min(now);
        self.since = self.since.min(now);
        self.hole_since = self.hole_since.map(|t| t.min(now));
    }

    /// Is something missing?
    pub(super) fn has_hole(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Bytes that it takes.
    pub(super) fn held(&self) -> usize {
        let ahead = self.ahead.iter().map(|a| a.2.len() + 48).sum::<usize>();
        self.ready.len() + 16 * self.pieces.len() + ahead + self.web.as_ref().map_or(0, |w| w.text.len())
    }

    pub(super) fn next(&self) -> u32 {
        self.front.wrapping_add(self.ready.len() as u32)
    }

    /// How long bytes have been missing.
    pub(super) fn hole_for(&self, now: CaptureTime) -> Duration {
        self.hole_since.map_or(Duration::ZERO, |t| now.since(t))
    }

    /// Takes the payload of a segment.
    pub(super) fn insert(&mut self, at: CaptureTime, sequence: u32, payload: &[u8]) {
        let gap = distance(self.next(), sequence);
        let silent = at.since(std::mem::replace(&mut self.last_at, at));
        // Another connection on the same ports whose SYN was not seen: it begins far off, or with a message where the old one
        // was long ago.
        let over = self.is_over(silent) || silent > LAST_RETRANSMISSION;
        let old = over && gap < 0 && gap.unsigned_abs() >= payload.len() as u64;
        if gap.abs() > SAME_CONNECTION || (old && begins_sip(payload)) {
            *self = Self::new(sequence, None, at);
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
    pub(super) fn skip_hole(&mut self) {
        self.hole_since = None;
        if let Some((sequence, ..)) = self.ahead.first() {
            self.front = *sequence;
            self.ready.clear();
            self.pieces.clear();
            self.web = self.web.take().map(|w| Web { lost: true, text: Vec::new(), ..w });
            self.join();
            // A second hole has been there since what is behind it came.
            self.hole_since = self.ahead.first().map(|a| a.1);
        }
    }

    /// Cuts out what is whole.
    pub(super) fn messages(&mut self) -> Vec<Cut> {
        let mut out = Vec::new();
        if self.web.is_none() && (websocket::opens(&self.ready) || websocket::begins(&self.ready)) {
            self.web = Some(Web::default());
        }
        let mut web = self.web.take();
        let mut at = 0;
        loop {
            let rest = self.ready.get(at..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let framing = match &mut web {
                Some(w) => w.step(rest),
                None => match self.framer.frame(self.front.wrapping_add(at as u32), rest) {
                    Framing::More => Step::More,
                    Framing::Junk(n) => Step::Pass(n),
                    Framing::Message(n) => Step::Message(n, rest.get(..n).unwrap_or(rest).to_vec()),
                },
            };
            match framing {
                Step::More => break,
                Step::Pass(n) => at += n.max(1),
                Step::Message(n, bytes) => {
                    let sequence = self.front.wrapping_add(at as u32);
                    out.push(Cut { at: self.came(at, at + n), sequence, bytes });
                    at += n.max(1);
                }
            }
        }
        self.web = web;
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

    /// Messages that were compressed since this was last asked.
    pub(super) fn compressed(&mut self) -> u64 {
        self.web.as_mut().map_or(0, |w| std::mem::take(&mut w.compressed))
    }
}
