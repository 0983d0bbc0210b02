//! Who is in a call and what its platform says of it, gathered from the messages of one dialog.

use super::dialog::Heard;
use super::record::{Participant, Party};
use crate::time::CaptureTime;
use crate::wire::sip::Message;
use crate::wire::sip_name::{self, NameAddr};
use crate::wire::{multipart, siprec};
use memchr::memmem;
use std::collections::BTreeMap;

/// A participant that recording metadata told of.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Its id in the metadata.
    pub id: String,
    /// What is known of it.
    pub who: Participant,
    /// Ids of the streams it sends.
    pub sends: Vec<String>,
}

/// What the messages of a dialog tell beyond the dialog itself.
#[derive(Clone, Debug, Default)]
pub struct Portrait {
    /// Vendor's dialect.
    pub platform: Option<&'static str>,
    /// Identifiers of vendors and standards, first value of each.
    pub identifiers: BTreeMap<String, String>,
    /// Participants of recording metadata, in order of appearance.
    pub members: Vec<Member>,
    /// Streams of recording metadata.
    pub streams: Vec<siprec::Stream>,
    /// Participants that a Cisco CUBE names by m= line.
    pub by_media_index: Vec<(usize, Participant)>,
}

/// Members kept of one call; a conference has dozens.
const MAX_MEMBERS: usize = 512;

impl Portrait {
    /// Takes a message of the dialog, in order.
    pub fn hear(&mut self, heard: &Heard<'_>) {
        let m = heard.message;
        if m.status().is_some() || !matches!(m.method(), b"INVITE" | b"UPDATE") {
            return;
        }
        self.identify(m);
        for v in m.all("x-cisco-recording-participant") {
            self.cube_participant(heard.at, v);
        }
        for part in multipart::parts(m) {
            if part.content_type.starts_with("application/rs-metadata")
                && let Ok(doc) = siprec::parse(part.body)
            {
                self.metadata(heard.at, doc);
            }
        }
    }

    /// The member that alone sends the stream of this label; `None` where several do, or the stream is mixed.
    #[must_use]
    pub fn speaker(&self, label: Option<&str>) -> Option<usize> {
        let stream = self.streams.iter().find(|s| s.label.as_deref() == label && label.is_some())?;
        let mut who = self.members.iter().enumerate().filter(|(_, m)| m.sends.contains(&stream.id));
        match (who.next(), who.next()) {
            (Some((i, _)), None) if !stream.mixed => Some(i),
            _ => None,
        }
    }

    fn identify(&mut self, m: &Message<'_>) {
        const IDENTIFIERS: [(&str, &str); 7] = [
            ("session-id", "session-id"),
            ("cisco-guid", "cisco-guid"),
            ("user-to-user", "user-to-user"),
            ("x-broadworks-correlation-info", "x-broadworks-correlation-info"),
            ("x-avaya-ucid", "ucid"),
            ("x-ucid", "ucid"),
            ("x-cid", "x-cid"),
        ];
        for (header, name) in IDENTIFIERS {
            if let Some(v) = m.text(header) {
                self.identifiers.entry(name.to_owned()).or_insert(v);
            }
        }
        if self.platform.is_none() {
            self.platform = platform(m);
        }
    }

    fn cube_participant(&mut self, at: CaptureTime, value: &[u8]) {
        let a = NameAddr::parse(value);
        let index = a.param("media-index").and_then(|i| i.parse().ok()).unwrap_or(self.by_media_index.len());
        let known = self.by_media_index.iter().any(|(_, p)| p.uri.as_deref() == Some(a.bare_uri()));
        if !known && self.by_media_index.len() < MAX_MEMBERS {
            let p = party(&a);
            let who = Participant {
                uri: p.uri,
                number: p.number,
                name: p.name,
                joined_at: Some(at),
                ..Participant::default()
            };
            self.by_media_index.push((index, who));
        }
    }

    fn metadata(&mut self, at: CaptureTime, doc: siprec::Metadata) {
        for s in doc.streams {
            if let Some(old) = self.streams.iter_mut().find(|o| o.id == s.id) {
                old.label = s.label.or_else(|| old.label.take());
                old.mixed |= s.mixed;
            } else if self.streams.len() < MAX_MEMBERS {
                self.streams.push(s);
            }
        }
        if !doc.partial && !doc.participants.is_empty() {
            for m in self.members.iter_mut().filter(|m| m.who.left_at.is_none()) {
                if !doc.participants.iter().any(|p| p.id == m.id) {
                    m.who.left_at = Some(at);
                }
            }
        }
        for p in doc.participants {
            let aor = p.aor.as_deref().unwrap_or_default();
            let addr = NameAddr::parse(aor.as_bytes());
            // Avaya announces itself as a participant until the real ones are known.
            if addr.user() == Some("ASBCE") {
                continue;
            }
            let number = addr.user().unwrap_or(aor).trim().to_owned();
            let i = match self.members.iter().position(|m| m.id == p.id) {
                Some(i) => i,
                None if self.members.len() < MAX_MEMBERS => {
                    let who = Participant { joined_at: Some(at), ..Participant::default() };
                    self.members.push(Member { id: p.id, who, sends: Vec::new() });
                    self.members.len() - 1
                }
                None => continue,
            };
            let Some(m) = self.members.get_mut(i) else {
                continue;
            };
            if !aor.is_empty() {
                m.who.uri = Some(addr.bare_uri().to_owned()).filter(|u| u.contains(':'));
                m.who.number = Some(number);
            }
            m.who.name = p.name.or_else(|| m.who.name.take());
            m.sends.extend(p.sends);
            m.sends.sort();
            m.sends.dedup();
        }
        for (k, v) in doc.extensions {
            self.identifiers.entry(k).or_insert(v);
        }
    }
}

