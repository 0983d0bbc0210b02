//! Elements of recording metadata, in whatever way a vendor spells them.

use super::{Metadata, Participant, Times};
use crate::time::CaptureTime;
use roxmltree::Node;

/// Identifiers and extension elements that are kept of one document.
const MAX_IDENTIFIERS: usize = 64;

/// Bytes of a value that are kept.
const MAX_VALUE: usize = 1024;

/// How far up it is looked what an element is part of.
const MAX_DEPTH: usize = 16;

/// A name without its case and its hyphens: `associate-time` and `associateTime` are one.
fn plain(name: &str) -> impl Iterator<Item = char> + '_ {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase())
}

/// What of an element is asked for by plain names.
pub(super) trait Element<'a, 'i> {
    fn word(&self) -> String;
    fn is_named(&self, name: &str) -> bool;
    fn child(&self, name: &str) -> Option<Node<'a, 'i>>;
    fn attr(&self, names: &[&str]) -> Option<&'a str>;
    fn is_within(&self, name: &str) -> bool;
    fn times(&self) -> Times;
}

impl<'a, 'i> Element<'a, 'i> for Node<'a, 'i> {
    fn word(&self) -> String {
        plain(self.tag_name().name()).take(32).collect()
    }

    fn is_named(&self, name: &str) -> bool {
        self.is_element() && plain(self.tag_name().name()).eq(name.chars())
    }

    fn child(&self, name: &str) -> Option<Node<'a, 'i>> {
        self.children().find(|c| c.is_named(name))
    }

    /// The first attribute of these names, the names in order.
    fn attr(&self, names: &[&str]) -> Option<&'a str> {
        names
            .iter()
            .find_map(|n| self.attributes().find(|a| plain(a.name()).eq(n.chars())).map(|a| a.value()))
    }

    fn is_within(&self, name: &str) -> bool {
        self.ancestors().skip(1).take(MAX_DEPTH).any(|a| a.is_named(name))
    }

    fn times(&self) -> Times {
        let first =
            |names: &[&str]| names.iter().find_map(|n| text_of(self.child(n)?)).and_then(|t| time(&t));
        Times {
            from: first(&["associatetime", "starttime"]),
            to: first(&["disassociatetime", "dissociatetime", "stoptime", "endtime"]),
        }
    }
}

