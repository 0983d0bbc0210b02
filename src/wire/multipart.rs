//! MIME bodies (RFC 2046, 5.1): SDP and recording metadata side by side.
//!
//! Boundaries are the part of SIPREC that vendors get wrong most: foreign ones, ones with blanks behind them, none at
//! the end, none declared. So a delimiter is what the header names, and any line that begins with `--` and has a MIME
//! header behind it; neither SDP nor XML has such a line.

use super::sip::Message;
use super::transfer::decoded;
use memchr::memmem;
use std::borrow::Cow;

/// A body with its content type in lower case, without parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// `application/sdp`; empty when nothing tells.
    pub content_type: String,
    /// The bytes, their transfer encoding undone.
    pub body: Cow<'a, [u8]>,
}

/// Parts that are looked at: SIPREC sends two or three.
const MAX_PARTS: usize = 32;

/// Delimiters without and with a boundary of their own that a body may have.
const MAX_BOUNDARIES: usize = 8;

const SDP: &str = "application/sdp";
const METADATA: &str = "application/rs-metadata+xml";

impl Part<'_> {
    /// Is it recording metadata (RFC 7866, 9.1)? A request for it, `application/rs-metadata-request`, is none; what
    /// has another type of XML or of nothing in particular is told by its namespace.
    #[must_use]
    pub fn is_recording_metadata(&self) -> bool {
        match self.content_type.as_str() {
            "application/rs-metadata" | METADATA => true,
            t => {
                (t.contains("xml") || t == "text/plain" || t == "application/octet-stream")
                    && names_it(&self.body)
            }
        }
    }
}

/// The bodies of a message: one, or the parts of a multipart body.
#[must_use]
pub fn parts<'a>(message: &Message<'a>) -> Vec<Part<'a>> {
    let value = message.header("content-type").unwrap_or_default();
    let content_type = bare(value);
    let body = message.body;
    if body.trim_ascii().is_empty() {
        return Vec::new();
    }
    let several = content_type.starts_with("multipart/");
    // Somebody forgot to say that it is multipart.
    if several || opens(body) {
        let found = split(body, &boundary(value));
        if !found.is_empty() {
            return found;
        }
    }
    let content_type =
        if several || content_type.is_empty() { sniffed(body).to_owned() } else { content_type };
    if several && content_type.is_empty() {
        return Vec::new();
    }
    let encoding = message.header("content-transfer-encoding").unwrap_or_default();
    vec![Part { content_type, body: decoded(encoding, body) }]
}

/// Does the body begin with a delimiter and a MIME header?
fn opens(body: &[u8]) -> bool {
    let mut lines = Lines { body, at: 0 }.filter(|(_, l)| !l.is_empty());
    let (first, second) = (lines.next(), lines.next());
    first.is_some_and(|(_, l)| l.len() > 2 && l.starts_with(b"--"))
        && second.is_some_and(|(_, l)| is_mime_header(l))
}

fn split<'a>(body: &'a [u8], named: &[u8]) -> Vec<Part<'a>> {
    let mut known: Vec<&[u8]> = vec![named];
    let mut out = Vec::new();
    let mut open: Option<usize> = None;
    let mut lines = Lines { body, at: 0 }.peekable();
    let mut first = true;
    while let Some((at, line)) = lines.next() {
        let next = lines.peek();
        let from = next.map_or(body.len(), |n| n.0);
        let Some(rest) = line.strip_prefix(b"--").filter(|r| !r.is_empty()) else {
            first &= line.is_empty();
            continue;
        };
        let whole = rest.strip_suffix(b"--").unwrap_or(rest);
        let is_known = |b: &[u8]| !b.is_empty() && known.contains(&b);
        let closes = !is_known(rest) && is_known(whole);
        if !(closes || is_known(rest) || first || next.is_some_and(|n| is_mime_header(n.1))) {
            continue;
        }
        first = false;
        if known.len() < MAX_BOUNDARIES && !closes && !is_known(rest) {
            known.push(rest);
        }
        if let Some(begins) = open.take() {
            out.extend(body.get(begins..at).and_then(part));
        }
        if out.len() >= MAX_PARTS {
            return out;
        }
        open = (!closes).then_some(from);
    }
    // The closing delimiter is missing.
    out.extend(open.and_then(|begins| body.get(begins..)).and_then(part));
    out
}