/// A party as an address header names it.
#[must_use]
pub fn party(a: &NameAddr) -> Party {
    let uri = Some(a.bare_uri().to_owned()).filter(|u| !u.is_empty());
    let number = sip_name::user(&a.uri).map(str::to_owned);
    Party { uri, number, name: a.name.clone() }
}

/// The vendor's dialect, by marks that no other vendor's messages bear.
fn platform(m: &Message<'_>) -> Option<&'static str> {
    const MARKS: [(&str, &[&str]); 7] = [
        ("cisco-webex", &["webex.com"]),
        ("broadworks", &["broadworks"]),
        ("metaswitch", &["metaswitch networks", "metaswitchrecordingmetadata"]),
        ("avaya-sbce", &["asbce.com", "asbce@"]),
        ("oracle-sbc", &["acmepacket.com", "acmesrc"]),
        ("cisco-cucm", &["x-nearend;x-refci", "x-farend;x-refci", "x-nearend;x-near", "x-farend;x-near"]),
        ("cisco-cube", &["cisco-sipgateway"]),
    ];
    let mut text = m.body.to_ascii_lowercase();
    for (n, v) in &m.headers {
        text.extend(n.to_ascii_lowercase());
        text.push(b' ');
        text.extend(v.to_ascii_lowercase());
        text.push(b'\n');
    }
    let has = |mark: &&str| memmem::find(&text, mark.as_bytes()).is_some();
    MARKS.iter().find(|(_, marks)| marks.iter().any(&has)).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::endpoint::Endpoint;
    use crate::wire::sip;

    fn hear(p: &mut Portrait, at: i64, headers: &str, body: &str) {
        let text = format!("INVITE sip:b SIP/2.0\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{headers}\r\n\r\n{body}");
        let m = sip::parse(text.as_bytes()).unwrap();
        let e = Endpoint::default();
        p.hear(&Heard { at: CaptureTime(at), source: e, destination: e, message: &m });
    }

    fn document(mode: &str, participants: &[(&str, &str)]) -> String {
        let mut x =
            format!("<recording xmlns='urn:ietf:params:xml:ns:recording:1'><datamode>{mode}</datamode>");
        for (id, aor) in participants {
            x += &format!("<participant id='{id}'><nameID aor='{aor}'/><send>s{id}</send></participant>");
            x += &format!("<stream id='s{id}'><label>{id}</label></stream>");
        }
        x + "</recording>"
    }

    const RS: &str = "Content-Type: application/rs-metadata+xml";

    #[test]
    fn members_join_change_and_leave() {
        let mut p = Portrait::default();
        hear(&mut p, 1, RS, &document("complete", &[("1", "sip:ASBCE@x"), ("2", "sip:200@h")]));
        hear(&mut p, 2, RS, &document("partial", &[("3", "tel:+300")]));
        hear(&mut p, 3, RS, &document("complete", &[("3", "sip:301@h")]));
        let got: Vec<_> =
            p.members.iter().map(|m| (m.who.number.as_deref().unwrap(), m.who.left_at)).collect();
        assert_eq!(got, [("200", Some(CaptureTime(3))), ("301", None)]);
        assert_eq!(p.speaker(Some("3")), Some(1));
        assert_eq!(p.speaker(None), None);
    }

    #[test]
    fn cube_names_participants_by_media_index() {
        let mut p = Portrait::default();
        hear(
            &mut p,
            1,
            "User-Agent: Cisco-SIPGateway/IOS\r\nX-Cisco-Recording-Participant: sip:2@h;media-index=\"0\"\r\nX-Cisco-Recording-Participant: sip:3@h;media-index=\"1\"",
            "",
        );
        assert_eq!(p.platform, Some("cisco-cube"));
        let got: Vec<_> = p.by_media_index.iter().map(|(i, q)| (*i, q.number.as_deref().unwrap())).collect();
        assert_eq!(got, [(0, "2"), (1, "3")]);
    }
}
