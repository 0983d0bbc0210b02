//! SIP messages (RFC 3261), read leniently: recorders meet every dialect, and a call must not be lost for a
//! missing blank.
//!
//! Lines may end in CRLF or LF, headers may be folded or compact, unknown methods pass, a wrong Content-Length is
//! survived. Works on bytes: nothing on the wire promises to be UTF-8.

use crate::limits::CALL_ID_BYTES;
use memchr::{memchr, memmem};
use std::borrow::Cow;
use thiserror::Error;

/// First line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// A request and its method.
    Request(&'a [u8]),
    /// A response: status code, 100 to 699, and reason phrase.
    Response(u16, &'a [u8]),
}

/// A message. Header values have their folds undone.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// Method or status.
    pub start: Start<'a>,
    /// The first line, whole.
    pub start_line: &'a [u8],
    /// Long lower-case names of compact headers are known to [`Message::header`]; order is that of the wire.
    pub headers: Vec<(&'a [u8], Cow<'a, [u8]>)>,
    /// What follows the blank line.
    pub body: &'a [u8],
}

/// Why bytes are no SIP message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SipError {
    /// The first line is neither a request nor a status line of SIP/2.0.
    #[error("first line is not SIP/2.0")]
    StartLine,
    /// No blank line ends the headers.
    #[error("headers do not end")]
    Unended,
    /// A dialog cannot be told without it (RFC 3261, 8.1.1).
    #[error("no {0} header")]
    Missing(&'static str),
    /// It is kept while the dialog lasts.
    #[error("a Call-ID of more than {CALL_ID_BYTES} bytes")]
    LongCallId,
}

/// Could this be the beginning of a SIP message? Cheap enough for every datagram.
#[must_use]
pub fn looks_like(b: &[u8]) -> bool {
    b.starts_with(b"SIP/2.0 ")
        || (b.first().is_some_and(u8::is_ascii_uppercase) && {
            let line = b.get(..line_end(b).unwrap_or(b.len()).min(4096)).unwrap_or(b);
            line.trim_ascii_end().ends_with(b" SIP/2.0") && is_token(line.split(|&c| c == b' ').next())
        })
}

fn is_token(method: Option<&[u8]>) -> bool {
    method.is_some_and(|m| {
        (2..=20).contains(&m.len()) && m.iter().all(|c| c.is_ascii_uppercase() || *c == b'_' || *c == b'-')
    })
}

pub(super) fn line_end(b: &[u8]) -> Option<usize> {
    memchr(b'\n', b)
}

/// Length of the headers with the blank line behind them.
pub(super) fn head_length(b: &[u8]) -> Option<usize> {
    let crlf = memmem::find(b, b"\r\n\r\n").map(|i| i + 4);
    let lf = memmem::find(b.get(..crlf.unwrap_or(b.len())).unwrap_or(b), b"\n\n").map(|i| i + 2);
    lf.or(crlf)
}

/// Reads a message whose bytes are all of `b`, as in a datagram.
///
/// # Errors
/// [`SipError`] when `b` is not SIP, its headers do not end, or it has no Call-ID or CSeq. A datagram that ends
/// inside its headers is read as far as it goes when the needed headers are there.
pub fn parse(b: &[u8]) -> Result<Message<'_>, SipError> {
    if !looks_like(b) {
        return Err(SipError::StartLine);
    }
    let head = head_length(b).unwrap_or(b.len());
    let m = Message::read(b.get(..head).unwrap_or(b), b.get(head..).unwrap_or_default())?;
    for (name, value) in [("Call-ID", m.call_id()), ("CSeq", m.header("cseq").unwrap_or_default())] {
        if value.is_empty() {
            return Err(SipError::Missing(name));
        }
    }
    if m.call_id().len() > CALL_ID_BYTES {
        return Err(SipError::LongCallId);
    }
    Ok(m)
}

