//! The spool's files are plain pcap: nanoseconds, little-endian, raw IP packets.

use crate::call::note::Note;
use crate::time::{CaptureTime, NANOS_PER_SEC};
use serde::{Deserialize, Serialize};

/// All packets of the leg in the order they came, signalling and media: what a recording's packets are made of.
pub const PACKETS: &str = "packets.pcap";
/// What builds before 2026-11-23 called it, with media alone in it. Read as it is, for a leg of theirs is gone on with.
pub const PACKETS_BEFORE: &str = "media.pcap";
/// The SIP among them once more: small, so that a dialog is known again without its hours of media being read.
pub const SIGNALLING: &str = "signalling.pcap";

/// What the tap knew of the leg and no packet tells: a JSON object a line.
pub const NOTES: &str = "notes.jsonl";

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

/// A note with its place among the packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// The note.
    #[serde(flatten)]
    pub note: Note,
    /// Length of the signalling file when it was made.
    pub signalling: u64,
    /// Length of the file of all packets when it was made.
    #[serde(alias = "media")]
    pub all: u64,
}

/// A line of the notes file: JSON, for people too.
#[must_use]
pub fn note_line(note: &Note, [signalling, all]: [u64; 2]) -> Vec<u8> {
    // Times, numbers and strings can always be written.
    let mut line = serde_json::to_vec(&Noted { note: note.clone(), signalling, all }).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The notes of a file; a torn line is left out.
#[must_use]
pub fn notes(text: &[u8]) -> Vec<Noted> {
    text.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).collect()
}
