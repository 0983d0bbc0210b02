//! One dialog (RFC 3261, 12): a state machine over the messages of one Call-ID.
//!
//! It is fed in order of capture, by the tap while the call is up and by the finisher from the spool, and comes to
//! the same state in both. It keys on the Call-ID and forgives the rest: tags that are missing, an ACK or BYE whose
//! CSeq names another method, messages that were never captured.

mod weight;

use super::bridge::FarEnd;
use super::dialled::Dialled;
use super::offer::{Negotiation, Side};
use super::record::{Cause, Event, Reference};
use super::session::Pending;
use super::session_id::Token;
use crate::time::CaptureTime;
use crate::wire::bib::Bib;
use crate::wire::endpoint::Endpoint;
use crate::wire::multipart::{self, Part};
use crate::wire::sip::Message;
use crate::wire::sip_name::NameAddr;

/// A message with when and between whom it was heard.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// When its last byte was captured.
    pub at: CaptureTime,
    /// Who sent it.
    pub source: Endpoint,
    /// Who received it.
    pub destination: Endpoint,
    /// The message.
    pub message: &'a Message<'a>,
}

/// A stretch of the dialog without sound because somebody wanted it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// From the offer that asked for it.
    pub from: CaptureTime,
    /// To the offer that ended it; `None` while it lasts.
    pub to: Option<CaptureTime>,
    /// Hold, or pause of a recording session.
    pub cause: Cause,
    /// Only this m= line of a recording session; `None`: all of the sound.
    pub line: Option<usize>,
}

/// State of one dialog.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// Call-ID; bytes that are not UTF-8 are replaced.
    pub call_id: String,
    /// From of the first request: the caller.
    pub from: NameAddr,
    /// To of the first request: the callee.
    pub to: NameAddr,
    /// Where the caller signals from, and the callee (the recorder, in a recording session).
    pub signalling: [Option<Endpoint>; 2],
    /// Parameters of a Cisco Built-in Bridge.
    pub bib: Option<Bib>,
    /// A recording session of RFC 7866.
    pub siprec: bool,
    /// A recording session of Cisco CUBE, which names the participants in `X-Cisco-Recording-Participant`.
    pub cube: bool,
    /// First message.
    pub first_at: CaptureTime,
    /// Last message.
    pub last_at: CaptureTime,
    /// The first message heard is one of a dialog that was there already: we joined late. Then `answered_at` is that
    /// message's time, and neither the first INVITE nor its answer is known.
    pub late: bool,
    /// Last message that the callee sent from where it is called.
    pub callee_at: Option<CaptureTime>,
    /// First INVITE.
    pub invite_at: Option<CaptureTime>,
    /// First 2xx to an INVITE.
    pub answered_at: Option<CaptureTime>,
    /// First CANCEL.
    pub cancel_at: Option<CaptureTime>,
    /// Last final failure of an INVITE before an answer, and its status.
    pub failed: Option<(CaptureTime, u16)>,
    /// First BYE.
    pub bye_at: Option<CaptureTime>,
    /// Who sent it.
    pub bye_by: Option<Side>,
    /// Who was the far end of a Built-in Bridge, since when.
    pub far_ends: Vec<FarEnd>,
    /// What other calls may know it by.
    pub references: Vec<Reference>,
    /// Digits dialled in its signalling.
    pub dialled: Vec<Dialled>,
    /// Identifiers of its session, which other legs of it carry.
    pub tokens: Vec<Token>,
    /// Offers and answers.
    pub media: Negotiation,
    /// Holds and pauses in order.
    pub holds: Vec<Hold>,
    /// The timeline.
    pub events: Vec<Event>,
    /// Events beyond the limit.
    pub unnoted: u64,
    pub(super) pending: Vec<Pending>,
    /// To tags of the 2xx to INVITE that no BYE has ended.
    answers: Vec<String>,
    /// From tags of the caller's side on further legs: a B2BUA may keep the Call-ID.
    callers: Vec<String>,
}

fn tag_of(m: &Message<'_>, header: &str) -> Option<String> {
    NameAddr::parse(m.header(header).unwrap_or_default()).tag().map(str::to_owned)
}

impl Dialog {
    /// Is this response on its last way to the caller? A proxy on the mirror also hears the branches that failed.
    fn reaches_caller(&self, heard: &Heard<'_>) -> bool {
        let [caller, _] = self.signalling;
        caller.is_none_or(|c| c.same_host(heard.destination))
    }

    /// Does this BYE end a branch of a forked call while another is still up?
    fn is_surplus(&mut self, m: &Message<'_>) -> bool {
        let ends = [tag_of(m, "from"), tag_of(m, "to")];
        self.answers.retain(|a| !ends.iter().flatten().any(|t| t == a));
        ends.iter().all(Option::is_some) && !self.answers.is_empty()
    }

