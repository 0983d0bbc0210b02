//! MIME bodies (RFC 2046, 5.1): SDP and recording metadata side by side.

use super::sip::Message;
use memchr::memmem;

/// A body with its content type in lower case, without parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// `application/sdp`.
    pub content_type: String,
    /// The bytes.
    pub body: &'a [u8],
}

/// Parts that are looked at: SIPREC sends two or three.
const MAX_PARTS: usize = 32;

/// The bodies of a message: one, or the parts of a multipart body.
///
/// The boundary of the header is believed unless it is not in the body (Oracle sends a foreign one): then the
/// body's own first delimiter line is taken.
#[must_use]
pub fn parts<'a>(message: &Message<'a>) -> Vec<Part<'a>> {
    let value = message.header("content-type").unwrap_or_default();
    let content_type = bare(value);
    if message.body.is_empty() {
        return Vec::new();
    }
    if !content_type.starts_with("multipart/") {
        return vec![Part { content_type, body: message.body }];
    }
    let text = String::from_utf8_lossy(value);
    let named =
        super::sip_name::param(text.split_once(';').map_or("", |p| p.1), "boundary").unwrap_or_default();
    let mut delimiter = [b"--", named.as_bytes()].concat();
    if named.is_empty() || memmem::find(message.body, &delimiter).is_none() {
        let own = message.body.split(|&c| c == b'\n').map(<[u8]>::trim_ascii).find(|l| l.starts_with(b"--"));
        match own {
            Some(l) if l.len() > 2 => delimiter = l.to_vec(),
            _ => return Vec::new(),
        }
    }
    split(message.body, &delimiter)
}

fn split<'a>(body: &'a [u8], delimiter: &[u8]) -> Vec<Part<'a>> {
    let mut starts: Vec<usize> = memmem::find_iter(body, delimiter)
        .filter(|&at| at == 0 || body.get(at - 1) == Some(&b'\n'))
        .take(MAX_PARTS)
        .collect();
    starts.push(body.len());
    let mut out = Vec::new();
    for w in starts.windows(2) {
        let [a, z] = *w else { continue };
        let piece = body.get(a + delimiter.len()..z).unwrap_or_default();
        let Some(eol) = memchr::memchr(b'\n', piece) else {
            continue;
        };
        if piece.starts_with(b"--") {
            break;
        }
        let piece = piece.get(eol + 1..).unwrap_or_default();
        let (head, body) = match (memmem::find(piece, b"\r\n\r\n"), memmem::find(piece, b"\n\n")) {
            (Some(c), l) if l.is_none_or(|l| c < l) => (piece.get(..c), piece.get(c + 4..)),
            (_, Some(l)) => (piece.get(..l), piece.get(l + 2..)),
            _ => continue,
        };
        let content_type = head
            .unwrap_or_default()
            .split(|&c| c == b'\n')
            .find_map(|l| l.get(..13).filter(|n| n.eq_ignore_ascii_case(b"content-type:")).and(l.get(13..)))
            .map(bare)
            .unwrap_or_default();
        out.push(Part { content_type, body: body.unwrap_or_default() });
    }
    out
}

fn bare(value: &[u8]) -> String {
    let v = value.split(|&c| c == b';').next().unwrap_or_default();
    String::from_utf8_lossy(v.trim_ascii()).to_ascii_lowercase()
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
            .map(|p| (p.content_type, String::from_utf8_lossy(p.body).trim().to_owned()))
            .collect()
    }

    const BODY: &str = "preamble\r\n--b1 \r\nContent-Type: application/SDP\r\n\r\nv=0\r\n--b1\r\nContent-Disposition: recording-session\r\ncontent-type: application/rs-metadata+xml;charset=utf-8\r\n\r\n<x/>\r\n--b1--\r\n";

    #[test]
    fn sdp_and_metadata() {
        let want = [("application/sdp", "v=0"), ("application/rs-metadata+xml", "<x/>")];
        let want: Vec<_> = want.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(message("multipart/mixed;boundary=b1", BODY), want);
        assert_eq!(message("multipart/mixed; boundary=\"b1\"", BODY), want);
        assert_eq!(message("multipart/mixed;boundary=foreign", BODY), want);
        assert_eq!(message("multipart/mixed", BODY), want);
    }

    #[test]
    fn a_plain_body_is_one_part() {
        assert_eq!(message("application/sdp", "v=0"), [("application/sdp".to_owned(), "v=0".to_owned())]);
        assert_eq!(message("multipart/mixed;boundary=b", "no delimiter"), []);
    }
}
