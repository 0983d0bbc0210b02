//! SIP in a WebSocket (RFC 7118): what is at the front of the connection's bytes, a step at a time.

use crate::limits::SIP_MESSAGE_BYTES;
use crate::wire::{sip, websocket};
use memchr::memmem;

/// The largest HTTP message that opens a WebSocket, bytes.
const HTTP_BYTES: usize = 16 << 10;

/// The state of one direction.
#[derive(Default)]
pub(super) struct Web {
    /// The message so far that is in several frames.
    pub(super) text: Vec<u8>,
    /// Bytes are missing: the next frame must be found first.
    pub(super) lost: bool,
    /// Messages that were compressed.
    pub(super) compressed: u64,
}

/// What the front of the bytes is.
pub(super) enum Step {
    /// Nothing whole yet.
    More,
    /// So many bytes that are no message.
    Pass(usize),
    /// The end of a message, in so many bytes.
    Message(usize, Vec<u8>),
}

impl Web {
    pub(super) fn step(&mut self, b: &[u8]) -> Step {
        if b.starts_with(b"GET ") || b.starts_with(b"HTTP/1.") {
            return match memmem::find(b, b"\r\n\r\n") {
                Some(at) => Step::Pass(at + 4),
                None if b.len() > HTTP_BYTES => Step::Pass(b.len()),
                None => Step::More,
            };
        }
        if self.lost {
            // What is left may be the front of a header.
            let Some(at) = websocket::next(b) else {
                return if b.len() > 64 { Step::Pass(b.len() - 64) } else { Step::More };
            };
            self.lost = false;
            if at > 0 {
                return Step::Pass(at);
            }
        }
        let f = match websocket::front(b) {
            websocket::Front::Frame(f) => f,
            websocket::Front::More => return Step::More,
            websocket::Front::Foreign => {
                self.lost = true;
                self.text.clear();
                return Step::Pass(1);
            }
        };
        let end = f.head + f.length;
        if b.len() < end {
            return Step::More;
        }
        match f.opcode {
            8.. => return Step::Pass(end),
            1 | 2 => self.text.clear(),
            _ => {}
        }
        if f.compressed {
            self.compressed += 1;
            return Step::Pass(end);
        }
        if self.text.len() + f.length > SIP_MESSAGE_BYTES {
            self.text.clear();
            return Step::Pass(end);
        }
        self.text.extend(f.payload(b));
        if !f.fin {
            return Step::Pass(end);
        }
        let text = std::mem::take(&mut self.text);
        let message = text.trim_ascii_start();
        if sip::looks_like(message) { Step::Message(end, message.to_vec()) } else { Step::Pass(end) }
    }
}