    /// Does this INVITE begin another call under the Call-ID of this one, which has ended?
    #[must_use]
    pub fn is_left_by(&self, m: &Message<'_>) -> bool {
        self.bye_at.is_some()
            && m.is_request("INVITE")
            && tag_of(m, "to").is_none()
            && tag_of(m, "from").as_deref() != self.from.tag()
    }
    /// Begins with the first message heard of it, which [`Dialog::hear`] must be given next.
    #[must_use]
    pub fn new(heard: &Heard<'_>) -> Self {
        let m = heard.message;
        let from = NameAddr::parse(m.header("from").unwrap_or_default());
        let to = NameAddr::parse(m.header("to").unwrap_or_default());
        let ends = (Some(heard.source), Some(heard.destination));
        // The first INVITE has no To tag.
        let within: [&[u8]; 5] = [b"INVITE", b"UPDATE", b"INFO", b"REFER", b"BYE"];
        let asks = m.status().is_none() && within.contains(&m.method());
        let late = to.tag().is_some() && (asks || m.method() == b"BYE");
        let signalling = if m.status().is_some() { [ends.1, ends.0] } else { [ends.0, ends.1] };
        Self {
            call_id: String::from_utf8_lossy(m.call_id()).into_owned(),
            bib: Bib::parse(&from),
            from,
            to,
            signalling,
            siprec: false,
            cube: false,
            first_at: heard.at,
            last_at: heard.at,
            late,
            callee_at: None,
            invite_at: None,
            answered_at: late.then_some(heard.at),
            cancel_at: None,
            failed: None,
            bye_at: None,
            bye_by: None,
            far_ends: Vec::new(),
            references: Vec::new(),
            tokens: Vec::new(),
            dialled: Vec::new(),
            media: Negotiation::default(),
            holds: Vec::new(),
            events: Vec::new(),
            unnoted: 0,
            pending: Vec::new(),
            answers: Vec::new(),
            callers: Vec::new(),
        }
    }

    /// May this message begin a dialog that is worth following? Requests outside calls (OPTIONS, REGISTER…) do not.
    #[must_use]
    pub fn begins_with(message: &Message<'_>) -> bool {
        const OF_CALLS: [&[u8]; 8] =
            [b"INVITE", b"ACK", b"BYE", b"CANCEL", b"UPDATE", b"PRACK", b"INFO", b"REFER"];
        // REFER outside a dialog asks for a call, and is none.
        let refers = message.method() == b"REFER";
        OF_CALLS.contains(&message.method())
            && !(refers && (message.status().is_some() || tag_of(message, "to").is_none()))
    }

    /// Takes a message; says whether it named an address for media that was not known before.
    pub fn hear(&mut self, heard: &Heard<'_>) -> bool {
        let (m, at) = (heard.message, heard.at);
        self.last_at = self.last_at.max(at);
        if self.signalling.get(1) == Some(&Some(heard.source)) {
            self.callee_at = self.callee_at.max(Some(at));
        }
        // A recorder says +sip.srs to everybody: that tells only where the INVITE was not heard.
        let tells = m.status().is_none() || self.invite_at.is_none();
        self.siprec = self.siprec || (tells && is_siprec(m));
        self.know_caller(m);
        let side = self.side_of(heard);
        let cseq = m.cseq().map_or(0, |c| c.0);
        self.note_far_end(heard, side);
        match (m.method(), m.status()) {
            (b"INVITE", None) => {
                if self.invite_at.is_none() && !self.late {
                    self.invite_at = Some(at);
                } else if self.answered_at.is_none() {
                    self.failed = None; // tried again, after a challenge or a redirection
                }
                self.cube |= m.header("x-cisco-recording-participant").is_some();
            }
            (b"INVITE", Some(200..=299)) => {
                if let Some(t) =
                    tag_of(m, "to").filter(|t| !self.answers.contains(t) && self.answers.len() < 16)
                {
                    self.answers.push(t);
                }
                self.answered_at.get_or_insert(at);
            }
            (b"INVITE", Some(code @ 300..)) if self.answered_at.is_none() && self.reaches_caller(heard) => {
                self.failed = Some((at, code));
            }
            (b"CANCEL", None) => {
                self.cancel_at.get_or_insert(at);
            }
            (b"BYE", None) if self.is_surplus(m) => {}
            (b"BYE", None) => {
                self.bye_at.get_or_insert(at);
                self.bye_by.get_or_insert(side);
            }
            // Who is asked for credentials, or refused, has not ended it: another BYE follows, or the call goes on.
            (b"BYE", Some(401 | 403 | 407)) if self.bye_by == Some(side.other()) => {
                (self.bye_at, self.bye_by) = (None, None);
            }
            (b"INFO", None) => self.dial(m, at, side, cseq),
            (b"REFER", None) => {
                let to = m.text("refer-to").unwrap_or_default();
                self.note(at, "transfer", format!("REFER to {to}"));
            }
            _ => {}
        }
        self.refer(heard, side);
        let new = self.negotiate(heard, side, cseq);
        if let (b"INVITE" | b"UPDATE", Some(code @ 300..)) = (m.method(), m.status()) {
            self.reject(at, side.other(), cseq, code);
        } else if let (b"INVITE" | b"UPDATE", Some(200..)) = (m.method(), m.status()) {
            self.pending.retain(|p| p.cseq != cseq || p.side != side.other());
        }
        new
    }

