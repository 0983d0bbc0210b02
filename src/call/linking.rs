//! What of a dialog another call may know it by: transfers, replacements, redirections, and identifiers of a session that
//! several dialogs carry.
//!
//! Nothing here looks for the other call: it may be sealed already, or begin in an hour. The ledger brings both together
//! (docs/decisions/0011-links.md).

use super::dialog::{Dialog, Heard};
use super::offer::Side;
use super::record::Reference;
use super::roster::Roster;
use super::session_id::{self, Token};
use super::switchboard::LegId;
use crate::limits::REFERENCES_PER_DIALOG;
use crate::time::CaptureTime;
use crate::wire::bib::Bib;
use crate::wire::sip::Message;
use crate::wire::sip_name::NameAddr;

/// Calls that follow from one another do so within a minute.
const SOON_S: u32 = 60;

/// A leg of the same call begins within moments.
const AT_ONCE_S: u32 = 5;

/// References by a number that a platform has given: those come again after a restart of it.
const WHILE_S: u32 = 14_400;

/// A Call-ID is unique; load generators count from 1 again the next day.
pub(super) const DAY_S: u32 = 86_400;

impl Dialog {
    /// Takes what a message of the dialog says of other calls.
    pub(super) fn refer(&mut self, heard: &Heard<'_>, side: Side) {
        let (m, at) = (heard.message, heard.at);
        match (m.method(), m.status()) {
            (b"INVITE", None) => {
                if tag(m, "to").is_none() {
                    self.begun(heard);
                }
                self.session(m, at);
            }
            (b"INVITE", Some(300..=399)) => {
                let from = user(self.from.user());
                for c in m.all("contact").filter_map(|c| NameAddr::parse(c).user().map(str::to_owned)) {
                    self.names("redirect", format!("call {from} {}", user(Some(&c))), at, SOON_S);
                }
            }
            (b"INVITE", Some(_)) | (b"UPDATE", _) => self.session(m, at),
            (b"REFER", None) => self.referral(m, at, side),
            _ => {}
        }
    }

    /// The first INVITE: whom it calls, and what it follows from.
    fn begun(&mut self, heard: &Heard<'_>) {
        let (m, at) = (heard.message, heard.at);
        for (header, why) in [("replaces", "replaces"), ("join", "join"), ("target-dialog", "transfer")] {
            if let Some(call_id) = m.text(header).and_then(|v| Some(v.split(';').next()?.trim().to_owned())) {
                let told = !call_id.is_empty() && self.dialog_named(why, &call_id, at);
                if told && header != "target-dialog" {
                    self.note(at, why, format!("the dialog {call_id}"));
                }
            }
        }
        if self.is_recording_session() {
            return;
        }
        let from = user(self.from.user());
        let asked = m.start_line.split(|c| *c == b' ').nth(1).unwrap_or_default();
        let asked = user(NameAddr::parse(asked).user());
        let to = user(self.to.user());
        self.is(format!("call {from} {asked}"), at, SOON_S);
        if asked != to {
            self.is(format!("call {from} {to}"), at, SOON_S);
        }
        if let Some(by) = m.text("referred-by") {
            let by = user(NameAddr::parse(by.as_bytes()).user());
            self.is(format!("referred {by} {asked}"), at, SOON_S);
        }
        // The same call on its way from host to host.
        let [source, destination] = [heard.source, heard.destination].map(|e| e.with_port(0));
        self.is(format!("leg {from} {to} {destination}"), at, AT_ONCE_S);
        self.names("same-session", format!("leg {from} {to} {source}"), at, AT_ONCE_S);
    }

    /// REFER (RFC 3515): the one who gets it will call the target, perhaps in place of another dialog (RFC 3891).
    fn referral(&mut self, m: &Message<'_>, at: CaptureTime, side: Side) {
        let target = NameAddr::parse(m.header("refer-to").unwrap_or_default());
        if let Some(call_id) = replaced(&target.uri) {
            self.dialog_named("transfer", &call_id, at);
        }
        if let Some(v) = m.text("target-dialog") {
            let call_id = v.split(';').next().unwrap_or_default().trim().to_owned();
            self.dialog_named("transfer", &call_id, at);
        }
        let target = user(target.user());
        let referrer = if side == Side::Caller { self.from.user() } else { self.to.user() };
        let transferee = if side == Side::Caller { self.to.user() } else { self.from.user() };
        let (referrer, transferee) = (user(referrer), user(transferee));
        let by = m.text("referred-by").map(|b| user(NameAddr::parse(b.as_bytes()).user()));
        self.names("transfer", format!("call {transferee} {target}"), at, SOON_S);
        self.names("transfer", format!("referred {referrer} {target}"), at, SOON_S);
        if let Some(by) = by.filter(|b| *b != referrer) {
            self.names("transfer", format!("referred {by} {target}"), at, SOON_S);
        }
    }