impl<'a> Message<'a> {
    pub(super) fn read(head: &'a [u8], body: &'a [u8]) -> Result<Self, SipError> {
        let mut lines = Lines(head);
        let first = lines.next().ok_or(SipError::StartLine)?;
        let start_line = match &first {
            Cow::Borrowed(l) => l,
            Cow::Owned(_) => return Err(SipError::StartLine),
        };
        let start = match start_line.strip_prefix(b"SIP/2.0 ") {
            Some(rest) => {
                // Three digits and no more (RFC 4475, 3.1.2.19).
                let code = rest.get(..3).filter(|_| !rest.get(3).is_some_and(u8::is_ascii_digit));
                let code = code.and_then(number).filter(|c| (100..700).contains(c));
                let code = code.ok_or(SipError::StartLine)?;
                Start::Response(code as u16, rest.get(4..).unwrap_or_default().trim_ascii())
            }
            None => Start::Request(start_line.split(|&c| c == b' ').next().unwrap_or_default()),
        };
        let mut headers = Vec::with_capacity(16);
        for line in lines {
            let Some(colon) = memchr(b':', &line) else {
                continue;
            };
            match line {
                Cow::Borrowed(l) => headers.push((
                    l.get(..colon).unwrap_or_default().trim_ascii(),
                    Cow::Borrowed(l.get(colon + 1..).unwrap_or_default().trim_ascii()),
                )),
                Cow::Owned(l) => {
                    // The name is in the first, unfolded part, which stands in `head` too.
                    let name = l.get(..colon).unwrap_or_default();
                    let at = memmem::find(head, name).unwrap_or(0);
                    let name = head.get(at..at + name.len()).unwrap_or_default().trim_ascii();
                    headers.push((
                        name,
                        Cow::Owned(l.get(colon + 1..).unwrap_or_default().trim_ascii().to_vec()),
                    ));
                }
            }
        }
        Ok(Self { start, start_line, headers, body })
    }

    /// The first header of that long, lower-case name, compact form included (RFC 3261, 7.3.3).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// All headers of that long, lower-case name.
    pub fn all<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s [u8]> {
        let long = name.as_bytes().to_vec();
        let short = compact(name);
        self.headers
            .iter()
            .filter(move |(n, _)| {
                n.eq_ignore_ascii_case(&long)
                    || short.is_some_and(|s| n.len() == 1 && n.first().map(u8::to_ascii_lowercase) == Some(s))
            })
            .map(|(_, v)| v.as_ref())
    }

    /// The first header of that name as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.header(name).map(|v| String::from_utf8_lossy(v).into_owned())
    }

    /// Call-ID; empty when there is none.
    #[must_use]
    pub fn call_id(&self) -> &[u8] {
        self.header("call-id").unwrap_or_default()
    }

    /// Number and method of the CSeq header; `None` when it has no number.
    #[must_use]
    pub fn cseq(&self) -> Option<(u32, &[u8])> {
        let v = self.header("cseq")?;
        let digits = v.iter().take_while(|c| c.is_ascii_digit()).count();
        let n = number(v.get(..digits)?)?;
        Some((u32::try_from(n).ok()?, v.get(digits..)?.trim_ascii()))
    }

    /// The method of the transaction: a request's own, for a response that of its CSeq.
    ///
    /// Some platforms send an ACK or BYE whose CSeq names INVITE: a request's first line wins.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        match self.start {
            Start::Request(m) => m,
            Start::Response(..) => {
                let v = self.header("cseq").unwrap_or_default();
                let at = v.iter().position(u8::is_ascii_alphabetic).unwrap_or(v.len());
                v.get(at..).unwrap_or_default()
            }
        }
    }

    /// Status code of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response(code, _) => Some(code),
            Start::Request(_) => None,
        }
    }

    /// Is it a request of this method?
    #[must_use]
    pub fn is_request(&self, method: &str) -> bool {
        matches!(self.start, Start::Request(m) if m == method.as_bytes())
    }
}

