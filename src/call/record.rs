//! The record of a call: what `calls`, `show` and `replay` print, what the ledger keeps.
//!
//! Field names are the contract other programs rely on: add freely, never rename or drop.
//! Absent values serialize as `null`.

use crate::time::CaptureTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A string enum that knows its word in JSON and in the ledger.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $v:ident = $w:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $v),+ }
        impl $name {
            /// The word of the contract.
            #[must_use]
            pub fn word(self) -> &'static str { match self { $(Self::$v => $w),+ } }
            /// The value of a word; `None` for a word the contract does not know.
            #[must_use]
            pub fn from_word(w: &str) -> Option<Self> { match w { $($w => Some(Self::$v),)+ _ => None } }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.serialize_str(self.word()) }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let w = String::deserialize(d)?;
                Self::from_word(&w).ok_or_else(|| serde::de::Error::custom(format!("no such word as {w:?}")))
            }
        }
    };
}

words! {
    /// What sort of call this is.
    Kind {
        /// A plain SIP call.
        Call = "call",
        /// A recording session of RFC 7866.
        Siprec = "siprec",
        /// A Cisco Built-in Bridge pair.
        Bib = "bib",
        /// Media without any signalling.
        MediaOnly = "media-only",
    }
}
words! {
    /// Is the call still up?
    State {
        /// In progress.
        Active = "active",
        /// Sealed.
        Completed = "completed",
    }
}
words! {
    /// How the call ended.
    End {
        /// A BYE was seen.
        Bye = "bye",
        /// CANCEL before an answer.
        Cancelled = "cancelled",
        /// A final failure response (RFC 3261, 3xx to 6xx) before an answer.
        Rejected = "rejected",
        /// Answered, then no media for the configured time.
        MediaTimeout = "media-timeout",
        /// Never answered, and no more signalling.
        SignallingTimeout = "signalling-timeout",
        /// The capture ended first.
        CaptureEnd = "capture-end",
    }
}
words! {
    /// Why sound is missing.
    Cause {
        /// Lost before the capture point.
        Network = "network",
        /// Lost by the mirror, the kernel or this recorder.
        Capture = "capture",
        /// The recorder joined the call late.
        LateJoin = "late-join",
        /// The recorder was restarted.
        Restart = "restart",
        /// The call was on hold.
        Hold = "hold",
        /// The recording was paused by the platform.
        Pause = "pause",
        /// Removed on purpose.
        Masked = "masked",
    }
}

/// Somebody in the call, as first announced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// SIP or tel URI without parameters.
    pub uri: Option<String>,
    /// User part of the URI, or the number the platform tells.
    pub number: Option<String>,
    /// Display name.
    pub name: Option<String>,
}

/// A participant over the life of the call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// `caller`, `callee`, or `p3`, `p4`… in the order they appeared.
    pub party: String,
    /// SIP or tel URI without parameters.
    pub uri: Option<String>,
    /// Number or user part.
    pub number: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Device name, as Cisco's `x-nearenddevice`.
    pub device: Option<String>,
    /// When the participant joined.
    pub joined_at: Option<CaptureTime>,
    /// When the participant left before the end of the call.
    pub left_at: Option<CaptureTime>,
}

/// One RTP stream (one SSRC from one source to one destination).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Who speaks in it: a participant's `party`, or `mixed`.
    pub party: Option<String>,
    /// `0x1a2b3c4d`.
    pub ssrc: String,
    /// `address:port` it came from; IPv6 addresses in brackets.
    pub source: String,
    /// `address:port` it went to.
    pub destination: String,
    /// `PCMU/8000`: encoding name and RTP clock rate in Hz.
    pub codec: Option<String>,
    /// RTP payload type of most of its packets, 0 to 127.
    pub payload_type: Option<u8>,
    /// SRTP.
    pub encrypted: bool,
    /// Packets received, copies not counted.
    pub packets: u64,
    /// Packets that never came, between the first and the last that did.
    pub lost: u64,
    /// Copies of packets already received.
    pub duplicates: u64,
    /// Packets that came after one with a higher sequence number.
    pub reordered: u64,
    /// Mean interarrival jitter (RFC 3550, 6.4.1), milliseconds.
    pub jitter_ms: f64,
    /// Estimated mean opinion score, 1.0 to 4.5; `None` for a codec the E-model has no figures for.
    pub mos: Option<f64>,
    /// First packet.
    pub started_at: CaptureTime,
    /// Last packet.
    pub ended_at: CaptureTime,
}

