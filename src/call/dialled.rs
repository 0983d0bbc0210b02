//! Digits dialled by SIP INFO: `application/dtmf-relay`, `application/dtmf`, and what Nortel made of it.

use super::dialog::Dialog;
use super::offer::Side;
use crate::limits::DIGITS_PER_DIALOG;
use crate::time::CaptureTime;
use crate::wire::multipart;
use crate::wire::sip::Message;

/// A digit in signalling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialled {
    /// When.
    pub at: CaptureTime,
    /// By whom.
    pub side: Side,
    /// One of `0123456789*#ABCD`.
    pub key: char,
    /// The request: it may be heard again.
    cseq: u32,
}

impl Dialog {
    /// Takes the digits of an INFO.
    pub(super) fn dial(&mut self, m: &Message<'_>, at: CaptureTime, side: Side, cseq: u32) {
        let again = self.dialled.iter().any(|d| d.cseq == cseq && d.side == side);
        if again || self.dialled.len() >= DIGITS_PER_DIALOG {
            return;
        }
        for part in multipart::parts(m) {
            for key in digits(&part.content_type, &part.body) {
                self.dialled.push(Dialled { at, side, key, cseq });
            }
        }
    }
}

/// Digits of one INFO that are taken: some send a whole number at once.
const AT_ONCE: usize = 32;

fn digits(content_type: &str, body: &[u8]) -> Vec<char> {
    let text = String::from_utf8_lossy(body);
    let value = |name: &str| {
        let of = |l: &str| {
            let (n, v) = l.split_once('=')?;
            n.trim().eq_ignore_ascii_case(name).then(|| v.trim().to_owned())
        };
        text.lines().find_map(of)
    };
    let told = match content_type {
        "application/dtmf-relay" => value("signal"),
        "application/dtmf" => value("signal").or_else(|| Some(text.trim().to_owned())),
        "application/vnd.nortelnetworks.digits" => value("d"),
        _ => None,
    };
    let told = told.unwrap_or_default();
    // Event numbers of RFC 4733, where the sign has none of its own.
    match told.as_str() {
        "10" => return vec!['*'],
        "11" => return vec!['#'],
        _ => {}
    }
    let key = |c: char| Some(c.to_ascii_uppercase()).filter(|c| "0123456789*#ABCD".contains(*c));
    told.chars().filter_map(key).take(AT_ONCE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_every_form() {
        let of = |t: &str, b: &str| digits(t, b.as_bytes()).into_iter().collect::<String>();
        assert_eq!(of("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"), "5");
        assert_eq!(of("application/dtmf-relay", "Signal= *\nDuration= 250"), "*");
        assert_eq!(of("application/dtmf-relay", "signal=11"), "#");
        assert_eq!(of("application/dtmf", "d\r\n"), "D");
        assert_eq!(of("application/vnd.nortelnetworks.digits", "p=Digit-Collection\ny=Digits\nd=8"), "8");
        assert_eq!(of("text/plain", "5"), "");
    }
}
