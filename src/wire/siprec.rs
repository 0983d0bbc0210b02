//! Recording metadata (RFC 7865): who is in a SIPREC session and which stream is whose.
//!
//! The dialects differ in namespaces, in attributes or elements for ids, and in where a participant says what it
//! sends; names are compared without their namespace.

use roxmltree::{Document, Node, ParsingOptions};
use std::collections::BTreeMap;
use thiserror::Error;

/// Somebody in the recorded session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participant {
    /// Its id in the metadata.
    pub id: String,
    /// Address of record.
    pub aor: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Ids of the streams it sends.
    pub sends: Vec<String>,
}

/// A stream of the recorded session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Its id in the metadata.
    pub id: String,
    /// The `a=label` of its m= line.
    pub label: Option<String>,
    /// Both parties are mixed in it (BroadWorks' `<mode>mixed</mode>`).
    pub mixed: bool,
}

/// A metadata document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Only what changed, not all there is.
    pub partial: bool,
    /// In document order.
    pub participants: Vec<Participant>,
    /// In document order.
    pub streams: Vec<Stream>,
    /// Leaf elements of vendors' extensions, first of each name.
    pub extensions: BTreeMap<String, String>,
}

/// Why metadata cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("recording metadata is not well-formed XML: {0}")]
pub struct MetadataError(String);

/// Extension elements that are kept of one document.
const MAX_EXTENSIONS: usize = 64;

/// XML nodes of a document; vendors send some 60.
const MAX_NODES: u32 = 10_000;

/// Reads a metadata document.
///
/// # Errors
/// [`MetadataError`] when it is not XML. A DTD is refused.
pub fn parse(body: &[u8]) -> Result<Metadata, MetadataError> {
    let text = String::from_utf8_lossy(body);
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let doc = Document::parse_with_options(text.trim(), options).map_err(|e| MetadataError(e.to_string()))?;
    let mut out = Metadata::default();
    for n in doc.root().descendants().filter(Node::is_element) {
        match n.tag_name().name() {
            "datamode" | "dataMode" => {
                out.partial = text_of(n).is_some_and(|t| t.eq_ignore_ascii_case("partial"));
            }
            "participant" => out.participants.push(participant(n)),
            "stream" => out.streams.push(Stream {
                id: id_of(n, "stream_id"),
                label: child(n, "label").and_then(text_of),
                mixed: child(n, "mode").and_then(text_of).is_some_and(|m| m.eq_ignore_ascii_case("mixed")),
            }),
            _ => {}
        }
    }
    for n in doc.root().descendants().filter(|n| n.has_tag_name_local("participantstreamassoc")) {
        let id = n.attribute("participant_id").or_else(|| n.attribute("id")).unwrap_or_default();
        if let Some(p) = out.participants.iter_mut().find(|p| p.id == id) {
            p.sends.extend(n.children().filter(|c| c.has_tag_name_local("send")).filter_map(text_of));
        }
    }
    let extensions =
        doc.root().descendants().filter(|n| n.has_tag_name_local("extensiondata")).take(MAX_EXTENSIONS);
    for n in extensions.flat_map(|e| e.children()).flat_map(|c| c.descendants()).filter(Node::is_element) {
        if let Some(t) = text_of(n).filter(|_| n.first_element_child().is_none())
            && out.extensions.len() < MAX_EXTENSIONS
        {
            out.extensions.entry(n.tag_name().name().to_owned()).or_insert(t);
        }
    }
    Ok(out)
}

fn participant(n: Node<'_, '_>) -> Participant {
    let name_id = child(n, "nameID").or_else(|| child(n, "nameId"));
    let aor = name_id
        .and_then(|x| x.attribute("aor").map(str::to_owned))
        .or_else(|| child(n, "aor").and_then(text_of));
    let name = name_id.and_then(|x| child(x, "name")).or_else(|| child(n, "name")).and_then(text_of);
    let mut sends: Vec<String> = Vec::new();
    for c in n.children().filter(|c| c.has_tag_name_local("send") || c.has_tag_name_local("id")) {
        sends.extend(text_of(c));
        // Avaya wraps the stream id once more: <send><stream>…</stream></send>.
        sends.extend(c.children().filter(Node::is_element).filter_map(text_of));
    }
    Participant { id: id_of(n, "participant_id"), aor, name, sends }
}

fn id_of(n: Node<'_, '_>, long: &str) -> String {
    n.attribute(long).or_else(|| n.attribute("id")).unwrap_or_default().to_owned()
}

fn child<'a, 'i>(n: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    n.children().find(|c| c.has_tag_name_local(name))
}

fn text_of(n: Node<'_, '_>) -> Option<String> {
    n.text().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned)
}

trait LocalName {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_style_with_associations() {
        let m = parse(br#"<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>complete</datamode>
            <participant participant_id="p1"><nameID aor="sip:1@h"><name>One</name></nameID></participant>
            <participantstreamassoc participant_id="p1"><send>s1</send><recv>s2</recv></participantstreamassoc>
            <stream stream_id="s1" session_id="x"><label>96</label></stream></recording>"#).unwrap();
        assert_eq!(
            m.participants[0],
            Participant {
                id: "p1".into(),
                aor: Some("sip:1@h".into()),
                name: Some("One".into()),
                sends: vec!["s1".into()]
            }
        );
        assert_eq!(m.streams[0], Stream { id: "s1".into(), label: Some("96".into()), mixed: false });
    }

    #[test]
    fn broadworks_style() {
        let m = parse(br#"<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec"><dataMode>partial</dataMode>
            <participant id="a" session="s"><aor>sip:7@h;user=phone</aor><id>st</id></participant>
            <stream id="st"><label>1</label><mode>mixed</mode></stream>
            <extensiondata><b xmlns="x"><extTrackingID>t-1</extTrackingID></b></extensiondata></recording_metadata>"#).unwrap();
        assert!(m.partial && m.streams[0].mixed);
        assert_eq!(m.participants[0].aor.as_deref(), Some("sip:7@h;user=phone"));
        assert_eq!(m.participants[0].sends, ["st"]);
        assert_eq!(m.extensions["extTrackingID"], "t-1");
    }

    #[test]
    fn what_is_not_xml_says_so() {
        assert!(parse(b"<a>").unwrap_err().to_string().starts_with("recording metadata is not well-formed"));
        assert!(parse(b"<!DOCTYPE a [<!ENTITY x 'y'>]><a/>").is_err());
    }
}