    /// Identifiers of the session that other dialogs carry as well.
    fn session(&mut self, m: &Message<'_>, at: CaptureTime) {
        for token in session_id::tokens(m) {
            if let Token::CallId(c) = &token {
                self.dialog_named("same-session", c, at);
            }
            if self.tokens.len() < session_id::TOKENS && !self.tokens.contains(&token) {
                self.both("same-session", format!("session {}", token.text()), "", at, DAY_S);
                self.tokens.push(token);
            }
        }
    }

    /// A Built-in Bridge: the same call after a hold, and the call of the agent at the other end, whose references are ours
    /// the other way round.
    pub(super) fn refer_bridge(&mut self, b: &Bib, at: CaptureTime) {
        let cluster = b.near_cluster.as_deref().unwrap_or_default();
        let device = b.near_device.as_deref().or(b.near_address.as_deref()).unwrap_or_default();
        if b.refci.is_empty() {
            return;
        }
        self.both("resumed", format!("recorded {} {device} {cluster}", b.refci), "", at, WHILE_S);
        if let Some(far) = b.far_refci.as_deref().filter(|f| *f != b.refci) {
            let (low, high) =
                if far < b.refci.as_str() { (far, b.refci.as_str()) } else { (b.refci.as_str(), far) };
            self.both("agents", format!("agents {low} {high}"), &b.refci, at, WHILE_S);
        }
    }

    fn dialog_named(&mut self, why: &str, call_id: &str, at: CaptureTime) -> bool {
        if call_id.is_empty() || call_id == self.call_id {
            return false;
        }
        self.put(Reference {
            why: Some(why.to_owned()),
            call_id: Some(call_id.to_owned()),
            key: None,
            side: String::new(),
            at,
            within_s: DAY_S,
        })
    }

    /// This is what the other call says of it.
    fn is(&mut self, key: String, at: CaptureTime, within_s: u32) {
        self.put(Reference { why: None, call_id: None, key: Some(key), side: "is".to_owned(), at, within_s });
    }

    /// This is said of the other call.
    fn names(&mut self, why: &str, key: String, at: CaptureTime, within_s: u32) {
        let why = Some(why.to_owned());
        self.put(Reference { why, call_id: None, key: Some(key), side: "names".to_owned(), at, within_s });
    }

    /// Both calls say it; `side`: when only another side of it is the other call.
    fn both(&mut self, why: &str, key: String, side: &str, at: CaptureTime, within_s: u32) {
        let why = Some(why.to_owned());
        self.put(Reference { why, call_id: None, key: Some(key), side: side.to_owned(), at, within_s });
    }

    fn put(&mut self, new: Reference) -> bool {
        let known = self.references.iter().any(|r| Reference { at: new.at, ..r.clone() } == new);
        let long = |t: &Option<String>| t.as_ref().is_some_and(|t| t.len() > 300);
        if known || long(&new.key) || long(&new.call_id) || self.references.len() >= REFERENCES_PER_DIALOG {
            return false;
        }
        self.references.push(new);
        true
    }
}

impl Roster {
    /// The dialog that a REFER outside dialogs is about (RFC 4538): it is kept with that.
    pub(super) fn target_of(&self, m: &Message<'_>) -> Option<LegId> {
        if !m.is_request("REFER") || self.by_call_id.contains_key(m.call_id()) {
            return None;
        }
        let target = m.header("target-dialog")?.split(|c| *c == b';').next()?;
        self.by_call_id.get(target.trim_ascii()).copied()
    }
}

fn tag(m: &Message<'_>, header: &str) -> Option<String> {
    NameAddr::parse(m.header(header).unwrap_or_default()).tag().map(str::to_owned)
}

/// A user part as keys have it: numbers are written with and without a plus.
fn user(u: Option<&str>) -> String {
    u.unwrap_or_default().trim_start_matches('+').to_ascii_lowercase()
}

/// The Call-ID of the dialog that the call to this URI shall replace: `sip:c@h?Replaces=id%40h%3Bto-tag%3D…`.
fn replaced(uri: &str) -> Option<String> {
    let headers = uri.split_once('?')?.1;
    let find = |h: &str| {
        let (name, value) = h.split_once('=')?;
        name.eq_ignore_ascii_case("replaces").then(|| unescaped(value))
    };
    let value = headers.split('&').find_map(find)?;
    Some(value.split(';').next()?.trim().to_owned()).filter(|c| !c.is_empty())
}

/// `%40` is `@` (RFC 3261, 19.1.2).
fn unescaped(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        let mut ahead = bytes.clone();
        let hex = |d: Option<u8>| d.and_then(|d| char::from(d).to_digit(16));
        match (b, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                bytes = ahead;
            }
            _ => out.push(b),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_in_a_refer_to() {
        assert_eq!(
            replaced("sip:c@h;x=1?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&Require=replaces").as_deref(),
            Some("a@b")
        );
        assert_eq!(replaced("sip:c@h?replaces=a@b;to-tag=1").as_deref(), Some("a@b"));
        assert_eq!(replaced("sip:c@h"), None);
        assert_eq!(unescaped("%4g%"), "%4g%");
    }
}