/// The text of an element, CDATA included, without the blanks around it.
pub(super) fn text_of(n: Node<'_, '_>) -> Option<String> {
    let text: String = n.children().filter(Node::is_text).filter_map(|t| t.text()).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// RFC 3339; Avaya leaves out the zone.
fn time(text: &str) -> Option<CaptureTime> {
    let t: jiff::Timestamp = text.parse().or_else(|_| format!("{text}Z").parse()).ok()?;
    i64::try_from(t.as_nanosecond()).ok().map(CaptureTime)
}

pub(super) fn participant(n: Node<'_, '_>) -> Participant {
    let ids = || n.children().filter(|c| c.is_named("nameid"));
    let aors = || ids().filter_map(|i| i.attr(&["aor", "uri"]).map(str::trim).filter(|a| !a.is_empty()));
    let aor = aors().next().map(str::to_owned);
    let aor = aor.or_else(|| ids().chain([n]).find_map(|i| i.child("aor").and_then(text_of)));
    let aor = aor.or_else(|| ids().find_map(text_of));
    let names = || {
        ids()
            .chain([n])
            .flat_map(|i| i.children())
            .filter(|c| c.is_named("name") || c.is_named("displayname"))
    };
    // Of names in several languages the first that has letters.
    let name = names().find_map(text_of);
    Participant {
        id: n.attr(&["participantid", "id"]).unwrap_or_default().trim().to_owned(),
        aor,
        name,
        device: None,
        session: n.attr(&["sessionid", "session"]).map(|s| s.trim().to_owned()),
        sends: sends(n),
        times: n.times(),
        calling: None,
    }
}

/// Ids of streams: `<send>id</send>`, or as BroadWorks and Avaya wrap them `<send><id>id</id></send>`.
pub(super) fn sends(n: Node<'_, '_>) -> Vec<String> {
    let direct =
        n.children().filter(|c| c.is_named("send") || (c.is_named("id") && n.is_named("participant")));
    direct
        .flat_map(|c| text_of(c).into_iter().chain(c.children().filter(Node::is_element).filter_map(text_of)))
        .collect()
}

/// Keeps an identifier; the ids of several sessions side by side.
pub(super) fn identify(out: &mut Metadata, name: &str, value: Option<String>) {
    let Some(value) = value.filter(|v| !v.trim().is_empty() && v.len() <= MAX_VALUE) else { return };
    let room = out.identifiers.len() < MAX_IDENTIFIERS;
    match out.identifiers.get_mut(name) {
        Some(old)
            if name.starts_with("siprec-")
                && old.len() + value.len() < MAX_VALUE
                && !old.split(' ').any(|o| o == value) =>
        {
            old.push(' ');
            old.push_str(&value);
        }
        None if room => drop(out.identifiers.insert(name.to_owned(), value)),
        _ => {}
    }
}

/// What RFC 7865 and its drafts name; another element is a vendor's.
const KNOWN: [&str; 26] = [
    "recording",
    "recordingmetadata",
    "datamode",
    "group",
    "session",
    "participant",
    "stream",
    "sessionrecordingassoc",
    "participantsessionassoc",
    "participantstreamassoc",
    "associatetime",
    "disassociatetime",
    "starttime",
    "stoptime",
    "nameid",
    "aor",
    "name",
    "send",
    "recv",
    "label",
    "mode",
    "requestor",
    "type",
    "id",
    "reason",
    "groupref",
];

/// A vendor's element outside of `extensiondata`: one whose namespace is not that of the document.
pub(super) fn foreign(n: Node<'_, '_>, out: &mut Metadata) {
    let own = n.document().root_element().tag_name().namespace();
    if n.tag_name().namespace() != own && !KNOWN.contains(&n.word().as_str()) {
        extension(n, out);
    }
}

/// Takes an element of a vendor's extension.
pub(super) fn extension(n: Node<'_, '_>, out: &mut Metadata) {
    let word = n.word();
    match word.as_str() {
        // BroadWorks: <callType><origCall>…
        "origcall" => out.told.direction = out.told.direction.or(Some("outbound")),
        "termcall" => out.told.direction = out.told.direction.or(Some("inbound")),
        _ => {}
    }
    let Some(text) = text_of(n).filter(|_| n.first_element_child().is_none()) else { return };
    let of = n.ancestors().take(MAX_DEPTH).find(|a| a.is_named("participant"));
    let id = of.and_then(|p| p.attr(&["participantid", "id"])).map(str::trim);
    let who = || id;
    match word.as_str() {
        // Metaswitch: <callType>terminating</callType>.
        "calltype" | "direction" | "calldirection" => {
            out.told.direction = out.told.direction.or_else(|| direction(&text));
        }
        "callingpartynumber" => drop(out.told.calling.get_or_insert(text.clone())),
        "calledpartynumber" | "dialeddigits" => drop(out.told.called.get_or_insert(text.clone())),
        "recordedparty" | "userid" => out.told.recorded.push(text.clone()),
        "callingparty" if who().is_some() => {
            let calling = text.eq_ignore_ascii_case("true");
            if let Some(p) = out.participants.iter_mut().rfind(|p| Some(p.id.as_str()) == who()) {
                p.calling = Some(calling);
            }
        }
        "device" | "deviceid" | "devicename" => {
            if let Some(p) = out.participants.iter_mut().rfind(|p| Some(p.id.as_str()) == who()) {
                p.device = Some(text.clone());
            }
        }
        _ => {}
    }
    // Oracle: <apkt:header label="X-Id"><value>…</value></apkt:header>.
    let label = n.parent_element().filter(|_| word == "value").and_then(|p| p.attr(&["label", "name"]));
    let name = label.map_or_else(|| n.tag_name().name().to_owned(), str::to_ascii_lowercase);
    identify(out, &name, Some(text));
}

/// What a vendor's word says of the direction, as the recorded party sees it.
pub(super) fn direction(word: &str) -> Option<&'static str> {
    let word: String = plain(word.trim()).take(16).collect();
    Some(match word.as_str() {
        "inbound" | "incoming" | "terminating" | "in" | "received" => "inbound",
        "outbound" | "outgoing" | "originating" | "out" | "placed" => "outbound",
        _ => return None,
    })
}