    /// Has the dialog ended, and when?
    #[must_use]
    pub fn ended_at(&self) -> Option<CaptureTime> {
        self.bye_at.or(match (self.answered_at, self.failed, self.cancel_at) {
            (Some(_), ..) => None,
            // A challenge or redirection is the caller's turn; the call is tried again under the same Call-ID.
            (None, Some((_, 401 | 407 | 300..=399)), None) => None,
            (None, Some((at, _)), _) => Some(at),
            _ => None,
        })
    }

    /// Is the sound on hold, or the recording paused, now?
    #[must_use]
    pub fn on_hold(&self) -> bool {
        self.holds.iter().rev().find(|h| h.line.is_none()).is_some_and(|h| h.to.is_none())
    }

    /// Is this a recording session, in which the recorder only receives?
    #[must_use]
    pub fn is_recording_session(&self) -> bool {
        self.siprec || self.cube || self.bib.is_some()
    }

    /// The recorder, in a recording session: where its signalling goes.
    #[must_use]
    pub fn primary(&self) -> Option<Endpoint> {
        let [_, callee] = self.signalling;
        callee.filter(|_| self.is_recording_session())
    }

    /// An INVITE without a To tag is the caller's, though it be the next leg of a B2BUA that has tags of its own. Not so
    /// when its sender has answered before, and forgets the tag.
    fn know_caller(&mut self, m: &Message<'_>) {
        if !m.is_request("INVITE") || tag_of(m, "to").is_some() || self.callers.len() >= 16 {
            return;
        }
        let new =
            |t: &String| self.from.tag() != Some(t) && !self.answers.contains(t) && !self.callers.contains(t);
        self.callers.extend(tag_of(m, "from").filter(new));
    }

    /// Who sent this message?
    fn side_of(&self, heard: &Heard<'_>) -> Side {
        let m = heard.message;
        let tag = |h: &str| NameAddr::parse(m.header(h).unwrap_or_default()).tag().map(str::to_owned);
        let ours = self.from.tag();
        let (from, to) = (tag("from"), tag("to"));
        let sender_is_from = m.status().is_none();
        if ours.is_some() && from.as_deref() != to.as_deref() {
            let is_caller = |t: &Option<String>| {
                t.as_deref() == ours || t.as_ref().is_some_and(|t| self.callers.contains(t))
            };
            if is_caller(&from) {
                return if sender_is_from { Side::Caller } else { Side::Callee };
            }
            if is_caller(&to) {
                return if sender_is_from { Side::Callee } else { Side::Caller };
            }
        }
        // Tags tell nothing: go by where it came from.
        let [caller, callee] = self.signalling;
        if Some(heard.source) == callee || (Some(heard.source) != caller && Some(heard.destination) == caller)
        {
            return Side::Callee;
        }
        Side::Caller
    }
}

/// `caller` or `callee`.
#[must_use]
pub fn word(side: Side) -> &'static str {
    match side {
        Side::Caller => "caller",
        Side::Callee => "callee",
    }
}