fn compact(long: &str) -> Option<u8> {
    Some(match long {
        "call-id" => b'i',
        "contact" => b'm',
        "content-encoding" => b'e',
        "content-length" => b'l',
        "content-type" => b'c',
        "from" => b'f',
        "refer-to" => b'r',
        "session-expires" => b'x',
        "subject" => b's',
        "supported" => b'k',
        "to" => b't',
        "via" => b'v',
        _ => return None,
    })
}

/// A decimal number of up to ten digits: a CSeq goes to 2^31 − 1 (RFC 3261, 8.1.1.5).
pub(super) fn number(b: &[u8]) -> Option<usize> {
    let b = b.trim_ascii();
    if b.is_empty() || b.len() > 10 || !b.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(b.iter().fold(0, |n, c| n * 10 + usize::from(c - b'0')))
}

/// Header lines with folds undone; ends at the first empty line.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Cow<'a, [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line: Cow<'a, [u8]> = Cow::Borrowed(self.take()?);
        if line.is_empty() {
            return None;
        }
        while let Some(b' ' | b'\t') = self.0.first() {
            let more = self.take()?.trim_ascii();
            let joined = line.to_mut();
            joined.push(b' ');
            joined.extend_from_slice(more);
        }
        Some(line)
    }
}

impl<'a> Lines<'a> {
    fn take(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = line_end(self.0).unwrap_or(self.0.len());
        let line = self.0.get(..end).unwrap_or_default();
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INVITE: &[u8] = b"INVITE sip:b@h SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z\r\nf: <sip:a@h>;tag=1\r\nTo: \"B\"\r\n <sip:b@h>\r\ni: x@h\r\nCSeq: 7 INVITE\r\nl: 4\r\n\r\nbody";

    #[test]
    fn compact_and_folded_headers() {
        let m = parse(INVITE).unwrap();
        assert_eq!(m.start, Start::Request(b"INVITE"));
        assert_eq!(m.call_id(), b"x@h");
        assert_eq!(m.header("to").unwrap(), b"\"B\" <sip:b@h>");
        assert_eq!(m.cseq().unwrap(), (7, &b"INVITE"[..]));
        assert_eq!(m.body, b"body");
    }

    #[test]
    fn the_largest_cseq_and_one_without_a_number() {
        let cseq = |v: &str| format!("SIP/2.0 200 OK\r\ni: q\r\nCSeq: {v}\r\n\r\n");
        let large = cseq("2147483647 INVITE");
        let m = parse(large.as_bytes()).unwrap();
        assert_eq!((m.cseq(), m.method()), (Some((2_147_483_647, &b"INVITE"[..])), &b"INVITE"[..]));
        let odd = cseq("x9 BYE");
        assert_eq!(parse(odd.as_bytes()).unwrap().cseq(), None);
    }

    #[test]
    fn bare_line_feeds() {
        let m = parse(b"SIP/2.0 183 Session Progress\nCall-ID: q\nCSeq: 1 INVITE\n\nv=0\n").unwrap();
        assert_eq!(m.start, Start::Response(183, b"Session Progress"));
        assert_eq!(m.body, b"v=0\n");
    }

    #[test]
    fn what_is_not_sip_says_so() {
        assert_eq!(parse(b"GET / HTTP/1.1\r\n\r\n").unwrap_err(), SipError::StartLine);
        assert_eq!(
            parse(b"BYE sip:a SIP/2.0\r\nCSeq: 1 BYE\r\n\r\n").unwrap_err(),
            SipError::Missing("Call-ID")
        );
    }

    proptest! {
        #[test]
        fn never_panics(cut in 0usize..200, at in 0usize..150, with in any::<u8>()) {
            let mut b = INVITE.to_vec();
            if let Some(x) = b.get_mut(at) { *x = with; }
            b.truncate(cut.max(1));
            let _ = parse(&b);
        }
    }
}
