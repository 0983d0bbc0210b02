//! What tells that two dialogs are legs of one session: identifiers that gateways and B2BUAs pass on.

use crate::wire::sip::Message;

/// Tokens of one dialog that are kept; Session-ID changes its second half with each transfer.
pub(super) const TOKENS: usize = 32;

/// An identifier of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Token {
    /// Both halves of a Session-ID (RFC 7989), in order: this session, between these two ends, and no other.
    Session(String),
    /// An identifier that transfers and consultations take along: one session only while it is being set up.
    Call(String),
    /// The Call-ID of another leg.
    CallId(String),
}

impl Token {
    /// The token as a key.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Session(t) => format!("id {t}"),
            Self::Call(t) => format!("call {t}"),
            Self::CallId(t) => format!("leg {t}"),
        }
    }
}

/// Headers that hold an identifier which all legs of a call carry: Avaya, Cisco, Genesys, IMS charging, and load and
/// billing systems.
const OF_CALL: [&str; 8] = [
    "x-ucid",
    "x-avaya-ucid",
    "cisco-guid",
    "x-cisco-guid",
    "x-genesys-calluuid",
    "p-charging-vector",
    "x-correlation-id",
    "x-call-uuid",
];

/// Headers that hold the Call-ID of the leg before, or one name for all legs.
const OF_LEG: [&str; 5] = ["x-cid", "x-call-id", "x-original-call-id", "x-orig-call-id", "x-leg-call-id"];

/// The tokens of a message.
pub(super) fn tokens(m: &Message<'_>) -> Vec<Token> {
    let mut out = Vec::new();
    out.extend(m.text("session-id").and_then(|v| session(&v)));
    for name in OF_CALL {
        let value = m.text(name).map(|v| match name {
            // icid-value names the session; its other parameters change from hop to hop (RFC 7315, 4.6).
            "p-charging-vector" => parameter(&v, "icid-value").unwrap_or_default(),
            _ => v.trim().to_ascii_lowercase(),
        });
        // What is shorter is no identifier of a call among all calls.
        out.extend(value.filter(|v| v.len() >= 8).map(Token::Call));
    }
    out.extend(m.all("user-to-user").filter_map(ucid).map(Token::Call));
    for name in OF_LEG {
        let value = m.text(name).map(|v| v.trim().trim_matches(['<', '>', '"']).to_owned());
        out.extend(value.filter(|v| v.len() >= 4).map(Token::CallId));
    }
    out
}

/// `uuid;remote=uuid`: both halves in order, when both are there. RFC 7329 had one for both ends.
fn session(value: &str) -> Option<Token> {
    let (local, rest) = value.split_once(';').unwrap_or((value, ""));
    let local = local.trim().to_ascii_lowercase();
    let uuid = |u: &String| u.len() == 32 && u.bytes().all(|b| b.is_ascii_hexdigit());
    let nil = |u: &String| u.bytes().all(|b| b == b'0');
    if !uuid(&local) {
        return None;
    }
    match parameter(rest, "remote") {
        Some(remote) if uuid(&remote) && !nil(&remote) && !nil(&local) => {
            let (a, b) = if local <= remote { (local, remote) } else { (remote, local) };
            Some(Token::Session(format!("{a} {b}")))
        }
        // Nobody has answered yet: the caller's half alone, on all legs that are begun for it.
        Some(remote) if nil(&remote) && !nil(&local) => Some(Token::Call(local)),
        Some(_) => None,
        None => Some(Token::Call(local)).filter(|_| !value.contains("remote")),
    }
}

fn parameter(text: &str, name: &str) -> Option<String> {
    let find = |p: &str| {
        let (n, v) = p.split_once('=')?;
        n.trim().eq_ignore_ascii_case(name).then(|| v.trim().trim_matches('"').to_ascii_lowercase())
    };
    text.split(';').find_map(find)
}

/// Avaya's Universal Call Identifier in User-to-User: `00FA08` and 16 digits, in hexadecimal.
fn ucid(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    let hex = text.split(';').next()?.trim();
    let at = hex.find("fa08")?;
    let id = hex.get(at + 4..at + 20)?;
    id.bytes().all(|b| b.is_ascii_hexdigit()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip;

    const A: &str = "ab30317f1a784dc48ff824d0d3715d86";
    const B: &str = "47755a9de7794ba387653f2099600ef2";

    fn of(headers: &str) -> Vec<Token> {
        let text = format!("INVITE sip:b SIP/2.0\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{headers}\r\n\r\n");
        tokens(&sip::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn both_halves_of_a_session_id_in_either_order() {
        let whole = of(&format!("Session-ID: {A};remote={B}"));
        assert_eq!(whole.len(), 1);
        assert_eq!(whole, of(&format!("Session-ID: {B} ; remote={}", A.to_uppercase())));
        let begun = of(&format!("Session-ID: {A};remote=00000000000000000000000000000000"));
        assert_eq!(begun, [Token::Call(A.to_owned())]);
        assert!(of(&format!("Session-ID: {0};remote={0}", "0".repeat(32))).is_empty());
        assert_eq!(of(&format!("Session-ID: {A}")), [Token::Call(A.to_owned())]);
        assert!(of("Session-ID: 7").is_empty());
    }

    #[test]
    fn identifiers_of_vendors() {
        let ucid = Token::Call("0001049215812345".to_owned());
        assert_eq!(of("User-to-User: 00FA080001049215812345;encoding=hex"), [ucid]);
        assert_eq!(of("X-CID: one@b"), [Token::CallId("one@b".to_owned())]);
        let icid = [Token::Call("1234bc9876e".to_owned())];
        assert_eq!(of("P-Charging-Vector: icid-value=\"1234bc9876e\";icid-generated-at=192.0.6.8"), icid);
    }
}
