//! WebSocket frames (RFC 6455), as SIP is carried in them (RFC 7118). What is compressed (RFC 7692) is not read.

use super::sip_frame::may_begin;
use super::{array, be16, sip};
use crate::limits::SIP_MESSAGE_BYTES;
use memchr::memmem;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of the header.
    pub head: usize,
    /// Bytes of the payload.
    pub length: usize,
    /// What it is: 0 goes on with a message, 1 and 2 begin one, 8 to 10 are control frames.
    pub opcode: u8,
    /// Last of its message.
    pub fin: bool,
    /// Compressed by an extension.
    pub compressed: bool,
    /// What a client has masked the payload with.
    pub key: Option<[u8; 4]>,
}

/// What is at the front of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// A frame, which may not be all there.
    Frame(Frame),
    /// Not enough to tell.
    More,
    /// No frame that carries SIP.
    Foreign,
}

/// Reads the header of a frame. One that is larger than any SIP message is none.
#[must_use]
pub fn front(b: &[u8]) -> Front {
    let Some([first, second]) = array(b, 0) else { return Front::More };
    let (opcode, fin) = (first & 15, first & 0x80 != 0);
    let control = opcode >= 8;
    let short = usize::from(second & 0x7f);
    if first & 0x30 != 0 || !matches!(opcode, 0..=2 | 8..=10) || (control && (!fin || short > 125)) {
        return Front::Foreign;
    }
    let (length, mut head) = match short {
        126 => (be16(b, 2).map(usize::from), 4),
        127 => (array(b, 2).map(|n| usize::try_from(u64::from_be_bytes(n)).unwrap_or(usize::MAX)), 10),
        n => (Some(n), 2),
    };
    let Some(length) = length else { return Front::More };
    if length > SIP_MESSAGE_BYTES {
        return Front::Foreign;
    }
    let mut key = None;
    if second & 0x80 != 0 {
        key = array(b, head);
        head += 4;
        if key.is_none() {
            return Front::More;
        }
    }
    Front::Frame(Frame { head, length, opcode, fin, compressed: first & 0x40 != 0, key })
}

impl Frame {
    /// The payload, as far as it is in the bytes that begin with the frame, without its mask.
    #[must_use]
    pub fn payload(&self, b: &[u8]) -> Vec<u8> {
        let end = b.len().min(self.head.saturating_add(self.length));
        let masked = b.get(self.head..end).unwrap_or_default();
        match self.key {
            Some(key) => masked.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k).collect(),
            None => masked.to_vec(),
        }
    }
}

/// Does this begin a message of SIP in a frame, beyond doubt? So a connection is known that was joined in the middle.
#[must_use]
pub fn begins(b: &[u8]) -> bool {
    let Front::Frame(f) = front(b) else { return false };
    if !matches!(f.opcode, 1 | 2) || f.compressed || f.length < 16 {
        return false;
    }
    let some = f.payload(b.get(..b.len().min(f.head + 256)).unwrap_or(b));
    sip::looks_like(&some) || may_begin(some.get(..some.len().min(12)).unwrap_or_default())
}

/// Where in these bytes the next such message begins.
#[must_use]
pub fn next(b: &[u8]) -> Option<usize> {
    let may = |(_, c): &(usize, &u8)| matches!(**c, 0x81 | 0x82 | 1 | 2);
    b.iter().enumerate().filter(may).map(|(i, _)| i).find(|i| b.get(*i..).is_some_and(begins))
}

/// Does this begin the HTTP messages that open a WebSocket for SIP: the request, or the answer to it?
#[must_use]
pub fn opens(b: &[u8]) -> bool {
    if !b.starts_with(b"GET ") && !b.starts_with(b"HTTP/1.1 101") {
        return false;
    }
    let head = b.get(..b.len().min(4096)).unwrap_or(b).to_ascii_lowercase();
    let protocol = memmem::find(&head, b"sec-websocket-protocol:").and_then(|at| head.get(at + 23..));
    let line = protocol.and_then(|p| p.split(|c| *c == b'\r').next());
    line.is_some_and(|l| memmem::find(l, b"sip").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_frames_of_the_rfc() {
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let Front::Frame(f) = front(&masked) else { panic!("no frame") };
        assert_eq!((f.opcode, f.fin, f.length, f.payload(&masked)), (1, true, 5, b"Hello".to_vec()));
        let Front::Frame(f) = front(&[0x01, 3, b'H', b'e', b'l']) else { panic!("no frame") };
        assert!(!f.fin && f.key.is_none());
        assert_eq!(front(&[0x82, 126, 1]), Front::More);
        assert_eq!(front(&[0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0]), Front::Foreign);
        assert_eq!(front(&[0x09, 0]), Front::Foreign);
        assert!(matches!(front(&[0xc1, 4]), Front::Frame(Frame { compressed: true, .. })));
    }

    #[test]
    fn sip_is_found_in_them() {
        let text = b"OPTIONS sip:a SIP/2.0\r\nCall-ID: x\r\n\r\n";
        let frame = [&[0x81, text.len() as u8][..], text].concat();
        assert!(begins(&frame) && begins(&frame[..12]) && !begins(text));
        assert_eq!(next(&[&[0x81, 2, 9, 0][..], &frame].concat()), Some(4));
        assert!(opens(b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: foo, sip\r\n\r\n"));
        assert!(!opens(b"GET / HTTP/1.1\r\nHost: sip\r\n\r\n"));
    }

    proptest! {
        #[test]
        fn never_panics(b in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (front(&b), begins(&b), next(&b), opens(&b));
            if let Front::Frame(f) = front(&b) { prop_assert!(f.payload(&b).len() <= f.length); }
        }
    }
}
