//! Where SIP messages begin and end in a byte stream (RFC 3261, 18.3).

use super::sip::{Message, head_length, line_end, looks_like, number};
use crate::limits::SIP_MESSAGE_BYTES;
use memchr::{memmem, memrchr};

/// What stands at the front of a byte stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nothing whole yet.
    More,
    /// A message of this many bytes.
    Message(usize),
    /// This many bytes that belong to no message.
    Junk(usize),
}

/// Finds the message at the front of a stream (RFC 3261, 18.3).
///
/// Bytes before a first line are junk, which is how a stream joined in the middle, or one with a hole, finds its
/// way back. A Content-Length that ends where no message begins is corrected to the next first line.
#[must_use]
pub fn frame(b: &[u8]) -> Framing {
    let blanks = b.iter().take_while(|c| matches!(c, b'\r' | b'\n' | b' ' | b'\t' | 0)).count();
    if blanks > 0 {
        return Framing::Junk(blanks);
    }
    if line_end(b).is_none() && b.len() < 4096 && b.first().is_some_and(u8::is_ascii_uppercase) {
        return Framing::More;
    }
    if !looks_like(b) {
        return match next_start(b) {
            Some(at) => Framing::Junk(at),
            // The last line may be the front of a first line.
            None => match b.iter().rposition(|&c| c == b'\n') {
                Some(at) => Framing::Junk(at + 1),
                None if b.len() > 4096 => Framing::Junk(b.len()),
                None => Framing::More,
            },
        };
    }
    let Some(head) = head_length(b) else {
        return if b.len() > SIP_MESSAGE_BYTES { Framing::Junk(b.len()) } else { Framing::More };
    };
    let length = length(b.get(..head).unwrap_or(b));
    if head + length > SIP_MESSAGE_BYTES {
        return Framing::Junk(head);
    }
    let rest = b.get(head..).unwrap_or_default();
    let Some(behind) = rest.get(length..) else {
        return Framing::More;
    };
    // The front of a first line, as a segment ends inside it, says nothing against the length.
    let front = line_end(behind).is_none()
        && behind.len() < 4096
        && behind.first().is_some_and(u8::is_ascii_uppercase);
    if behind.is_empty()
        || behind.starts_with(b"\r")
        || behind.starts_with(b"\n")
        || front
        || looks_like(behind)
    {
        return Framing::Message(head + length);
    }
    // The length is wrong, or the stream has a hole that nobody told of: end where the next message begins.
    match next_start(rest) {
        Some(at) if at < length => Framing::Message(head + at),
        _ => Framing::Message(head + length),
    }
}

/// Frames a stream that grows: what has been looked at is not looked at again until what was missing may have come. A
/// message that comes byte by byte would else be read from its beginning for each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Framer {
    /// Sequence number of the first byte of what is waited for, and how much of it there was.
    of: u32,
    seen: usize,
    /// Length at which to look again.
    length: usize,
    /// The headers have not ended: a blank line ends the wait too.
    head: bool,
}

impl Framer {
    /// As [`frame`]; `of` is the sequence number of the first byte of `b`.
    pub fn frame(&mut self, of: u32, b: &[u8]) -> Framing {
        let known = self.of == of && self.seen <= b.len();
        if known && b.len() < self.length && !(self.head && blank(b.get(self.seen.saturating_sub(3)..))) {
            self.seen = b.len();
            return Framing::More;
        }
        let found = frame(b);
        *self = Self::default();
        if found == Framing::More && looks_like(b) && line_end(b).is_some() {
            let head = head_length(b);
            let length = head.and_then(|h| Some(h + length(b.get(..h)?)));
            let length = length.unwrap_or(SIP_MESSAGE_BYTES + 1);
            *self = Self { of, seen: b.len(), length, head: head.is_none() };
        }
        found
    }
}

fn blank(b: Option<&[u8]>) -> bool {
    b.is_some_and(|b| b.windows(2).any(|w| w == b"\n\n") || b.windows(3).any(|w| w == b"\n\r\n"))
}

/// Content-Length of a message whose headers these are; 0 when it has none that makes sense.
fn length(head: &[u8]) -> usize {
    Message::read(head, &[]).ok().and_then(|m| number(m.header("content-length")?)).unwrap_or(0)
}

/// Methods that begin a request in the middle of a line, behind a body without a line end.
const METHODS: [&[u8]; 14] = [
    b"INVITE ",
    b"ACK ",
    b"BYE ",
    b"CANCEL ",
    b"UPDATE ",
    b"PRACK ",
    b"INFO ",
    b"REFER ",
    b"OPTIONS ",
    b"REGISTER ",
    b"NOTIFY ",
    b"SUBSCRIBE ",
    b"MESSAGE ",
    b"PUBLISH ",
];

/// Could these first few bytes of a segment begin a message? Its first line may be cut by the end of the segment.
#[must_use]
pub fn may_begin(b: &[u8]) -> bool {
    let begins = |word: &[u8]| b.starts_with(word) || (b.len() >= 4 && word.starts_with(b));
    b.len() < 16 && (begins(b"SIP/2.0 ") || METHODS.iter().any(|m| begins(m)))
}

