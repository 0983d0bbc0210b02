//! Why something is as it is in a recording: said where it was decided, when it was decided, and kept.
//!
//! The tap notes its reasons in the spool of the leg ([`super::note::Note::Reason`]), the archive adds its own when the
//! call is finished, and all lie in the record beside the recording for `earwitness explain`. Only what is decided once
//! a dialog, a flow, a stream or a call has a reason; of packets there are numbers.

use super::switchboard::FlowKey;
use crate::time::CaptureTime;
use crate::wire::bib::Leg;
use serde::{Deserialize, Serialize};

/// What a reason is about, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// What sort of call it is, and of which platform.
    Call,
    /// Which dialogs belong to it.
    Dialog,
    /// Which media belongs to it, whose it is, what it was decoded by.
    Stream,
    /// What does not belong to it, or is not in its sound.
    LeftOut,
    /// What is missing from the sound.
    Gap,
    /// How it ended.
    End,
    /// Whether it went on after the loss of its primary.
    Carried,
}

/// A decision and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// When it was decided, by the capture's clock; of what is seen at the end only, when that happened.
    pub at: CaptureTime,
    /// What it is about.
    pub topic: Topic,
    /// Which one: a Call-ID, a stream, an address, a party.
    pub subject: String,
    /// What was decided, a word: `assigned`, `same-call`, `after-end`, …
    pub what: String,
    /// Why, for people. Times in it are relative: the host's clock may be set afterwards.
    pub because: String,
    /// How many packets, where that is known.
    pub packets: Option<u64>,
}

/// Characters of a text from the wire that are kept in a reason.
const NAME: usize = 120;

impl Reason {
    /// A reason.
    #[must_use]
    pub fn new(at: CaptureTime, topic: Topic, subject: &str, what: &str, because: String) -> Self {
        Self { at, topic, subject: short(subject), what: what.to_owned(), because, packets: None }
    }

    /// The same, of so many packets.
    #[must_use]
    pub fn of(self, packets: u64) -> Self {
        Self { packets: Some(packets), ..self }
    }
}

/// A text from the wire as far as it is kept.
#[must_use]
pub fn short(text: &str) -> String {
    match text.char_indices().nth(NAME) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A flow as reasons name it.
#[must_use]
pub fn flow(f: &FlowKey) -> String {
    stream(&f.source.to_string(), &f.destination.to_string(), f.ssrc)
}

/// The same for a stream of a record.
#[must_use]
pub fn stream(source: &str, destination: &str, ssrc: u32) -> String {
    match ssrc {
        0 => format!("{source} > {destination}"),
        _ => format!("{source} > {destination} 0x{ssrc:08x}"),
    }
}

/// `1 packet`, `2 packets`.
#[must_use]
pub fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// How long it is from `from` to `to`: `0.020 s`.
#[must_use]
pub fn span(from: CaptureTime, to: CaptureTime) -> String {
    format!("{:.3} s", to.secs_since(from).max(0.0))
}

/// How a half of a Built-in Bridge is called.
#[must_use]
pub fn half(leg: Leg) -> &'static str {
    match leg {
        Leg::Near => "near end",
        Leg::Far => "far end",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_wire_says_is_kept_short() {
        let r = Reason::new(CaptureTime(0), Topic::Dialog, &"ä".repeat(5_000), "x", String::new());
        assert_eq!(r.subject.chars().count(), NAME + 1);
        assert_eq!((count(1, "packet"), count(2, "packet")), ("1 packet".into(), "2 packets".into()));
        assert_eq!(span(CaptureTime::from_parts(1, 0), CaptureTime::from_parts(2, 500_000_000)), "1.500 s");
    }
}
