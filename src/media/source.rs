//! The sound of one stream, packet by packet, in its place.

use super::codec::Decode;
use std::io;

/// A packet of sound and where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cue {
    /// Sample at the track's own rate at which it begins; may be negative, then its beginning is cut.
    pub start: i64,
    /// Where the payload is.
    pub place: u64,
    /// Its length, bytes.
    pub length: u16,
}

/// The packets of one stream in one codec, in order, for one channel. `S` is what its decoder gives: linear samples, or
/// G.711's code words as they are.
pub struct Track<S = i16> {
    /// Which channel it is heard in.
    pub channel: usize,
    /// Its packets.
    pub cues: Vec<Cue>,
    /// Its decoder.
    pub decoder: Box<dyn Decode<S>>,
}

/// Where payloads are.
pub trait Payloads {
    /// The `length` bytes at `place`; none when they are not there.
    ///
    /// # Errors
    /// When the spool cannot be read.
    fn read(&mut self, place: u64, length: u16) -> io::Result<&[u8]>;
}

/// Holes this short inside a track are made by the drift correction and filled with the sample before.
const SLIPPED: i64 = 2;

/// A track at its own rate, read forward.
pub(super) struct Source<S> {
    pub(super) track: Track<S>,
    next: usize,
    at: i64,
    /// Decoded samples that begin at `pending_at` and are not yet given out.
    pending: Vec<S>,
    pending_at: i64,
}

impl<S: Copy> Source<S> {
    pub(super) fn new(track: Track<S>) -> Self {
        Self { track, next: 0, at: 0, pending: Vec::new(), pending_at: 0 }
    }

    pub(super) fn is_over(&self) -> bool {
        self.pending.is_empty() && self.next >= self.track.cues.len()
    }

    /// Puts the sound of the next `out.len()` samples in its place, and leaves the others as they are; says how many of
    /// them have sound or are before sound.
    pub(super) fn fill(&mut self, out: &mut [S], payloads: &mut dyn Payloads) -> io::Result<usize> {
        let (from, to) = (self.at, self.at + out.len() as i64);
        let mut heard = 0;
        loop {
            if !self.pending.is_empty() {
                heard = heard.max(put(&self.pending, self.pending_at - from, out));
                let end = self.pending_at + self.pending.len() as i64;
                if end > to {
                    let used = usize::try_from(to - self.pending_at).unwrap_or(0);
                    self.pending.drain(..used);
                    self.pending_at = self.pending_at.max(to);
                    break;
                }
                self.pending.clear();
            }
            match self.track.cues.get(self.next) {
                Some(c) if c.start < to => heard = heard.max(self.decode(out, payloads)?),
                _ => break,
            }
        }
        self.at = to;
        Ok(heard)
    }

    /// Decodes the next packet, cut or stretched to where the one behind it begins. What needs no decoding, and lies in
    /// `out` whole and as it is, is put there at once; says how far `out` has sound by that.
    fn decode(&mut self, out: &mut [S], payloads: &mut dyn Payloads) -> io::Result<usize> {
        let Some(cue) = self.track.cues.get(self.next).copied() else {
            return Ok(0);
        };
        self.next += 1;
        let payload = payloads.read(cue.place, cue.length)?;
        let behind = self.track.cues.get(self.next);
        if let Some(sound) = self.track.decoder.as_is(payload) {
            let (at, n) = (cue.start - self.at, sound.len() as i64);
            let fits = behind.is_none_or(|b| b.start - cue.start == n || b.start - cue.start > n + SLIPPED);
            if fits && at >= 0 && at + n <= out.len() as i64 {
                return Ok(put(sound, at, out));
            }
        }
        self.pending.clear();
        self.track.decoder.decode(payload, &mut self.pending);
        self.pending_at = cue.start;
        if let Some(behind) = behind {
            let room = behind.start - cue.start;
            let hole = room - self.pending.len() as i64;
            if hole < 0 && room >= 0 {
                self.pending.truncate(usize::try_from(room).unwrap_or(0));
            } else if let (1..=SLIPPED, Some(last)) = (hole, self.pending.last().copied()) {
                self.pending.resize(self.pending.len() + hole as usize, last);
            }
        }
        Ok(0)
    }
}

/// Puts sound at its place in `out`, as far as it lies there; says how far `out` has sound by that.
fn put<S: Copy>(sound: &[S], at: i64, out: &mut [S]) -> usize {
    let skip = usize::try_from(at.saturating_neg().max(0)).unwrap_or(usize::MAX);
    let at = usize::try_from(at.max(0)).unwrap_or(usize::MAX);
    let sound = sound.get(skip..).unwrap_or_default();
    let room = out.get_mut(at..).unwrap_or_default();
    let n = sound.len().min(room.len());
    match (room.get_mut(..n), sound.get(..n)) {
        (Some(room), Some(sound)) if n > 0 => {
            room.copy_from_slice(sound);
            at + n
        }
        _ => 0,
    }
}

/// Payloads for tests.
#[cfg(test)]
pub(super) struct Fixed(pub(super) Vec<u8>);

#[cfg(test)]
impl Payloads for Fixed {
    fn read(&mut self, place: u64, length: u16) -> io::Result<&[u8]> {
        let at = place as usize..place as usize + usize::from(length);
        Ok(self.0.get(at).unwrap_or_default())
    }
}
