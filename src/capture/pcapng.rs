//! pcapng (draft-ietf-opsawg-pcapng): sections of either byte order, interfaces of several link types and clocks.

use super::bytes::Window;
use super::file::{Found, Step};
use super::pcap::torn;
use crate::limits::FRAME_BYTES;
use crate::time::{CaptureTime, NANOS_PER_SEC};
use std::io::{self, Read};

/// First bytes of a section header block; the same in both byte orders.
pub const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Largest block that is read: a frame and its options. Larger ones are skipped in pieces.
const BLOCK_BYTES: usize = FRAME_BYTES + (64 << 10);

/// Largest block of a kind that is not known, skipped in pieces: TLS keys, a vendor's notes.
const FOREIGN_BYTES: usize = 16 << 20;

/// Bytes that are searched for the next block behind garbage.
const SEARCH: usize = 1 << 20;

/// Interfaces of one section.
const MAX_INTERFACES: usize = 4096;

struct Interface {
    link: u32,
    snap: usize,
    /// Ticks of its clock in a second.
    ticks: i128,
    /// Seconds to add to its timestamps.
    offset: i64,
}

/// The section being read.
#[derive(Default)]
pub struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
    last: CaptureTime,
}

impl Section {
    fn u16(&self, b: &[u8], at: usize) -> Option<u16> {
        let v: [u8; 2] = b.get(at..at + 2)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(v) } else { u16::from_le_bytes(v) })
    }

    fn u32(&self, b: &[u8], at: usize) -> Option<u32> {
        let v: [u8; 4] = b.get(at..at + 4)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(v) } else { u32::from_le_bytes(v) })
    }

    pub(super) fn next<R: Read>(&mut self, w: &mut Window<R>) -> io::Result<Step> {
        let position = w.position();
        let head = w.peek(12)?;
        if head.is_empty() {
            return Ok(Step::End);
        }
        if head.len() < 12 {
            return Ok(torn(position, "block header", head.len(), 12));
        }
        if head.starts_with(&SECTION) {
            self.big_endian = head.get(8..12) == Some(&[0x1a, 0x2b, 0x3c, 0x4d]);
            self.interfaces.clear();
        }
        let (kind, length) = (self.u32(head, 0).unwrap_or(0), self.u32(head, 4).unwrap_or(0) as usize);
        // Only what holds no frame is ever larger than a block of a frame.
        let known = kind <= 6 || head.starts_with(&SECTION);
        let most = if known { BLOCK_BYTES } else { FOREIGN_BYTES };
        if !(12..=most).contains(&length) || !length.is_multiple_of(4) {
            return self.resume(w, position, &format!("a block says it is {length} bytes long"));
        }
        if length > BLOCK_BYTES {
            return skip(w, position, length);
        }
        let got = w.peek(length)?.len();
        if got < length {
            // A length that reaches past the end may be garbage with readable blocks behind it.
            let step = self.resume(w, position, "a block reaches past the end of the file")?;
            return Ok(match step {
                Step::Trouble { over: true, .. } => torn(position, "block", got, length),
                other => other,
            });
        }
        let step = self.block(kind, w.seen(length), position);
        w.take(length);
        Ok(step)
    }

    /// Looks behind garbage for a block whose two lengths agree.
    fn resume<R: Read>(&self, w: &mut Window<R>, position: u64, why: &str) -> io::Result<Step> {
        let b = w.peek(SEARCH)?;
        let found = (1..b.len().saturating_sub(12)).find(|&at| {
            let rest = b.get(at..).unwrap_or_default();
            let known = matches!(self.u32(rest, 0), Some(1..=6)) || rest.starts_with(&SECTION);
            let length = self.u32(rest, 4).unwrap_or(0) as usize;
            known
                && (12..=BLOCK_BYTES).contains(&length)
                && length.is_multiple_of(4)
                && self.u32(rest, length - 4) == Some(length as u32)
        });
        let what = match found {
            Some(n) => format!("{why}; {n} bytes were skipped"),
            None => format!("{why}; the rest of the file was not read"),
        };
        w.take(found.unwrap_or(0));
        Ok(Step::Trouble { what, position, over: found.is_none() })
    }

    fn block(&mut self, kind: u32, block: &[u8], position: u64) -> Step {
        let body = block.get(8..block.len() - 4).unwrap_or_default();
        let step = match kind {
            1 => {
                if self.interfaces.len() < MAX_INTERFACES {
                    let i = self.interface(body);
                    self.interfaces.extend(i);
                }
                Some(Step::Other)
            }
            2 => self.enhanced(u32::from(self.u16(body, 0).unwrap_or(u16::MAX)), body, block.len()),
            3 => self.simple(body, block.len()),
            6 => self.enhanced(self.u32(body, 0).unwrap_or(u32::MAX), body, block.len()),
            _ => Some(Step::Other),
        };
        step.unwrap_or_else(|| Step::Trouble {
            what: "a packet block contradicts itself and was skipped".to_owned(),
            position,
            over: false,
        })
    }

    fn interface(&self, b: &[u8]) -> Option<Interface> {
        let mut i = Interface {
            link: u32::from(self.u16(b, 0)?),
            snap: self.u32(b, 4)? as usize,
            ticks: 1_000_000,
            offset: 0,
        };
        let mut options = b.get(8..)?;
        while let (Some(code @ 1..), Some(length)) = (self.u16(options, 0), self.u16(options, 2)) {
            let value = options.get(4..4 + usize::from(length)).unwrap_or_default();
            match (code, value) {
                (9, [r, ..]) if r & 0x80 == 0 => i.ticks = 10i128.pow(u32::from(*r).min(18)),
                (9, [r, ..]) => i.ticks = 1i128 << (r & 0x7f).min(62),
                (14, v) => {
                    let (a, b) =
                        (u64::from(self.u32(v, 0).unwrap_or(0)), u64::from(self.u32(v, 4).unwrap_or(0)));
                    let seconds = if self.big_endian { a << 32 | b } else { b << 32 | a };
                    i.offset = seconds.cast_signed();
                }

                _ => {}
            }
            options = options.get(4 + usize::from(length).next_multiple_of(4)..).unwrap_or_default();
        }
        Some(i)
    }

    /// An enhanced packet block, or the obsolete packet block: they differ in how the interface is told.
    fn enhanced(&mut self, interface: u32, b: &[u8], block: usize) -> Option<Step> {
        let i = self.interfaces.get(interface as usize)?;
        let ticks = i128::from(self.u32(b, 4)?) << 32 | i128::from(self.u32(b, 8)?);
        let length = self.u32(b, 12)? as usize;
        b.get(20..20 + length)?;
        let ns =
            ticks * i128::from(NANOS_PER_SEC) / i.ticks + i128::from(i.offset) * i128::from(NANOS_PER_SEC);
        let at = CaptureTime(i64::try_from(ns).ok()?);
        let found = Found { at, link: i.link, behind: block - 28, length };
        self.last = at;
        Some(Step::Frame(found))
    }

    /// A simple packet block has no time: it is taken to follow the packet before it at once.
    fn simple(&self, b: &[u8], block: usize) -> Option<Step> {
        let i = self.interfaces.first()?;
        let original = self.u32(b, 0)? as usize;
        let room = b.len().checked_sub(4)?;
        let snap = if i.snap == 0 { usize::MAX } else { i.snap };
        let length = original.min(snap).min(room);
        Some(Step::Frame(Found { at: self.last, link: i.link, behind: block - 12, length }))
    }
}

/// Passes over a block too large to hold.
fn skip<R: Read>(w: &mut Window<R>, position: u64, length: usize) -> io::Result<Step> {
    let mut left = length;
    while left > 0 {
        let n = w.peek(left.min(64 << 10))?.len();
        if n == 0 {
            return Ok(torn(position, "block", length - left, length));
        }
        w.take(n);
        left -= n;
    }
    Ok(Step::Trouble { what: format!("a block of {length} bytes was skipped"), position, over: false })
}
