//! The spool's files are plain pcap: nanoseconds, little-endian, raw IP packets.

use crate::time::{CaptureTime, NANOS_PER_SEC};

/// SIP of the dialog.
pub const SIGNALLING: &str = "signalling.pcap";
/// Media of the dialog.
pub const MEDIA: &str = "media.pcap";

/// Header of a file: version 2.4, snap length 262,144, `LINKTYPE_RAW`.
pub const FILE_HEADER: [u8; 24] =
    [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];

/// Header of a record of `length` bytes. Times before 1970 are written as 1970.
#[must_use]
pub fn record_header(at: CaptureTime, length: u32) -> [u8; 16] {
    let nanos = at.nanos().max(0);
    let seconds = u32::try_from(nanos / NANOS_PER_SEC).unwrap_or(u32::MAX);
    let fraction = (nanos % NANOS_PER_SEC) as u32;
    let mut h = [0; 16];
    for (part, v) in h.chunks_exact_mut(4).zip([seconds, fraction, length, length]) {
        part.copy_from_slice(&v.to_le_bytes());
    }
    h
}
