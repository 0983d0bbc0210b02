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
        if length < 12 || length % 4 != 0 {
            let what = format!("a block says it is {length} bytes long; the rest of the file was not read");
            return Ok(Step::Trouble { what, position, over: true });
        }
        if length > BLOCK_BYTES {
            return skip(w, position, length);
        }
        let got = w.peek(length)?.len();
        if got < length {
            return Ok(torn(position, "block", got, length));
        }
        let step = self.block(kind, w.seen(length), position);
        w.take(length);
        Ok(step)
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
            3 => self.simple(body, block.len()),
            6 => self.enhanced(body, block.len()),
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
                    i.offset = i64::from(self.u32(v, if self.big_endian { 4 } else { 0 }).unwrap_or(0));
                }
                _ => {}
            }
            options = options.get(4 + usize::from(length).next_multiple_of(4)..).unwrap_or_default();
        }
        Some(i)
    }

    fn enhanced(&mut self, b: &[u8], block: usize) -> Option<Step> {
        let i = self.interfaces.get(self.u32(b, 0)? as usize)?;
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