/// Is this message of a recording session (RFC 7866, 6.1)? BroadWorks and Webex leave out `Require: siprec`; of a
/// session that was joined late the first sign may be the recorder's Contact, or an UPDATE of metadata alone.
fn is_siprec(m: &Message<'_>) -> bool {
    let has = |name: &str, what: &[u8]| {
        m.all(name).any(|v| memchr::memmem::find(&v.to_ascii_lowercase(), what).is_some())
    };
    if m.status().is_some() {
        return has("contact", b"+sip.srs");
    }
    has("require", b"siprec")
        || has("contact", b"+sip.src")
        || multipart::parts(m).iter().any(Part::is_recording_metadata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip;

    /// Feeds `who → text` lines; who is `a` (caller) or `b`.
    fn dialog(messages: &[(&str, &str, &str)]) -> Dialog {
        let end = |p| Endpoint::new("10.0.0.1".parse().unwrap(), p);
        let mut out: Option<Dialog> = None;
        for (i, (who, start, rest)) in messages.iter().enumerate() {
            let (head, body) = rest.split_once('|').unwrap_or((rest, ""));
            let to = if i == 0 && *who == "a" { "" } else { ";tag=B" };
            let tags = match head.contains("From") {
                true => String::new(),
                false => format!("From: <sip:a@h>;tag=A\r\nTo: <sip:b@h>{to}\r\n"),
            };
            let text = format!(
                "{start}\r\nCall-ID: c\r\n{tags}{head}\r\nContent-Type: application/sdp\r\n\r\n{body}"
            );
            let m = sip::parse(text.as_bytes()).unwrap();
            let (source, destination) = if *who == "a" { (end(1), end(2)) } else { (end(2), end(1)) };
            let heard = Heard { at: CaptureTime::from_parts(i as i64, 0), source, destination, message: &m };
            out.get_or_insert_with(|| Dialog::new(&heard)).hear(&heard);
        }
        out.unwrap()
    }

    fn sdp(port: u16, rest: &str) -> String {
        format!("v=0\nc=IN IP4 10.0.0.{}\nm=audio {port} RTP/AVP 0\n{rest}", port / 1000)
    }

    const INVITE: &str = "INVITE sip:b@h SIP/2.0";
    const OK: &str = "SIP/2.0 200 OK";

    #[test]
    fn early_offer_to_bye() {
        let d = dialog(&[
            ("a", INVITE, &format!("CSeq: 1 INVITE|{}", sdp(4000, ""))),
            ("b", "SIP/2.0 180 Ringing", "CSeq: 1 INVITE"),
            ("b", OK, &format!("CSeq: 1 INVITE|{}", sdp(5000, ""))),
            ("a", "ACK sip:b@h SIP/2.0", "CSeq: 1 ACK"),
            ("b", "BYE sip:a@h SIP/2.0", "CSeq: 9 BYE\r\nFrom: <sip:b@h>;tag=B\r\nTo: <sip:a@h>;tag=A"),
        ]);
        assert_eq!(d.answered_at, Some(CaptureTime::from_parts(2, 0)));
        assert_eq!(d.ended_at(), Some(CaptureTime::from_parts(4, 0)));
        assert_eq!(d.media.current(Side::Callee)[0].port, 5000);
    }

    #[test]
    fn delayed_offer_is_answered_in_the_ack() {
        let d = dialog(&[
            ("a", INVITE, "CSeq: 1 INVITE"),
            ("b", OK, &format!("CSeq: 1 INVITE|{}", sdp(5000, "a=recvonly"))),
            ("a", "ACK sip:b@h SIP/2.0", &format!("CSeq: 1 INVITE|{}", sdp(4000, "a=sendonly"))),
        ]);
        assert_eq!(d.media.current(Side::Caller)[0].port, 4000);
        assert_eq!(d.media.current(Side::Callee)[0].port, 5000);
    }

    #[test]
    fn a_rejected_hold_changes_nothing() {
        let d = dialog(&[
            ("a", INVITE, &format!("CSeq: 1 INVITE|{}", sdp(4000, ""))),
            ("b", OK, &format!("CSeq: 1 INVITE|{}", sdp(5000, ""))),
            ("a", INVITE, &format!("CSeq: 2 INVITE|{}", sdp(4000, "a=inactive"))),
            ("b", "SIP/2.0 491 Request Pending", "CSeq: 2 INVITE"),
        ]);
        assert!(!d.on_hold() && d.ended_at().is_none());
        let what: Vec<_> = d.events.iter().map(|e| e.what.as_str()).collect();
        assert_eq!(what, ["hold", "offer-rejected", "resume"]);
    }

    #[test]
    fn challenge_then_answer_and_cancel() {
        let d =
            dialog(&[("a", INVITE, "CSeq: 1 INVITE"), ("b", "SIP/2.0 401 Unauthorized", "CSeq: 1 INVITE")]);
        assert_eq!(d.ended_at(), None);
        let d = dialog(&[
            ("a", INVITE, "CSeq: 1 INVITE"),
            ("a", "CANCEL sip:b@h SIP/2.0", "CSeq: 1 CANCEL"),
            ("b", OK, "CSeq: 1 CANCEL"),
            ("b", "SIP/2.0 487 Request Terminated", "CSeq: 1 INVITE"),
        ]);
        assert_eq!((d.ended_at(), d.answered_at), (Some(CaptureTime::from_parts(3, 0)), None));
    }

    #[test]
    fn without_tags_the_address_tells_the_side() {
        let d = dialog(&[
            ("b", OK, &format!("CSeq: 1 INVITE\r\nFrom: sip:a@h\r\nTo: sip:b@h|{}", sdp(5000, ""))),
            (
                "a",
                "ACK sip:b@h SIP/2.0",
                &format!("CSeq: 1 ACK\r\nFrom: sip:a@h\r\nTo: sip:b@h|{}", sdp(4000, "")),
            ),
        ]);
        assert_eq!(d.media.current(Side::Callee)[0].port, 5000);
        assert_eq!(d.media.current(Side::Caller)[0].port, 4000);
    }
}
