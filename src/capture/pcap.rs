//! The classic format (draft-ietf-opsawg-pcap): both byte orders, microseconds or nanoseconds.

use super::bytes::Window;
use super::file::{Found, Step};
use crate::limits::FRAME_BYTES;
use crate::time::CaptureTime;
use std::io::{self, Read};

/// Bytes that are searched for the next record behind garbage.
const SEARCH: usize = 1 << 20;

/// What the file's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    big_endian: bool,
    nanoseconds: bool,
    link: u32,
    last: Option<i64>,
}

/// A record's header.
struct Record {
    seconds: i64,
    fraction: i64,
    captured: usize,
    original: usize,
}

impl Header {
    /// Reads the first 24 bytes of a file; `None` when they are not of this format.
    #[must_use]
    pub fn parse(b: &[u8]) -> Option<Self> {
        let magic: [u8; 4] = b.get(..4)?.try_into().ok()?;
        let (big_endian, nanoseconds) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, false),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, true),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, false),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, true),
            _ => return None,
        };
        let h = Self { big_endian, nanoseconds, link: 0, last: None };
        // The upper bits hold the length of a frame check sequence.
        Some(Self { link: h.u32(b, 20)? & 0xffff, ..h })
    }

    fn u32(self, b: &[u8], at: usize) -> Option<u32> {
        let v: [u8; 4] = b.get(at..at + 4)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(v) } else { u32::from_le_bytes(v) })
    }

    fn record(self, b: &[u8]) -> Option<Record> {
        let b: &[u8; 16] = b.first_chunk()?;
        Some(Record {
            seconds: i64::from(self.u32(b, 0)?),
            fraction: i64::from(self.u32(b, 4)?),
            captured: self.u32(b, 8)? as usize,
            original: self.u32(b, 12)? as usize,
        })
    }

    /// Can this be a record? Lengths that no capture has, fractions beyond a second, and nothing of nothing (zeros where
    /// a crashed machine had not written its blocks yet) are garbage.
    fn plausible(self, r: &Record) -> bool {
        let unit = if self.nanoseconds { 1_000_000_000 } else { 1_000_000 };
        let nothing = r.captured == 0 && r.original == 0;
        r.captured <= FRAME_BYTES && r.original <= 16 << 20 && r.fraction < unit && !nothing
    }

    /// The same, strictly enough to recognise a record among garbage: near the last one in time.
    fn convincing(self, r: &Record) -> bool {
        const DAY: i64 = 86_400;
        self.plausible(r)
            && r.captured > 0
            && r.captured <= r.original
            && self.last.is_none_or(|l| (l - DAY..l + DAY).contains(&r.seconds))
    }

    pub(super) fn next<R: Read>(&mut self, w: &mut Window<R>) -> io::Result<Step> {
        let position = w.position();
        let head = w.peek(16)?;
        if head.is_empty() {
            return Ok(Step::End);
        }
        let Some(r) = self.record(head).filter(|_| head.len() == 16) else {
            return Ok(torn(position, "record header", head.len(), 16));
        };
        if !self.plausible(&r) {
            return self.resume(w, position);
        }
        let got = w.peek(16 + r.captured)?.len();
        if got < 16 + r.captured {
            // A length that reaches past the end may be garbage with readable records behind it.
            let step = self.resume(w, position)?;
            return Ok(match step {
                Step::Trouble { over: true, .. } => torn(position, "frame", got - 16, r.captured),
                other => other,
            });
        }
        w.take(16 + r.captured);
        self.last = Some(r.seconds);
        let nanos = if self.nanoseconds { r.fraction } else { r.fraction * 1000 };
        let at = CaptureTime::from_parts(r.seconds, nanos);
        Ok(Step::Frame(Found { at, link: self.link, behind: r.captured, length: r.captured }))
    }

    /// Looks behind garbage for two records in a row (or one that ends the file).
    fn resume<R: Read>(self, w: &mut Window<R>, position: u64) -> io::Result<Step> {
        let b = w.peek(SEARCH)?;
        let rest = |at: usize| b.get(at..).unwrap_or_default();
        let found = (1..b.len().saturating_sub(16)).find(|&at| {
            let Some(r) = self.record(rest(at)).filter(|r| self.convincing(r)) else {
                return false;
            };
            let behind = rest(at + 16 + r.captured);
            match self.record(behind) {
                Some(next) => self.convincing(&next),
                None => behind.is_empty() && at + 16 + r.captured == b.len(),
            }
        });
        let what = match found {
            Some(n) => format!("{n} bytes that are no capture record were skipped"),
            None => "no capture record from here on; the rest of the file was not read".to_owned(),
        };
        w.take(found.unwrap_or(0));
        Ok(Step::Trouble { what, position, over: found.is_none() })
    }
}

/// The file ends inside something.
pub(super) fn torn(position: u64, what: &str, got: usize, want: usize) -> Step {
    let what = format!("the file ends inside a {what} ({got} of {want} bytes are there)");
    Step::Trouble { what, position, over: true }
}
