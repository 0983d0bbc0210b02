//! Transfer encodings of MIME (RFC 2045, 6): SIP needs none, and some put the metadata of a call in one all the same.

use std::borrow::Cow;

/// The bytes that `body` stands for in this encoding.
pub(super) fn decoded<'a>(encoding: &[u8], body: &'a [u8]) -> Cow<'a, [u8]> {
    match encoding.trim_ascii().to_ascii_lowercase().as_slice() {
        b"base64" => Cow::Owned(base64(body)),
        b"quoted-printable" => Cow::Owned(quoted_printable(body)),
        _ => Cow::Borrowed(body),
    }
}

/// What is no digit is passed over, as line ends are; the first `=` ends it.
fn base64(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() / 4 * 3);
    let (mut bits, mut n) = (0u32, 0);
    for c in body.iter().take_while(|c| **c != b'=') {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(digit);
        n += 6;
        if n >= 8 {
            n -= 8;
            out.push((bits >> n & 0xff) as u8);
        }
    }
    out
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let hex = |c: Option<&u8>| c.and_then(|c| char::from(*c).to_digit(16));
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'=' {
            out.push(*first);
        } else if let (Some(a), Some(b)) = (hex(after.first()), hex(after.get(1))) {
            out.push((a << 4 | b) as u8);
            rest = after.get(2..).unwrap_or_default();
        } else if let Some(next) = after.strip_prefix(b"\r\n").or(after.strip_prefix(b"\n")) {
            rest = next; // a soft line end
        } else {
            out.push(b'=');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encodings_undone() {
        assert_eq!(decoded(b" Base64 ", b"djBX\r\nYQ==\r\n").as_ref(), b"v0Wa");
        assert_eq!(decoded(b"quoted-printable", b"a=3D1=\r\n=C3=BC=").as_ref(), "a=1ü=".as_bytes());
        assert_eq!(decoded(b"8bit", b"a=3D").as_ref(), b"a=3D");
    }
}