/// Where the first line of a message may begin that the end of these bytes cuts: behind the last line end, or in front.
/// Every segment of every protocol is asked, so that no more than its last bytes are looked at.
#[must_use]
pub fn cut_first_line(b: &[u8]) -> Option<usize> {
    let near = b.len().saturating_sub(64);
    let line = memrchr(b'\n', b.get(near..)?).map(|at| near + at + 1).or((near == 0).then_some(0))?;
    let tail = b.get(line..).filter(|t| t.first().is_some_and(u8::is_ascii_uppercase))?;
    let begins = |word: &&[u8]| tail.starts_with(word) || word.starts_with(tail);
    (begins(&&b"SIP/2.0 "[..]) || METHODS.iter().any(begins)).then_some(line)
}

/// Where the next message begins, behind the first byte.
fn next_start(b: &[u8]) -> Option<usize> {
    memmem::find_iter(b, b"SIP/2.0").find_map(|at| {
        let near = at.saturating_sub(4096);
        let line = b.get(near..at)?.iter().rposition(|&c| c == b'\n').map_or(near, |i| near + i + 1);
        if at > 0 && b.get(at + 7) == Some(&b' ') && looks_like(b.get(at..)?) {
            return Some(at); // a status line
        }
        if line > 0 && looks_like(b.get(line..)?) {
            return Some(line);
        }
        let before = b.get(line..at)?;
        let inside = METHODS.iter().filter_map(|m| memmem::find(before, m)).max()?;
        (line + inside > 0).then_some(line + inside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INVITE: &[u8] = b"INVITE sip:b@h SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z\r\nf: <sip:a@h>;tag=1\r\nTo: \"B\"\r\n <sip:b@h>\r\ni: x@h\r\nCSeq: 7 INVITE\r\nl: 4\r\n\r\nbody";

    /// Looked at byte by byte or all at once: the same messages.
    #[test]
    fn what_comes_byte_by_byte_is_framed_the_same() {
        let all = b"\r\nINVITE sip:b SIP/2.0\r\nl: 4\r\n\r\nbodyBYE sip:b SIP/2.0\nCall-ID: x\n\nACK sip:b SIP/2.0\r\n\r\n";
        let (mut framer, mut got, mut at) = (Framer::default(), Vec::new(), 0);
        for end in 1..=all.len() {
            while at < end {
                match framer.frame(at as u32, &all[at..end]) {
                    Framing::More => break,
                    Framing::Junk(n) => at += n,
                    Framing::Message(n) => {
                        got.push((at, at + n));
                        at += n;
                    }
                }
            }
        }
        let texts: Vec<&[u8]> = got.iter().map(|(a, z)| &all[*a..*z]).collect();
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(texts[0].ends_with(b"body") && texts[1].starts_with(b"BYE") && texts[2].starts_with(b"ACK"));
    }

    #[test]
    fn frames_a_stream_and_finds_its_way_back() {
        let two = [INVITE, INVITE].concat();
        assert_eq!(frame(&two), Framing::Message(INVITE.len()));
        assert_eq!(frame(&INVITE[..30]), Framing::More);
        assert_eq!(frame(&INVITE[..INVITE.len() - 1]), Framing::More);
        assert_eq!(frame(b"\r\n\r\n"), Framing::Junk(4));
        let joined = [&b"m=audio 4000\r\na=x\r\n"[..], INVITE].concat();
        assert_eq!(frame(&joined), Framing::Junk(19));
        // Content-Length too large: the next message is not swallowed.
        let wrong =
            [&b"BYE sip:a SIP/2.0\r\ni: q\r\nCSeq: 1 BYE\r\nl: 50\r\n\r\nab\r\n"[..], INVITE].concat();
        assert_eq!(frame(&wrong), Framing::Message(wrong.len() - INVITE.len()));
    }

    #[test]
    fn a_segment_that_ends_in_the_next_first_line_does_not_cut_the_body() {
        let fragment = "SIP/2.0 100 Trying\r\nand\r\nSIP/2.0 200 OK\r\n";
        let notify = format!(
            "NOTIFY sip:a SIP/2.0\r\ni: q\r\nCSeq: 1 NOTIFY\r\nl: {}\r\n\r\n{fragment}",
            fragment.len()
        );
        for more in ["", "N", "NOTIFY sip:a@h S", "NOTIFY sip:a SIP/2.0\r\n"] {
            let b = [notify.as_bytes(), more.as_bytes()].concat();
            assert_eq!(frame(&b), Framing::Message(notify.len()), "{more}");
        }
    }

    #[test]
    fn first_lines_that_are_cut() {
        for (b, at) in
            [("I", Some(0)), ("x\r\nINVI", Some(3)), ("\nSIP/2", Some(1)), ("\nBYE sip:a", Some(1))]
        {
            assert_eq!(cut_first_line(b.as_bytes()), at, "{b}");
        }
        for b in ["", "x", "INVITE\r\n", "+OK\r\n", "\nINVO", "\nGET /"] {
            assert_eq!(cut_first_line(b.as_bytes()), None, "{b}");
        }
    }

    proptest! {
        #[test]
        fn always_moves(cut in 0usize..200, at in 0usize..150, with in any::<u8>()) {
            let mut b = INVITE.to_vec();
            if let Some(x) = b.get_mut(at) { *x = with; }
            b.truncate(cut.max(1));
            if let Framing::Junk(n) | Framing::Message(n) = frame(&b) {
                prop_assert!(n > 0 && n <= b.len());
            }
        }
    }
}