/// A stretch in which a party's sound is missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Whose sound.
    pub party: Option<String>,
    /// Seconds from sample 0 of the audio.
    pub start_s: f64,
    /// Seconds.
    pub length_s: f64,
    /// Why.
    pub cause: Cause,
}

/// A dialled digit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dtmf {
    /// Who dialled.
    pub party: Option<String>,
    /// Seconds from sample 0 of the audio.
    pub at_s: f64,
    /// One of `0123456789*#ABCD`.
    pub digit: String,
}

/// Something that happened in the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: CaptureTime,
    /// A word: `hold`, `resume`, `codec-change`, `not-decoded`, …
    pub what: String,
    /// For people.
    pub detail: String,
}

/// That the call went on here after its primary recorder was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// `address:port` of the primary.
    pub primary: String,
    /// When it was lost.
    pub lost_at: CaptureTime,
    /// What proves it.
    pub evidence: Vec<String>,
}

/// A file of a sealed recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// `audio` or `packets`.
    pub kind: String,
    /// Relative to the data folder.
    pub path: String,
    /// `wav` or `pcap`.
    pub format: String,
    /// Audio channels; `None` for packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u16>,
    /// Samples a second; `None` for packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    /// Seconds; `None` for packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// Another call that has to do with this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its id.
    pub id: String,
    /// A word: `transfer`, `replaces`, `join`, `agents`, `resumed`, `redirect`, `same-session`.
    pub why: String,
}

/// What another call may know this one by, or this one it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The word of the link; `None` when the other call says it.
    pub why: Option<String>,
    /// A SIP Call-ID of the other call.
    pub call_id: Option<String>,
    /// Or what both calls have.
    pub key: Option<String>,
    /// Which side of that this one is; only another one is the other call. Empty: it has no sides.
    pub side: String,
    /// When it was heard.
    pub at: CaptureTime,
    /// How far apart the two calls may be, seconds.
    pub within_s: u32,
}

/// A call, as a person would call one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The same on every recorder that heard the call.
    pub id: String,
    /// Plain call, recording session, media alone.
    pub kind: Kind,
    /// Recognised dialect, such as `cisco-cucm`.
    pub platform: Option<String>,
    /// Active or completed.
    pub state: State,
    /// Every SIP Call-ID that belongs to it.
    pub call_ids: Vec<String>,
    /// Who called; the near end of a Built-in Bridge.
    pub caller: Party,
    /// Who was called; the far end of a Built-in Bridge.
    pub callee: Party,
    /// Everybody, in order of appearance; who called is first where the platform tells.
    pub participants: Vec<Participant>,
    /// As the platform tells it.
    pub direction: Option<String>,
    /// Identifiers of vendors: `x-refci`, `ucid`, `session-id`, …
    pub identifiers: BTreeMap<String, String>,
    /// First INVITE.
    pub started_at: Option<CaptureTime>,
    /// First 2xx to an INVITE.
    pub answered_at: Option<CaptureTime>,
    /// BYE, final response, or last packet.
    pub ended_at: Option<CaptureTime>,
    /// `answered_at` (else first media) to `ended_at`, seconds.
    pub duration_s: Option<f64>,
    /// How it ended; `None` while active.
    pub end: Option<End>,
    /// Set when the primary was lost during the call.
    pub carried: Option<Carried>,
    /// RTP streams in order of their start.
    pub streams: Vec<Stream>,
    /// What is missing.
    pub gaps: Vec<Gap>,
    /// Dialled digits in order.
    pub dtmf: Vec<Dtmf>,
    /// The timeline.
    pub events: Vec<Event>,
    /// The sealed files.
    pub files: Vec<File>,
    /// Calls that have to do with this one, as the ledger knows them when it is asked.
    #[serde(default)]
    pub links: Vec<Link>,
    /// What links are found by.
    #[serde(default)]
    pub references: Vec<Reference>,
}

impl CallRecord {
    /// What listings are ordered by: the first INVITE, else the first media, else the first sign of it.
    #[must_use]
    pub fn order_time(&self) -> CaptureTime {
        let media = self.streams.iter().map(|s| s.started_at).min();
        self.started_at.or(media).or(self.answered_at).or(self.ended_at).unwrap_or_default()
    }
}