/// Headers, a blank line, a body. Both may be missing: the body begins where no header is.
fn part(piece: &[u8]) -> Option<Part<'_>> {
    let mut headers: Vec<(&[u8], Vec<u8>)> = Vec::new();
    let mut at = piece.len();
    for (from, line) in (Lines { body: piece, at: 0 }) {
        let raw = piece.get(from..).unwrap_or_default();
        if line.is_empty() {
            at = from + memchr::memchr(b'\n', raw).map_or(raw.len(), |i| i + 1);
            break;
        }
        let folded = headers.last_mut().filter(|_| matches!(raw.first(), Some(b' ' | b'\t')));
        let colon = memchr::memchr(b':', line).filter(|c| is_token(line.get(..*c)));
        match (folded, colon) {
            (Some(h), _) => h.1.extend(line),
            (None, Some(c)) => headers.push((line.get(..c)?.trim_ascii(), line.get(c + 1..)?.to_vec())),
            (None, None) => {
                at = from;
                break;
            }
        }
    }
    let header = |names: [&str; 2]| {
        let is = |n: &[u8]| names.iter().any(|x| n.eq_ignore_ascii_case(x.as_bytes()));
        headers.iter().find(|h| is(h.0)).map(|h| h.1.as_slice())
    };
    let encoding = header(["content-transfer-encoding", ""]).unwrap_or_default();
    let body = decoded(encoding, piece.get(at..)?);
    let content_type = header(["content-type", "c"]).map(bare).filter(|t| !t.is_empty());
    let content_type = content_type.unwrap_or_else(|| sniffed(&body).to_owned());
    // A multipart body within one: its parts have been found as parts of the whole.
    let within = content_type.starts_with("multipart/") && body.trim_ascii().is_empty();
    (!within).then_some(Part { content_type, body })
}

fn is_mime_header(line: &[u8]) -> bool {
    line.get(..8).is_some_and(|l| l.eq_ignore_ascii_case(b"content-")) && line.contains(&b':')
}

fn is_token(name: Option<&[u8]>) -> bool {
    let name = name.unwrap_or_default().trim_ascii_end();
    !name.is_empty() && name.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'))
}

/// What a body is that has no type.
fn sniffed(body: &[u8]) -> &'static str {
    let begins = body.trim_ascii_start();
    if begins.starts_with(b"v=0") {
        SDP
    } else if begins.contains(&b'<') && names_it(begins) {
        METADATA
    } else {
        ""
    }
}

/// Does XML name a namespace of recording metadata? The front of it is enough.
fn names_it(body: &[u8]) -> bool {
    let front = body.get(..4096).unwrap_or(body);
    [&b"params:xml:ns:recording"[..], b"params:xml:ns:siprec"]
        .iter()
        .any(|n| memmem::find(front, n).is_some())
}

fn bare(value: &[u8]) -> String {
    let v = value.split(|&c| c == b';').next().unwrap_or_default();
    String::from_utf8_lossy(v.trim_ascii()).to_ascii_lowercase()
}

/// The boundary that the header names; in quotes it may hold any character.
fn boundary(value: &[u8]) -> Vec<u8> {
    let lower = value.to_ascii_lowercase();
    let Some(at) = memmem::find(&lower, b"boundary") else { return Vec::new() };
    let v = value.get(at + 8..).unwrap_or_default().trim_ascii_start();
    let Some(v) = v.strip_prefix(b"=").map(<[u8]>::trim_ascii_start) else { return Vec::new() };
    let (v, ends): (_, &[u8]) = v.strip_prefix(b"\"").map_or((v, b";"), |q| (q, b"\""));
    v.split(|c| ends.contains(c)).next().unwrap_or_default().trim_ascii().to_vec()
}

