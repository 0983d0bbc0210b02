//! Recording metadata (RFC 7865): who is in a SIPREC session, since when, and which stream is whose.
//!
//! The dialects differ in namespaces, in attributes or elements for ids, and in where a participant says what it
//! sends; names are compared without their namespace, their case and their hyphens. What is not quite XML is mended.

mod element;
mod text;

use crate::time::CaptureTime;
use element::{Element as _, text_of};
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::BTreeMap;
use thiserror::Error;

/// Since when and until when, as the recording client dates it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// `associate-time`, or `start-time` of a session.
    pub from: Option<CaptureTime>,
    /// `disassociate-time`, or `stop-time` of a session.
    pub to: Option<CaptureTime>,
}

/// Somebody in the recorded session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participant {
    /// Its id in the metadata.
    pub id: String,
    /// Address of record.
    pub aor: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Device, as an extension names it.
    pub device: Option<String>,
    /// The session it is in, where the element itself says so.
    pub session: Option<String>,
    /// Ids of the streams it sends, where the element itself says so.
    pub sends: Vec<String>,
    /// Since when and until when, where the element itself says so (Oracle).
    pub times: Times,
    /// Is it the calling party (Oracle's `apkt:callingParty`)?
    pub calling: Option<bool>,
}

/// A stream of the recorded session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Its id in the metadata; Avaya leaves it empty until it knows who sends it.
    pub id: String,
    /// The `a=label` of its m= line.
    pub label: Option<String>,
    /// Both parties are mixed in it (BroadWorks' `<mode>mixed</mode>`).
    pub mixed: bool,
}

/// A communication session that is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Its id in the metadata.
    pub id: String,
    /// Since when and until when.
    pub times: Times,
    /// Why it came to be or ended.
    pub reason: Option<String>,
}

/// A participant's place in a session (`participantsessionassoc`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Who.
    pub participant: String,
    /// In which session.
    pub session: String,
    /// Since when and until when.
    pub times: Times,
}

/// What a participant sends (`participantstreamassoc`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// Who.
    pub participant: String,
    /// Ids of streams.
    pub streams: Vec<String>,
    /// Since when and until when.
    pub times: Times,
}

/// What vendors' extensions tell of the call itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `inbound` or `outbound`, as the recorded party sees it.
    pub direction: Option<&'static str>,
    /// Who called.
    pub calling: Option<String>,
    /// Who was called.
    pub called: Option<String>,
    /// Whose calls are recorded: number, address or user id, each that is told.
    pub recorded: Vec<String>,
}

/// A metadata document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Only what changed, not all there is.
    pub partial: bool,
    /// It was not well-formed, for this reason, and is read as far as it could be mended.
    pub mended: Option<String>,
    /// In document order.
    pub sessions: Vec<Session>,
    /// In document order.
    pub participants: Vec<Participant>,
    /// In document order.
    pub streams: Vec<Stream>,
    /// Who is in which session.
    pub presences: Vec<Presence>,
    /// Who sends what.
    pub sendings: Vec<Sending>,
    /// What vendors' extensions tell of the call.
    pub told: Told,
    /// Ids of the session and its group, and leaf elements of vendors' extensions, first of each name.
    pub identifiers: BTreeMap<String, String>,
}

/// Why metadata cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("recording metadata is not well-formed XML: {0}")]
pub struct MetadataError(String);

/// XML nodes of a document; vendors send some 60, a conference of a hundred 2,000.
const MAX_NODES: u32 = 10_000;

/// Reads a metadata document.
///
/// # Errors
/// [`MetadataError`] when it is not XML and cannot be mended. A DTD is refused.
pub fn parse(body: &[u8]) -> Result<Metadata, MetadataError> {
    let text = text::decode(body);
    let options = || ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let error = match Document::parse_with_options(&text, options()) {
        Ok(doc) => return Ok(read(&doc)),
        Err(e) => e,
    };
    let failed = MetadataError(error.to_string());
    if matches!(error, roxmltree::Error::DtdDetected | roxmltree::Error::NodesLimitReached) {
        return Err(failed);
    }
    let mended = text::mend(&text);
    let mut out =
        Document::parse_with_options(&mended, options()).map_or_else(|_| Metadata::default(), |d| read(&d));
    out.mended = Some(error.to_string());
    let something = !out.participants.is_empty() || !out.streams.is_empty() || !out.presences.is_empty();
    if something { Ok(out) } else { Err(failed) }
}

fn read(doc: &Document<'_>) -> Metadata {
    let mut out = Metadata::default();
    for n in doc.root_element().descendants().filter(Node::is_element) {
        if n.is_within("extensiondata") {
            element::extension(n, &mut out);
        } else {
            element(n, &mut out);
        }
    }
    for s in &mut out.sendings {
        // The draft's form: the stream as an attribute.
        s.streams.retain(|id| !id.eq_ignore_ascii_case("true") && !id.eq_ignore_ascii_case("false"));
    }
    out
}

/// Takes one element that is no part of an extension.
fn element(n: Node<'_, '_>, out: &mut Metadata) {
    let id = |long: &str| n.attr(&[long, "id"]).unwrap_or_default().trim().to_owned();
    // Avaya writes <send><stream>…</stream></send>: a reference, not a stream.
    let refers = n.parent_element().is_some_and(|p| p.is_named("send") || p.is_named("recv"));
    match n.word().as_str() {
        _ if refers => {}
        "datamode" => out.partial = text_of(n).is_some_and(|t| t.eq_ignore_ascii_case("partial")),
        "session" => {
            let id = id("sessionid");
            element::identify(out, "siprec-session-id", Some(id.clone()));
            out.sessions.push(Session { id, times: n.times(), reason: n.child("reason").and_then(text_of) });
        }
        "group" => element::identify(out, "siprec-group-id", Some(id("groupid"))),
        "groupref" => element::identify(out, "siprec-group-id", text_of(n)),
        "sipsessionid" => element::identify(out, "session-id", text_of(n)),
        "recording" => element::identify(out, "siprec-recording-id", Some(id("recordingid"))),
        "initiator" => out.told.recorded.extend(text_of(n)),
        "participant" => out.participants.push(element::participant(n)),
        "stream" => out.streams.push(Stream {
            id: id("streamid"),
            label: n.child("label").and_then(text_of).or_else(|| n.attr(&["label"]).map(str::to_owned)),
            mixed: n.child("mode").and_then(text_of).is_some_and(|m| m.eq_ignore_ascii_case("mixed")),
        }),
        "participantsessionassoc" => out.presences.push(Presence {
            participant: id("participantid"),
            session: n.attr(&["sessionid", "session"]).unwrap_or_default().trim().to_owned(),
            times: n.times(),
        }),
        "participantstreamassoc" => {
            let mut streams = element::sends(n);
            streams.extend(n.attr(&["streamid"]).filter(|_| n.child("send").is_some()).map(str::to_owned));
            out.sendings.push(Sending { participant: id("participantid"), streams, times: n.times() });
        }
        _ => element::foreign(n, out),
    }
}

#[cfg(test)]
mod tests;