/// Lines without the blanks around them, and where they begin.
struct Lines<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.body.get(self.at..).filter(|r| !r.is_empty())?;
        let from = self.at;
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at += (end + 1).min(rest.len());
        Some((from, rest.get(..end)?.trim_ascii()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sip;
    use super::*;

    fn message(header: &str, body: &str) -> Vec<(String, String)> {
        let m = format!(
            "INVITE sip:b SIP/2.0\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Type: {header}\r\n\r\n{body}"
        );
        let m = sip::parse(m.as_bytes()).unwrap();
        parts(&m)
            .into_iter()
            .map(|p| (p.content_type, String::from_utf8_lossy(&p.body).trim().to_owned()))
            .collect()
    }

    const BODY: &str = "preamble\r\n--b1 \r\nContent-Type: application/SDP\r\n\r\nv=0\r\n--b1\r\nContent-Disposition: recording-session\r\ncontent-type: application/rs-metadata+xml;charset=utf-8\r\n\r\n<x/>\r\n--b1--\r\n";

    fn owned(want: &[(&str, &str)]) -> Vec<(String, String)> {
        want.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn sdp_and_metadata() {
        let want = owned(&[("application/sdp", "v=0"), ("application/rs-metadata+xml", "<x/>")]);
        assert_eq!(message("multipart/mixed;boundary=b1", BODY), want);
        assert_eq!(message("multipart/mixed; Boundary = \"b1\"; q=1", BODY), want);
        assert_eq!(message("multipart/mixed;boundary=foreign", BODY), want);
        assert_eq!(message("multipart/mixed", BODY), want);
        assert_eq!(message("multipart/mixed;boundary=b1", &BODY.replace("\r\n", "\n")), want);
        assert_eq!(message("multipart/mixed;boundary=b1", BODY.strip_suffix("--b1--\r\n").unwrap()), want);
    }

    #[test]
    fn oracle_has_a_stray_part_of_a_foreign_boundary() {
        let body = "--u1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\na=1\r\n--other\r\nContent-Type: application/sdp\r\n\r\nv=0\r\na=2\r\n--u1\r\nContent-Type: application/rs-metadata\r\n\r\n<x>--\r\n-- no\r\n</x>\r\n--u1--\r\n";
        let want = owned(&[
            ("application/sdp", "v=0\r\na=1"),
            ("application/sdp", "v=0\r\na=2"),
            ("application/rs-metadata", "<x>--\r\n-- no\r\n</x>"),
        ]);
        assert_eq!(message("multipart/mixed; boundary=u1", body), want);
    }

    #[test]
    fn a_part_without_a_blank_line_or_a_type_and_one_of_parts() {
        let xml = "<recording xmlns='urn:ietf:params:xml:ns:recording:1'/>";
        let body = format!(
            "--a;b\r\nContent-Type:\r\n application/sdp\r\nv=0\r\n--a;b\r\nContent-Type: multipart/related;boundary=in\r\n\r\n--in\r\n\r\n{xml}\r\n--in--\r\n--a;b--\r\n"
        );
        let got = message("multipart/mixed;boundary=\"a;b\"", &body);
        assert_eq!(got[0], ("application/sdp".to_owned(), "v=0".to_owned()));
        let xml = message("text/xml", xml);
        assert!(
            Part { content_type: xml[0].0.clone(), body: xml[0].1.as_bytes().into() }.is_recording_metadata()
        );
        let asks =
            Part { content_type: "application/rs-metadata-request".to_owned(), body: Cow::Borrowed(b"") };
        assert!(!asks.is_recording_metadata());
    }

    #[test]
    fn a_plain_body_is_one_part() {
        assert_eq!(message("application/sdp", "v=0"), owned(&[("application/sdp", "v=0")]));
        assert_eq!(message("", "v=0"), owned(&[("application/sdp", "v=0")]));
        assert_eq!(message("multipart/mixed;boundary=b", "no delimiter"), []);
        assert_eq!(message("multipart/mixed;boundary=b", "v=0"), owned(&[("application/sdp", "v=0")]));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(body in "(--b|--|\r\n|\n|:|content-type|v=0|b1| |;|<x){0,40}", kind in "(multipart/mixed|;boundary=|\"|b|a/b){0,6}") {
            let _ = message(&kind, &body);
        }
    }
}
